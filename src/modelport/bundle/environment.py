"""Matching environments for old models: an interpreter with the scikit-learn that wrote the file.

``--env PATH`` names one. ``--env auto`` looks for one that is installed already (PATH, pyenv, conda), then for a Python that the
version supports and makes an environment in the cache, by uv where it is there and by venv and pip else. Nothing is looked for,
made or installed without being asked for on the command line.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modelport.errors import LoadError, MissingExtra, UsageError

Say = Callable[[str], None]

_ASK_TIMEOUT_S = 60
_INSTALL_TIMEOUT_S = 1800
_MARKER = "modelport-environment.json"


@dataclass(frozen=True, slots=True)
class Facts:
    """What an interpreter says of itself."""

    python: tuple[int, int, int]
    scikit_learn: str


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python to start: its program, which is no script that starts another, and the folders that it and its libraries lie in."""

    program: Path
    places: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Era:
    """scikit-learn versions that share what they run on: the first of them, their Pythons, what to hold back."""

    first: tuple[int, int]
    pythons: tuple[tuple[int, int], ...]
    pins: tuple[str, ...]


def _pythons(first: int, last: int) -> tuple[tuple[int, int], ...]:
    return tuple((3, minor) for minor in range(last, first - 1, -1))


# Newest first. Which wheels exist for which Python: scikit-learn's release notes and its files on the package index.
ERAS: tuple[Era, ...] = (
    Era((1, 7), _pythons(11, 13), ()),
    Era((1, 5), _pythons(11, 13), ()),
    Era((1, 4), _pythons(11, 12), ()),
    Era((1, 3), _pythons(8, 12), ("numpy<2", "pandas<3")),
    Era((1, 1), _pythons(8, 11), ("numpy<2", "pandas<2.3")),
    Era((1, 0), _pythons(7, 10), ("numpy<1.24", "pandas<2")),
    Era((0, 24), _pythons(6, 9), ("numpy<1.22", "pandas<1.5")),
    Era((0, 21), _pythons(6, 8), ("numpy<1.20", "pandas<1.3")),
    Era((0, 18), _pythons(6, 7), ("numpy<1.20", "scipy<1.6", "pandas<1.2")),
)


def named(path: Path, written: str) -> Path:
    """Return the interpreter that ``--env PATH`` names: itself, or that of a virtual environment's folder.

    Raises: UsageError if there is none or it has another scikit-learn than ``written``.
    """
    python = path / "bin" / "python" if path.is_dir() else path
    if not python.is_file():
        raise UsageError(f"--env {path}: there is no Python interpreter; give its path, or the folder of its virtual environment")
    facts = ask(python)
    if facts is None:
        raise UsageError(f"--env {path}: is no Python 3.6 or later with scikit-learn; install scikit-learn=={written} there")
    if _minor(facts.scikit_learn) != _minor(written):
        raise UsageError(
            f"--env {path}: has scikit-learn {facts.scikit_learn}, the file was written by {written}; install scikit-learn=={written} there"
        )
    return python.absolute()


def matching(written: str, say: Say) -> Path:
    """Return an interpreter with the scikit-learn that wrote the file: one that is installed, the cached one, or a new one.

    ``say`` is told what is being made, before it is made. Raises: LoadError if no Python here runs that version, or the
    installation fails; UsageError for a version that nothing is known of.
    """
    cached = _folder(written)
    if (cached / _MARKER).is_file():
        return cached / "bin" / "python"
    era = _era(written)
    found = list(dict.fromkeys(interpreters()))
    for python in found:
        facts = ask(python)
        if facts is not None and facts.scikit_learn == written:
            say(f"using {python}, which has scikit-learn {written}")
            return python
    return _make(written, era, found, cached, say)


def ask(python: Path) -> Facts | None:
    """Ask an interpreter for its version and its scikit-learn's; None if it has none, or is none."""
    script = "import json, sys, sklearn; print(json.dumps([list(sys.version_info[:3]), sklearn.__version__]))"
    try:
        done = subprocess.run([str(python), "-I", "-c", script], capture_output=True, timeout=_ASK_TIMEOUT_S, check=False)
        numbers, sklearn = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return Facts(tuple(numbers), sklearn)


