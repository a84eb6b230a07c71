"""``modelport status``: a command for each target, in ``modelport.cli.targets``."""

from __future__ import annotations

from modelport.cli.targets import Targets

command = Targets("status", "Say how a deployed model is doing.")
