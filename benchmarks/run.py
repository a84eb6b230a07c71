"""`make bench`: modelport beside Flask, FastAPI and mosec, on the same files, the same requests and the same core.

    python benchmarks/run.py                          # 5 rounds of 3 seconds, about 20 minutes
    python benchmarks/run.py --seconds 2 --rounds 1 --workload tabular   # a look
    python benchmarks/run.py --two-cores              # what a second core brings

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

from contestants import CONTESTANTS, CURVE, EXAMPLE, GRAPH, MODELS, ONE_CORE, TEXTS, TWO_CORES, Contestant, python
from load import Sample, quietest
from servers import Server, post

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SERVED = ("sentiment", "modelport", 64)

HEAD = ["workload", "server", "connections", "requests/s", "x the best other", "p50 ms", "p99 ms", "errors"]
HEAD += ["CPU s/1,000", "RSS / PSS MB", "cold start s (first)", "other CPU", "rounds"]


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


def right(contestant: Contestant, body: bytes, expected: list[dict[str, object]]) -> bool:
    """Compare an answer with the library's own: labels and scores equal, probabilities within the contestant's tolerance."""
    records = json.loads(body)
    if contestant.path == "/sentiment":
        return bool(records == expected)
    return len(records) == len(expected) and all(
        _near(record, wanted, contestant.tolerance) for record, wanted in zip(records, expected, strict=True)
    )


def _near(record: dict[str, object], wanted: dict[str, object], tolerance: float) -> bool:
    if record["label"] != wanted["label"]:
        return False
    found = record.get("probabilities", {name: value for name, value in record.items() if name != "label"})
    assert isinstance(found, dict)
    assert isinstance(wanted["probabilities"], list)
    return all(abs(one - two) <= tolerance for one, two in zip(found.values(), wanted["probabilities"], strict=True))


def validate(server: Server, contestant: Contestant, cases: list[dict[str, object]]) -> None:
    """Ask every case once; a wrong answer ends the benchmark, because its speed would mean nothing."""
    for case in cases:
        found = post(server.port, contestant.path, str(case["body"]).encode())
        expected = case["answer"]
        assert isinstance(expected, list)
        if not right(contestant, found, expected):
            raise RuntimeError(f"wrong answer of {contestant.name} to {str(case['body'])[:300]}: {found[:300]!r}, expected {expected[:1]}")


def measure(contestant: Contestant, cases: list[dict[str, object]], port: int, logs: Path, *, seconds: int, round_no: int) -> list[Row]:
    """Start a contestant, check its answers, load it, check them again, stop it."""
    bodies = [str(case["body"]) for case in cases]
    env = {"XDG_CACHE_HOME": str(logs / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3", **contestant.env}
    log = logs / f"{contestant.name}-{contestant.workload}.log".replace("/", "-")
    server = Server(contestant.line(port), port, log=log, env=env, cores=contestant.cores)
    try:
        cold_s, _ = server.first_answer(contestant.path, bodies[0].encode())
        validate(server, contestant, cases)
        samples = {n: quietest(server, contestant.path, bodies, connections=n, seconds=seconds) for n in contestant.connections}
        validate(server, contestant, cases)
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
    """Say how many times the best of the others this is: the median of the ratios within a round, since machines drift between rounds.

    Compared is with the others' best at as many connections; where none was measured at that number, with their best at any.
    """
    if not name.startswith("modelport"):
        return ""
    ratios = []
    for no in {row.round for row in rows}:
        here = [row for row in rows if row.round == no and row.workload == workload]
        others = [row for row in here if not row.name.startswith("modelport")]
        same = [row for row in others if row.connections == connections]
        best = max((row.sample.requests_per_s for row in same or others), default=0.0)
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


def gains(rows: list[Row]) -> str:
    """Say what each row has of the first of its workload: requests a second, and CPU time a request; medians of ratios within a round."""
    lines = ["| workload | server | x requests/s | x CPU a request |", "| --- | --- | --- | --- |"]
    for workload, name in dict.fromkeys((row.workload, row.name) for row in rows):
        ratios = []
        for no in {row.round for row in rows}:
            first, *_ = here = [row for row in rows if (row.round, row.workload) == (no, workload)]
            mine = next(row for row in here if row.name == name).sample
            ratios.append((mine.requests_per_s / first.sample.requests_per_s, mine.cpu_s_per_1000 / first.sample.cpu_s_per_1000))
        speed, cost = (statistics.median(ratio[at] for ratio in ratios) for at in (0, 1))
        lines.append(f"| {workload} | {name} | {speed:.2f} | {cost:.2f} |")
    return "\n".join(lines)


def alone(seconds: int) -> dict[str, float]:
    """Measure ONNX Runtime without a server on the example's network: texts a second, padded and trimmed (alone.py)."""
    line = [python("mosec"), str(HERE / "alone.py"), str(GRAPH), str(MODELS / "cases.json"), str(seconds), str(EXAMPLE)]
    done = subprocess.run(["taskset", "-c", ONE_CORE, *line], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def shares(rows: list[Row], bare: list[dict[str, float]]) -> str:
    """Say how much of the texts of ONNX Runtime alone modelport's service answers at 64 connections; medians over the rounds."""
    lines = ["| ONNX Runtime alone, batches of 64 | texts/s | `/sentiment` of it |", "| --- | --- | --- |"]
    served = {row.round: row.sample.requests_per_s for row in rows if (row.workload, row.name, row.connections) == SERVED}
    for kind in bare[0]:
        ratio = statistics.median(served[no] / found[kind] for no, found in enumerate(bare))
        lines.append(f"| {kind} | {statistics.median(found[kind] for found in bare):,.0f} | {ratio:.2f} |")
    return "\n".join(lines)


def joined(cases: list[dict[str, object]], count: int) -> list[dict[str, object]]:
    """Make requests of so many texts of those of one."""
    made = []
    for start in range(0, len(cases) - count + 1, count):
        some = cases[start : start + count]
        bodies = [json.loads(str(case["body"])) for case in some]
        body = {name: [value for each in bodies for value in each[name]] for name in bodies[0]}
        answers = [record for case in some for record in case["answer"]]  # type: ignore[attr-defined]
        made.append({"body": json.dumps(body), "answer": answers})
    return made


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
    if missing := [name for name in ("flask", "fastapi", "mosec", "modelport") if not Path(python(name)).exists()]:
        raise SystemExit(f"the environments {', '.join(missing)} are not there; run benchmarks/peers/install.sh")
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("two cores are needed: one for the server, one for the load")
    inputs = [HERE / "models.py", *(EXAMPLE / name for name in ("best_model.hdf5", "word_index.json", "sentiment.py"))]
    cases = MODELS / "cases.json"
    if not cases.exists() or any(path.stat().st_mtime > cases.stat().st_mtime for path in inputs):
        subprocess.run([python("flask"), HERE / "models.py", MODELS], check=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
        subprocess.run([python("modelport"), HERE / "graph.py", EXAMPLE / "best_model.hdf5", GRAPH], check=True)
    found: dict[str, list[dict[str, object]]] = json.loads(cases.read_text(encoding="utf-8"))
    found[TEXTS] = joined(found["sentiment"], 16)
    return found


def main() -> None:
    """Run the rounds, all contestants in each, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="length of one load (default 3)")
    parser.add_argument("--port", type=int, default=18700, help="first of the ports used (default 18700)")
    parser.add_argument(
        "--workload",
        action="append",
        choices=list(dict.fromkeys(c.workload for c in CONTESTANTS + TWO_CORES)),
        help="this one only; may be repeated",
    )
    parser.add_argument("--curve", action="store_true", help="latency against load on the tabular workload instead, for picture.py")
    parser.add_argument("--two-cores", action="store_true", help="what a second core brings, with workers and fronts on both")
    options = parser.parse_args()
    cases = prepare()
    contestants = CURVE if options.curve else TWO_CORES if options.two_cores else CONTESTANTS
    chosen = [c for c in contestants if options.workload is None or c.workload in options.workload]
    logs = Path(tempfile.mkdtemp(prefix="modelport-bench-"))
    rows: list[Row] = []
    bare: list[dict[str, float]] = []
    print(f"load average {os.getloadavg()[0]:.2f}; logs in {logs}", file=sys.stderr)
    for round_no in range(options.rounds):
        for place, contestant in enumerate(chosen):
            port = options.port + place
            found = measure(contestant, cases[contestant.workload], port, logs, seconds=options.seconds, round_no=round_no)
            rows += found
            if (contestant.workload, contestant.name) == SERVED[:2] and not (options.curve or options.two_cores):
                bare.append(alone(options.seconds))
            shown = ", ".join(f"{row.connections} connections {row.sample.requests_per_s:,.0f}/s" for row in found)
            print(
                f"round {round_no + 1}: {contestant.workload} {contestant.name}: {shown}, exit code {found[0].exit_code}", file=sys.stderr
            )
    print(table(rows))
    if bare:
        print(shares(rows, bare))
    if options.two_cores:
        print(gains(rows))
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    out = results / f"{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}.json"
    out.write_text(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows], "alone": bare}, indent=1), encoding="utf-8")
    print(f"every sample: {out}", file=sys.stderr)


if __name__ == "__main__":
    main()
