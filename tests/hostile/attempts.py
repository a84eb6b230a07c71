"""What a hostile model tries: each function returns where the attempt worked, and raises where the system refused it.

Syntax of Python 3.6 on the standard library: it is copied beside a hook, and into an old model's own environment. The variables
MODELPORT_TEST_… say where: OUTSIDE (a folder that is not the model's), PORT (something listens there), SOCKET (there, too).
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading

_SEIZE = 0x4206
_NOBODY = 4194303  # more than the largest process number
_X86 = os.uname().machine == "x86_64"


def _outside(*names):
    return os.path.join(os.environ["MODELPORT_TEST_OUTSIDE"], *names)


def _read(path):
    with open(path, "rb") as file:
        if not file.read(1):
            raise OSError("nothing to read")


def _write(path):
    with open(path, "w") as file:
        file.write("x")


def _written_then_removed(path):
    _write(path)
    os.unlink(path)


def _call(number, *arguments):
    """Make a system call that is meant to fail; refused is only one that the filter answered."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) < 0 and ctypes.get_errno() == 1:
        raise PermissionError(number)


def _program():
    subprocess.run(["true"], check=True)


def _shell():
    if os.system("exit 7") != 7 * 256:
        raise OSError("no shell")


def _spawn():
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0) if hasattr(os, "posix_spawn") else _program()


def _own_interpreter():
    subprocess.run([sys.executable, "-c", ""], check=True)


def _fork():
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def _connect():
    socket.create_connection(("127.0.0.1", int(os.environ["MODELPORT_TEST_PORT"])), timeout=5).close()


def _send_packet():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.1", int(os.environ["MODELPORT_TEST_PORT"])))


def _listen():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)


def _unix_socket():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(os.environ["MODELPORT_TEST_SOCKET"])


def _unix_packet():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.sendto(b"x", os.environ["MODELPORT_TEST_SOCKET"] + ".packets")
    ours.close()
    theirs.close()


def _survive():
    if ctypes.CDLL(None, use_errno=True).prctl(1, 0, 0, 0, 0):
        raise PermissionError("prctl")


def _thread():
    done = []
    each = threading.Thread(target=done.append, args=(1,))
    each.start()
    each.join()
    assert done


def _temporary():
    with tempfile.NamedTemporaryFile("w+") as file:
        file.write("x")


def _home():
    _write(os.path.join(os.path.expanduser("~"), "settings"))


def _pair():
    for each in socket.socketpair():
        each.close()


DENIED = {
    "reads the list of users": lambda: _read("/etc/passwd"),
    "reads an SSH key": lambda: _read(_outside(".ssh", "id_ed25519")),
    "reads the credentials of a cloud": lambda: _read(_outside(".aws", "credentials")),
    "reads them from the environment": lambda: os.environ["AWS_SECRET_ACCESS_KEY"],
    "lists a home": lambda: os.listdir(_outside()),
    "lists the root": lambda: os.listdir("/"),
    "reads the front's environment": lambda: _read(f"/proc/{os.getppid()}/environ"),
    "reads the front's memory": lambda: open(f"/proc/{os.getppid()}/mem", "rb").close(),
    "writes a file": lambda: _write(_outside("marker")),
    "writes beside its own code": lambda: _written_then_removed(os.path.join(os.path.dirname(os.path.abspath(__file__)), "more.py")),
    "writes where everybody may": lambda: _written_then_removed(f"/var/tmp/modelport-test-marker-{os.getpid()}"),
    "writes to shared memory": lambda: _written_then_removed(f"/dev/shm/modelport-test-marker-{os.getpid()}"),
    "empties a file": lambda: os.truncate(_outside("file"), 0),
    "renames a file": lambda: os.rename(_outside("renamed"), _outside("marker-renamed")),
    "removes a file": lambda: os.unlink(_outside("removed")),
    "makes a folder": lambda: os.mkdir(_outside("marker-folder")),
    "makes a link": lambda: os.symlink("/", _outside("marker-link")),
    "changes permissions": lambda: os.chmod(_outside("file"), 0o777),
    "changes times": lambda: os.utime(_outside("file"), (1, 1)),
    "connects": _connect,
    "sends a packet": _send_packet,
    "listens": _listen,
    "talks to another program's socket": _unix_socket,
    "sends it a packet through a pair": _unix_packet,
    "starts a program": _program,
    "starts a shell": _shell,
    "spawns a process": _spawn,
    "starts its own interpreter": _own_interpreter,
    "forks": _fork,
    "signals the front": lambda: os.kill(os.getppid(), 0),
    "signals its group by queue": lambda: _call(129 if _X86 else 138, _NOBODY, signal.SIGUSR1, None),
    "traces a process": lambda: _call(101 if _X86 else 117, _SEIZE, _NOBODY, 0, 0),
    "reads another's memory": lambda: _call(310 if _X86 else 270, _NOBODY, None, 0, None, 0, 0),
    "takes a handle on a process": lambda: _call(434, _NOBODY, 0),
    "sets up io_uring": lambda: _call(425, 1, None),
    "takes shared memory": lambda: _call(29 if _X86 else 194, 0x6D70, 0, 0),
    "outlives the front": _survive,
}
ALLOWED = {
    "threads": _thread,
    "temporary files": _temporary,
    "its home": _home,
    "pairs of sockets": _pair,
    "its own code": lambda: _read(os.path.abspath(__file__)),
    "the number of cores": os.cpu_count,
}
_ALL = list(DENIED.items()) + list(ALLOWED.items())
_FIRST = 1000


def prepare(folder):
    """Put what is attacked into a folder, and have programs listen. Returns (the variables to set, the sockets to close)."""
    for name in (".ssh", ".aws"):
        os.mkdir(os.path.join(folder, name))
    for name in (os.path.join(".ssh", "id_ed25519"), os.path.join(".aws", "credentials"), "file", "renamed", "removed"):
        _write(os.path.join(folder, name))
    unix = os.path.join(folder, "socket")
    listening = [socket.socket(), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)]
    for each, address in zip(listening, (("127.0.0.1", 0), unix, unix + ".packets")):  # noqa: B905  # not in Python 3.6
        each.bind(address)
    for each in listening[:2]:
        each.listen(8)
    port = str(listening[0].getsockname()[1])
    variables = {"MODELPORT_TEST_OUTSIDE": folder, "MODELPORT_TEST_PORT": port, "MODELPORT_TEST_SOCKET": unix}
    return dict(variables, AWS_SECRET_ACCESS_KEY="not one"), listening


def state_of(folder):
    """Return all that a folder holds: names, contents, permissions and times."""
    found = {}
    for where, _, names in os.walk(folder):
        found[where] = None
        for name in names:
            path = os.path.join(where, name)
            status = os.stat(path)
            content = open(path, "rb").read() if os.path.isfile(path) else None  # noqa: SIM115
            found[path] = content, status.st_mode, status.st_mtime
    return found


def number_of(name):
    """Return the number to ask for an attempt by; the rows that a version is tried with hold none of them."""
    return _FIRST + [known for known, _ in _ALL].index(name)


def attempt(number):
    """Try what has that number. Returns 1.0 where it worked, 0.0 where it was refused, -1.0 for no attempt."""
    at = int(number) - _FIRST
    if not 0 <= at < len(_ALL):
        return -1.0
    try:
        _ALL[at][1]()
    except (OSError, LookupError, subprocess.SubprocessError):
        return 0.0
    return 1.0
