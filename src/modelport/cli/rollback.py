"""``modelport rollback``: a command for each target, in ``modelport.cli.targets``."""

from __future__ import annotations

from modelport.cli.targets import Targets

command = Targets("rollback", "Go back to what ran before.")
