"""The sandbox of a worker: what it may read, write and call once it has locked itself in.

It is entered before the first library is imported: threads that libraries start then are inside of it as well (Landlock binds
only the calling thread and those it starts), and everything that is imported later is still found, because the folders of
the interpreter stay readable. Nothing but the standard library may be imported here.
"""

from __future__ import annotations

import json
import os
import resource
import site
import sys
from dataclasses import asdict, dataclass
from glob import glob

from modelport.engine import landlock, seccomp

_OF_THE_SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/mime.types",
    "/dev/null",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices",
    "/sys/bus/pci",
    "/sys/fs/cgroup",
)
_OF_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/ssl", "/etc/pki")
_OF_NETWORK_MORE = ("/etc/ca-certificates", "/run/systemd/resolve")
_DEVICES = ("/dev/nvidia*", "/dev/dri", "/dev/kfd", "/dev/shm")  # noqa: S108  # of a graphics processor, only where it was asked for
_LIMIT_FILES = 4096
_LIMIT_FILE_BYTES = 1 << 30
_SHARE_OF_MEMORY = 0.9
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class Policy:
    """What one worker may do: paths to read (the model, the user's code) and to write (a folder of its own), the network, a GPU.

    ``execute``: another interpreter and what starts it; this one's folders are then no more to be read. ``folder``: the current
    one, once it is locked in.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    network: bool = False
    gpu: bool = False
    execute: tuple[str, ...] = ()
    folder: str = ""

    def to_json(self) -> str:
        """Return it as text for a worker's argument list."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Policy:
        """Read what ``to_json`` wrote."""
        data = json.loads(text)
        return cls(tuple(data["read"]), tuple(data["write"]), data["network"], data["gpu"], tuple(data["execute"]), data["folder"])


@dataclass(frozen=True, slots=True)
class Level:
    """What holds a worker. ``landlock``: the kernel's version of it, 0 for none. ``missing``: what the system lacks, in words."""

    landlock: int = 0
    has_seccomp: bool = False
    missing: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether both parts hold."""
        return self.landlock > 0 and self.has_seccomp

    def __str__(self) -> str:
        parts = ([f"landlock{self.landlock}"] if self.landlock else []) + (["seccomp"] if self.has_seccomp else [])
        return ("+".join(parts) or "none") + (f" ({self.missing})" if self.missing else "")


OFF = Level(missing="switched off")


def enter(policy: Policy) -> Level:
    """Lock this process in, as far as the system can, and say how far that is. Cannot be undone.

    Cost: 0.6 milliseconds, most of it in the kernel.
    """
    if sys.platform != "linux":
        return Level(missing=f"there is no sandbox for {sys.platform}")
    _limit()
    missing: list[str] = []
    version, has_seccomp = 0, False
    try:
        version = landlock.restrict(_readable(policy), _writable(policy), policy.execute, has_network=policy.network)
    except OSError as error:
        missing.append(f"no Landlock: {error.strerror}")
    try:
        seccomp.restrict(has_network=policy.network, has_execution=bool(policy.execute))
        has_seccomp = True
    except OSError as error:
        missing.append(f"no seccomp: {error.strerror}")
    return Level(version, has_seccomp, "; ".join(missing))


def limit_memory() -> None:
    """Let this process take at most nine tenths of the machine's memory, or of its container's; it gets MemoryError then.

    Private writable memory is what counts (RLIMIT_DATA), not the address space: OpenBLAS, ONNX Runtime and glibc's arenas reserve
    gigabytes of addresses that they never use, so that a limit on those would have to be too wide to stop anything.
    """
    size = _memory_bytes() if sys.platform == "linux" else 0
    if size:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = int(size * _SHARE_OF_MEMORY)
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))


def lift_memory_limit() -> None:
    """Undo ``limit_memory``: a model that loaded and predicted may use what the system gives it."""
    if sys.platform != "linux":
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _limit() -> None:
    """No core dumps (they hold what was asked and answered), few files, none of them large."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, _LIMIT_FILES)
    if not _is_file(2):  # a log that has grown past it could not be written to any more
        _lower(resource.RLIMIT_FSIZE, _LIMIT_FILE_BYTES)


def _lower(which: int, limit: int) -> None:
    _, hard = resource.getrlimit(which)
    limit = limit if hard < 0 else min(limit, hard)
    resource.setrlimit(which, (limit, limit))


def _is_file(number: int) -> bool:
    try:
        return os.path.isfile(f"/proc/self/fd/{number}")  # noqa: PTH113  # pathlib is not loaded yet, and need not be
    except OSError:
        return False


def _readable(policy: Policy) -> list[str]:
    """Return what a worker reads: the system's libraries, the interpreter's folders, the model, the code it was given."""
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    found = [*_OF_THE_SYSTEM, *libraries, *policy.read]
    if not policy.execute:
        found += _of_this_interpreter()
    if policy.network:
        found += [*_OF_NETWORK, *_OF_NETWORK_MORE]
    if policy.gpu:
        found += ["/sys", "/proc"]
    return [place for place in dict.fromkeys(found) if place not in ("", "/")]


def _of_this_interpreter() -> list[str]:
    here = os.getcwd()  # noqa: PTH109
    # ``python -m`` puts the folder that the server was started in on the path; somebody's home is not the worker's to read.
    on_path = [place for place in sys.path if place and place != here]
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    return [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, own, *site.getsitepackages(), *on_path]


def _writable(policy: Policy) -> list[str]:
    devices = [path for pattern in _DEVICES for path in glob(pattern)] if policy.gpu else []  # noqa: PTH207
    return ["/dev/null", *policy.write, *devices]


def _memory_bytes() -> int:
    sizes = []
    try:
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (OSError, ValueError):
        return 0
    for path in _CGROUP_LIMITS:
        try:
            with open(path, encoding="ascii") as file:  # noqa: PTH123
                sizes.append(int(file.read()))
        except (OSError, ValueError):  # no such cgroup, or no limit ("max")
            continue
    return min(sizes)
