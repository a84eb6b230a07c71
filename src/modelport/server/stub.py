"""Writes the stubs of what a model file needs and nobody here has; nothing that is there is written over."""

from __future__ import annotations

from pathlib import Path

from modelport.config import Settings
from modelport.errors import UsageError
from modelport.formats.stubs import stubs
from modelport.server.workers import options


def write(file: Path, settings: Settings, folder: Path) -> list[Path]:
    """Write a Python file into a folder for each module that is missing, and return their paths.

    Raises: UsageError where one of them exists, nothing is missing, or the folder cannot be written; UnreadableFile.
    """
    found = {folder / name: text for name, text in stubs(file, options(settings)).items()}
    if not found:
        raise UsageError(f"{file.name}: needs no module that is not here, so there is no stub to write; leave --stub out")
    if there := [path for path in found if path.exists()]:
        raise UsageError(f"--stub {folder}: {there[0].name} is there already and is not written over; name another folder")
    try:
        for path, text in found.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as out:
                out.write(text)
    except OSError as error:
        raise UsageError(f"--stub {folder}: cannot be written ({error.strerror}); name a folder that you may write to") from error
    return list(found)
