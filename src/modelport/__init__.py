"""modelport: a saved machine-learning model becomes a production HTTP API with one command.

Importing this package imports no machine-learning framework and takes milliseconds; what is heavy is imported when called.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from modelport.version import VERSION

if TYPE_CHECKING:
    from modelport.columns import Columns
    from modelport.config import Value
    from modelport.schema import Field, Schema

__all__ = ["Columns", "Field", "Schema", "__version__", "serve"]
__version__ = VERSION

_HOMES = {"Columns": "modelport.columns", "Field": "modelport.schema", "Schema": "modelport.schema"}


def __getattr__(name: str) -> object:
    """Import a public class when it is first asked for (PEP 562): they need numpy, which the command line's help does not."""
    if name not in _HOMES:
        raise AttributeError(f"module 'modelport' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def serve(*files: str | os.PathLike[str], **settings: Value) -> None:
    """Serve model files or bundle folders until SIGTERM or Ctrl-C, as ``modelport serve`` does.

    ``settings`` are those of the command line with underscores: ``host``, ``port``, ``workers``, …
    Raises: ModelportError saying what stands in the way.
    """
    from pathlib import Path

    from modelport.server.announce import announcement
    from modelport.server.local import serve as run

    run([Path(file) for file in files], settings, lambda live: print(announcement(live), flush=True))  # noqa: T201
