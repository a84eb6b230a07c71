"""Who goes together, who is refused, in which order: the queue without a clock or a loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.columns import Columns
from modelport.engine.batcher import Batch, Batcher, BatchLimits, Ticket
from modelport.errors import ModelError, Overloaded


def ticket(*values: float, deadline_s: float | None = None, outputs: tuple[str, ...] | None = None, **params: float) -> Ticket:
    return Ticket(Columns({"x": np.array(values)}), outputs, params, deadline_s, lambda _ticket: None)


def close(batcher: Batcher, one: Ticket) -> None:
    one.is_open = False
    batcher.discard(one)


def values(batch: Batch | None) -> list[float] | None:
    return None if batch is None else batch.columns["x"].tolist()


def test_an_empty_queue_has_no_batch_and_nothing_to_wake_for():
    batcher = Batcher(BatchLimits(max_wait_ms=5))
    assert batcher.cut(0.0) is None
    assert batcher.wake_s() is None
    assert len(batcher) == batcher.queued_rows == 0


def test_a_batch_keeps_the_order_of_arrival_and_its_bounds_of_rows():
    batcher = Batcher(BatchLimits(max_rows=4))
    for one in (ticket(1, 2), ticket(3), ticket(4, 5), ticket(6)):
        batcher.add(one, 0.0)
    assert [values(batcher.cut(0.0)) for _ in range(3)] == [[1, 2, 3], [4, 5, 6], None]


@pytest.mark.parametrize("row_bytes", [None, 8])
def test_what_waits_is_cut_in_equal_parts_for_several_workers(row_bytes):
    batcher = Batcher(BatchLimits(max_rows=100), row_bytes=row_bytes)
    for n in range(10):
        batcher.add(ticket(n), 0.0)
    assert [values(batcher.cut(0.0, parts)) for parts in (3, 2, 1)] == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert len(batcher) == batcher.queued_rows == 0


def test_parts_cut_no_call_and_leave_nobody_behind():
    batcher = Batcher(BatchLimits())
    for one in (ticket(1, 2, 3, 4, 5), ticket(6)):
        batcher.add(one, 0.0)
    assert [values(batcher.cut(0.0, parts)) for parts in (4, 3, 2)] == [[1, 2, 3, 4, 5], [6], None]


def test_a_call_larger_than_a_batch_goes_alone_and_whole():
    batcher = Batcher(BatchLimits(max_rows=2))
    for one in (ticket(1), ticket(2, 3, 4, 5), ticket(6)):
        batcher.add(one, 0.0)
    assert [values(batcher.cut(0.0)) for _ in range(3)] == [[1], [2, 3, 4, 5], [6]]


def test_a_batch_keeps_its_bound_of_bytes():
    batcher = Batcher(BatchLimits(max_bytes=16))
    for one in (ticket(1), ticket(2), ticket(3), ticket(4, 5, 6)):
        batcher.add(one, 0.0)
    assert [values(batcher.cut(0.0)) for _ in range(3)] == [[1, 2], [3], [4, 5, 6]]


@given(
    rows=st.lists(st.integers(1, 5), max_size=12),
    left=st.sets(st.integers(0, 11)),
    bounds=st.tuples(st.integers(1, 12), st.integers(8, 100), st.booleans()),
    twice=st.booleans(),
)
def test_knowing_the_size_of_a_row_changes_no_batch(rows, left, bounds, twice):
    def cuts(row_bytes: int | None) -> list[list[float] | None]:
        batcher = Batcher(BatchLimits(bounds[0], bounds[1], is_batched=bounds[2]), is_uniform=True, row_bytes=row_bytes)
        tickets = [ticket(*[at] * count, outputs=("y",) if twice and at % 2 else None) for at, count in enumerate(rows)]
        for at, one in enumerate(tickets):
            batcher.add(one, float(at))
        for at, one in enumerate(tickets):
            if at in left:
                close(batcher, one)
        found = [values(batcher.cut(99.0)) for _ in range(len(rows) + 1)]
        assert (batcher.queued_rows, len(batcher), batcher.open_tickets()) == (0, 0, [])
        assert not any(one.is_queued for one in tickets)
        return found

    assert cuts(8) == cuts(None)


def test_a_model_whose_rows_are_not_independent_gets_every_call_alone_and_at_once():
    batcher = Batcher(BatchLimits(is_batched=False, max_wait_ms=100))
    for one in (ticket(1), ticket(2)):
        batcher.add(one, 0.0)
    assert [values(batcher.cut(0.0)) for _ in range(3)] == [[1], [2], None]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ticket(1, outputs=("a",)), ticket(2)),
        (ticket(1, outputs=("a",)), ticket(2, outputs=("b",))),
        (ticket(1, top=1), ticket(2, top=2)),
        (ticket(1), Ticket(Columns({"x": np.array([2], "f4")}), None, {}, None, print)),
        (ticket(1), Ticket(Columns({"z": np.array([2.0])}), None, {}, None, print)),
        (ticket(1), Ticket(Columns({"x": np.array([[2.0]])}), None, {}, None, print)),
    ],
    ids=["outputs", "other outputs", "parameters", "dtype", "name", "shape"],
)
def test_calls_that_differ_never_share_a_batch(one, other):
    batcher = Batcher(BatchLimits())
    batcher.add(one, 0.0)
    batcher.add(other, 0.0)
    assert batcher.cut(0.0).tickets == [one]
    assert batcher.cut(0.0).tickets == [other]


def test_parameters_in_another_order_are_the_same_parameters():
    batcher = Batcher(BatchLimits())
    batcher.add(ticket(1, a=1, b=2), 0.0)
    batcher.add(ticket(2, b=2, a=1), 0.0)
    assert values(batcher.cut(0.0)) == [1, 2]


def test_a_uniform_schema_needs_no_look_at_the_columns():
    batcher = Batcher(BatchLimits(), is_uniform=True)
    batcher.add(ticket(1), 0.0)
    batcher.add(ticket(2), 0.0)
    assert values(batcher.cut(0.0)) == [1, 2]


def test_between_signatures_the_oldest_request_goes_first():
    batcher = Batcher(BatchLimits(max_rows=1))
    for at, one in enumerate([ticket(1), ticket(2, outputs=("a",)), ticket(3), ticket(4, outputs=("a",))]):
        batcher.add(one, float(at))
    assert [values(batcher.cut(9.0)) for _ in range(4)] == [[1], [2], [3], [4]]


def test_a_full_batch_goes_although_an_older_one_waits_for_company():
    batcher = Batcher(BatchLimits(max_rows=2, max_wait_ms=1000))
    batcher.add(ticket(1), 0.0)
    batcher.add(ticket(2, outputs=("a",)), 0.1)
    assert batcher.cut(0.2) is None
    assert batcher.wake_s() == 1.0
    batcher.add(ticket(3, outputs=("a",)), 0.3)
    assert values(batcher.cut(0.3)) == [2, 3]
    assert batcher.cut(0.999) is None
    assert values(batcher.cut(1.0)) == [1]


def test_those_who_left_keep_nobody_waiting_and_are_no_company():
    batcher = Batcher(BatchLimits(max_rows=2, max_wait_ms=1000))
    first, second, third = ticket(1), ticket(2), ticket(3)
    batcher.add(first, 0.0)
    batcher.add(second, 0.5)
    close(batcher, first)
    assert batcher.cut(1.2) is None
    batcher.add(third, 1.3)
    close(batcher, second)
    assert batcher.cut(1.6) is None
    assert batcher.cut(2.3).tickets == [third]


def test_those_who_left_are_dropped_at_the_cut():
    batcher = Batcher(BatchLimits())
    tickets = [ticket(n) for n in range(4)]
    for one in tickets:
        batcher.add(one, 0.0)
    close(batcher, tickets[0])
    close(batcher, tickets[2])
    assert (len(batcher), batcher.queued_rows) == (2, 2)
    assert batcher.open_tickets() == [tickets[1], tickets[3]]
    assert values(batcher.cut(0.0)) == [1, 3]
    last = ticket(9)
    batcher.add(last, 0.0)
    close(batcher, last)
    assert batcher.cut(0.0) is None
    assert len(batcher) == batcher.queued_rows == 0


def test_callers_that_come_and_leave_while_nothing_is_computed_fill_no_memory():
    batcher = Batcher(BatchLimits(max_queued_rows=10))
    stays = ticket(1)
    batcher.add(stays, 0.0)
    for at in range(5000):
        gone = ticket(2, outputs=("a",) if at % 2 else None)
        batcher.add(gone, 0.0)
        close(batcher, gone)
    assert sum(len(queue) for queue in batcher._queues.values()) < 600
    assert batcher.cut(0.0).tickets == [stays]


def test_over_the_limit_is_refused_at_once_with_what_was_found_and_when_to_come_again():
    batcher = Batcher(BatchLimits(max_queued_rows=3))
    batcher.add(ticket(1, 2), 0.0)
    refused = ticket(3, 4)
    with pytest.raises(Overloaded, match="2 rows are waiting and 2 more would be over the limit of 3") as error:
        batcher.add(refused, 0.0)
    assert error.value.retry_after_s == 1
    assert not refused.is_queued
    batcher.add(ticket(5), 0.0)
    assert values(batcher.cut(0.0)) == [1, 2, 5]


def test_an_empty_queue_takes_a_call_of_any_size():
    batcher = Batcher(BatchLimits(max_queued_rows=3))
    batcher.add(ticket(*range(10)), 0.0)
    with pytest.raises(Overloaded):
        batcher.add(ticket(1), 0.0)


def test_close_gives_back_who_waits_and_empties_the_queue():
    batcher = Batcher(BatchLimits())
    one, gone = ticket(1), ticket(2)
    batcher.add(one, 0.0)
    batcher.add(gone, 0.0)
    close(batcher, gone)
    assert batcher.close() == [one]
    assert not one.is_queued
    assert len(batcher) == batcher.queued_rows == 0
    assert batcher.cut(0.0) is None


def test_a_closed_ticket_is_told_nothing_more():
    told = []
    one = Ticket(Columns({}), None, {}, None, told.append)
    one.succeed(Columns({}))
    one.fail(ModelError("late"))
    one.succeed(Columns({"a": np.zeros(1)}))
    assert told == [one]
    assert one.error is None
    assert one.result.rows == 0


@pytest.mark.parametrize(("deadlines", "latest"), [([1.0, 3.0, 2.0], 3.0), ([1.0, None], None), ([-5.0], -5.0)])
def test_a_batchs_deadline_is_that_of_its_last_caller(deadlines, latest):
    assert Batch([ticket(1, deadline_s=at) for at in deadlines]).deadline_s == latest


def test_halves_keep_order_and_the_count_of_deaths():
    tickets = [ticket(n) for n in range(5)]
    first, second = Batch(tickets, deaths=2).halves()
    assert (first.tickets, second.tickets) == (tickets[:2], tickets[2:])
    assert first.deaths == second.deaths == 2
    assert first.id != second.id


@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from([None, ("a",), ("b",)]), st.booleans()), max_size=30),
    st.integers(1, 8),
    st.integers(8, 100),
)
def test_every_open_request_is_cut_once_and_in_order_within_its_kind(calls, max_rows, max_bytes):
    batcher = Batcher(BatchLimits(max_rows=max_rows, max_bytes=max_bytes, max_queued_rows=10**6))
    kept: dict[object, list[Ticket]] = {}
    for at, (rows, outputs, leaves) in enumerate(calls):
        one = ticket(*[float(at)] * rows, outputs=outputs)
        batcher.add(one, float(at))
        if leaves:
            close(batcher, one)
        else:
            kept.setdefault(outputs, []).append(one)
    found: dict[object, list[Ticket]] = {}
    while (batch := batcher.cut(1e9)) is not None:
        assert len(batch.tickets) == 1 or (batch.rows <= max_rows and batch.columns.nbytes <= max_bytes)
        found.setdefault(batch.tickets[0].outputs, []).extend(batch.tickets)
    assert found == kept
    assert len(batcher) == batcher.queued_rows == 0
