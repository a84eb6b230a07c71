"""One measurement: wrk on its own core against a server on another, with the server's CPU time and memory over the load."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from servers import Server, busy_s

CLIENT_CORE = "1"
TRIES = 3
QUIET_CORES = 0.1
SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True)
class Sample:
    """What one load showed. ``other_cores``: CPU seconds a second that neither the server nor wrk used, so somebody else did."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_s_per_1000: float
    rss_mb: float
    pss_mb: float
    other_cores: float


def _wrk(server: Server, path: str, *, bodies: Path, connections: int, seconds: int) -> tuple[dict[str, float], float]:
    """Run wrk: what its script printed, and the CPU seconds that wrk took."""
    flags = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(SCRIPT)]
    before = os.times()
    done = subprocess.run(
        ["taskset", "-c", CLIENT_CORE, "wrk", *flags, f"http://127.0.0.1:{server.port}{path}"],
        env=os.environ | {"BENCH_BODIES": str(bodies)},
        capture_output=True,
        text=True,
        check=True,
    )
    after = os.times()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    return json.loads(done.stdout.splitlines()[-1]), spent


def quietest(server: Server, path: str, bodies: list[str], *, connections: int, seconds: int) -> Sample:
    """Load up to three times until nobody else used the machine meanwhile; else take the least disturbed load."""
    samples: list[Sample] = []
    while len(samples) < TRIES and not any(sample.other_cores < QUIET_CORES for sample in samples):
        samples.append(load(server, path, bodies, connections=connections, seconds=seconds))
    return min(samples, key=lambda sample: sample.other_cores)


def load(server: Server, path: str, bodies: list[str], *, connections: int, seconds: int) -> Sample:
    """Send the bodies in turn over so many connections for so many seconds, after a second that is not counted."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as lines:
        lines.write("".join(f"{body}\n" for body in bodies))
        lines.flush()
        _wrk(server, path, bodies=Path(lines.name), connections=connections, seconds=1)
        used, busy = server.usage(), busy_s()
        found, client_s = _wrk(server, path, bodies=Path(lines.name), connections=connections, seconds=seconds)
        now, busy = server.usage(), busy_s() - busy
    cpu_s = now.cpu_s - used.cpu_s
    return Sample(
        requests_per_s=found["requests"] / found["seconds"],
        p50_ms=found["p50_ms"],
        p99_ms=found["p99_ms"],
        errors=int(found["errors"]),
        cpu_s_per_1000=cpu_s / max(1, found["requests"]) * 1000,
        rss_mb=now.rss / 1e6,
        pss_mb=now.pss / 1e6,
        other_cores=max(0.0, (busy - cpu_s - client_s) / found["seconds"]),
    )
