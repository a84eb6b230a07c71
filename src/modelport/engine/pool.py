"""The process executor: keeps worker processes alive and gives each free one a batch.

A worker that dies is replaced; its batch goes back to the engine, which decides what to redo. Replacement is immediate for
a worker that has done work, and backs off exponentially (0.1 s doubling to 30 s) while workers die without answering.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import cast

import structlog

from modelport.bundle.environment import Interpreter
from modelport.bundle.private import PrivateFolder
from modelport.columns import Columns
from modelport.engine import confinement, core
from modelport.engine.batcher import Batch
from modelport.engine.confinement import Confinement
from modelport.engine.executor import Description, Listener
from modelport.engine.hold import Hold
from modelport.engine.probe import Compiled, exit_reason, findings, probe, rebuild
from modelport.engine.process import Command, Worker
from modelport.errors import LoadError, ModelError
from modelport.schema import Schema

_log = structlog.get_logger(__name__)
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.1, 30.0
_PATIENCE_FAILURES = 3


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How many workers, and what each is told to load. ``threads``: of the numeric libraries in each worker.

    ``is_probed``: whether the version has to survive a throw-away process before a worker of it is used.
    ``interpreter``: the Python of the old model's own environment, if it is to run there.
    """

    workers: int
    load: Mapping[str, object]
    threads: int
    load_timeout_s: float = 300.0
    confinement: Confinement = field(default_factory=lambda: Confinement("off"))
    is_probed: bool = False
    interpreter: Interpreter | None = None


