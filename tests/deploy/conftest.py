"""What the tests of targets share: a model that needs no library, the command, a cluster that kubectl can talk to."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

TOY = """
from modelport.columns import Columns


def load(folder):
    return None


def predict(model, x: Columns):
    if (x["a"] == 13).any():
        raise ValueError("thirteen")
    return Columns({"sum": x["a"] + x["b"]})
"""
TOY_MANIFEST = """
format = 1
name = "toy"

[hooks]
load = "toy.py:load"
predict = "toy.py:predict"

[[inputs]]
name = "a"
type = "float64"

[[inputs]]
name = "b"
type = "float64"

[[outputs]]
name = "sum"
type = "float64"
"""
# Where texts end, begin something else, or are computed: of YAML, JSON, shells, Compose, Kubernetes, CloudFormation, PromQL, templates.
_PIECES = [
    *("$", "$$", "${", "}", "$(", ")", "$(HOME)", "${HOME}", "${A:-b}", "${A:?no}", "$$(A)", "`id`", "{{", "}}", "{{ .Name }}", "<<", ">>"),
    *('"', "'", "\\", "\\n", "\n", "\r", "\r\n", "\t", "\x01", "\x7f", "\x85", "\u2028", "\ufeff", " ", "  ", "#", " # ", ": ", ":"),
    *(
        "-",
        "- ",
        "---",
        "\n---\n",
        "...",
        "|",
        ">",
        "|-",
        "&a",
        "*a",
        "!!python/object:os.system",
        "!Ref",
        "%",
        "@",
        "?",
        "? ",
        ",",
        "[",
        "]",
    ),
    *(
        "no",
        "yes",
        "on",
        "null",
        "~",
        "true",
        "1e3",
        "0x1",
        "0o7",
        "1:30",
        ".inf",
        "2001-01-01",
        "=",
        "é",
        "ß",
        "中",
        "😀",
        "\u202e",
        "a",
        "Z",
        "0",
    ),
    *(
        "../",
        "/etc/passwd",
        "--flag",
        "-rf",
        ";",
        "&&",
        "||",
        "<",
        "!",
        "\nRUN id\n",
        "\nENV A=b\n",
        "AWS::AccountId",
        "{{resolve:ssm:a}}",
        "=A1",
    ),
]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def nasty() -> Callable[[int], list[str]]:
    """Give a number of texts that are made to break out of wherever they are put; the same ones each time."""

    def give(count: int) -> list[str]:
        chance = random.Random(20261128)
        return ["".join(chance.choices(_PIECES, k=chance.randint(0, 6))) for _ in range(count)]

    return give


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A bundle that adds two numbers, and fails on 13."""
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "toy.py").write_text(TOY)
    (folder / "model.toml").write_text(TOY_MANIFEST)
    return folder


@pytest.fixture
def modelport(tmp_path: Path) -> Callable[..., Done]:
    """Run `modelport ARGUMENTS` with the programs of this environment first; no command may ever show a traceback."""
    home = Path(sys.executable).parent

    def run(*arguments: str | Path, env: dict[str, str] | None = None) -> Done:
        environment = os.environ | {"PATH": f"{home}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)} | (env or {})
        line = [home / "modelport", *map(str, arguments)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL)
        assert "Traceback" not in done.stdout + done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def api_server() -> ModuleType:
    """The module api_server beside this file."""
    spec = importlib.util.spec_from_file_location("deploy_api_server", Path(__file__).with_name("api_server.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cluster(
    api_server: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require_tool: Callable[[str], str]
) -> Iterator[object]:
    """A cluster for kubectl, which finds it by itself."""
    require_tool("kubectl")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    yield from api_server.running(tmp_path)


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], str]:
    """Give the path of a program that came with the development environment, or skip the test."""

    def require(name: str) -> str:
        path = Path(sys.executable).with_name(name)
        if not path.exists():
            pytest.skip(f"{name} is not in this environment; make .venv/.stamp-dev installs it")
        return str(path)

    return require
