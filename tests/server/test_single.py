"""What a front imports is what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
{before}
from modelport.server.single import import_structlog
import_structlog()
import modelport.server.local, modelport.server.front
print(sorted(name for name in sys.modules if name.split(".")[0] == "rich" and "." not in name))
import rich.console, structlog
structlog.get_logger().bind(a=1)
print(rich.console.Console.__name__)
"""


@pytest.mark.parametrize(("before", "loaded"), [("", "[]"), ("import rich", "['rich']")], ids=["a front", "somebody has it already"])
def test_a_front_loads_no_rich_and_whoever_wants_it_gets_it_afterwards(before: str, loaded: str) -> None:
    done = subprocess.run([sys.executable, "-c", CODE.format(before=before)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [loaded, "Console"]


def test_a_front_of_workers_loads_no_operations_of_forms_and_no_reader_of_mails() -> None:
    code = "import sys, modelport.server.local, modelport.server.front, modelport.server.versions\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "modelport.engine.adopting" in done.stdout.split()
    assert {"modelport.forms.program", "modelport.engine.inline", "email", "importlib.metadata"}.isdisjoint(done.stdout.split())
