"""A seccomp filter, assembled by hand: the system calls that a worker never needs fail with EPERM.

It denies what leads out of the process (programs, other processes, sockets, mounts, the kernel's own machinery) and allows
the rest, because the numeric libraries differ too much in what they call for a list of everything they may. It holds for
every thread of the process. The tables are the kernel's (asm/unistd_64.h, asm-generic/unistd.h).
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelport.engine import kernel

_SET_MODE_FILTER, _EVERY_THREAD = 1, 1
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _PROCESSOR, _ARGUMENTS = 0, 4, 16
_ALLOW, _KILL, _DENY, _UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
_X32 = 0x40000000
_LINE = struct.Struct("=HBBI")  # struct sock_filter: operation, jumps where it holds and where not, operand
_CLONE_THREAD = 0x00010000
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: they type into the terminal
_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG: a worker may not outlive its front
_AF_UNIX, _SOCK_STREAM, _SOCK_MASK = 1, 1, 0xF
_AF_INTERNET = (2, 10, 16)  # IPv4, IPv6, and netlink, which tells a resolver which of them there is

# The same number on every processor since Linux 5.1.
_SHARED = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_open": 434,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "process_mrelease": 448,
    "fchmodat2": 452,
    "setxattrat": 463,
    "removexattrat": 466,
}
_CLONE3 = 435
_X86_64 = {
    "execve": 59, "execveat": 322, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "socket": 41, "connect": 42,
    "bind": 49, "listen": 50, "accept": 43, "accept4": 288, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "bpf": 321,
    "userfaultfd": 323, "keyctl": 250, "add_key": 248, "request_key": 249, "perf_event_open": 298, "kexec_load": 246,
    "kexec_file_load": 320, "init_module": 175, "delete_module": 176, "finit_module": 313, "unshare": 272, "setns": 308, "tkill": 200,
    "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "kcmp": 312, "open_by_handle_at": 304, "name_to_handle_at": 303, "swapon": 167,
    "swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171, "settimeofday": 164, "clock_settime": 227,
    "clock_adjtime": 305, "acct": 163, "quotactl": 179, "syslog": 103, "fchmod": 91, "fchmodat": 268, "fchownat": 260, "fchown": 93,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "mknodat": 259,
    "migrate_pages": 256, "move_pages": 279, "mq_open": 240, "fanotify_init": 300, "clone": 56, "kill": 62, "tgkill": 234,
    "prlimit64": 302, "ioctl": 16, "socketpair": 53, "fork": 57, "vfork": 58, "chmod": 90, "chown": 92, "lchown": 94, "mknod": 133,
    "iopl": 172, "ioperm": 173, "modify_ldt": 154, "prctl": 157, "shmget": 29, "semget": 64, "msgget": 68, "utimensat": 280, "utime": 132,
    "utimes": 235, "futimesat": 261,
}  # fmt: skip
_AARCH64 = {
    "execve": 221, "execveat": 281, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "socket": 198, "connect": 203,
    "bind": 200, "listen": 201, "accept": 202, "accept4": 242, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "bpf": 280,
    "userfaultfd": 282, "keyctl": 219, "add_key": 217, "request_key": 218, "perf_event_open": 241, "kexec_load": 104,
    "kexec_file_load": 294, "init_module": 105, "delete_module": 106, "finit_module": 273, "unshare": 97, "setns": 268, "tkill": 130,
    "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "kcmp": 272, "open_by_handle_at": 265, "name_to_handle_at": 264, "swapon": 224,
    "swapoff": 225, "reboot": 142, "sethostname": 161, "setdomainname": 162, "settimeofday": 170, "clock_settime": 112,
    "clock_adjtime": 266, "acct": 89, "quotactl": 60, "syslog": 116, "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55,
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16, "mknodat": 33,
    "migrate_pages": 238, "move_pages": 239, "mq_open": 180, "fanotify_init": 262, "clone": 220, "kill": 129, "tgkill": 131,
    "prlimit64": 261, "ioctl": 29, "socketpair": 199, "prctl": 167, "shmget": 194, "semget": 190, "msgget": 186, "utimensat": 88,
}  # fmt: skip
EXECUTION = frozenset({"execve", "execveat"})


@dataclass(frozen=True, slots=True)
class Processor:
    """What differs between processors: the kernel's identifier, the number of seccomp(2) itself, the table."""

    identifier: int
    seccomp: int
    numbers: Mapping[str, int]


PROCESSORS: Mapping[str, Processor] = {
    "x86_64": Processor(0xC000003E, 317, _X86_64 | _SHARED),
    "aarch64": Processor(0xC00000B7, 277, _AARCH64 | _SHARED),
}


