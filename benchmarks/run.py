"""`make bench`: modelport beside a Flask app of the usual shape, on the same files, the same requests and the same core.

    python benchmarks/run.py                          # 5 rounds of 5 seconds, about 6 minutes
    python benchmarks/run.py --seconds 2 --rounds 2   # a look

Prints one table, writes every sample to benchmarks/results/. README.md beside this file says what each figure is.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from load import Sample, quietest
from servers import Server, post

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
HOME = Path(os.environ.get("MODELPORT_BENCH_HOME", ROOT / ".cache" / "bench"))
PEER_PYTHON = HOME / "flask" / "bin" / "python"
MODELPORT = HOME / "modelport" / "bin" / "modelport"
PATHS = {"tabular": "/predict", "sentiment": "/sentiment"}
FILES = {"tabular": HOME / "models" / "best_model.pkl", "sentiment": ROOT / "examples" / "sentiment"}

HEAD = ["workload", "server", "connections", "requests/s", "x Flask's best", "p50 ms", "p99 ms", "errors"]
HEAD += ["CPU s/1,000", "RSS / PSS MB", "cold start s (first)", "other CPU", "rounds"]


@dataclass(frozen=True)
class Contestant:
    """One server on one workload, and the numbers of connections it is measured with."""

    name: str
    workload: str
    connections: tuple[int, ...]

    def command(self, port: int) -> list[str]:
        """Give the command line that starts it."""
        target = str(FILES[self.workload])
        if self.name == "flask":
            return [str(PEER_PYTHON), str(HERE / "peers" / "flask_app.py"), str(port), target]
        return [str(MODELPORT), "serve", target, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]


# Flask with Keras answers 64 connections with time-outs; at one connection it is at its best.
CONTESTANTS = (
    Contestant("modelport", "tabular", (64, 1)),
    Contestant("flask", "tabular", (64, 1)),
    Contestant("modelport", "sentiment", (64, 1)),
    Contestant("flask", "sentiment", (1,)),
)


@dataclass(frozen=True)
class Row:
    """One sample with its place: contestant, workload, connections, round, and the start and end of its server."""

    name: str
    workload: str
    connections: int
    round: int
    cold_start_s: float
    exit_code: int
    sample: Sample


def right(workload: str, body: bytes, expected: dict[str, object]) -> bool:
    """Compare an answer with the library's own: labels and scores equal, probabilities within 1e-9."""
    (record,) = json.loads(body)
    if workload == "sentiment":
        return bool(record == expected)
    probabilities = record.get("probabilities", record)
    wanted = expected["probabilities"]
    assert isinstance(wanted, list)
    near = all(abs(probabilities[str(k)] - p) <= 1e-9 for k, p in enumerate(wanted))
    return near and bool(record["label"] == expected["label"])


def validate(server: Server, workload: str, cases: list[dict[str, object]]) -> None:
    """Ask every case once; a wrong answer ends the benchmark, because its speed would mean nothing."""
    for case in cases:
        found = post(server.port, PATHS[workload], str(case["body"]).encode())
        expected = case["answer"]
        assert isinstance(expected, dict)
        if not right(workload, found, expected):
            raise RuntimeError(f"wrong answer to {case['body']}: {found!r}, expected {expected}")


