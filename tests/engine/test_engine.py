"""The engine's invariants (docs/architecture.md) on a loop whose clock the test turns and an executor that it plays."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.engine.batcher import BatchLimits
from modelport.engine.engine import Engine
from modelport.engine.executor import Identity
from modelport.errors import DeadlineExceeded, Draining, LoadError, ModelError, NotReady, Overloaded, WorkerDied
from modelport.schema import Field, Schema


def test_everything_that_waits_goes_as_one_batch_when_the_executor_is_free(bench):
    b = bench()
    first = b.submit(1)
    b.loop.turn()
    others = [b.submit(n) for n in (2, 3, 4)]
    b.loop.turn()
    assert b.executor.seen == [[1.0]]
    b.finish_all()
    assert b.executor.seen == [[1.0], [2.0, 3.0, 4.0]]
    assert b.told == [first, *others]
    assert [ticket.result["y"].tolist() for ticket in b.told] == [[3.0], [5.0], [7.0], [9.0]]


@pytest.mark.parametrize(
    ("row_s", "seen"), [(0.25, [[1.0, 2.0, 3.0], [4.0, 5.0]]), (1e-5, [[1.0, 2.0, 3.0, 4.0, 5.0]])], ids=["slow", "fast"]
)
def test_what_waits_is_cut_among_the_free_workers_where_rows_are_slow(bench, row_s, seen):
    b = bench(places=2)
    b.engine.measures().row_s = row_s
    for n in range(1, 6):
        b.submit(n)
    b.loop.turn()
    assert b.executor.seen == seen
    b.finish_all()
    assert len(b.told) == 5


def test_how_long_a_row_takes_is_what_the_latest_batches_took(bench):
    b = bench()
    assert b.engine.measures().row_s == 0
    b.submit(1, 2)
    b.finish_all()
    b.submit(3, 4, 5, 6, 7)
    b.finish_all()
    assert b.engine.measures().row_s == pytest.approx((0.25 / 2 / 2 + 0.25 / 5) / 2)


def test_a_lone_request_is_computed_in_the_same_turn_of_the_loop_without_the_clock_moving(bench):
    b = bench()
    ticket = b.submit(1)
    b.finish_all()
    assert ticket.result["y"].tolist() == [3.0]
    assert (ticket.queued_s, ticket.predict_s) == (0.0, 0.25)


def test_queued_time_is_measured_on_the_loops_clock(bench):
    b = bench()
    b.submit(1)
    b.loop.turn()
    late = b.submit(2)
    b.loop.turn(1.5)
    b.finish_all()
    assert late.queued_s == 1.5


def test_a_caller_that_leaves_before_the_cut_is_never_computed(bench):
    b = bench()
    b.submit(1)
    b.loop.turn()
    gone, stays = b.submit(2), b.submit(3)
    b.engine.cancel(gone)
    b.finish_all()
    assert b.executor.seen == [[1.0], [3.0]]
    assert gone not in b.told
    assert stays.result["y"].tolist() == [7.0]


def test_a_caller_that_leaves_while_it_is_computed_harms_nobody_and_is_told_nothing(bench):
    b = bench()
    gone, stays = b.submit(1, 2), b.submit(3)
    b.loop.turn()
    b.engine.cancel(gone)
    b.engine.cancel(gone)
    b.finish_all()
    assert b.told == [stays]
    assert stays.result["y"].tolist() == [7.0]


def test_a_cancelled_coroutine_cancels_its_request(bench):
    b = bench()
    b.submit(1)
    b.loop.turn()

    async def leave() -> None:
        task = asyncio.ensure_future(b.engine.infer(Columns({"x": np.array([2.0])}), None, {}, None))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    b.loop.run_until_complete(leave())
    b.finish_all()
    assert b.executor.seen == [[1.0]]


@pytest.mark.parametrize("value", [1.0, 13.0])
def test_a_coroutine_gets_its_answer_or_its_error(bench, value):
    b = bench()

    async def ask() -> Columns:
        task = asyncio.ensure_future(b.engine.infer(Columns({"x": np.array([value])}), None, {}, None))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        b.executor.finish()
        return await task

    if value == 1.0:
        assert b.loop.run_until_complete(ask())["y"].tolist() == [3.0]
    else:
        with pytest.raises(ModelError, match="unlucky"):
            b.loop.run_until_complete(ask())


def test_what_is_over_the_limit_is_refused_at_once_and_not_told_again(bench):
    b = bench(BatchLimits(max_queued_rows=3))
    b.submit(0)
    b.loop.turn()
    b.submit(1, 2)
    with pytest.raises(Overloaded) as refused:
        b.submit(3, 4)
    assert refused.value.retry_after_s == 1
    assert b.engine.status()["queued_rows"] == 2
    b.submit(5)
    b.finish_all()
    assert b.executor.seen == [[0.0], [1.0, 2.0, 5.0]]
    assert len(b.told) == 3


def test_one_poison_row_of_32_fails_alone_and_the_others_get_their_own_answers(bench):
    b = bench()
    b.submit(0)
    b.loop.turn()
    rng = np.random.default_rng(7)
    values = rng.normal(size=32)
    values[17] = 13.0
    tickets = [b.submit(value) for value in values]
    b.finish_all()
    failed = [ticket for ticket in tickets if ticket.error is not None]
    assert failed == [tickets[17]]
    assert str(failed[0].error) == "the model failed: 13 is unlucky"
    for ticket, value in zip(tickets, values, strict=True):
        if ticket.result is not None:
            assert ticket.result["y"].tolist() == [value * 2 + 1]
    assert b.engine.measures().redone_batches == 5  # 32, 16, 8, 4, 2
    after = b.submit(4)
    b.finish_all()
    assert after.result["y"].tolist() == [9.0]


def test_when_every_row_fails_every_request_is_told_its_own_failure(bench):
    b = bench()
    b.submit(0)
    b.loop.turn()
    tickets = [b.submit(13) for _ in range(9)]
    b.finish_all()
    assert all(isinstance(ticket.error, ModelError) for ticket in tickets)


def test_rows_out_that_are_not_rows_in_are_an_error_of_that_request_only(bench):
    """A hook that drops rows answers fewer; nobody may get another's row."""
    b = bench(model=lambda columns: Columns({"y": columns["x"][columns["x"] != 13.0]}))
    b.submit(0)
    b.loop.turn()
    tickets = [b.submit(n) for n in (1, 13, 2)]
    b.finish_all()
    assert [ticket.result["y"].tolist() if ticket.result else None for ticket in tickets] == [[1.0], None, [2.0]]
    assert "answered 0 rows for 1" in str(tickets[1].error)