class Pool:
    """The workers of one model version on one front. ``compiled``: what was found of a form, if one was looked for, once it is started."""

    def __init__(self, settings: PoolSettings, listener: Listener) -> None:
        self._settings = settings
        self._listener = listener
        self._workers: set[Worker] = set()
        self._ending: set[Worker] = set()
        self._free: list[Worker] = []
        self._batches: dict[Worker, Batch] = {}
        self._ready: asyncio.Future[Description] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._is_closing = False
        self._hold = Hold(listener)
        self._folder: PrivateFolder | None = None
        self.compiled = Compiled()
        self.restarts = 0

    @property
    def free(self) -> int:
        """How many workers wait for a batch; none while the next batch is held back."""
        return 0 if self._hold.is_on else len(self._free)

    @property
    def is_alive(self) -> bool:
        """Whether a worker is ready or busy; False while all are being replaced."""
        return any(worker.is_ready for worker in self._workers)

    @property
    def is_recovering(self) -> bool:
        """Whether dead workers are being replaced and have not yet died too often in a row to wait for."""
        return self._failures <= _PATIENCE_FAILURES

    @property
    def pids(self) -> list[int]:
        """The worker processes."""
        return [worker.pid for worker in self._workers]

    @property
    def memory_bytes(self) -> int:
        """Resident memory of all workers together."""
        return sum(worker.memory_bytes() for worker in self._workers)

    async def start(self) -> Description:
        """Start every worker and wait until the first has loaded the model and answered a real prediction.

        Where the version is probed, the first worker and the probe share the cores; the others start after both.
        Raises: what the worker says stood in the way, or LoadError when it died or took too long.
        """
        self._ready = asyncio.get_running_loop().create_future()
        self._start(1 if self._settings.is_probed else self._settings.workers)
        try:
            async with asyncio.timeout(self._settings.load_timeout_s):
                return await (self._proven(self._ready) if self._settings.is_probed else self._ready)
        except TimeoutError:
            raise LoadError(f"the model was not loaded within {self._settings.load_timeout_s:.0f} s") from None

    async def _proven(self, ready: asyncio.Future[Description]) -> Description:
        """Wait for the first worker and for the probe, and start the other workers. Raises: what stopped one of the two."""
        ready.add_done_callback(_retrieve)
        probing = asyncio.ensure_future(probe(self._command, self._order()))
        try:
            await asyncio.wait((ready, probing), return_when=asyncio.FIRST_EXCEPTION)
            if ready.done():
                ready.result()
            if probing.done():
                self.compiled = probing.result()
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
        if not self._is_closing:
            self._start(self._settings.workers - 1)
        return ready.result()

    def _start(self, workers: int) -> None:
        for _ in range(workers):
            self._own(self._spawn(0.0))

    def _command(self) -> Command:
        settings = self._settings
        self._folder = self._folder or PrivateFolder()
        if settings.interpreter is not None:
            return confinement.foreign_command(settings.confinement, settings.threads, self._folder.path, settings.interpreter)
        return confinement.command(settings.confinement, settings.threads, self._folder.path)

    def _order(self) -> dict[str, object]:
        settings = self._settings
        return {"kind": "load", **settings.load, "threads": settings.threads, "sandbox": settings.confinement.setting}

    def run(self, batch: Batch) -> None:
        """Give the batch to a free worker; only call when one is."""
        worker = self._free.pop()
        self._batches[worker] = batch
        first = batch.tickets[0]
        header: dict[str, object] = {"id": batch.id}
        if first.outputs is not None:
            header["outputs"] = list(first.outputs)
        if first.params:
            header["params"] = dict(first.params)
        try:
            worker.send(header, batch.columns)
        except (ValueError, core.FrameError) as error:  # calls that do not join, or that no frame carries: this batch's fault only
            del self._batches[worker]
            self._free.append(worker)
            failure = ModelError(f"the rows could not be sent to the model: {error}")
            # Later, because the engine is in the middle of handing out batches, and many in a row would nest without end.
            asyncio.get_running_loop().call_soon(self._listener.failed, batch, failure, 0.0)

    def abandon(self, batch: Batch) -> None:
        """Kill the worker that computes a batch nobody waits for any more; its end is reported like any other."""
        for worker, held in self._batches.items():
            if held is batch:
                worker.kill()
                return

    async def close(self) -> None:
        """Stop every worker and wait for their ends. Batches in hand are not reported."""
        self._is_closing = True
        self._free.clear()
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(LoadError("the model was still loading when it was told to stop"))
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in [*self._workers, *self._ending]), return_exceptions=True)
        self._workers.clear()
        self._ending.clear()
        self._batches.clear()
        if self._folder is not None:
            await asyncio.to_thread(self._folder.remove)

    def received(self, worker: Worker, header: Mapping[str, object], columns: Columns | None) -> None:
        """Handle a worker's frame: it is ready, it could not load, or it answers a batch."""
        if header.get("kind") == "ready" and not worker.is_ready:
            self._became_ready(worker, header, columns)
        elif header.get("kind") == "failed":
            self._could_not_load(header)
        else:
            self._took_answer(worker, header, columns)

    def ended(self, worker: Worker) -> None:
        """Handle a worker's end: report its batch, replace it."""
        self._workers.discard(worker)
        self._ending.add(worker)
        if worker in self._free:
            self._free.remove(worker)
        batch = self._batches.pop(worker, None)
        if not self._is_closing:
            self._own(self._replace(worker))
            if batch is not None:
                self._listener.died(batch)

    def _own(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _spawn(self, delay_s: float) -> None:
        if delay_s:
            await asyncio.sleep(delay_s)  # back-off of a crash loop, not a poll
        try:
            worker = await Worker.spawn(self._command(), self)
        except OSError as error:
            _log.error("worker could not be started", reason=str(error))
            self._failures += 1
            self._own(self._spawn(_backoff_s(self._failures)))
            return
        if worker.has_ended:
            return
        self._workers.add(worker)
        worker.send(self._order())

    async def _replace(self, worker: Worker) -> None:
        code = await worker.exit_code()
        self._ending.discard(worker)
        if self._ready is not None and not self._ready.done():
            reason = f"the worker process ended while loading the model ({exit_reason(code)}); its own output, if any, says more"
            self._ready.set_exception(LoadError(reason))
            return
        self.restarts += 1
        self._failures += 1
        delay_s = 0.0 if self._failures == 1 else _backoff_s(self._failures - 1)
        _log.warning("worker ended", pid=worker.pid, reason=exit_reason(code), restart_in_s=delay_s)
        await self._spawn(delay_s)

    def _became_ready(self, worker: Worker, header: Mapping[str, object], columns: Columns | None) -> None:
        worker.is_ready = True
        if self._is_closing:
            return
        self._free.append(worker)
        if self._ready is not None and not self._ready.done():
            schema = Schema.from_dict(cast("Mapping[str, object]", header["schema"]))
            details = {**cast("Mapping[str, object]", header.get("details") or {})}
            held = self._settings.confinement
            if held.exceptions and held.setting != "off":
                details["sandbox"] = f"{details.get('sandbox')}, open to: {held.exceptions}"
            if not self._settings.is_probed:
                self.compiled = findings(header, columns)  # by a worker whose kept form does not open
            self._ready.set_result(Description(schema, str(header["form"]), details))
        self._listener.freed()

    def _could_not_load(self, header: Mapping[str, object]) -> None:
        error = rebuild(cast("Mapping[str, object]", header["error"]))
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(error)
        else:
            _log.error("a replaced worker could not load the model", reason=str(error))

    def _took_answer(self, worker: Worker, header: Mapping[str, object], columns: Columns | None) -> None:
        batch = self._batches.get(worker)
        predict_s, error = header.get("predict_s"), header.get("error")
        if batch is None or header.get("id") != batch.id or not isinstance(predict_s, float) or not isinstance(error, dict | None):
            _log.error("a worker answered a batch that it does not hold", pid=worker.pid)
            worker.kill()  # its end is reported, and what it holds is redone
            return
        del self._batches[worker]
        if self._is_closing:
            return
        self._free.append(worker)
        self._failures = 0
        self._hold.begin(batch, predict_s)
        if error is not None:
            self._listener.failed(batch, rebuild(error), predict_s)
        else:
            self._listener.answered(batch, Columns({}) if columns is None else columns, predict_s)


def _retrieve(ready: asyncio.Future[Description]) -> None:
    """Look at an error that nobody waits for any more, because the probe failed first; asyncio would log it."""
    if not ready.cancelled():
        ready.exception()


def _backoff_s(failures: int) -> float:
    return min(_FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 20), _LAST_BACKOFF_S)
