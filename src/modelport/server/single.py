"""What a front does not need of what it imports: threads of numpy's libraries, and the terminal's colours of structlog."""

from __future__ import annotations

import os
import sys

_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def import_numpy() -> None:
    """Let numpy start no threads in this process, which computes small products only. It reads this once; workers are told their own."""
    ours = [name for name in _ONE_THREAD if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, "1"))
    try:
        import numpy  # noqa: F401  # for its being loaded now
    finally:
        for name in ours:
            del os.environ[name]


def import_structlog() -> None:
    """Load structlog without rich, which it imports to colour tracebacks of a renderer that is not used here.

    That were 5 MB of every front and 40 ms of its start. Whoever wants rich in this process gets it as ever, afterwards.
    """
    if "rich" in sys.modules or "structlog" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # documented: an import of this name fails as if it was not installed
    try:
        import structlog  # noqa: F401  # for its being loaded now
    finally:
        del sys.modules["rich"]