def test_one_callers_broken_callback_takes_nothing_from_the_others(bench, caplog):
    b = bench()
    tickets = [b.ticket(n) for n in (1, 2, 3)]

    def broken(_ticket: object) -> None:
        raise RuntimeError("the connection is gone")

    tickets[1].done = broken

    for ticket in tickets:
        b.engine.submit(ticket)
    b.finish_all()
    assert b.told == [tickets[0], tickets[2]]
    assert [ticket.result["y"].tolist() for ticket in b.told] == [[3.0], [7.0]]


def test_a_callback_that_raises_on_an_error_keeps_it_from_nobody(bench):
    b = bench()
    b.submit(0)
    b.loop.turn()
    first, second = b.submit(1, timeout=1), b.submit(2, timeout=1)

    def broken(_ticket: object) -> None:
        raise RuntimeError

    first.done = broken
    b.loop.turn(2)
    assert b.told == [second]


def test_a_callback_may_submit_the_next_request(bench):
    b = bench()
    first = b.ticket(1)
    first.done = lambda _ticket: b.engine.submit(b.ticket(2))
    b.engine.submit(first)
    b.finish_all()
    assert [ticket.result["y"].tolist() for ticket in b.told] == [[5.0]]


def test_a_dead_workers_batch_is_redone_whole(bench):
    b = bench()
    tickets = [b.submit(n) for n in (1, 2)]
    b.loop.turn()
    b.executor.die()
    b.finish_all()
    assert b.executor.seen == [[1.0, 2.0], [1.0, 2.0]]
    assert all(ticket.result is not None for ticket in tickets)


def test_a_request_that_kills_fails_alone_and_an_answer_comes_between_two_deaths(bench):
    """The answers between tell the pool that this is no crash loop."""
    b = bench()
    tickets = [b.submit(n) for n in (66, *range(1, 8))]
    b.loop.turn()
    ends = []
    while b.executor.running:
        kills = 66.0 in b.executor.seen[-1]
        ends.append("died" if kills else "answered")
        b.executor.die() if kills else b.executor.finish()
        b.loop.turn()
    assert ends == ["died", "died", "died", "answered", "died", "answered", "died", "answered"]
    assert isinstance(tickets[0].error, WorkerDied)
    assert "/" not in str(tickets[0].error)
    assert all(ticket.result is not None for ticket in tickets[1:])


def test_a_batch_that_everybody_left_is_not_redone(bench):
    b = bench()
    ticket = b.submit(1)
    b.loop.turn()
    b.engine.cancel(ticket)
    b.executor.die()
    b.loop.turn()
    assert b.executor.running == []
    failing = b.submit(13)
    b.loop.turn()
    b.engine.cancel(failing)
    b.finish_all()
    assert b.told == []


