"""What an engine needs of whatever computes its batches, what it says of itself, and what it counts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from modelport.columns import Columns
from modelport.engine.batcher import Batch
from modelport.errors import ModelportError
from modelport.schema import Schema

ROW_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)


@dataclass(frozen=True, slots=True)
class Description:
    """What an executor says of the model it loaded. ``details``: more facts for ``GET /models``."""

    schema: Schema
    form: str
    details: Mapping[str, object]


class Listener(Protocol):
    """Who is told how batches end; the engine."""

    @property
    def waiting(self) -> int:
        """How many requests, or batches, wait to be handed out."""
        ...

    def answered(self, batch: Batch, answer: Columns, predict_s: float) -> None:
        """The batch was computed."""
        ...

    def failed(self, batch: Batch, error: ModelportError, predict_s: float) -> None:
        """The model, or a hook, raised on the batch; what computes it lives."""
        ...

    def died(self, batch: Batch) -> None:
        """The worker died with the batch in hand."""
        ...

    def freed(self) -> None:
        """A worker is free."""
        ...


class Executor(Protocol):
    """Where batches are computed: worker processes, or this process."""

    @property
    def restarts(self) -> int:
        """How often what computes was replaced."""
        ...

    @property
    def free(self) -> int:
        """How many batches would be started at once."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether anything can compute at the moment."""
        ...

    @property
    def is_recovering(self) -> bool:
        """Whether a replacement is on its way soon enough to wait for."""
        ...

    @property
    def pids(self) -> list[int]:
        """Processes of its own."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Resident memory of those."""
        ...

    async def start(self) -> Description:
        """Load the model."""
        ...

    def run(self, batch: Batch) -> None:
        """Compute a batch; only called when one would be started."""
        ...

    def abandon(self, batch: Batch) -> None:
        """Stop computing a batch nobody waits for."""
        ...

    async def close(self) -> None:
        """End everything."""
        ...


StartOriginal = Callable[[Listener], Executor]
"""Makes the executor of the original model, to which a form leaves some rows."""


@dataclass(slots=True)
class EngineMeasures:
    """Running totals, read by the metrics at scrape time. ``batch_rows``: batches by ROW_BUCKETS, the last for larger ones.

    ``row_s``: what a row took of late, in the batches that were made.
    """

    queued_rows: int = 0
    batches: int = 0
    batched_rows: int = 0
    batch_rows: list[int] = field(default_factory=lambda: [0] * (len(ROW_BUCKETS) + 1))
    predict_s: float = 0.0
    redone_batches: int = 0
    worker_restarts: int = 0
    worker_memory_bytes: int = 0
    row_s: float = 0.0

    def count(self, rows: int, predict_s: float) -> None:
        """Add a batch that was answered."""
        self.batches += 1
        self.batched_rows += rows
        self.predict_s += predict_s
        self.row_s = (self.row_s + predict_s / rows) / 2 if rows else self.row_s
        self.batch_rows[bisect_left(ROW_BUCKETS, rows)] += 1


@dataclass(frozen=True, slots=True)
class Identity:
    """What a model version is called, and the paths of its own. ``source``: what it was loaded from, for people."""

    name: str
    version: str = "1"
    route: str | None = None
    greeting: str | None = None
