"""Byte code for an image, whose files nobody can write at run time: without it every start compiles all that is imported.

Version 2 of marshal writes no references between objects, so that the bytes follow from the source alone. The files say that they
need not be checked against their source (PEP 552), whose times an image does not keep.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from modelport.bundle.environment import interpreters, version
from modelport.errors import TargetRefused
from modelport.image.places import LIBRARY

_TIMEOUT_S = 900
_SCRIPT = """
import importlib.util, marshal, os, sys
source, target, shown = sys.argv[1:]
sys.setrecursionlimit(20000)
for folder, _, names in os.walk(source):
    for name in sorted(names):
        if not name.endswith(".py"):
            continue
        path = os.path.join(folder, name)
        inner = os.path.relpath(path, source)
        with open(path, "rb") as file:
            text = file.read()
        try:
            code = compile(text, os.path.join(shown, inner), "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError):
            continue
        out = importlib.util.cache_from_source(os.path.join(target, inner), optimization="")
        os.makedirs(os.path.dirname(out), exist_ok=True)
        with open(out, "wb") as file:
            file.write(importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(text) + marshal.dumps(code, 2))
"""


def interpreter(wanted: tuple[int, int]) -> Path | None:
    """Return a Python of that version on this machine, this one first; None if there is none, and images start slower."""
    if sys.version_info[:2] == wanted and sys.implementation.name == "cpython":
        return Path(sys.executable)
    return next((path for path in dict.fromkeys(interpreters()) if version(path) == wanted), None)


def compile_folder(program: Path, source: Path, target: Path, shown: str = LIBRARY) -> None:
    """Compile the modules below ``source`` into ``__pycache__`` folders below ``target``; tracebacks will name them below ``shown``.

    What is not of that Python's syntax is left out. Nothing is executed. Raises: TargetRefused if the interpreter fails.
    """
    command = [str(program), "-I", "-S", "-c", _SCRIPT, str(source), str(target), shown]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False, env={"PYTHONHASHSEED": "0"})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetRefused(f"{program} did not compile the libraries ({type(error).__name__}); try again") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise TargetRefused(f"{program} did not compile the libraries ({said[-1][:200]}); look at its installation")