def test_a_hung_batch_is_abandoned_at_the_deadline_and_the_next_is_computed(bench):
    b = bench()
    hung = b.submit(1, timeout=1)
    b.loop.turn()
    behind = b.submit(2, timeout=5)
    b.loop.turn(0.999)
    assert b.told == []
    b.loop.turn(0.001)
    assert b.told == [hung]
    assert isinstance(hung.error, DeadlineExceeded)
    assert "after 1 s" in str(hung.error) and "being computed" in str(hung.error)
    assert len(b.executor.abandoned) == 1
    b.finish_all()
    assert behind.result["y"].tolist() == [5.0]


def test_a_batch_is_abandoned_only_when_nobody_waits_for_it(bench):
    b = bench()
    short, long = b.submit(1, timeout=1), b.submit(2, timeout=3)
    b.loop.turn()
    b.loop.turn(1)
    assert (b.told, b.executor.abandoned) == ([short], [])
    b.finish_all()
    assert b.told == [short, long]


def test_a_queued_request_out_of_time_is_told_and_never_computed(bench):
    b = bench()
    b.submit(1)
    b.loop.turn()
    late = b.submit(2, timeout=1)
    b.loop.turn(1)
    assert b.told == [late]
    assert "waiting for its turn" in str(late.error)
    b.finish_all()
    assert b.executor.seen == [[1.0]]


def test_a_request_out_of_time_at_the_cut_is_not_computed_even_if_its_timer_is_late(bench):
    """The loop was busy: the executor's answer is handled before the timer."""
    b = bench()
    b.submit(1)
    b.loop.turn()
    late, fine = b.submit(2, timeout=1), b.submit(3, timeout=9)
    b.loop.now += 2
    b.executor.finish()
    assert b.executor.seen == [[1.0], [3.0]]
    assert isinstance(late.error, DeadlineExceeded)
    b.finish_all()
    assert b.told[-1] is fine


def test_a_request_without_a_deadline_waits_for_ever(bench):
    b = bench()
    ticket = b.submit(1, timeout=None)
    b.loop.turn(1e6)
    assert b.loop.armed == []
    b.finish_all()
    assert ticket.result is not None


def test_one_timer_at_most_and_none_that_comes_again_when_nobody_waits(bench):
    """No polling: what is left after an answer goes off once, finds nobody and is not armed again."""
    b = bench()
    assert b.loop.armed == []
    for n in range(20):
        b.submit(n, timeout=30 + n)
        assert len(b.loop.armed) == 1
    b.submit(0, timeout=5)
    assert b.loop.armed == [1005.0]
    b.loop.turn(5)
    assert len(b.loop.armed) == 1
    b.finish_all()
    b.loop.turn(100)
    assert b.loop.armed == []
    b.loop.turn(1000)
    assert b.loop.armed == []


def test_many_deadlines_at_as_many_instants_are_not_as_many_passes(bench):
    b = bench()
    b.submit(0)
    b.loop.turn()
    for n in range(2000):
        b.submit(n, timeout=1 + n * 1e-6)
    b.loop.turn(1)
    passes = 0
    while any(b.loop.armed) and min(b.loop.armed) < b.loop.now + 0.1:
        b.loop.turn(min(b.loop.armed) - b.loop.now)
        passes += 1
    assert len(b.told) == 2000
    assert passes < 20


def test_a_part_filled_batch_waits_for_company_only_as_long_as_it_may(bench):
    b = bench(BatchLimits(max_rows=3, max_wait_ms=10))
    b.submit(1)
    b.loop.turn(0.004)
    b.submit(2)
    b.loop.turn(0.005)
    assert b.executor.seen == []
    assert len(b.loop.armed) == 1
    b.loop.turn(0.002)
    assert b.executor.seen == [[1.0, 2.0]]
    b.finish_all()
    for n in (1, 2, 3):
        b.submit(n)
    b.loop.turn()
    assert b.executor.seen[-1] == [1.0, 2.0, 3.0]


def test_drain_refuses_new_work_and_finishes_what_is_queued_or_running(bench):
    b = bench()
    b.submit(1)
    b.loop.turn()
    b.submit(2)
    done: list[bool] = []

    async def drain() -> None:
        done.append(await b.engine.drain(10))

    task = b.loop.create_task(drain())
    b.loop.turn()
    assert not b.engine.is_ready
    with pytest.raises(Draining) as refused:
        b.submit(3)
    assert refused.value.retry_after_s is not None
    b.finish_all()
    assert (done, task.done()) == ([True], True)
    assert all(ticket.result is not None for ticket in b.told)
    assert len(b.told) == 2


