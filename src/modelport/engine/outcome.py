"""What callers are told, and that they are told exactly once: refusals, expiries, and the delivery that nothing may break."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import structlog

from modelport.columns import Columns, split
from modelport.engine.batcher import Batch, Caller, Ticket
from modelport.errors import DeadlineExceeded, Draining, ModelportError, NotReady

State: TypeAlias = Literal["loading", "ready", "draining", "stopped", "failed"]

_log = structlog.get_logger(__name__)
_SWEEP_S = 0.5e-6  # so many deadlines at as many instants are not as many passes; 10 ms late with 20,000 waiting, exact with few


@dataclass(frozen=True, slots=True)
class Sweep:
    """Who is out of time: open tickets, running batches nobody waits for, and when to look again (infinity: not at all)."""

    expired: list[Ticket]
    overdue: list[Batch]
    next_s: float


def sweep(queued: Iterable[Ticket], running: list[Batch], redo: Iterable[Batch], now_s: float) -> Sweep:
    """Find what is out of time at ``now_s``. Cost: one pass over everything that waits; run once a deadline, not once a request."""
    expired: list[Ticket] = []
    next_s = float("inf")
    everybody = [*queued, *(ticket for batch in [*running, *redo] for ticket in batch.tickets)]
    for ticket in everybody:
        if ticket.deadline_s is None or not ticket.is_open:
            continue
        if ticket.deadline_s <= now_s:
            expired.append(ticket)
        else:
            next_s = min(next_s, ticket.deadline_s)
    overdue = []
    for batch in running:
        last_s = batch.deadline_s
        if last_s is not None and last_s <= now_s:
            overdue.append(batch)
        elif last_s is not None:
            next_s = min(next_s, last_s)
    return Sweep(expired, overdue, max(next_s, now_s + len(everybody) * _SWEEP_S))


def refusal(state: State, name: str) -> ModelportError:
    """Say why a model takes no work at the moment."""
    if state in ("draining", "stopped"):
        return Draining("the server is shutting down; send the request again, it will reach another one", retry_after_s=1)
    if state == "loading":
        return NotReady(f'model "{name}" is still loading; try again shortly', retry_after_s=1)
    return NotReady(f'model "{name}" has no worker that stays alive; the server\'s log says why', retry_after_s=5)


def shut_down() -> ModelportError:
    """Say that the server went before the answer came."""
    return Draining("the server shut down before this request was answered; send it again", retry_after_s=1)


def expiry(ticket: Ticket, now_s: float, *, is_waiting: bool) -> ModelportError:
    """Say how long a request waited, and for what."""
    where = "waiting for its turn" if is_waiting else "being computed"
    waited_s = now_s - ticket.submitted_s
    return DeadlineExceeded(f"no answer within the time limit: after {waited_s:.3g} s the request was still {where}", retry_after_s=1)


def answer_all(batch: Batch, answer: Columns) -> None:
    """Give every ticket its own rows; a caller whose callback raises takes nothing from the others.

    A caller of the whole batch is given all of it at once, where it takes that.
    Raises: ModelError if the rows do not match, before any ticket is answered.
    """
    caller = _caller_of_all(batch)
    if caller is not None and answer.rows == batch.rows:
        try:
            caller.answer_batch(batch, answer)
        except Exception:  # noqa: BLE001  # whoever was not answered is answered alone, and so is told what was wrong
            _log.exception("answering a batch failed", batch=batch.id)
        else:
            return
    parts = split(answer, [ticket.columns.rows for ticket in batch.tickets])
    for ticket, part in zip(batch.tickets, parts, strict=True):
        ticket.queued_s, ticket.predict_s = batch.started_s - ticket.submitted_s, batch.predict_s
        try:
            ticket.succeed(part)
        except Exception:  # noqa: BLE001  # one caller's broken callback must not take the others' answers
            _log.exception("answering a request failed", batch=batch.id)


def _caller_of_all(batch: Batch) -> Caller | None:
    """Return who takes the whole batch at once; None if it is several callers', or one of them left."""
    caller = batch.tickets[0].caller
    for ticket in batch.tickets:
        if ticket.caller is not caller or not ticket.is_open:
            return None
    return caller


def fail_all(tickets: Iterable[Ticket], error: ModelportError) -> None:
    """Give every ticket the same error; a caller whose callback raises keeps it from nobody else."""
    for ticket in tickets:
        fail_one(ticket, error)


def fail_one(ticket: Ticket, error: ModelportError) -> None:
    """Give one ticket its error, whatever its callback does."""
    try:
        ticket.fail(error)
    except Exception:  # noqa: BLE001  # as above
        _log.exception("answering a request failed", code=error.code)
