"""Landlock by its three system calls: from now on this process opens only the files it was given, and no TCP port.

The numbers are the kernel's own (include/uapi/linux/landlock.h); they are the same on every processor. Rights that a kernel
does not know yet are left out, as its documentation asks for: the restriction is then the best that this kernel offers.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from modelport.engine import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READ = _READ_FILE | _READ_DIR
_EXECUTE = 1 << 0
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2


def abi() -> int:
    """Return the version of Landlock that this kernel offers; 0 where it has none or it is switched off."""
    try:
        return kernel.call(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    except OSError:
        return 0


def restrict(read: Iterable[str], write: Iterable[str], execute: Iterable[str] = (), *, has_network: bool) -> int:
    """Deny this thread, and those it will start, every file but these, and every TCP port. Returns the kernel's version.

    Paths that do not exist are left out. Whatever lies below a folder goes with it. Only what is in ``execute`` can be executed.
    Raises: OSError where the kernel refuses. Cost: about 6 microseconds a path, more where it is not in the kernel's cache.
    """
    version = abi()
    if not version:
        raise OSError(0, "the kernel has no Landlock, or it is switched off")
    known = _known(version)
    network = _BIND_TCP if has_network else _BIND_TCP | _CONNECT_TCP
    fields = [known, network if version >= 4 else 0, _ABSTRACT_SOCKETS | _SIGNALS if version >= 6 else 0]
    count = 1 if version < 4 else 2 if version < 6 else 3
    attributes = struct.pack(f"={count}Q", *fields[:count])
    rules = kernel.call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    try:
        for paths, rights in ((read, _READ), (write, ~_EXECUTE), (execute, _READ | _EXECUTE)):
            for path in paths:
                _allow(rules, path, rights & known)
        kernel.gain_no_privileges()
        kernel.call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)
    return version


def _known(version: int) -> int:
    """Return every right on files that a kernel of this version can take away."""
    newer = (1 << 13 if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0) | (_IOCTL_DEV if version >= 5 else 0)
    return (1 << 13) - 1 | newer


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # a library folder that this system does not have
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _ON_FILES
        kernel.call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)
