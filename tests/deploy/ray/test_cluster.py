"""A real cluster of three nodes: deployed, asked all the time while a replica and a node are killed and while all
replicas are replaced, rolled back, taken away.

What may vary with the machine: how long Ray takes to notice and to start anew, and so how many requests there are. What may not: that
each request is answered, whole, and with the prediction.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LOAD, PIECES = (Path(__file__).with_name(name) for name in ("load.py", "pieces.py"))
CLIENTS = 8
LIMIT_S = 240.0


def until(what: str, look: Callable[[], Any]) -> Any:
    """Look until something is found. The pause is between two looks at another process, whose events nobody tells."""
    ends = time.monotonic() + LIMIT_S
    while time.monotonic() < ends:
        if found := look():
            return found
        time.sleep(0.5)
    pytest.fail(f"{what}: not within {LIMIT_S} s")


class Load:
    """The clients, from start to stop."""

    def __init__(self, nodes: Any, pairs: list[tuple[str, object]], folder: Path) -> None:
        file = folder / "pairs.json"
        file.write_text(json.dumps(pairs))
        line = nodes.line(sys.executable, LOAD, "8000", str(CLIENTS), file)
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def look(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("look\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def more(self, count: int) -> None:
        """Wait until so many more are answered."""
        begun = self.look()["answered"]
        until(f"{count} more answers", lambda: self.look()["answered"] >= begun + count)

    def stop(self) -> dict[str, Any]:
        out, _ = self.process.communicate(timeout=200)
        assert self.process.returncode == 0
        return json.loads(out.splitlines()[-1])


def running(nodes: Any, without: set[int] = frozenset()) -> list[dict[str, Any]] | None:
    """The replicas, if there are three that run and none of the given processes is among them."""
    found = [each for each in nodes.status("iris")["replicas"] if each["state"] == "RUNNING"]
    return found if len(found) == 3 and not {each["process"] for each in found} & without else None


def shares(nodes: Any) -> list[int]:
    """Requests that each replica had from the proxy, as the proxy counts them."""
    table = csv.DictReader(io.StringIO(nodes.fetch("http://127.0.0.1:8404/stats;csv").lstrip("# ")))
    return [int(row["stot"]) for row in table if row["svname"].startswith("SERVE_REPLICA") and row["status"].startswith("UP")]


@pytest.mark.slow
def test_nothing_is_lost_when_a_replica_and_a_node_are_killed(
    nodes: Any, saved_model: Callable[[str], Any], serve: Callable[..., Any], tmp_path: Path
) -> None:
    saved = saved_model("iris")
    bodies = [json.dumps([row]) for row in saved.rows.tolist()]
    server = serve(saved.path)
    pairs = [(body, json.loads(server.request("/predict", body.encode())[2])) for body in bodies]
    assert [int(answer[0]["label"]) for _, answer in pairs] == saved.estimator.predict(saved.rows).tolist()
    server.stop()

    flags = ("--name", "iris", "--proxies", "head", "--memory", "512", "--yes")
    said = nodes.modelport("deploy", "ray", saved.path, "--min", "3", "--max", "3", *flags)
    assert "+name: iris" in said
    first = until("three replicas", lambda: running(nodes))
    until("three servers of the proxy", lambda: len(shares(nodes)) == 3)
    assert "nothing would change" in nodes.modelport("deploy", "ray", saved.path, "--min", "3", "--max", "3", *flags, "--plan")
    ports = nodes.servers()
    assert len(ports) == 3
    for port in ports:
        done = nodes.run(sys.executable, PIECES, port, bodies[0], 50)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [1] * 50  # so that a kill leaves nothing of an answer, or all of it
    load = Load(nodes, pairs, tmp_path)
    try:
        load.more(1500)
        spread = until("three servers of the proxy under load", lambda: found if len(found := shares(nodes)) == 3 else None)
        os.kill(first[0]["process"], signal.SIGKILL)
        second = until("a replica in place of the killed one", lambda: running(nodes, {first[0]["process"]}))
        load.more(500)
        raylet = raylet_of(nodes, second)
        os.kill(raylet, signal.SIGKILL)
        gone = until("a replica fewer", lambda: {each["process"] for each in second} - set(nodes.processes()))
        until("a replica in place of the node's", lambda: running(nodes, gone))
        load.more(500)
        changed = nodes.modelport("deploy", "ray", saved.path, "--min", "3", "--max", "3", *flags, "--drain", "20")
        assert "+    drain: 20" in changed
        load.more(500)
    finally:
        found = load.stop()
    print(f"\n{found['answered']} requests, {len(found['failed'])} failed, slowest {found['slowest']:.3f} s, shares {spread}")
    assert found["failed"] == []
    assert found["answered"] >= 3000
    assert len(spread) == 3
    assert min(spread) > sum(spread) / 20  # about a third each; less where the machine is busy with something else beside one

    assert "initializing replica" in nodes.modelport("logs", "ray", "iris")
    nodes.modelport("rollback", "ray", "iris", "--yes")
    assert "nothing would change" in nodes.modelport("deploy", "ray", saved.path, "--min", "3", "--max", "3", *flags, "--plan")
    assert "iris is gone" in nodes.modelport("destroy", "ray", "iris", "--yes")


def raylet_of(nodes: Any, replicas: list[dict[str, Any]]) -> int:
    """The raylet of a node with a replica that is not the head: the head is Ray's single point of failure, for which there is Redis."""
    there = nodes.processes()
    for process, line in there.items():
        if line[0].endswith("/raylet") and not any(part == "--head" for part in line):
            node = next((found[1] for part in line if (found := re.match(r"--node[-_]id=(.+)", part))), "")
            if any(each["node"] == node for each in replicas):
                return process
    pytest.fail(f"no raylet of a node with a replica: {[line for line in there.values() if 'raylet' in line[0]]}")