def test_drain_ends_at_its_limit_and_close_tells_who_still_waits(bench):
    b = bench()
    running = b.submit(1)
    b.loop.turn()
    queued = b.submit(2)
    b.loop.turn()
    task = b.loop.create_task(b.engine.drain(5))
    b.loop.turn()
    b.loop.turn(5)
    assert task.result() is False
    assert b.told == []
    b.loop.run_until_complete(b.engine.close())
    assert b.told == [running, queued]
    assert all(isinstance(ticket.error, Draining) for ticket in b.told)
    assert b.executor.is_closed
    assert b.engine.state == "stopped"
    with pytest.raises(Draining):
        b.submit(3)


def test_drain_of_an_idle_engine_and_of_one_never_started_returns_at_once(bench):
    b = bench()
    assert b.loop.run_until_complete(b.engine.drain(5))
    never = Engine(Identity("n"), BatchLimits())
    assert b.loop.run_until_complete(never.drain(5))
    assert never.state == "draining"
    b.loop.run_until_complete(never.close())


def test_drain_counts_a_waiting_call_of_no_rows_and_one_whose_caller_left_as_nothing_to_wait_for(bench):
    b = bench()
    ticket = b.submit(1)
    empty = b.submit()
    assert not b.engine.is_idle
    b.engine.cancel(ticket)
    b.engine.cancel(empty)
    assert b.engine.is_idle


def test_an_engine_drained_while_it_loads_takes_no_work_when_it_has_loaded(bench):
    b = bench()
    other = Engine(Identity("o"), BatchLimits())
    executor = type(b.executor)(other)

    async def start() -> None:
        await other.drain(1)
        await other.start(executor)

    b.loop.run_until_complete(start())
    assert other.state == "draining"
    assert not other.is_ready
    b.loop.run_until_complete(other.close())


def test_readiness_is_a_loaded_model_with_a_worker_or_one_on_its_way(bench):
    b = bench()
    assert b.engine.is_ready
    b.executor.is_alive = False
    assert b.engine.is_ready  # a replacement is coming
    b.executor.is_recovering = False
    assert not b.engine.is_ready
    assert b.engine.status()["state"] == "recovering"
    with pytest.raises(NotReady, match="no worker that stays alive") as refused:
        b.submit(1)
    assert refused.value.retry_after_s == 5
    b.executor.is_alive = True
    assert b.engine.is_ready


def test_a_model_that_does_not_load_leaves_nothing_behind_and_says_why(bench):
    b = bench()
    other = Engine(Identity("o"), BatchLimits())
    executor = type(b.executor)(other, problem=LoadError("no"))
    with pytest.raises(NotReady, match="still loading"):
        other.submit(b.ticket(1))
    with pytest.raises(LoadError):
        b.loop.run_until_complete(other.start(executor))
    assert executor.is_closed
    assert other.state == "failed"
    with pytest.raises(NotReady):
        other.submit(b.ticket(1))


def test_a_worker_that_becomes_free_takes_what_waits(bench):
    b = bench(places=0)
    ticket = b.submit(1)
    b.loop.turn()
    assert b.executor.running == []
    b.executor.places = 1
    b.engine.freed()
    b.finish_all()
    assert ticket.result is not None


def test_status_and_measures_say_what_happened(bench):
    b = bench()
    b.submit(1)
    b.submit(2, 3)
    b.finish_all()
    b.submit(*[1.0] * 5000)
    b.finish_all()
    b.submit(1)
    b.loop.turn()
    b.submit(9)
    measures = b.engine.measures()
    assert (measures.queued_rows, measures.batches, measures.batched_rows) == (1, 2, 5003)
    assert (measures.batch_rows[2], measures.batch_rows[-1], measures.predict_s) == (1, 1, 0.5)
    assert measures.worker_memory_bytes == 7
    assert b.engine.status() == {
        "name": "m",
        "version": "1",
        "state": "ready",
        "form": "native",
        "workers": 1,
        "restarts": 0,
        "queued_rows": 1,
        "schema": b.executor.schema.to_dict(),
    }
    blank = Engine(Identity("n"), BatchLimits())
    assert blank.status()["workers"] == blank.status()["restarts"] == blank.measures().worker_restarts == 0


def test_calls_of_different_trailing_shapes_never_share_a_batch(bench):
    b = bench(schema=Schema((Field("x", "float64", shape=(None,)),)), model=lambda columns: Columns({"y": columns["x"].sum(axis=1)}))
    tickets = [b.ticket(0) for _ in range(4)]
    for ticket, width in zip(tickets, (2, 3, 2, 3), strict=True):
        ticket.columns = Columns({"x": np.ones((1, width))})

    for ticket in tickets:
        b.engine.submit(ticket)
    b.finish_all()
    assert b.executor.seen == [[[1.0, 1.0], [1.0, 1.0]], [[1.0] * 3, [1.0] * 3]]
    assert [ticket.result["y"].tolist() for ticket in tickets] == [[2.0], [3.0], [2.0], [3.0]]
