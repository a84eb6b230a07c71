"""``modelport deploy``: a command for each target, in ``modelport.cli.targets``."""

from __future__ import annotations

from modelport.cli.targets import Targets

command = Targets("deploy", "Render, show and apply what runs a model elsewhere.")
