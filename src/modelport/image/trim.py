"""What of installed libraries an image does not need: tests, sources for compilers and type checkers."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

TRIMMED = 1
"""Counts up when the rules change, so that what was kept under older ones is made anew."""
_TESTS = ("tests", "test")
_SUFFIXES = (".pyi", ".pyx", ".pxd", ".pyc", ".a")


def trim(library: Path) -> None:
    """Remove it from a folder of installed distributions, and from their lists of files.

    Of folders of tests, modules that are no tests stay: numpy.testing imports one.
    """
    for folder in sorted(library.rglob("*"), reverse=True):
        if folder.name == "__pycache__" and folder.is_dir():
            shutil.rmtree(folder)
    for path in sorted(library.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        if path.suffix in _SUFFIXES or _is_of_tests(path, library):
            path.unlink()
    for folder in sorted((path for path in library.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    for record in library.glob("*.dist-info/RECORD"):
        _shorten(record, library)


def _is_of_tests(path: Path, library: Path) -> bool:
    inner = path.relative_to(library).parts[:-1]
    if not any(part in _TESTS for part in inner[1:]):  # a distribution may itself be called so
        return False
    is_test = path.name.startswith("test") or path.name.endswith("_test.py") or path.name == "conftest.py"
    return is_test or path.suffix != ".py"


def _shorten(record: Path, library: Path) -> None:
    with record.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row and (library / row[0]).is_file() and not row[0].startswith("..")]
    with record.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(sorted(rows))
