"""What callers are told, and what is out of time when."""

from __future__ import annotations

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.engine.batcher import Batch, Ticket
from modelport.engine.outcome import answer_all, expiry, fail_all, refusal, shut_down, sweep
from modelport.errors import DeadlineExceeded, Draining, ModelError, NotReady


def ticket(deadline_s: float | None = None, done=lambda _ticket: None) -> Ticket:
    return Ticket(Columns({"x": np.zeros(1)}), None, {}, deadline_s, done)


def test_a_sweep_finds_who_is_out_of_time_and_when_to_look_again():
    late, fine, patient, closed = ticket(1.0), ticket(5.0), ticket(None), ticket(0.5)
    closed.is_open = False
    redo_late = ticket(0.2)
    running, hung = Batch([fine, patient]), Batch([late])
    found = sweep([closed, ticket(9.0)], [running, hung], [Batch([redo_late])], 1.0)
    assert found.expired == [late, redo_late]
    assert found.overdue == [hung]
    assert found.next_s == 5.0


def test_a_running_batch_of_callers_who_left_is_still_ended_at_its_deadline():
    left = ticket(4.0)
    left.is_open = False
    assert sweep([], [Batch([left])], [], 1.0).next_s == 4.0
    assert [batch.tickets for batch in sweep([], [Batch([left])], [], 4.0).overdue] == [[left]]


def test_nothing_to_wait_for_is_no_next_time():
    assert sweep([ticket(None)], [], [], 1.0).next_s == float("inf")


def test_answers_that_do_not_fit_are_told_to_nobody():
    told = []
    batch = Batch([ticket(done=told.append), ticket(done=told.append)])
    with pytest.raises(ModelError, match="3 rows for 2"):
        answer_all(batch, Columns({"y": np.zeros(3)}))
    assert told == []


class Caller:
    """Takes the answers of a batch at once, and raises before it tells the ticket numbered ``broken_at``."""

    def __init__(self, broken_at: int = -1) -> None:
        self.broken_at = broken_at
        self.batches: list[list[float]] = []
        self.alone: list[list[float]] = []

    def ticket(self) -> Ticket:
        return Ticket(Columns({"x": np.zeros(1)}), None, {}, None, lambda told: self.alone.append(told.result["y"].tolist()), self)

    def answer_batch(self, batch: Batch, answer: Columns) -> None:
        told = []
        self.batches.append(told)
        for at, (ticket, value) in enumerate(zip(batch.tickets, answer["y"].tolist(), strict=True)):
            if at == self.broken_at:
                raise OSError("gone")
            ticket.is_open = False
            told.append(value)


def test_a_caller_of_a_whole_batch_is_told_once():
    caller = Caller()
    answer_all(Batch([caller.ticket() for _ in range(3)]), Columns({"y": np.arange(3)}))
    assert (caller.batches, caller.alone) == ([[0, 1, 2]], [])


def test_a_batch_of_two_callers_is_told_one_by_one():
    one, other = Caller(), Caller()
    answer_all(Batch([one.ticket(), other.ticket(), one.ticket()]), Columns({"y": np.arange(3)}))
    assert (one.batches, other.batches, one.alone, other.alone) == ([], [], [[0], [2]], [[1]])


def test_who_left_is_not_told_with_the_batch():
    caller = Caller()
    batch = Batch([caller.ticket() for _ in range(3)])
    batch.tickets[1].is_open = False
    answer_all(batch, Columns({"y": np.arange(3)}))
    assert (caller.batches, caller.alone) == ([], [[0], [2]])


def test_whom_a_broken_caller_did_not_tell_is_told_alone():
    caller = Caller(broken_at=1)
    answer_all(Batch([caller.ticket() for _ in range(3)]), Columns({"y": np.arange(3)}))
    assert (caller.batches, caller.alone) == ([[0]], [[1], [2]])


def test_answers_that_do_not_fit_are_not_given_to_a_caller_of_the_whole_batch():
    caller = Caller()
    with pytest.raises(ModelError, match="1 rows for 2"):
        answer_all(Batch([caller.ticket(), caller.ticket()]), Columns({"y": np.zeros(1)}))
    assert (caller.batches, caller.alone) == ([], [])


def test_a_broken_callback_is_logged_and_the_others_are_told():
    told = []

    def broken(_ticket: Ticket) -> None:
        raise OSError("gone")

    fail_all([ticket(done=broken), ticket(done=told.append)], ModelError("x"))
    answer_all(Batch([ticket(done=broken), ticket(done=told.append)]), Columns({"y": np.arange(2)}))
    assert [str(one.error) if one.error else one.result["y"].tolist() for one in told] == ["x", [1]]


@pytest.mark.parametrize(
    ("state", "kind", "says"),
    [
        ("draining", Draining, "shutting down"),
        ("stopped", Draining, "shutting down"),
        ("loading", NotReady, 'model "m" is still loading'),
        ("ready", NotReady, 'model "m" has no worker that stays alive'),
        ("failed", NotReady, 'model "m" has no worker that stays alive'),
    ],
)
def test_a_refusal_says_why_and_when_to_come_again(state, kind, says):
    error = refusal(state, "m")
    assert type(error) is kind
    assert says in error.message
    assert error.retryable
    assert error.retry_after_s >= 1


def test_an_expiry_says_how_long_and_for_what():
    one = ticket(3.0)
    one.submitted_s = 1.0
    waiting, computed = expiry(one, 3.5, is_waiting=True), expiry(one, 3.5, is_waiting=False)
    assert isinstance(waiting, DeadlineExceeded)
    assert waiting.message == "no answer within the time limit: after 2.5 s the request was still waiting for its turn"
    assert computed.message.endswith("still being computed")
    assert isinstance(shut_down(), Draining)
