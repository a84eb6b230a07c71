"""The inline executor: a proven form of the model, computed in this process, without a worker, a socket or a second copy.

Only for forms that modelport built and proved itself: numpy on arrays that were checked, or ONNX Runtime on a graph of ours.
A batch of under about a millisecond is computed on the loop's thread, a larger one on one thread beside it, so that health
checks are answered meanwhile. What the form leaves to the original goes to a worker process, started when it is first needed.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter

import structlog

from modelport.columns import Columns
from modelport.engine.batcher import Batch
from modelport.engine.executor import Description, Executor, Listener, StartOriginal
from modelport.engine.hold import Hold
from modelport.errors import ModelError, ModelportError, Overloaded
from modelport.forms.facts import COMPILED
from modelport.forms.program.form import Form, Predict
from modelport.forms.program.steps import Program
from modelport.forms.program.undecided import Undecided

_log = structlog.get_logger(__name__)
_LIMIT_S = 1e-3
_TRIES = 5
_FAR = 4.0  # times the limit, where two tries tell as much as five
_MOST_ROWS = 4096
_MOST_LEFT_ROWS = 20_000


class Inline:
    """One model version, computed here."""

    def __init__(self, form: Form, predict: Predict, listener: Listener, start_original: StartOriginal) -> None:
        self._form = replace(form, program=Program((), {}))  # its arrays are held by ``predict`` as far as that reads them
        self._predict = predict
        self._listener = listener
        self._hold = Hold(listener)
        self._start_original = start_original
        self._original: Executor | None = None
        self._starting: asyncio.Task[None] | None = None
        self._left: deque[Batch] = deque()
        self._thread: ThreadPoolExecutor | None = None
        self._computing: Batch | None = None
        self._apart: asyncio.Task[None] | None = None
        self._original_form = ""
        self._rows = _MOST_ROWS
        self._is_closing = False

    # --- Executor ---------------------------------------------------------------------------------------------------

    @property
    def restarts(self) -> int:
        """How often a worker of the original was replaced."""
        return 0 if self._original is None else self._original.restarts

    @property
    def free(self) -> int:
        """One, unless something is computed on the thread or the next batch is held back."""
        return int(self._computing is None and not self._hold.is_on)

    @property
    def is_alive(self) -> bool:
        """Always: there is no process that could die."""
        return True

    @property
    def is_recovering(self) -> bool:
        """Never."""
        return False

    @property
    def pids(self) -> list[int]:
        """The workers of the original, if there are any."""
        return [] if self._original is None else self._original.pids

    @property
    def memory_bytes(self) -> int:
        """Resident memory of those."""
        return 0 if self._original is None else self._original.memory_bytes

    async def start(self) -> Description:
        """Find out how many rows are computed in a millisecond."""
        self._rows = self._rows_in(_LIMIT_S)
        form = self._form
        return Description(form.schema, COMPILED, {"is_row_wise": True, "sandbox": "none needed (data only)", **form.facts})

    def run(self, batch: Batch) -> None:
        """Compute a batch and tell the engine; a large one on the thread."""
        if batch.rows > self._rows:
            self._computing = batch
            self._apart = asyncio.get_running_loop().create_task(self._run_apart(batch))
            return
        began_s = perf_counter()
        answer = self._answer(batch)
        if answer is not None:
            self._tell(batch, answer, perf_counter() - began_s)

    def abandon(self, batch: Batch) -> None:
        """Stop waiting for the original; our own arithmetic ends by itself."""
        if batch in self._left:
            self._left.remove(batch)
            self._listener.failed(batch, _nobody(), 0.0)
        elif self._original is not None and batch is not self._computing:
            self._original.abandon(batch)

    async def close(self) -> None:
        """End the thread and the workers of the original."""
        self._is_closing = True
        self._left.clear()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
        if self._original is not None:
            await self._original.close()

    # --- Listener of the original -----------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many batches wait for the original."""
        return len(self._left)

    def answered(self, batch: Batch, answer: Columns, predict_s: float) -> None:
        """Pass on what the original answered."""
        for ticket in batch.tickets:
            ticket.form = self._original_form
        self._listener.answered(batch, answer, predict_s)

    def failed(self, batch: Batch, error: ModelportError, predict_s: float) -> None:
        """Pass on what the original refused."""
        self._listener.failed(batch, error, predict_s)

    def died(self, batch: Batch) -> None:
        """Pass on that a worker died; the engine brings the batch back."""
        self._listener.died(batch)

    def freed(self) -> None:
        """Give the original the next batch that waits for it."""
        self._feed()

    # --- its own ----------------------------------------------------------------------------------------------------

    def _answer(self, batch: Batch) -> Columns | None:
        """Compute a batch; None if the original has to, which is then on its way."""
        try:
            return self._predict(batch.columns, batch.tickets[0].outputs)
        except Undecided:
            if len(batch.tickets) > 1:  # the engine cuts it in halves, until only those go to the original that have to
                self._listener.failed(batch, _undecided(), 0.0)
                return None
        except ModelportError as error:
            self._listener.failed(batch, error, 0.0)
            return None
        except Exception:  # noqa: BLE001  # a fault of the form must cost nobody an answer: there is the original
            _log.exception("a compiled form failed; the original model answers instead")
        self._leave(batch)
        return None

    async def _run_apart(self, batch: Batch) -> None:
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="predict")
        began_s = perf_counter()
        try:
            answer: Columns | None = await loop.run_in_executor(self._thread, self._predict, batch.columns, batch.tickets[0].outputs)
            failure: ModelportError | None = None
        except Undecided:
            answer, failure = None, _undecided() if len(batch.tickets) > 1 else None
        except ModelportError as error:
            answer, failure = None, error
        except Exception:  # noqa: BLE001  # as above
            _log.exception("a compiled form failed; the original model answers instead")
            answer = failure = None
        self._computing = None
        if self._is_closing:
            return
        if answer is not None:
            self._tell(batch, answer, perf_counter() - began_s)
        elif failure is not None:
            self._listener.failed(batch, failure, perf_counter() - began_s)
        else:
            self._leave(batch)
            self._listener.freed()

    def _tell(self, batch: Batch, answer: Columns, predict_s: float) -> None:
        self._hold.begin(batch, predict_s)
        self._listener.answered(batch, answer, predict_s)

    def _leave(self, batch: Batch) -> None:
        """Hand a batch to the original, unless too many rows wait for it already."""
        waiting = sum(each.rows for each in self._left)
        if waiting + batch.rows > _MOST_LEFT_ROWS and self._left:
            reason = f"{waiting} rows wait for the original model already, which answers what is next to a tie; try again shortly"
            self._listener.failed(batch, Overloaded(reason, retry_after_s=1), 0.0)
            return
        self._left.append(batch)
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._wake())
        self._feed()

    async def _wake(self) -> None:
        _log.info("starting the original model for rows that its compiled form leaves to it", pid=os.getpid())
        original = self._start_original(self)
        try:
            self._original_form = (await original.start()).form
        except ModelportError as error:
            self._starting = None
            await original.close()
            left, self._left = self._left, deque()
            for batch in left:
                self._listener.failed(batch, error, 0.0)
            return
        self._original = original
        self._feed()

    def _feed(self) -> None:
        original = self._original
        while original is not None and self._left and original.free:
            batch = self._left.popleft()
            if batch.drop_closed():
                original.run(batch)
            else:
                self._listener.failed(batch, _nobody(), 0.0)

    def _rows_in(self, limit_s: float) -> int:
        """Return the largest power of two of rows that takes no longer than the limit."""
        trial = self._form.trial
        rows = 1
        while rows < _MOST_ROWS:
            columns = Columns({name: array.repeat(-(-2 * rows // trial.rows), axis=0)[: 2 * rows] for name, array in trial.items()})
            times = []
            for _ in range(_TRIES):
                began_s = perf_counter()
                self._predict(columns, None)
                times.append(perf_counter() - began_s)
                if len(times) > 1 and min(times) > _FAR * limit_s:
                    break
            if min(times) > limit_s:
                break
            rows *= 2
        return rows


def _nobody() -> ModelError:
    """Nobody reads this: every ticket of such a batch is closed."""
    return ModelError("nobody waits for these rows any more; send them again")


def _undecided() -> ModelError:
    """Nobody reads this either: a batch of several requests is cut, not refused."""
    return ModelError("these rows are too close to a tie to be answered together; send them again")
