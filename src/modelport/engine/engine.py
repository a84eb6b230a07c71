"""Engine: one model version at work. Admits requests, batches them, hands batches to the executor, answers everybody once.

It never sees a request, only columns; and it decides what to do when a batch fails. A batch on which the model raised is cut
in halves until the one request that fails is alone. A batch whose worker died is redone whole, then cut in the same way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import replace

from modelport.columns import Columns
from modelport.engine.batcher import Batch, Batcher, BatchLimits, Parameters, Ticket
from modelport.engine.executor import EngineMeasures, Executor, Identity
from modelport.engine.outcome import State, answer_all, expiry, fail_all, fail_one, refusal, shut_down, sweep
from modelport.errors import ModelError, ModelportError, WorkerDied
from modelport.schema import Schema

_MOMENT_S = 1e-3  # less is done by one worker sooner than handed to two


class Engine:
    """Queue, batcher and workers of one model version."""

    def __init__(self, identity: Identity, limits: BatchLimits) -> None:
        self.name = identity.name
        self.version = identity.version
        self.route = identity.route
        self.greeting = identity.greeting
        self.schema = Schema(())
        self.form = ""
        self.state: State = "loading"
        self._limits = limits
        self._batcher = Batcher(limits)
        self._executor: Executor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._redo: deque[Batch] = deque()
        self._running: dict[int, Batch] = {}
        self._is_pump_due = self._is_pumping = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = float("inf")
        self._idle: asyncio.Event | None = None
        self._measures = EngineMeasures()
        self._details: dict[str, object] = {}

    @property
    def is_ready(self) -> bool:
        """Whether a real prediction succeeded and a worker can take the next one, now or in a moment."""
        executor = self._executor
        return self.state == "ready" and executor is not None and (executor.is_alive or executor.is_recovering)

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self._running and not self._redo and not self._batcher

    async def start(self, executor: Executor) -> None:
        """Load the model in the executor. Raises: what stood in the way, after everything started was ended."""
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        self._executor = executor
        try:
            described = await executor.start()
        except BaseException:
            self.state = "failed"
            await executor.close()
            raise
        self.schema, self.form = described.schema, described.form
        limits = self._limits if described.details.get("is_row_wise", True) else replace(self._limits, is_batched=False)
        self._details = dict(described.details)
        self._batcher = Batcher(limits, is_uniform=self.schema.is_uniform, row_bytes=self.schema.row_bytes)
        if self.state == "loading":  # not if it was drained or closed in the meantime
            self.state = "ready"

    def submit(self, ticket: Ticket, now_s: float | None = None) -> None:
        """Queue a request; ``ticket.done`` is called once, later, on the loop's thread. ``now_s``: the loop's time, if known.

        Raises: Draining, NotReady or Overloaded, at once and without calling ``done``.
        """
        loop = self._loop
        if loop is None or self.state != "ready" or not (self._is_pump_due or self.is_ready):  # asked of the workers once a turn
            raise refusal(self.state, self.name)
        self._batcher.add(ticket, loop.time() if now_s is None else now_s)
        if ticket.deadline_s is not None and ticket.deadline_s < self._timer_s:
            self._arm(ticket.deadline_s)
        if not self._is_pump_due:
            self._is_pump_due = True
            loop.call_soon(self._pump)

    def cancel(self, ticket: Ticket) -> None:
        """Forget a request whose caller left. Queued, it is not computed; running, its answer is dropped."""
        if ticket.is_open:
            ticket.is_open = False
            self._closed(ticket)

    async def infer(self, columns: Columns, outputs: tuple[str, ...] | None, params: Parameters, deadline_s: float | None) -> Columns:
        """Predict, for callers that are coroutines. Raises: what ``submit`` raises, and the ticket's error."""
        answer: asyncio.Future[Columns] = asyncio.get_running_loop().create_future()

        def done(ticket: Ticket) -> None:
            if answer.done():
                return
            if ticket.error is not None:
                answer.set_exception(ticket.error)
            elif ticket.result is not None:
                answer.set_result(ticket.result)

        ticket = Ticket(columns, outputs, params, deadline_s, done)
        self.submit(ticket)
        try:
            return await answer
        except asyncio.CancelledError:
            self.cancel(ticket)
            raise

    async def drain(self, limit_s: float) -> bool:
        """Refuse new work and finish what is queued or running, at most ``limit_s``. Returns whether all was answered."""
        if self.state in ("ready", "loading"):
            self.state = "draining"
        if self.is_idle or self._idle is None:
            return True
        self._idle.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._idle.wait()
        return self.is_idle

    async def close(self) -> None:
        """End the workers. Whoever still waits is told that the server shut down."""
        self.state = "stopped"
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left = [ticket for batch in [*self._running.values(), *self._redo] for ticket in batch.tickets] + self._batcher.close()
        self._running.clear()
        self._redo.clear()
        fail_all(left, shut_down())
        if self._idle is not None:
            self._idle.set()
        if self._executor is not None:
            await self._executor.close()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._batcher)

    def status(self) -> dict[str, object]:
        """What ``GET /models`` says of it."""
        executor = self._executor
        return {
            "name": self.name,
            "version": self.version,
            "state": self.state if self.state != "ready" or self.is_ready else "recovering",
            "form": self.form,
            "workers": len(executor.pids) if executor else 0,
            "restarts": executor.restarts if executor else 0,
            "queued_rows": self._batcher.queued_rows,
            **self._details,
            "schema": self.schema.to_dict(),
        }

    def measures(self) -> EngineMeasures:
        """Bring the running totals up to date and return them."""
        self._measures.queued_rows = self._batcher.queued_rows
        if self._executor is not None:
            self._measures.worker_restarts = self._executor.restarts
            self._measures.worker_memory_bytes = self._executor.memory_bytes
        return self._measures

    # --- what the executor tells ---

    def answered(self, batch: Batch, answer: Columns, predict_s: float) -> None:
        """Start the next batch, then answer this one's callers."""
        if answer.rows != batch.rows:
            reason = f"the model answered {answer.rows} rows for {batch.rows}; it must answer one row for each row it is given"
            self.failed(batch, ModelError(reason), predict_s)
            return
        self._finish(batch, predict_s)
        self._measures.count(batch.rows, predict_s)
        self._pump()
        answer_all(batch, answer)

    def failed(self, batch: Batch, error: ModelportError, predict_s: float) -> None:
        """Find the one request that fails; the others are computed again without it."""
        self._finish(batch, predict_s)
        if batch.drop_closed():
            if len(batch.tickets) == 1:
                fail_all(batch.tickets, error)
            else:
                self._measures.redone_batches += 1
                self._redo.extendleft(reversed(batch.halves()))
        self._pump()

    def died(self, batch: Batch) -> None:
        """Redo the batch on another worker; if that dies as well, cut it until the one that kills is alone.

        Halves go to the end: the half without the killer is then answered between two deaths, which tells the pool that this
        is no crash loop, so that nobody is refused and no back-off delays the others.
        """
        self._finish(batch, 0.0)
        batch.deaths += 1
        if batch.drop_closed():
            self._measures.redone_batches += 1
            if batch.deaths == 1:
                self._redo.appendleft(batch)
            elif len(batch.tickets) > 1:
                self._redo.extend(batch.halves())
            else:
                reason = "the worker process died twice computing this request; the input, or the model on it, crashes the process"
                fail_all(batch.tickets, WorkerDied(reason))
        self._pump()

    def freed(self) -> None:
        """Use the worker that became free."""
        self._pump()

    def _pump(self) -> None:
        self._is_pump_due = False
        if self._executor is None or self._loop is None or self._is_pumping:
            return  # an executor that answers at once calls back into here: the loop below goes on by itself
        self._is_pumping = True
        try:
            self._hand_out(self._executor, self._loop)
        finally:
            self._is_pumping = False
        if self._idle is not None and self.is_idle:
            self._idle.set()

    def _hand_out(self, executor: Executor, loop: asyncio.AbstractEventLoop) -> None:
        while free := executor.free:
            now_s = loop.time()
            batch = self._next(now_s, self._parts(free))
            if batch is None:
                if (wake_s := self._batcher.wake_s()) is not None and wake_s < self._timer_s:
                    self._arm(wake_s)
                break
            batch.started_s = now_s
            self._running[batch.id] = batch
            executor.run(batch)

    def _parts(self, free: int) -> int:
        """Into how many batches what waits is cut: one for each free worker, if that is more than a moment's work."""
        return free if free > 1 and self._batcher.queued_rows * self._measures.row_s > _MOMENT_S else 1

    def _next(self, now_s: float, parts: int) -> Batch | None:
        """Take the next batch of which somebody waits; what is out of time already is told so instead of being computed."""
        while True:
            is_redone = bool(self._redo)
            batch = self._redo.popleft() if is_redone else self._batcher.cut(now_s, parts)
            if batch is None:
                return None
            late = [ticket for ticket in batch.tickets if ticket.deadline_s is not None and ticket.deadline_s <= now_s]
            for ticket in late:
                fail_one(ticket, expiry(ticket, now_s, is_waiting=True))
            if not (late or is_redone) or batch.drop_closed():  # what was just cut holds open tickets only
                return batch

    def _finish(self, batch: Batch, predict_s: float) -> None:
        self._running.pop(batch.id, None)
        batch.predict_s = predict_s

    def _closed(self, ticket: Ticket) -> None:
        if ticket.is_queued:
            self._batcher.discard(ticket)
        if self._idle is not None and self.is_idle:
            self._idle.set()

    def _arm(self, at_s: float) -> None:
        if self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = at_s
        self._timer = self._loop.call_at(at_s, self._wake)

    def _wake(self) -> None:
        """Tell those whose time is up, end batches nobody waits for, and sleep until the next such moment.

        One timer an engine, armed for the earliest deadline: nothing is scheduled or cancelled for each request.
        """
        if self._loop is None or self._executor is None:
            return
        now_s = self._loop.time()
        self._timer, self._timer_s = None, float("inf")
        found = sweep(self._batcher.open_tickets(), list(self._running.values()), self._redo, now_s)
        for ticket in found.expired:
            error = expiry(ticket, now_s, is_waiting=ticket.is_queued)
            if ticket.is_queued:
                self._batcher.discard(ticket)
            fail_one(ticket, error)
        for batch in found.overdue:
            self._executor.abandon(batch)
        if found.next_s < self._timer_s:
            self._arm(found.next_s)
        self._pump()
