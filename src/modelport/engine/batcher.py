"""Ticket, Batch and Batcher: who waits, who goes together, who is refused. Pure: no clock, no event loop, no process.

Natural batching: while the executor is busy requests gather here, and when it is free everything of one signature that
waits goes to it as one batch, up to the bounds. There is no window to tune, and a lone request waits for nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import msgspec

from modelport.columns import Columns, Signature, concat
from modelport.errors import ModelportError, Overloaded

Parameters = Mapping[str, str | int | float | bool]
Key = tuple[Signature | None, tuple[str, ...] | None, tuple[tuple[str, str | int | float | bool], ...]]


class Caller(Protocol):
    """A caller that takes the answers of all its tickets of a batch at once."""

    def answer_batch(self, batch: Batch, answer: Columns) -> None:
        """Answer every ticket of the batch, all open and of this caller, and close it (``is_open``) just before it is told.

        What is still open when this raises is answered one by one.
        """
        ...


class Ticket(msgspec.Struct, eq=False):  # a Struct is made in half the time of a class, and one is made for every request
    """One request inside the engine: what it asks, until when, and whom to tell.

    ``done`` is called exactly once, on the loop's thread, after ``result`` or ``error`` is set; never after a cancel.
    ``caller``: who takes the answers instead, where a whole batch is this caller's.
    ``deadline_s`` is on the loop's monotonic clock; None waits for ever. ``queued_s`` and ``predict_s`` are seconds.
    ``form``: which arithmetic answered, if it was not the version's usual one.
    """

    columns: Columns
    outputs: tuple[str, ...] | None
    params: Parameters
    deadline_s: float | None
    done: Callable[[Ticket], None]
    caller: Caller | None = None
    result: Columns | None = None
    error: ModelportError | None = None
    form: str | None = None
    is_open: bool = True
    is_queued: bool = False
    submitted_s: float = 0.0
    queued_s: float = 0.0
    predict_s: float = 0.0

    def succeed(self, result: Columns) -> None:
        """Hand over the answer. Does nothing if the ticket is closed already."""
        if self.is_open:
            self.is_open = False
            self.result = result
            self.done(self)

    def fail(self, error: ModelportError) -> None:
        """Hand over what went wrong. Does nothing if the ticket is closed already."""
        if self.is_open:
            self.is_open = False
            self.error = error
            self.done(self)


_ids = count(1)
_LIMIT_CLOSED = 256


@dataclass(slots=True, eq=False)
class Batch:
    """Tickets of one signature that are computed together. ``deaths``: how many workers died with these rows in hand.

    ``rows``: of all tickets together. ``started_s``: when it was handed out, on the loop's clock; ``predict_s``: how long it took.
    """

    tickets: list[Ticket]
    deaths: int = 0
    id: int = field(default_factory=_ids.__next__)
    rows: int = 0
    started_s: float = 0.0
    predict_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.rows:
            self.rows = sum([ticket.columns.rows for ticket in self.tickets])

    @property
    def columns(self) -> Columns:
        """All tickets' columns, joined. Cost: one copy."""
        return concat([ticket.columns for ticket in self.tickets])

    @property
    def deadline_s(self) -> float | None:
        """The last moment at which anybody waits for this batch; None if somebody waits for ever."""
        latest = float("-inf")
        for ticket in self.tickets:
            if ticket.deadline_s is None:
                return None
            latest = max(latest, ticket.deadline_s)
        return latest

    def drop_closed(self) -> bool:
        """Forget tickets whose callers left or were answered. Returns whether anybody is left."""
        left = [ticket for ticket in self.tickets if ticket.is_open]
        if len(left) != len(self.tickets):
            self.tickets = left
            self.rows = sum([ticket.columns.rows for ticket in left])
        return bool(left)

    def halves(self) -> tuple[Batch, Batch]:
        """Cut in two, to find the one request that fails; only for batches of at least two tickets."""
        middle = len(self.tickets) // 2
        return Batch(self.tickets[:middle], self.deaths), Batch(self.tickets[middle:], self.deaths)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of a batch and of the queue.

    ``max_wait_ms`` holds a part-filled batch back for company; it exists for accelerators and is 0 by default.
    ``is_batched`` False: every call is computed alone, for models whose rows are not independent.
    """

    max_rows: int = 256
    max_bytes: int = 64 * 1024 * 1024
    max_wait_ms: float = 0.0
    is_batched: bool = True
    max_queued_rows: int = 20_000


class Batcher:
    """The queue of one model version: FIFO between signatures by their oldest ticket, and within each."""

    def __init__(self, limits: BatchLimits, *, is_uniform: bool = False, row_bytes: int | None = None) -> None:
        """``is_uniform``: the schema fixes names, types and shapes, so that all columns have one signature.

        ``row_bytes``: how many bytes each row has, if that is fixed.
        """
        self.limits = limits
        self.queued_rows = 0
        self._whole_rows = -1  # no more rows than these are within the bounds of a batch, whatever they hold
        if row_bytes is not None and limits.is_batched:
            self._whole_rows = min(limits.max_rows, limits.max_bytes // max(1, row_bytes))
        self._is_uniform = is_uniform
        self._queues: dict[Key | None, deque[Ticket]] = {}
        self._open = 0
        self._closed = 0

    def __len__(self) -> int:
        return self._open

    def add(self, ticket: Ticket, now_s: float) -> None:
        """Queue a ticket. Raises: Overloaded, at once, when its rows do not fit; an empty queue takes any call."""
        rows = ticket.columns.rows
        if self.queued_rows and self.queued_rows + rows > self.limits.max_queued_rows:
            raise Overloaded(
                f"{self.queued_rows} rows are waiting and {rows} more would be over the limit of {self.limits.max_queued_rows}; "
                "try again shortly",
                retry_after_s=1,
            )
        ticket.submitted_s = now_s
        key: Key | None = None  # nearly every call; found in a dict sooner than a tuple
        if not self._is_uniform or ticket.params or ticket.outputs is not None:
            signature = None if self._is_uniform else ticket.columns.signature
            key = (signature, ticket.outputs, tuple(sorted(ticket.params.items())))
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = deque()
        queue.append(ticket)
        ticket.is_queued = True
        self.queued_rows += rows
        self._open += 1

    def discard(self, ticket: Ticket) -> None:
        """Note that a queued ticket was closed; it stays in its place and is skipped when the batch is cut.

        Cost: constant on average. Once most of what lies here is closed, it is swept out: callers that come and leave while
        nothing can be computed would fill the memory otherwise.
        """
        ticket.is_queued = False
        self.queued_rows -= ticket.columns.rows
        self._open -= 1
        self._closed += 1
        if self._closed > max(_LIMIT_CLOSED, self._open):
            self._sweep()

    def cut(self, now_s: float, parts: int = 1) -> Batch | None:
        """Take the next batch, or None if nobody waits or the oldest may still wait for company.

        ``parts``: for how many batches what waits is to suffice, so that so many workers have something to do.
        Closed tickets are dropped here: what nobody waits for is not computed.
        """
        for key in sorted(self._queues, key=self._oldest) if len(self._queues) > 1 else list(self._queues):
            queue = self._queues[key]
            self._drop_closed_heads(queue)
            if queue and self._may_wait(queue, now_s):
                continue
            tickets = self._take(queue, parts)
            if not queue:
                del self._queues[key]
            if tickets:
                return Batch(tickets)
        return None

    def wake_s(self) -> float | None:
        """When the oldest ticket has waited long enough for company; None if nobody waits or no wait is set."""
        if not self.limits.max_wait_ms or not self._queues:
            return None
        return min(queue[0].submitted_s for queue in self._queues.values()) + self.limits.max_wait_ms / 1e3

    def close(self) -> list[Ticket]:
        """Empty the queue and return the tickets that are still open."""
        left = self.open_tickets()
        for ticket in left:
            ticket.is_queued = False
        self._queues.clear()
        self.queued_rows = self._open = self._closed = 0
        return left

    def open_tickets(self) -> list[Ticket]:
        """Return the tickets that wait."""
        return [ticket for queue in self._queues.values() for ticket in queue if ticket.is_open]

    def _oldest(self, key: Key | None) -> float:
        return self._queues[key][0].submitted_s

    def _sweep(self) -> None:
        self._queues = {key: left for key, queue in self._queues.items() if (left := deque(item for item in queue if item.is_open))}
        self._closed = 0

    def _drop_closed_heads(self, queue: deque[Ticket]) -> None:
        while queue and not queue[0].is_open:
            queue.popleft()
            self._closed -= 1

    def _may_wait(self, queue: deque[Ticket], now_s: float) -> bool:
        if not self.limits.max_wait_ms or not self.limits.is_batched or now_s >= queue[0].submitted_s + self.limits.max_wait_ms / 1e3:
            return False
        return sum(ticket.columns.rows for ticket in queue if ticket.is_open) < self.limits.max_rows

    def _take(self, queue: deque[Ticket], parts: int) -> list[Ticket]:
        if parts == 1 and self.queued_rows <= self._whole_rows and not self._closed and len(queue) == self._open:
            return self._take_all(queue)
        limits = self.limits
        most = min(limits.max_rows, -(-self.queued_rows // parts))
        taken: list[Ticket] = []
        rows = size = 0
        while queue:
            ticket = queue[0]
            if not ticket.is_open:
                self._drop_closed_heads(queue)
                continue
            more = ticket.columns.rows
            if taken and (not limits.is_batched or rows + more > most):
                break
            size += ticket.columns.nbytes
            if taken and size > limits.max_bytes:
                break
            queue.popleft()
            ticket.is_queued = False
            rows += more
            taken.append(ticket)
        self.queued_rows -= rows
        self._open -= len(taken)
        return taken

    def _take_all(self, queue: deque[Ticket]) -> list[Ticket]:
        """Take what is known to fit, without a look at each ticket's size."""
        taken = list(queue)
        queue.clear()
        for ticket in taken:
            ticket.is_queued = False
        self.queued_rows = self._open = 0
        return taken
