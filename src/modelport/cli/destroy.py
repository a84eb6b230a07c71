"""``modelport destroy``: a command for each target, in ``modelport.cli.targets``."""

from __future__ import annotations

from modelport.cli.targets import Targets

command = Targets("destroy", "Take a deployed model away, and all that was made for it.")
