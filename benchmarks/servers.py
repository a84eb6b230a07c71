"""Starts a server pinned to a core, watches what its processes use, and stops every one of them."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Usage:
    """What a group of processes has used: CPU seconds so far, resident bytes now, and those with shared pages counted once."""

    cpu_s: float
    rss: int
    pss: int


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on (proc(5)); empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _started(pid: int) -> str:
    """When the process was started: with its number, who it is. A number alone may have been given to somebody else since."""
    fields = _stat(pid)
    return fields[19] if fields and fields[0] != "Z" else ""


def family(root: int) -> list[int]:
    """Every process of the root's session, and every descendant of one, whatever session that moved to."""
    parents: dict[int, int] = {}
    mine: set[int] = set()
    for pid in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        if fields := _stat(pid):
            parents[pid] = int(fields[1])
            if int(fields[3]) == root and fields[0] != "Z":
                mine.add(pid)
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in mine} - mine
        mine |= more
        grown = bool(more)
    return sorted(mine)


def usage(pids: list[int]) -> Usage:
    """Add up what the processes use."""
    cpu = rss = pss = 0
    for pid in pids:
        if fields := _stat(pid):
            # 14-17: user and system time of the process and of its children that have ended
            cpu += sum(int(fields[i]) for i in range(11, 15))
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Rss:"):
                        rss += int(line.split()[1]) * 1024
                    elif line.startswith("Pss:"):
                        pss += int(line.split()[1]) * 1024
    return Usage(cpu / _TICK, rss, pss)


def busy_s() -> float:
    """CPU seconds that the whole machine has worked, idle and stolen time left out."""
    with Path("/proc/stat").open() as lines:
        user, nice, system, _idle, _io, irq, soft = map(int, lines.readline().split()[1:8])
    return (user + nice + system + irq + soft) / _TICK


def refuse_taken(port: int) -> None:
    """Make sure nobody answers at a port: a server left over from before would be measured in place of the right one."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise RuntimeError(f"port {port} is taken; stop what listens there, or choose another with --port")


def post(port: int, path: str, body: bytes) -> bytes:
    """Send one request on a connection of its own and give the body of a 200 answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"POST {path} answered {answer.status}: {found[:300]!r}")
    return found


class Server:
    """A server process in a session of its own, on its cores only."""

    def __init__(self, command: list[str], port: int, *, log: Path, env: dict[str, str], cores: str = "0") -> None:
        refuse_taken(port)
        self.port = port
        self.log = log
        # Only this much of the caller's environment: settings of numeric libraries would not be the same for everybody.
        clean = {name: os.environ[name] for name in _KEPT if name in os.environ} | env
        with log.open("ab") as output:
            self.began = time.perf_counter()
            self.process = subprocess.Popen(
                ["taskset", "-c", cores, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=clean,
                start_new_session=True,
            )

    def first_answer(self, path: str, body: bytes, limit_s: float = 120) -> tuple[float, bytes]:
        """Ask until there is an answer: seconds since the process was started, and the answer."""
        while time.perf_counter() - self.began < limit_s:
            if self.process.poll() is not None:
                break
            try:
                found = post(self.port, path, body)
            except (OSError, http.client.HTTPException, RuntimeError):
                time.sleep(0.01)
            else:
                return time.perf_counter() - self.began, found
        raise RuntimeError(f"no answer; exit code {self.process.poll()}; see {self.log}")

    def usage(self) -> Usage:
        """What all processes of the server use."""
        return usage(family(self.process.pid))

    def stop(self) -> int:
        """End all its processes, politely first: the exit code of the first one."""
        left = {pid: _started(pid) for pid in family(self.process.pid)}
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        left |= {pid: _started(pid) for pid in family(self.process.pid)}
        for pid, started in left.items():
            if started and _started(pid) == started:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        return self.process.wait(10)