def measure(contestant: Contestant, cases: list[dict[str, object]], port: int, logs: Path, *, seconds: int, round_no: int) -> list[Row]:
    """Start a contestant, check its answers, load it, check them again, stop it."""
    path = PATHS[contestant.workload]
    bodies = [str(case["body"]) for case in cases]
    env = {"XDG_CACHE_HOME": str(logs / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    server = Server(contestant.command(port), port, log=logs / f"{contestant.name}-{contestant.workload}.log", env=env)
    try:
        cold_s, _ = server.first_answer(path, bodies[0].encode())
        validate(server, contestant.workload, cases)
        samples = {n: quietest(server, path, bodies, connections=n, seconds=seconds) for n in contestant.connections}
        validate(server, contestant.workload, cases)
    finally:
        code = server.stop()
    return [Row(contestant.name, contestant.workload, n, round_no, cold_s, code, sample) for n, sample in samples.items()]


def medians(rows: list[Row]) -> Iterator[tuple[tuple[str, str, int], dict[str, float]]]:
    """Group the rows of all rounds by contestant, workload and connections, and take the median of each figure."""
    for workload, name, n in dict.fromkeys((row.workload, row.name, row.connections) for row in rows):
        group = [row for row in rows if (row.workload, row.name, row.connections) == (workload, name, n)]
        figures = {key: statistics.median(asdict(row.sample)[key] for row in group) for key in asdict(group[0].sample)}
        figures["errors"] = sum(row.sample.errors for row in group)
        figures["cold_start_s"] = statistics.median(row.cold_start_s for row in group)
        figures["first_start_s"] = group[0].cold_start_s
        figures["rounds"] = len(group)
        yield (workload, name, n), figures


def ratio(rows: list[Row], workload: str, name: str, connections: int) -> str:
    """Say how many times Flask's best this is: the median of the ratios within a round, since machines drift between rounds."""
    ratios = []
    for no in {row.round for row in rows}:
        here = [row for row in rows if row.round == no and row.workload == workload]
        best = max((row.sample.requests_per_s for row in here if row.name == "flask"), default=0.0)
        mine = [row.sample.requests_per_s for row in here if (row.name, row.connections) == (name, connections)]
        ratios += [value / best for value in mine if best]
    return f"{statistics.median(ratios):.1f}" if ratios else "-"


def table(rows: list[Row]) -> str:
    """Draw the medians of all rounds."""
    found = dict(medians(rows))
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for (workload, name, n), f in found.items():
        cells = [
            workload,
            name,
            str(n),
            f"{f['requests_per_s']:,.0f}",
            ratio(rows, workload, name, n),
            f"{f['p50_ms']:.2f}",
            f"{f['p99_ms']:.2f}",
            f"{f['errors']:.0f}",
            f"{f['cpu_s_per_1000']:.3f}",
            f"{f['rss_mb']:.0f} / {f['pss_mb']:.0f}",
            f"{f['cold_start_s']:.2f} ({f['first_start_s']:.2f})",
            f"{f['other_cores']:.2f}",
            f"{f['rounds']:.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine() -> dict[str, object]:
    """Say what the figures were taken on."""
    with Path("/proc/cpuinfo").open() as lines:
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version(), "commit": commit}


def prepare() -> dict[str, list[dict[str, object]]]:
    """Check that all programs are there, make the models once, and give the cases of every workload."""
    if missing := [name for name in ("taskset", "wrk") if not shutil.which(name)]:
        raise SystemExit(f"not installed: {', '.join(missing)}; on Debian: apt-get install wrk util-linux")
    if not (PEER_PYTHON.exists() and MODELPORT.exists()):
        raise SystemExit("the environments are not there; run benchmarks/peers/install.sh")
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("two cores are needed: one for the server, one for the load")
    models = HOME / "models"
    inputs = [
        HERE / "models.py",
        FILES["sentiment"] / "best_model.hdf5",
        FILES["sentiment"] / "word_index.json",
        FILES["sentiment"] / "sentiment.py",
    ]
    cases = models / "cases.json"
    if not cases.exists() or any(path.stat().st_mtime > cases.stat().st_mtime for path in inputs):
        subprocess.run([PEER_PYTHON, HERE / "models.py", models], check=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    found: dict[str, list[dict[str, object]]] = json.loads(cases.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Run the rounds, all contestants in each, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="length of one load (default 5)")
    parser.add_argument("--port", type=int, default=18700, help="first of the ports used (default 18700)")
    parser.add_argument("--workload", choices=sorted(PATHS), help="this one only")
    options = parser.parse_args()
    cases = prepare()
    chosen = [c for c in CONTESTANTS if options.workload in (None, c.workload)]
    logs = Path(tempfile.mkdtemp(prefix="modelport-bench-"))
    rows: list[Row] = []
    print(f"load average {os.getloadavg()[0]:.2f}; logs in {logs}", file=sys.stderr)
    for round_no in range(options.rounds):
        for place, contestant in enumerate(chosen):
            port = options.port + place
            found = measure(contestant, cases[contestant.workload], port, logs, seconds=options.seconds, round_no=round_no)
            rows += found
            shown = ", ".join(f"{row.connections} connections {row.sample.requests_per_s:,.0f}/s" for row in found)
            print(
                f"round {round_no + 1}: {contestant.workload} {contestant.name}: {shown}, exit code {found[0].exit_code}", file=sys.stderr
            )
    print(table(rows))
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    out = results / f"{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}.json"
    out.write_text(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=1), encoding="utf-8")
    print(f"every sample: {out}", file=sys.stderr)


if __name__ == "__main__":
    main()
