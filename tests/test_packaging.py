"""The wheel as a stranger gets it: what is in it, how large an install is, and that it works with nothing but the base."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "modelport"
BASE_LIMIT_MB = 120

pytestmark = pytest.mark.slow


def _run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=clean, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    (built,) = folder.glob("modelport-*.whl")
    return built


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and what it needs, no extra and no pip: the path of its bin folder."""
    folder = tmp_path_factory.mktemp("base") / "venv"
    _run(sys.executable, "-m", "venv", "--without-pip", folder)
    _run(sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet", wheel)
    return folder / "bin"


def test_the_wheel_holds_every_file_of_the_package_and_the_licence(wheel: Path) -> None:
    """Data files count as much as modules: the pages, what they load, the allow-list, py.typed."""
    expected = {
        f"modelport/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "modelport/py.typed" in expected
    assert expected <= names
    assert [name for name in names if name.endswith("/licenses/LICENSE")]


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"modelport"}


def test_a_base_install_is_small(base: Path) -> None:
    (site,) = (base.parent / "lib").glob("python3*/site-packages")
    size = sum(path.lstat().st_blocks * 512 for path in site.rglob("*") if path.is_file())
    largest = {top.name: sum(p.lstat().st_blocks * 512 for p in top.rglob("*")) for top in site.iterdir()}
    print(f"site-packages: {size / 1e6:.1f} MB;", sorted(((round(n / 1e6, 1), top) for top, n in largest.items()), reverse=True)[:8])
    assert size < BASE_LIMIT_MB * 1e6


def test_the_base_install_imports_and_helps(base: Path, tmp_path: Path) -> None:
    """Run twice: the first run also writes and reads byte code. The times are shown, not judged."""
    commands = {
        "import modelport": [base / "python", "-c", "import modelport; print(modelport.__version__)"],
        "modelport --help": [base / "modelport", "--help"],
    }
    shown = {}
    for title, command in commands.items():
        for _ in range(2):
            began = time.perf_counter()
            done = _run(*command, cwd=tmp_path)
            print(f"{title}: {time.perf_counter() - began:.3f} s with the interpreter's own start")
        shown[title] = done.stdout
    costs = _run(base / "python", "-X", "importtime", "-c", "import modelport", cwd=tmp_path).stderr.splitlines()
    print(
        "import modelport, microseconds (self, with all below):", next(line for line in costs if line.split("|")[-1].strip() == "modelport")
    )
    assert shown["import modelport"].strip()
    assert "serve" in shown["modelport --help"]
