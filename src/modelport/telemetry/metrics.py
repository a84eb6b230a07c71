"""Every metric that modelport exports, declared in one table, and the counters behind them.

The hot path adds plain integers in slots, a batch at a time (0.3 µs a request); ``exposition`` reads them when somebody scrapes.
Label values are bounded: models come from the command line, kinds, codes and stages from this program.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

STAGES = ("decode", "queue", "predict", "encode", "total")

# Powers of two microseconds: the bucket of a duration is the bit length of its microseconds, 0.05 µs instead of a search.
FIRST_BIT, LAST_BIT = 5, 25
SECONDS_BUCKETS = tuple(2**bit / 1e6 for bit in range(FIRST_BIT, LAST_BIT + 1))
ROWS_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)


@dataclass(frozen=True, slots=True)
class Metric:
    """One exported metric. ``unit`` is a base unit or "" for a count; ``buckets`` are upper bounds in that unit."""

    name: str
    kind: Kind
    help: str
    unit: str = ""
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


REQUESTS = Metric("modelport_requests_total", "counter", "Requests answered, by HTTP status.", labels=("kind", "model", "code"))
ERRORS = Metric("modelport_errors_total", "counter", "Requests that failed, by error code.", labels=("kind", "model", "error"))
STAGE = Metric(
    "modelport_stage_seconds", "histogram", "Time of a prediction by stage; total is from the complete request to its answer.",
    unit="seconds", labels=("model", "stage"), buckets=SECONDS_BUCKETS,
)  # fmt: skip
IN_FLIGHT = Metric("modelport_in_flight_requests", "gauge", "Predictions admitted and not answered yet.", labels=("model",))
CANCELLED = Metric("modelport_cancelled_total", "counter", "Predictions whose caller left before the answer.", labels=("model",))
CONNECTIONS = Metric("modelport_connections", "gauge", "Open client connections.")
READY = Metric("modelport_model_ready", "gauge", "1 if the model answers predictions, else 0.", labels=("model", "version"))
QUEUE_ROWS = Metric("modelport_queue_rows", "gauge", "Rows waiting for a worker.", labels=("model", "version"))
BATCH_ROWS = Metric(
    "modelport_batch_rows", "histogram", "Rows computed together.", labels=("model", "version"), buckets=ROWS_BUCKETS,
)  # fmt: skip
REDONE = Metric("modelport_batches_redone_total", "counter", "Batches computed again after a failure.", labels=("model", "version"))
RESTARTS = Metric("modelport_worker_restarts_total", "counter", "Worker processes started again.", labels=("model", "version"))
WORKER_MEMORY = Metric(
    "modelport_worker_memory_bytes", "gauge", "Resident memory of a model's workers.", unit="bytes", labels=("model", "version"),
)  # fmt: skip
MEMORY = Metric("modelport_front_memory_bytes", "gauge", "Resident memory of the front processes.", unit="bytes")
FRONTS = Metric("modelport_fronts", "gauge", "Front processes that live; the numbers here are those of all of them.")
FRONT_RESTARTS = Metric("modelport_front_restarts_total", "counter", "Front processes started again.")
BUILD = Metric("modelport_build_info", "gauge", "Always 1; the labels say what runs.", labels=("version", "python"))

METRICS = (
    REQUESTS,
    ERRORS,
    STAGE,
    IN_FLIGHT,
    CANCELLED,
    CONNECTIONS,
    READY,
    QUEUE_ROWS,
    BATCH_ROWS,
    REDONE,
    RESTARTS,
    WORKER_MEMORY,
    MEMORY,
    FRONTS,
    FRONT_RESTARTS,
    BUILD,
)


class Latency:
    """Durations in whole microseconds, counted by their bit length."""

    __slots__ = ("counts", "sum_us")

    def __init__(self) -> None:
        self.counts = [0] * 64
        self.sum_us = 0

    def add(self, us: int, times: int = 1) -> None:
        """Count a duration that so many had."""
        self.counts[us.bit_length()] += times
        self.sum_us += us * times

    def add_all(self, durations_us: list[int]) -> None:
        """Count each duration."""
        counts = self.counts
        for us in durations_us:
            counts[us.bit_length()] += 1
        self.sum_us += sum(durations_us)


class Tally:
    """What happened on one kind of route of one model. ``model`` is "" where there is none."""

    __slots__ = ("cancelled", "codes", "decode", "encode", "errors", "in_flight", "kind", "model", "predict", "queue", "total")

    def __init__(self, kind: str, model: str = "") -> None:
        self.kind = kind
        self.model = model
        self.codes: dict[int, int] = {200: 0}
        self.errors: dict[str, int] = {}
        self.decode, self.queue, self.predict, self.encode, self.total = (Latency() for _ in STAGES)
        self.in_flight = 0
        self.cancelled = 0

    def predicted(self, decode_us: list[int], queue_us: list[int], total_us: list[int], *, predict_us: int, encode_us: int) -> None:
        """Count a batch of 200s: microseconds of each in the first stages and in all, and those that all share."""
        count = len(total_us)
        self.codes[200] += count
        self.decode.add_all(decode_us)
        self.queue.add_all(queue_us)
        self.total.add_all(total_us)
        self.predict.add(predict_us, count)
        self.encode.add(encode_us, count)

    def count(self, status: int, error: str | None = None) -> None:
        """Count an answer, and the error's code if it was one."""
        self.codes[status] = self.codes.get(status, 0) + 1
        if error is not None:
            self.errors[error] = self.errors.get(error, 0) + 1


class Measures(Protocol):
    """What an engine measures: running totals. ``batch_rows``: batches by ROWS_BUCKETS, one more for larger ones."""

    queued_rows: int
    batched_rows: int
    batch_rows: list[int]
    redone_batches: int
    worker_restarts: int
    worker_memory_bytes: int


@dataclass(frozen=True, slots=True)
class EngineState:
    """One model version at the moment of a scrape."""

    model: str
    version: str
    is_ready: bool
    measures: Measures


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class FrontState:
    """Where the collector reads: of one front, or of all of them. What is a function is asked at each scrape."""

    engines: Callable[[], Sequence[EngineState]]
    connections: Callable[[], int]
    tallies: list[Tally] = field(default_factory=list)
    memory_bytes: Callable[[], int] = resident_bytes
    fronts: int = 1
    front_restarts: int = 0

    def tally(self, kind: str, model: str = "") -> Tally:
        """Return the tally of this kind and model; the same one for the same two."""
        for known in self.tallies:
            if known.kind == kind and known.model == model:
                return known
        made = Tally(kind, model)
        self.tallies.append(made)
        return made
