"""The inline executor: answers here, leaves what it must to the original, and holds the engine's invariants."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.engine import inline as inline_module
from modelport.engine.batcher import BatchLimits, Ticket
from modelport.engine.engine import Engine
from modelport.engine.executor import Description, Identity, Listener
from modelport.engine.inline import Inline
from modelport.errors import LoadError, ModelError, ModelportError, Overloaded
from modelport.forms.program.form import Form
from modelport.forms.program.steps import Program
from modelport.forms.program.undecided import Undecided
from modelport.schema import Field, Schema

SCHEMA = Schema((Field("x", "float64"),), (Field("y", "float64"),))
FORM = Form(SCHEMA, SCHEMA, Program((), {}), Columns({"x": np.zeros(1)}), Columns({"y": np.zeros(1)}), {"proof": "yes"})
TIE, BROKEN, UNLUCKY = 0.5, 6.0, 13.0


def double(columns: Columns, outputs: Sequence[str] | None) -> Columns:
    """The form: twice x, which leaves 0.5 to the original, breaks at 6 and refuses 13."""
    del outputs
    x = columns["x"]
    if (x == TIE).any():
        raise Undecided
    if (x == BROKEN).any():
        raise ZeroDivisionError
    if (x == UNLUCKY).any():
        raise ModelError("13 is unlucky")
    return Columns({"y": x * 2})


class Original:
    """An executor that answers x + 1000 a turn of the loop later."""

    def __init__(self, listener: Listener, problem: ModelportError | None = None) -> None:
        self.listener = listener
        self.problem = problem
        self.free = 0
        self.is_closed = False
        self.restarts, self.pids, self.memory_bytes, self.is_alive, self.is_recovering = 3, [7], 11, True, True
        self.rows: list[int] = []

    async def start(self) -> Description:
        await asyncio.sleep(0)
        if self.problem is not None:
            raise self.problem
        self.free = 1
        return Description(SCHEMA, "native", {})

    def run(self, batch: object) -> None:
        assert self.free
        self.free = 0
        self.rows.append(batch.rows)
        asyncio.get_running_loop().call_soon(self._answer, batch)

    def _answer(self, batch: object) -> None:
        self.free = 1
        self.listener.answered(batch, Columns({"y": batch.columns["x"] + 1000}), 0.0)
        self.listener.freed()

    def abandon(self, batch: object) -> None: ...

    async def close(self) -> None:
        self.is_closed = True


class Service:
    """An engine over an inline executor."""

    def __init__(self, problem: ModelportError | None = None, predict: object = double, **limits: object) -> None:
        self.engine = Engine(Identity("m"), BatchLimits(**limits))
        self.originals: list[Original] = []

        def original(listener: Listener) -> Original:
            self.originals.append(Original(listener, problem))
            return self.originals[-1]

        self.inline = Inline(FORM, predict, self.engine, original)

    async def __aenter__(self) -> Service:
        await self.engine.start(self.inline)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.close()

    async def ask(self, *values: float) -> list[float]:
        return (await self.engine.infer(Columns({"x": np.array(values)}), None, {}, None))["y"].tolist()


def run(scene: object) -> None:
    asyncio.run(asyncio.wait_for(scene, 20))


def test_it_answers_without_a_worker() -> None:
    async def scene() -> None:
        async with Service() as service:
            assert await service.ask(1.0, 2.0) == [2.0, 4.0]
            status = service.engine.status()
            assert (status["form"], status["workers"], status["proof"]) == ("compiled", 0, "yes")
            assert not service.originals

    run(scene())


def test_requests_of_one_turn_are_one_batch_and_the_next_ones_follow_without_nesting() -> None:
    seen: list[int] = []

    def predict(columns: Columns, outputs: object) -> Columns:
        seen.append(columns.rows)
        return double(columns, None)

    async def scene() -> None:
        async with Service(predict=predict, max_rows=4) as service:
            seen.clear()
            answers = await asyncio.gather(*(service.ask(float(at)) for at in range(2000, 6000)))
            assert answers == [[2.0 * at] for at in range(2000, 6000)]
            assert seen == [4] * 1000  # far more batches than frames of Python's stack

    run(scene())


def test_rows_that_the_form_leaves_go_to_the_original_and_the_others_do_not_wait() -> None:
    async def scene() -> None:
        async with Service(max_rows=1) as service:
            left, own = asyncio.ensure_future(service.ask(TIE)), await service.ask(3.0)
            assert own == [6.0]
            assert await left == [1000.5]
            assert await service.ask(TIE) == [1000.5]
            assert len(service.originals) == 1
            assert (service.inline.pids, service.inline.restarts, service.inline.memory_bytes) == ([7], 3, 11)
        assert service.originals[0].is_closed

    run(scene())


def test_only_the_request_with_such_a_row_goes_to_the_original() -> None:
    async def scene() -> None:
        async with Service() as service:
            answers = await asyncio.gather(*(service.ask(value) for value in (1.0, 2.0, TIE, 3.0, 4.0)))
            assert answers == [[2.0], [4.0], [1000.5], [6.0], [8.0]]
            assert service.originals[0].rows == [1]

    run(scene())


def test_a_form_that_breaks_costs_nobody_an_answer() -> None:
    async def scene() -> None:
        async with Service() as service:
            assert await service.ask(BROKEN) == [1006.0]

    run(scene())


def test_a_refusal_is_the_one_requests_own() -> None:
    async def scene() -> None:
        async with Service() as service:
            values = [1.0, UNLUCKY, 3.0, 4.0]
            answers = await asyncio.gather(*(service.ask(value) for value in values), return_exceptions=True)
            assert [answers[0], *answers[2:]] == [[2.0], [6.0], [8.0]]
            assert isinstance(answers[1], ModelError)
            assert not service.originals

    run(scene())


def test_where_the_original_cannot_be_loaded_only_its_rows_fail_and_the_next_try_starts_it_anew() -> None:
    async def scene() -> None:
        async with Service(problem=LoadError("gone")) as service:
            with pytest.raises(LoadError, match="gone"):
                await service.ask(TIE)
            assert await service.ask(1.0) == [2.0]
            with pytest.raises(LoadError):
                await service.ask(TIE)
            assert len(service.originals) == 2
            assert all(original.is_closed for original in service.originals)

    run(scene())


def test_a_large_batch_is_computed_beside_the_loop() -> None:
    threads: set[str] = set()
    gate = threading.Event()

    def predict(columns: Columns, outputs: object) -> Columns:
        if columns.rows > 100_000:
            threads.add(threading.current_thread().name)
            gate.wait(10)
        return double(columns, None)

    async def scene() -> None:
        async with Service(predict=predict, max_queued_rows=10_000_000) as service:
            large = asyncio.ensure_future(service.ask(*[4.0] * 200_000))
            while not threads:  # noqa: ASYNC110  # turns of the loop, not time
                await asyncio.sleep(0)
            assert not service.inline.free
            tied = asyncio.ensure_future(service.ask(*[TIE] * 200_000))
            gate.set()
            assert set(await large) == {8.0}
            assert set(await tied) == {1000.5}
            assert threads == {"predict_0"}
            for value, error in ((UNLUCKY, ModelError), (BROKEN, None)):
                asked = service.ask(*[value] * 200_000)
                if error:
                    with pytest.raises(error):
                        await asked
                else:
                    assert set(await asked) == {1006.0}

    run(scene())


def test_what_the_original_cannot_keep_up_with_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline_module, "_MOST_LEFT_ROWS", 3)

    async def scene() -> None:
        async with Service(max_rows=1) as service:
            asked = [asyncio.ensure_future(service.ask(TIE)) for _ in range(6)]
            found = await asyncio.gather(*asked, return_exceptions=True)
            refused = [error for error in found if isinstance(error, Overloaded)]
            assert len(refused) == 3
            assert refused[0].status == 429
            assert [answer for answer in found if isinstance(answer, list)] == [[1000.5]] * 3
            assert await service.ask(TIE) == [1000.5]

    run(scene())


def test_a_large_batch_of_several_requests_is_cut_for_the_one_that_is_left() -> None:
    async def scene() -> None:
        async with Service(max_rows=10_000_000, max_queued_rows=10_000_000) as service:
            values = ([1.0] * 60_000, [TIE] * 60_000, [2.0] * 60_000)
            answers = await asyncio.gather(*(service.ask(*each) for each in values))
            assert [set(answer) for answer in answers] == [{2.0}, {1000.5}, {4.0}]
            assert service.originals[0].rows == [60_000]

    run(scene())


def test_what_nobody_waits_for_any_more_is_not_given_to_the_original() -> None:
    async def scene() -> None:
        async with Service(max_rows=1) as service:
            done: list[Ticket] = []
            tickets = [Ticket(Columns({"x": np.array([TIE])}), None, {}, None, done.append) for _ in range(3)]
            for ticket in tickets:
                service.engine.submit(ticket)
            await asyncio.sleep(0)
            service.engine.cancel(tickets[1])
            while len(done) < 2:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0)
            assert service.originals[0].rows == [1, 1]
            assert service.engine.is_idle

    run(scene())


def test_closing_while_the_original_starts_leaves_nobody_without_an_answer() -> None:
    async def scene() -> None:
        service = Service()
        async with service:
            asked = asyncio.ensure_future(service.ask(TIE))
            await asyncio.sleep(0)
        with pytest.raises(ModelportError, match="shut"):
            await asked

    run(scene())
