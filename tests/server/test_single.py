"""What a front imports is what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
{before}
from modelport.server.single import import_libraries
import_libraries()
import modelport.server.local, modelport.server.front
print(sorted({{name.split(".")[0] for name in sys.modules}} & {{"rich", "typing_extensions"}}))
import rich.console, structlog, typing_extensions
structlog.get_logger().bind(a=1)
print(rich.console.Console.__name__, typing_extensions.Required.__name__)
"""


def run(code: str) -> list[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(
    ("before", "loaded"),
    [("", "[]"), ("import rich", "['rich']"), ("import typing_extensions", "['typing_extensions']")],
    ids=["a front", "somebody has rich already", "somebody has typing_extensions already"],
)
def test_a_front_loads_no_more_of_libraries_than_it_uses_and_whoever_wants_it_gets_it_afterwards(before: str, loaded: str) -> None:
    assert run(CODE.format(before=before)) == [loaded, "Console Required"]


def test_a_front_of_workers_loads_neither_operations_of_forms_nor_a_supervisor_nor_readers_of_other_files() -> None:
    loaded = run(
        "import modelport.cli.serve, modelport.server.local, modelport.server.front, modelport.server.versions, sys\nprint(*sys.modules)"
    )
    loaded = loaded[0].split()
    assert "modelport.engine.adopting" in loaded
    assert {"modelport.forms.program", "modelport.engine.inline", "modelport.server.supervisor"}.isdisjoint(loaded)
    assert {"modelport.formats.onnx_outside", "zipfile", "email", "importlib.metadata"}.isdisjoint(loaded)
