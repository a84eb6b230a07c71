"""What a front says of itself to the others, and the sum of what several say: the numbers that one scrape, of any front, is answered with.

Counters are summed over all fronts that ever were, so that none goes back when a front is replaced; gauges over those that live.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from modelport.telemetry.metrics import ROWS_BUCKETS, STAGES, EngineState, FrontState, Latency, Tally

_BUCKETS = len(Latency().counts)
# What a reader has to act on comes first; a version is as well as the front where it is least well.
_WORST_FIRST = ("failed", "recovering", "loading", "draining", "stopped", "ready")


class TallyReport(msgspec.Struct):
    """A Tally as data. ``stages``: sum in microseconds and counts by bit length, in the order of STAGES."""

    kind: str
    model: str
    codes: dict[int, int] = {}
    errors: dict[str, int] = {}
    stages: list[tuple[int, list[int]]] = msgspec.field(default_factory=lambda: [(0, [0] * _BUCKETS) for _ in STAGES])
    in_flight: int = 0
    cancelled: int = 0


class EngineReport(msgspec.Struct):
    """One model version on one front, or on all of them. It is the Measures of itself."""

    model: str
    version: str
    state: str = "ready"
    is_ready: bool = True
    workers: int = 0
    worker_restarts: int = 0
    worker_memory_bytes: int = 0
    queued_rows: int = 0
    batched_rows: int = 0
    batch_rows: list[int] = msgspec.field(default_factory=lambda: [0] * (len(ROWS_BUCKETS) + 1))
    redone_batches: int = 0


class Report(msgspec.Struct):
    """All that one front counts, or all fronts together."""

    tallies: list[TallyReport] = []
    engines: list[EngineReport] = []
    connections: int = 0
    memory_bytes: int = 0
    is_draining: bool = False


@dataclass(frozen=True, slots=True)
class Everybody:
    """The fronts together. ``missing``: what is not as it should be, by whom it concerns; empty with one front.

    ``fronts``: those that live. ``restarts``: how often one was started again.
    """

    report: Report
    fronts: int = 1
    restarts: int = 0
    missing: dict[str, str] = field(default_factory=dict)

    def engine(self, model: str, version: str) -> EngineReport:
        """Return what is known of a version."""
        known = (each for each in self.report.engines if (each.model, each.version) == (model, version))
        return next(known, EngineReport(model, version, "loading", is_ready=False))


def report_of(state: FrontState, engines: list[EngineReport], *, is_draining: bool) -> Report:
    """Return what a front counts at this moment."""
    return Report([_tally_report(tally) for tally in state.tallies], engines, state.connections(), state.memory_bytes(), is_draining)


def state_of(everybody: Everybody) -> FrontState:
    """Return the sum as what the exporter reads."""
    report = everybody.report
    engines = [EngineState(each.model, each.version, each.is_ready, each) for each in report.engines]
    return FrontState(
        lambda: engines,
        lambda: report.connections,
        [_tally(each) for each in report.tallies],
        lambda: report.memory_bytes,
        everybody.fronts,
        everybody.restarts,
    )


def total(reports: Iterable[Report]) -> Report:
    """Add up reports: numbers summed, a version ready if it is on every front, its state the worst of them."""
    out = Report()
    tallies: dict[tuple[str, str], TallyReport] = {}
    engines: dict[tuple[str, str], EngineReport] = {}
    for report in reports:
        for tally in report.tallies:
            _add_tally(tallies.setdefault((tally.kind, tally.model), TallyReport(tally.kind, tally.model)), tally)
        for engine in report.engines:
            _add_engine(engines.setdefault((engine.model, engine.version), EngineReport(engine.model, engine.version)), engine)
        out.connections += report.connections
        out.memory_bytes += report.memory_bytes
        out.is_draining |= report.is_draining
    out.tallies, out.engines = list(tallies.values()), list(engines.values())
    return out


def retired(report: Report) -> Report:
    """Return what stays of a front that is gone: its counters. It holds nothing and stands in nobody's way any more."""
    gone = total([report])
    for tally in gone.tallies:
        tally.in_flight = 0
    for engine in gone.engines:
        engine.state, engine.is_ready = "ready", True
        engine.workers = engine.worker_memory_bytes = engine.queued_rows = 0
    gone.connections = gone.memory_bytes = 0
    gone.is_draining = False
    return gone


def _add_tally(to: TallyReport, more: TallyReport) -> None:
    for code, count in more.codes.items():
        to.codes[code] = to.codes.get(code, 0) + count
    for error, count in more.errors.items():
        to.errors[error] = to.errors.get(error, 0) + count
    to.stages = [
        (sum_us + more_us, _summed(counts, more_counts))
        for (sum_us, counts), (more_us, more_counts) in zip(to.stages, more.stages, strict=True)
    ]
    to.in_flight += more.in_flight
    to.cancelled += more.cancelled


def _add_engine(to: EngineReport, more: EngineReport) -> None:
    to.is_ready &= more.is_ready
    to.state = min(to.state, more.state, key=_rank)
    to.workers += more.workers
    to.worker_restarts += more.worker_restarts
    to.worker_memory_bytes += more.worker_memory_bytes
    to.queued_rows += more.queued_rows
    to.batched_rows += more.batched_rows
    to.batch_rows = _summed(to.batch_rows, more.batch_rows)
    to.redone_batches += more.redone_batches


def _rank(state: str) -> int:
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else 0


def _summed(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [first + second for first, second in zip(one, other, strict=True)]


def _tally_report(tally: Tally) -> TallyReport:
    stages = [(latency.sum_us, list(latency.counts)) for latency in _latencies(tally)]
    return TallyReport(tally.kind, tally.model, dict(tally.codes), dict(tally.errors), stages, tally.in_flight, tally.cancelled)


def _tally(report: TallyReport) -> Tally:
    tally = Tally(report.kind, report.model)
    tally.codes, tally.errors = report.codes, report.errors
    tally.in_flight, tally.cancelled = report.in_flight, report.cancelled
    for latency, (sum_us, counts) in zip(_latencies(tally), report.stages, strict=True):
        latency.sum_us, latency.counts = sum_us, counts
    return tally


def _latencies(tally: Tally) -> tuple[Latency, ...]:
    return (tally.decode, tally.queue, tally.predict, tally.encode, tally.total)
