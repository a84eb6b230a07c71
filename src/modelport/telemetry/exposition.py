"""What a scrape is answered: the counters of ``metrics`` as Prometheus text.

Apart from them because prometheus_client, with the HTTP server that it brings, takes 0.1 s and 6 MB to import: it is loaded when the
first scrape comes.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

from modelport.telemetry.metrics import (
    BATCH_ROWS,
    BUILD,
    CANCELLED,
    CONNECTIONS,
    ERRORS,
    FIRST_BIT,
    FRONT_RESTARTS,
    FRONTS,
    IN_FLIGHT,
    LAST_BIT,
    MEMORY,
    QUEUE_ROWS,
    READY,
    REDONE,
    REQUESTS,
    RESTARTS,
    STAGE,
    STAGES,
    WORKER_MEMORY,
    EngineState,
    FrontState,
    Latency,
    Metric,
    Tally,
)

Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Exporter:
    """Renders the state of a front, or the sum of several, as Prometheus text."""

    def __init__(self, state: FrontState) -> None:
        self._state = state
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self) -> bytes:
        """Return the exposition text. Cost: about a millisecond for a model."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """Yield every declared metric; called by prometheus_client."""
        yield from _of_requests(self._state.tallies)
        yield from _of_engines(self._state.engines())
        yield _gauge(CONNECTIONS, [((), self._state.connections())])
        yield _gauge(MEMORY, [((), self._state.memory_bytes())])
        yield _gauge(FRONTS, [((), self._state.fronts)])
        yield _counter(FRONT_RESTARTS, [((), self._state.front_restarts)])
        yield _gauge(BUILD, [((_package_version(), platform.python_version()), 1)])


Samples: TypeAlias = Iterable[tuple[tuple[str, ...], float]]


def _counter(metric: Metric, samples: Samples) -> CounterMetricFamily:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _gauge(metric: Metric, samples: Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _cumulative(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Turn counts by bucket, the last one without a bound, into Prometheus's running totals."""
    total, out = 0, []
    for bound, count in zip([*(str(float(bound)) for bound in bounds), "+Inf"], counts, strict=True):
        total += count
        out.append((bound, float(total)))
    return out


def _by_seconds(latency: Latency) -> list[int]:
    counts = latency.counts
    return [sum(counts[: FIRST_BIT + 1]), *counts[FIRST_BIT + 1 : LAST_BIT + 1], sum(counts[LAST_BIT + 1 :])]


def _of_requests(tallies: Sequence[Tally]) -> Iterator[Family]:
    yield _counter(REQUESTS, (((t.kind, t.model, str(code)), n) for t in tallies for code, n in t.codes.items()))
    yield _counter(ERRORS, (((t.kind, t.model, code), n) for t in tallies for code, n in t.errors.items()))
    predicting = [tally for tally in tallies if tally.kind == "predict"]
    seconds = HistogramMetricFamily(STAGE.name, STAGE.help, labels=STAGE.labels)
    for tally in predicting:
        for stage, latency in zip(STAGES, (tally.decode, tally.queue, tally.predict, tally.encode, tally.total), strict=True):
            seconds.add_metric((tally.model, stage), _cumulative(STAGE.buckets, _by_seconds(latency)), latency.sum_us / 1e6)
    yield seconds
    yield _gauge(IN_FLIGHT, (((t.model,), t.in_flight) for t in predicting))
    yield _counter(CANCELLED, (((t.model,), t.cancelled) for t in predicting))


def _of_engines(engines: Sequence[EngineState]) -> Iterator[Family]:
    named = [((engine.model, engine.version), engine) for engine in engines]
    yield _gauge(READY, ((name, float(e.is_ready)) for name, e in named))
    yield _gauge(QUEUE_ROWS, ((name, e.measures.queued_rows) for name, e in named))
    rows = HistogramMetricFamily(BATCH_ROWS.name, BATCH_ROWS.help, labels=BATCH_ROWS.labels)
    for name, engine in named:
        rows.add_metric(name, _cumulative(BATCH_ROWS.buckets, engine.measures.batch_rows), engine.measures.batched_rows)
    yield rows
    yield _counter(REDONE, ((name, e.measures.redone_batches) for name, e in named))
    yield _counter(RESTARTS, ((name, e.measures.worker_restarts) for name, e in named))
    yield _gauge(WORKER_MEMORY, ((name, e.measures.worker_memory_bytes) for name, e in named))


def _package_version() -> str:
    try:
        return version("modelport")
    except PackageNotFoundError:
        return "unknown"
