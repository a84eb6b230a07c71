"""A Ray cluster of three nodes on this machine, in a network namespace of its own, which ends with everything that runs in it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelport.deploy.ray.config import ENVIRONMENT

DASHBOARD = "http://127.0.0.1:8265"


@dataclass
class Nodes:
    """The cluster: how to run something where it is, and what runs there."""

    namespace: str
    environment: dict[str, str]
    ray: Path
    folder: Path

    def line(self, *arguments: str | Path | int) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, *map(str, arguments)]

    def run(self, *arguments: str | Path | int, limit_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command there; with its environment, and nothing on standard input."""
        return subprocess.run(
            self.line(*arguments), env=self.environment, capture_output=True, text=True, timeout=limit_s, stdin=subprocess.DEVNULL
        )

    def modelport(self, *arguments: str | Path) -> str:
        done = self.run(Path(sys.executable).with_name("modelport"), *arguments, limit_s=600)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout

    def status(self, name: str) -> dict[str, Any]:
        done = self.run(Path(sys.executable).with_name("modelport"), "status", "ray", name, "--json")
        assert done.stdout, done.stderr  # exit code 1 while it does not run
        return json.loads(done.stdout)

    def fetch(self, url: str) -> str:
        code = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode())"
        done = self.run(sys.executable, "-c", code, url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def servers(self) -> list[int]:
        """Ports of the replicas, as the proxy has them."""
        (file,) = (self.folder / "h").rglob("haproxy.cfg")
        return [int(port) for port in re.findall(r"^ *server SERVE_REPLICA\S+ 127\.0\.0\.1:(\d+) ", file.read_text(), re.MULTILINE)]

    def processes(self) -> dict[int, list[str]]:
        """What runs in the namespace: command lines by process."""
        own = self._inode()
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "ns/net") == own:
                    found[int(entry.name)] = (entry / "cmdline").read_text(errors="replace").split("\0")
            except OSError:
                continue
        return found

    def kill_all(self) -> None:
        """End what runs in the namespace: Ray's own `ray stop` would end everybody's."""
        for _ in range(50):
            there = self.processes()
            if not there:
                return
            for process in there:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.1)  # until the kernel has taken them away
        pytest.fail(f"processes of the cluster that do not end: {self.processes()}")

    def _inode(self) -> str:
        return subprocess.run(self.line("readlink", "/proc/self/ns/net"), capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def nodes(require_program: Callable[..., str]) -> Iterator[Nodes]:
    require_program("ip")
    python = os.environ.get("MODELPORT_RAY_PYTHON")
    if not python:
        pytest.skip("MODELPORT_RAY_PYTHON does not name the Python of an environment with ray[serve]")
    if os.geteuid() != 0:
        pytest.skip("network namespaces are made by root")
    short = Path(tempfile.mkdtemp(prefix="mpray", dir="/tmp"))  # Ray's sockets below it must have short paths
    name = short.name
    # Those of HAProxy are for the machine else, and another cluster may be there.
    places = {"CONFIG_FILE_LOC": "haproxy.cfg", "SOCKET_PATH": "admin.sock", "SERVER_STATE_FILE": "state", "SERVER_STATE_BASE": ""}
    own = {f"RAY_SERVE_HAPROXY_{key}": str(short / "h" / place) for key, place in places.items()}
    token = {"RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_API_SERVER_ADDRESS": DASHBOARD}
    cluster = Nodes(name, os.environ | ENVIRONMENT | own | token, Path(python).with_name("ray"), short)
    (short / "h").mkdir()
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        assert cluster.run("ip", "link", "set", "lo", "up").returncode == 0
        _start(cluster, short)
        yield cluster
    finally:
        cluster.kill_all()
        subprocess.run(["ip", "netns", "delete", name], check=False)
        shutil.rmtree(short, ignore_errors=True)


def _start(cluster: Nodes, folder: Path) -> None:
    head = ("--head", "--port=6399", "--include-dashboard=true", "--dashboard-port=8265", f"--temp-dir={folder / 'r'}")
    size = ("--num-cpus=2", "--memory=4000000000", "--object-store-memory=80000000")
    # One after the other: two at once take the same socket on one machine.
    for arguments in (head, ("--address=127.0.0.1:6399",), ("--address=127.0.0.1:6399",)):
        done = cluster.run(cluster.ray, "start", *arguments, *size)
        assert done.returncode == 0, done.stdout + done.stderr
