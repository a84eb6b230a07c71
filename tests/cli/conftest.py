"""What the tests of the command line share: the command itself in a process of its own, and a small model that needs no library."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

TOY = """
from modelport.columns import Columns
from modelport.errors import ModelError


def load(folder):
    return None


def predict(model, x: Columns):
    if (x["a"] == 13).any():
        raise ValueError("thirteen, said /home/somebody/secret.py")
    return Columns({"sum": x["a"] + x["b"], "word": x["word"]})
"""
TOY_MANIFEST = """
format = 1
name = "toy"

[hooks]
load = "toy.py:load"
predict = "toy.py:predict"

[api]
route = "/add"

[[inputs]]
name = "ref"
type = "int64"
role = "key"

[[inputs]]
name = "a"
type = "float64"

[[inputs]]
name = "b"
type = "float64"

[[inputs]]
name = "word"
type = "string"
nullable = true

[[outputs]]
name = "sum"
type = "float64"
"""


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def command() -> Path:
    """The installed command."""
    return Path(sys.executable).with_name("modelport")


@pytest.fixture
def modelport(command: Path, tmp_path: Path) -> Callable[..., Done]:
    """Run `modelport ARGUMENTS` in an empty folder; no command may ever show a traceback."""

    def run(*arguments: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None) -> Done:
        line = [command, *map(str, arguments)]
        done = subprocess.run(line, input=stdin, capture_output=True, timeout=120, cwd=tmp_path, env=os.environ | (env or {}), check=False)
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in out + err
        return Done(done.returncode, out, err)

    return run


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A bundle that adds two numbers, in the folder where commands run."""
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "toy.py").write_text(TOY)
    (folder / "model.toml").write_text(TOY_MANIFEST)
    return folder
