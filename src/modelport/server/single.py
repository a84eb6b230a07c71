"""What a front does not need of what it imports: threads of numpy's libraries, structlog's colours, msgspec's look into other typings."""

from __future__ import annotations

import importlib
import os
import sys

_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def import_libraries() -> None:
    """Load numpy, structlog and msgspec, each without what it brings that no front uses.

    structlog imports rich to colour tracebacks of a renderer that is not used here: 5 MB of every front and 40 ms of its start. msgspec
    asks typing_extensions for names that Python has itself since 3.11: 0.6 MB.
    """
    _import_numpy()
    _import_without("rich", "structlog")
    _import_without("typing_extensions", "msgspec")


def _import_numpy() -> None:
    """Let numpy start no threads in this process, which computes small products only. It reads this once; workers are told their own."""
    ours = [name for name in _ONE_THREAD if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, "1"))
    try:
        import numpy  # noqa: F401  # for its being loaded now
    finally:
        for name in ours:
            del os.environ[name]


def _import_without(part: str, name: str) -> None:
    """Load a module that can do without ``part``. Whoever wants that in this process gets it as ever, afterwards."""
    if part in sys.modules or name in sys.modules:
        return
    sys.modules[part] = None  # type: ignore[assignment]  # documented: an import of this name fails as if it was not installed
    try:
        importlib.import_module(name)
    finally:
        del sys.modules[part]
