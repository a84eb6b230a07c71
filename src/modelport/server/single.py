"""Threads that a front does not need: what numpy's libraries would start when they are imported."""

from __future__ import annotations

import os

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
