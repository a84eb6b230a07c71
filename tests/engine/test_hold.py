"""Hold: how long the next batch waits for company. The sockets are real pipes that the loop watches."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import numpy as np
import pytest
import uvloop

from modelport.columns import Columns
from modelport.engine import hold as holds
from modelport.engine.batcher import Batch, Ticket
from modelport.engine.hold import Hold


class Queue:
    """A listener to which a pipe is ready at every look of the loop: the first is the answer of a batch, then ``limit`` requests come."""

    def __init__(self, limit: int) -> None:
        self.waiting = 5
        self.limit = limit
        self.answer: Callable[[], object] | None = None
        self.is_freed = asyncio.Event()
        self.freed_at: list[int] = []
        self._end, other = os.pipe()
        os.write(other, b"x")
        os.close(other)
        asyncio.get_running_loop().add_reader(self._end, self._read)

    def _read(self) -> None:
        if self.answer is not None:
            answer, self.answer = self.answer, None
            answer()
        elif self.limit:
            self.limit -= 1
            self.waiting += 1
        else:
            self.close()

    def close(self) -> None:
        """Watch no more."""
        if self._end >= 0:
            asyncio.get_running_loop().remove_reader(self._end)
            os.close(self._end)
            self._end = -1

    def freed(self) -> None:
        """Note how many waited when the next batch could start."""
        self.freed_at.append(self.waiting)
        self.is_freed.set()


def batch(tickets: int) -> Batch:
    return Batch([Ticket(Columns({"x": np.zeros(1)}), None, {}, None, lambda _ticket: None) for _ in range(tickets)])


def freed_at(*, tickets: int, predict_s: float, arrivals: int, loop: str) -> list[int]:
    async def run() -> list[int]:
        queue = Queue(arrivals)
        hold = Hold(queue)
        begun: asyncio.Future[tuple[None, bool]] = asyncio.get_running_loop().create_future()
        try:
            queue.answer = lambda: begun.set_result((hold.begin(batch(tickets), predict_s), hold.is_on))
            if (await begun)[1]:
                await queue.is_freed.wait()
            assert not hold.is_on
            return queue.freed_at
        finally:
            queue.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
        return runner.run(run())


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_it_looks_again_as_long_as_requests_come_in(loop):
    assert freed_at(tickets=2, predict_s=float("inf"), arrivals=7, loop=loop) == [12]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_when_its_time_is_up_it_looks_once_however_many_come(monkeypatch, loop):
    monkeypatch.setattr(holds, "_LEAST_S", 0.0)
    assert freed_at(tickets=2, predict_s=0.0, arrivals=1000, loop=loop) == [6]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_after_the_lightest_batch_there_is_time_for_some_looks(monkeypatch, loop):
    monkeypatch.setattr(holds, "_LEAST_S", float("inf"))
    assert freed_at(tickets=2, predict_s=0.0, arrivals=7, loop=loop) == [12]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_nobody_comes_nobody_waits_longer_than_for_one_look(loop):
    assert freed_at(tickets=2, predict_s=float("inf"), arrivals=0, loop=loop) == [5]


def test_who_was_alone_holds_nobody_back():
    assert freed_at(tickets=1, predict_s=float("inf"), arrivals=7, loop="asyncio") == []


def test_a_second_worker_that_answers_meanwhile_begins_no_hold_of_its_own():
    async def run() -> list[int]:
        queue = Queue(3)
        hold = Hold(queue)
        queue.answer = lambda: [hold.begin(batch(2), float("inf")) for _ in range(2)]
        await queue.is_freed.wait()
        for _ in range(4):
            await asyncio.sleep(0)
        queue.close()
        return queue.freed_at

    assert asyncio.run(run()) == [8]
