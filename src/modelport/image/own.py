"""modelport's own files for an image: those of the package that is running, whether installed or a checkout; never a network's."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelport.image.bytecode import compile_folder, interpreter
from modelport.image.places import LIBRARY
from modelport.image.tree import Entry, file, walk
from modelport.version import VERSION

_NAME = "modelport"
_PACKAGE = Path(__file__).parent.parent
_LEFT_OUT = ("__pycache__",)
_SUFFIXES = (".pyi", ".pyc")


@contextmanager
def entries(version: tuple[int, int]) -> Iterator[list[Entry]]:
    """Give the package as entries, with byte code where a Python of that version is here.

    The files are read once, so that an edit meanwhile makes no mixture.
    """
    found: list[Entry] = []
    root = _PACKAGE
    with tempfile.TemporaryDirectory(prefix="modelport-image-") as folder:
        source, code = Path(folder) / "source", Path(folder) / "code"
        code.mkdir()
        for entry in walk(root, _NAME, _is_wanted):
            if entry.kind != "file" or isinstance(entry.source, bytes):
                continue
            content = entry.source.read_bytes()
            copy = source / entry.path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)
            found.append(file(f"{LIBRARY.lstrip('/')}/{entry.path}", content))
        found += _described()
        if (program := interpreter(version)) is not None:
            compile_folder(program, source, code)
            found += walk(code, LIBRARY.lstrip("/"))
        yield found


def digest() -> str:
    """Return a SHA-256 over the package's files, for what is said of how an image was made."""
    hashed = hashlib.sha256()
    for entry in walk(_PACKAGE, _NAME, _is_wanted):
        if isinstance(entry.source, Path):
            hashed.update(f"{entry.path}\0{hashlib.sha256(entry.source.read_bytes()).hexdigest()}\n".encode())
    return hashed.hexdigest()


def _described() -> list[Entry]:
    """Return what makes it a distribution to importlib.metadata."""
    text = f"Metadata-Version: 2.1\nName: modelport\nVersion: {VERSION}\n"
    return [file(f"{LIBRARY.lstrip('/')}/modelport-{VERSION}.dist-info/METADATA", text.encode())]


def _is_wanted(name: str) -> bool:
    parts = name.split("/")
    return not any(part in _LEFT_OUT or part.startswith(".") for part in parts) and not parts[-1].endswith(_SUFFIXES)