def restrict(*, has_network: bool, has_execution: bool = False) -> None:
    """Deny this process, all its threads, what a worker never needs. Cannot be undone.

    ``has_execution`` leaves programs to whoever is started next, and that to Landlock; ``without_execution`` takes them away there.
    Raises: OSError where the kernel refuses, or the processor is none of PROCESSORS.
    """
    processor = _processor()
    code = program(processor, os.getpid(), has_network=has_network, has_execution=has_execution)
    lines = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("HxxxxxxP", len(code) // _LINE.size, ctypes.addressof(lines))
    kernel.gain_no_privileges()
    kernel.call(processor.seccomp, _SET_MODE_FILTER, _EVERY_THREAD, filter_)


def without_execution() -> bytes:
    """Return the filter that denies only programs, for one who cannot import this module. Raises: OSError as ``restrict``."""
    processor = _processor()
    return _head(processor) + _denied(processor.numbers[name] for name in EXECUTION)


def program(processor: Processor, pid: int, *, has_network: bool, has_execution: bool = False) -> bytes:
    """Return the filter as the kernel takes it."""
    judged = {
        "clone": _load(0) + _line(_ANY_BIT, _CLONE_THREAD, no=1) + _ALLOWED + _REFUSED,
        "kill": _load(0) + _only([pid]),
        "tgkill": _load(0) + _only([pid]),
        "prlimit64": _load(0) + _only([0, pid]),
        # Both ends stay within the process; event loops wake themselves by one. A pair of datagram sockets could write to others.
        "socketpair": _load(0) + _line(_EQUAL, _AF_UNIX, yes=1) + _REFUSED + _load(1) + _line(_AND, _SOCK_MASK) + _only([_SOCK_STREAM]),
        "ioctl": _load(1) + _none(_TERMINAL_INPUT),
        "prctl": _load(0) + _none([_PARENTS_DEATH]),
    }
    if has_network:  # never a Unix socket: those of other programs (Docker's) are a way out that Landlock does not see
        judged["socket"] = _load(0) + _only(_AF_INTERNET)
    out = _head(processor)
    out += _case(_CLONE3, _line(_RETURN, _UNKNOWN))  # its flags lie in memory; told that it is unknown, libraries call clone
    for name, body in judged.items():
        out += _case(processor.numbers[name], body)
    left = set(processor.numbers) - set(judged) - (EXECUTION if has_execution else set()) - ({"connect"} if has_network else set())
    return out + _denied(processor.numbers[name] for name in left)


def _processor() -> Processor:
    machine = os.uname().machine
    if machine not in PROCESSORS:
        raise OSError(0, f"there is no filter for the processor {machine}")
    return PROCESSORS[machine]


def _line(operation: int, operand: int, *, yes: int = 0, no: int = 0) -> bytes:
    return _LINE.pack(operation, yes, no, operand)


_ALLOWED, _REFUSED = _line(_RETURN, _ALLOW), _line(_RETURN, _DENY)


def _head(processor: Processor) -> bytes:
    """Begin a filter. Calls by another processor's convention end the process: their numbers mean something else."""
    out = _line(_LOAD, _PROCESSOR) + _line(_EQUAL, processor.identifier, yes=1) + _line(_RETURN, _KILL) + _line(_LOAD, _NUMBER)
    if processor.identifier == PROCESSORS["x86_64"].identifier:
        out += _line(_AT_LEAST, _X32, no=1) + _REFUSED
    return out


def _denied(numbers: Iterable[int]) -> bytes:
    """End a filter: these calls are denied, all others allowed."""
    ordered = sorted(numbers)
    chain = [_line(_EQUAL, number, yes=len(ordered) - at) for at, number in enumerate(ordered)]
    return b"".join(chain) + _ALLOWED + _REFUSED


def _case(number: int, body: bytes) -> bytes:
    """Return the instructions for one system call; ``body`` always ends in a return."""
    return _line(_EQUAL, number, no=len(body) // _LINE.size) + body


def _load(argument: int) -> bytes:
    """Look at the lower half of an argument; the kernel, too, takes these as 32 bits."""
    return _line(_LOAD, _ARGUMENTS + 8 * argument)


def _only(values: Iterable[int]) -> bytes:
    return b"".join(_line(_EQUAL, value, no=1) + _ALLOWED for value in values) + _REFUSED


def _none(values: Iterable[int]) -> bytes:
    return b"".join(_line(_EQUAL, value, no=1) + _REFUSED for value in values) + _ALLOWED
