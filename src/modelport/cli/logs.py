"""``modelport logs``: a command for each target, in ``modelport.cli.targets``."""

from __future__ import annotations

from modelport.cli.targets import Targets

command = Targets("logs", "Show the last log lines of a deployed model.")
