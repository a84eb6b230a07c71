"""Holds every template of a folder to cfn-lint's rules, one process for all; run by a Python that has cfn-lint. Prints what it finds."""

from __future__ import annotations

import sys
from pathlib import Path

from cfnlint.api import ManualArgs, lint

found = 0
for path in sorted(Path(sys.argv[1]).glob("*.yaml")):
    for match in lint(path.read_text("utf-8"), regions=["eu-central-1"], config=ManualArgs(include_checks=["I"])):
        # I0000 and the like are told of the run, not of the template.
        found += 1
        print(path.name, match)
print("findings:", found)
