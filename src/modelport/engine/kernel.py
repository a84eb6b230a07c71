"""Calls into Linux that Python has no function for. Nothing but the standard library: used before a sandbox is entered.

The C library is looked up once; looking it up for every call was most of what entering a sandbox cost (35 microseconds each).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from functools import cache

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def call(number: int, *arguments: object) -> int:
    """Make a system call by its number. Raises: OSError with what the kernel says."""
    result = int(_libc().syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def gain_no_privileges() -> None:
    """Give up what set-user-ID programs would bring, as the kernel asks of whoever locks itself in. Cannot be undone."""
    if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the front ends, even inside of a prediction that hangs."""
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def trim() -> None:
    """Return freed memory to the system, where the C library can (glibc)."""
    if sys.platform == "linux":
        function = getattr(_libc(), "malloc_trim", None)
        if function is not None:
            function(0)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
