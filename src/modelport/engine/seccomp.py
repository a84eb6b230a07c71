"""A seccomp filter, assembled by hand: the system calls that a worker never needs fail with EPERM.

It denies what leads out of the process (programs, other processes, sockets, mounts, the kernel's own machinery) and allows
the rest, because the numeric libraries differ too much in what they call for a list of everything they may. It holds for
every thread of the process. The tables are the kernel's (asm/unistd_64.h, asm-generic/unistd.h).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_SET_MODE_FILTER, _EVERY_THREAD = 1, 1
_SET_NO_NEW_PRIVS = 38
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _PROCESSOR, _ARGUMENTS = 0, 4, 16
_ALLOW, _KILL, _DENY, _UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
_X32 = 0x40000000
_CLONE_THREAD = 0x00010000
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: they type into the terminal
_AF_UNIX = 1

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
    "iopl": 172, "ioperm": 173, "modify_ldt": 154,
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
    "prlimit64": 261, "ioctl": 29, "socketpair": 199,
}  # fmt: skip
_JUDGED = frozenset({"clone", "kill", "tgkill", "prlimit64", "ioctl", "socketpair"})
_OF_NETWORK = frozenset({"socket", "connect"})

Instruction = tuple[int, int, int, int]


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


def restrict(*, has_network: bool) -> None:
    """Deny this process, all its threads, what a worker never needs. Cannot be undone.

    Raises: OSError where the kernel refuses, or the processor is none of PROCESSORS.
    """
    processor = PROCESSORS.get(platform.machine())
    if processor is None:
        raise OSError(0, f"there is no filter for the processor {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    code = b"".join(struct.pack("=HBBI", *line) for line in program(processor, os.getpid(), has_network=has_network))
    lines = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(lines))
    libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.syscall(processor.seccomp, _SET_MODE_FILTER, _EVERY_THREAD, filter_):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number) or "the kernel takes no seccomp filter")


def program(processor: Processor, pid: int, *, has_network: bool) -> list[Instruction]:
    """Return the filter's instructions: operation, jumps where it holds and where not, operand.

    Calls by another processor's convention end the process: their numbers mean something else.
    """
    out: list[Instruction] = [
        (_LOAD, 0, 0, _PROCESSOR),
        (_EQUAL, 1, 0, processor.identifier),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if processor.identifier == PROCESSORS["x86_64"].identifier:
        out += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _DENY)]
    out += _case(_CLONE3, [(_RETURN, 0, 0, _UNKNOWN)])  # its flags lie in memory; told that it is unknown, libraries call clone
    judged = {
        "clone": _if_any_bit(0, _CLONE_THREAD),
        "kill": _if_one_of(0, [pid]),
        "tgkill": _if_one_of(0, [pid]),
        "prlimit64": _if_one_of(0, [0, pid]),
        "socketpair": _if_one_of(0, [_AF_UNIX]),  # both ends stay within the process; event loops wake themselves by one
        "ioctl": _if_one_of(1, _TERMINAL_INPUT, then=_DENY, otherwise=_ALLOW),
    }
    for name, number in processor.numbers.items():
        if name in _JUDGED:
            out += _case(number, judged[name])
        elif not (has_network and name in _OF_NETWORK):
            out += _case(number, [(_RETURN, 0, 0, _DENY)])
    return [*out, (_RETURN, 0, 0, _ALLOW)]


def _case(number: int, body: list[Instruction]) -> list[Instruction]:
    """Return the instructions for one system call; ``body`` always ends in a return."""
    return [(_EQUAL, 0, len(body), number), *body]


def _if_one_of(argument: int, values: Iterable[int], then: int = _ALLOW, otherwise: int = _DENY) -> list[Instruction]:
    out: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
    for value in values:
        out += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, then)]
    return [*out, (_RETURN, 0, 0, otherwise)]


def _if_any_bit(argument: int, bits: int) -> list[Instruction]:
    return [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), (_ANY_BIT, 0, 1, bits), (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _DENY)]
