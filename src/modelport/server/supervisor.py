"""The supervisor of several fronts: starts them, watches, replaces, adds up what they count, stops them. It touches no request.

A front is replaced at once if it had lived for a while, else after 0.1 s, doubling to 30 s. Nothing polls: the ends of processes,
messages, signals and single timers are all that wakes it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from modelport.engine.probe import exit_reason, rebuild
from modelport.errors import LoadError
from modelport.server.channel import Message, Order
from modelport.server.live import Served
from modelport.server.questions import Question, Questions, together
from modelport.server.seats import Seat, occupy
from modelport.telemetry.reports import Report, retired, total

_log = structlog.get_logger(__name__)
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.1, 30.0
_HEALTHY_S = 10.0
_PATIENCE_FAILURES = 3
_GRACE_S = 5.0  # for ending workers after the drain


@dataclass(frozen=True, slots=True)
class Plan:
    """What is supervised. ``fronts``: how many, None to let ``decide`` say it when the first is ready.

    ``order``: makes a front's order, from its number, the number of fronts, and whether it replaces one.
    """

    fronts: int | None
    decide: Callable[[list[Served], Report], int]
    order: Callable[[int, int, bool], Order]
    drain_s: float


class Supervisor:
    """The fronts of one service."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._fronts = plan.fronts or 1
        self._seats: list[Seat] = []
        self._gone = Report()
        self._restarts = 0
        self._tasks: dict[asyncio.Task[None], Seat] = {}
        self._questions = Questions(self._tell)

    async def start(self) -> list[Served]:
        """Start all fronts and wait until they are ready; the first one goes ahead, and tries and compiles what is new, for all.

        Returns what they serve. Raises: what stands in the way of the first that fails.
        """
        served = await self._seat(0)
        self._fronts = self._plan.fronts or self._plan.decide(served, self._seats[0].report)
        await asyncio.gather(*[self._seat(number) for number in range(1, self._fronts)])
        return served

    async def stop(self) -> None:
        """Tell all fronts to drain and wait for their ends; kill what is left when its time is over."""
        for task, seat in self._tasks.items():
            seat.is_wanted = False
            seat.tell(Message("stop"))
            if seat.process is None:  # it waits to be started again
                task.cancel()
        if self._tasks:
            await asyncio.wait([*self._tasks], timeout=self._plan.drain_s + _GRACE_S)
        for seat in self._tasks.values():
            _log.error("a front does not end and is killed", front=seat.number + 1)
        self.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def kill(self) -> None:
        """End all fronts at once, and with them their workers."""
        for seat in self._seats:
            seat.kill()

    def _seat(self, number: int) -> asyncio.Future[list[Served]]:
        seat = Seat(number, asyncio.get_running_loop().create_future())
        self._seats.append(seat)
        task = asyncio.get_running_loop().create_task(self._keep(seat))
        self._tasks[task] = seat
        task.add_done_callback(self._tasks.pop)
        return seat.first

    async def _keep(self, seat: Seat) -> None:
        """Have a process on the seat for as long as the service runs."""
        is_late = False
        while True:
            try:
                reason = exit_reason(await occupy(seat, self._plan.order(seat.number, self._fronts, is_late), self._received))
            except OSError as error:
                reason = f"it could not be started: {error.strerror}"
            delay_s = self._vacated(seat)
            if not seat.is_wanted:
                return
            if not seat.first.done():
                seat.first.set_exception(
                    seat.error or LoadError(f"a front process ended before it was ready ({reason}); its own output says more")
                )
                return
            self._restarts += 1
            said = "" if seat.error is None else seat.error.message
            _log.warning("front ended", front=seat.number + 1, reason=said or reason, restart_in_s=delay_s)
            if delay_s:
                await asyncio.sleep(delay_s)  # back-off of a crash loop, not a poll
            is_late = True

    def _vacated(self, seat: Seat) -> float:
        """Keep the counters of the process that ended; return how long to wait before the next one."""
        self._gone = total([self._gone, retired(seat.report)])
        is_healthy = seat.is_ready and asyncio.get_running_loop().time() - seat.ready_s >= _HEALTHY_S
        seat.failures = 1 if is_healthy else seat.failures + 1
        seat.vacate()
        self._questions.left(seat)
        return 0.0 if seat.failures == 1 else min(_FIRST_BACKOFF_S * 2.0 ** min(seat.failures - 2, 20), _LAST_BACKOFF_S)

    def _received(self, seat: Seat, message: Message) -> None:
        if message.report is not None:
            seat.report = message.report
        if message.kind == "joined":
            seat.has_joined = True
        elif message.kind == "ready":
            seat.is_ready, seat.ready_s = True, asyncio.get_running_loop().time()
            if not seat.first.done():
                seat.first.set_result(message.models)
            else:
                _log.info("front replaced", front=seat.number + 1)
        elif message.kind == "failed":
            seat.error = rebuild({"code": message.code, "message": message.text})
        elif message.kind == "ask":
            self._questions.ask(seat, message.id, [other for other in self._seats if other is not seat])
        elif message.kind == "report":
            self._questions.answered(seat)

    def _tell(self, question: Question) -> None:
        """Answer a question with what all fronts last said, and with who did not."""
        missing = self._missing() | {seat.name: "does not answer" for seat in question.waits_for}
        report = together(self._seats, self._gone)
        fronts = sum(seat.has_joined for seat in self._seats)
        question.seat.tell(Message("told", question.id, report, fronts=fronts, restarts=self._restarts, missing=missing))

    def _missing(self) -> dict[str, str]:
        """Say which fronts are not as they should be. One that is being replaced is not missed: clients come to the others."""
        waiting = {f"front {number + 1}": "starting" for number in range(len(self._seats), self._fronts)}
        for seat in self._seats:
            if not seat.first.done():
                waiting[seat.name] = "starting"
            elif not seat.is_ready and seat.failures > _PATIENCE_FAILURES:
                waiting[seat.name] = "ends again and again"
        return waiting


async def supervise(plan: Plan, announce: Callable[[list[Served]], None]) -> None:
    """Keep the fronts until SIGTERM or Ctrl-C, then drain. ``announce`` is called once, when all are ready.

    Raises: what stood in the way of the first front that could not start.
    """
    supervisor = Supervisor(plan)
    stopping = _signals(supervisor)
    starting = asyncio.ensure_future(supervisor.start())
    stopped = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            announce(starting.result())
            await stopped
    finally:
        stopped.cancel()
        starting.cancel()
        await supervisor.stop()
        await asyncio.gather(starting, return_exceptions=True)


def _signals(supervisor: Supervisor) -> asyncio.Event:
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():  # asked twice: whoever asks does not want to wait for the drain
            supervisor.kill()
            os._exit(1)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return stopping