def interpreter(python: Path) -> Interpreter:
    """Ask an interpreter where it really is and what it imports from. Raises: LoadError if it does not say."""
    script = (
        "import json, sys; print(json.dumps([sys.executable, "
        "[sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix] + [path for path in sys.path if path]]))"
    )
    try:
        done = subprocess.run([str(python), "-I", "-c", script], capture_output=True, timeout=_ASK_TIMEOUT_S, check=False)
        program, places = json.loads(done.stdout)
        return Interpreter(Path(program), tuple(dict.fromkeys(Path(place) for place in places)))
    except (OSError, ValueError, TypeError, subprocess.TimeoutExpired) as error:
        raise LoadError(
            f"{python}: does not start as a Python interpreter ({type(error).__name__}); name another with --env PATH"
        ) from error


def _make(written: str, era: Era, found: list[Path], folder: Path, say: Say) -> Path:
    """Make the environment in the cache, held by a lock so that two starts at once make one."""
    base = next((python for wanted in era.pythons for python in found if version(python) == wanted), None)
    uv = shutil.which("uv")
    if base is None and uv is None:
        supported = " or ".join(f"3.{minor}" for _, minor in era.pythons)
        raise LoadError(
            f"scikit-learn {written} runs on Python {supported}, and none of them is installed here; install one (pyenv, conda or uv), "
            "or name an interpreter with --env PATH"
        )
    packages = [f"scikit-learn=={written}", "joblib", "pandas", *era.pins]
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(folder.with_suffix(".lock")):
        if (folder / _MARKER).is_file():
            return folder / "bin" / "python"
        shutil.rmtree(folder, ignore_errors=True)
        say(f"making an environment with {', '.join(packages)} in {folder} (once)")
        if base is not None:
            _run([str(base), "-m", "venv", str(folder)], "the virtual environment could not be made")
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
            _run([*pip, *packages], f"scikit-learn {written} could not be installed")
        else:
            wanted = f"{era.pythons[0][0]}.{era.pythons[0][1]}"
            _run([str(uv), "venv", "--quiet", "--python", wanted, str(folder)], f"uv could not make an environment of Python {wanted}")
            install = [str(uv), "pip", "install", "--quiet", "--only-binary", ":all:", "--python", str(folder / "bin" / "python")]
            _run([*install, *packages], f"scikit-learn {written} could not be installed")
        facts = ask(folder / "bin" / "python")
        if facts is None or facts.scikit_learn != written:
            raise LoadError(f"the environment in {folder} was made, but scikit-learn {written} does not import there; remove the folder")
        (folder / _MARKER).write_text(json.dumps({"packages": packages}), encoding="utf-8")
    return folder / "bin" / "python"


def _run(command: list[str], problem: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LoadError(f"{problem}: {type(error).__name__}; name an interpreter of your own with --env PATH") from error
    if done.returncode != 0:
        said = [line for line in done.stderr.strip().splitlines() if "error" in line.lower()] or done.stderr.strip().splitlines()
        raise LoadError(f"{problem}: {said[-1][:300] if said else 'no reason given'}; name an interpreter of your own with --env PATH")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError as error:  # Windows, where the old environments of this kind do not run either
        raise MissingExtra("--env auto works on Linux and macOS only; name an interpreter with --env PATH") from error
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _folder(written: str) -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "modelport" / "environments" / f"scikit-learn-{re.sub(r'[^0-9A-Za-z.]', '-', written)}"


def _era(written: str) -> Era:
    wanted = _minor(written)
    for era in ERAS:
        if wanted is not None and wanted >= era.first:
            return era
    raise UsageError(f"--env auto knows no environment for scikit-learn {written}; name an interpreter with --env PATH")


def _minor(version: str) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None


def interpreters() -> Iterator[Path]:
    """Yield the Pythons of this machine: the running one, on PATH, of pyenv, of conda."""
    yield Path(sys.executable)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        for minor in range(13, 5, -1):
            python = Path(folder or ".") / f"python3.{minor}"
            if folder and python.is_file() and "shims" not in python.parts:
                yield python
    roots = [Path(os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))) / "versions"]
    roots += [Path.home() / name / "envs" for name in ("miniconda3", "anaconda3", "miniforge3", "mambaforge")]
    for root in roots:
        if root.is_dir():
            yield from (python for python in sorted(root.glob("*/bin/python"), reverse=True) if python.is_file())


def version(python: Path) -> tuple[int, int] | None:
    """Ask an interpreter for its version, (major, minor); None if it is none."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, timeout=_ASK_TIMEOUT_S, check=False
        )
        major, minor = done.stdout.split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
