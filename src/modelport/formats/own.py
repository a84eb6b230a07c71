"""Imports the user's own modules, named with ``--code``; in a worker process only."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from modelport.errors import LoadError


def import_own(module: str, folder: Path) -> object:
    """Import a module of the user's from its folder; the folder goes last on the path, so it can shadow nothing."""
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.append(place)
        importlib.invalidate_caches()
    found = importlib.import_module(module)
    origin = Path(getattr(found, "__file__", None) or "/").resolve()
    if not origin.is_relative_to(place):
        raise LoadError(f"the module {module} of --code {folder} has the name of an installed one; rename it and save the model again")
    return found
