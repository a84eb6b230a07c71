"""Whatever happens in whatever order, every request is answered exactly once, or not at all if its caller left."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from modelport.engine.batcher import BatchLimits
from modelport.errors import DeadlineExceeded, Draining, ModelError, ModelportError, Overloaded, WorkerDied

LIMITS = st.builds(
    BatchLimits,
    max_rows=st.sampled_from([1, 3, 256]),
    max_bytes=st.sampled_from([16, 1 << 20]),
    max_wait_ms=st.sampled_from([0.0, 0.0, 50.0]),
    is_batched=st.booleans(),
    max_queued_rows=st.sampled_from([4, 100]),
)
KILLER = 66.0
VALUES = st.sampled_from([1.0, 2.0, 3.0, 13.0, KILLER])


def test_every_request_is_answered_exactly_once_unless_its_caller_left(new_bench):  # noqa: C901  # a machine with many rules
    class Requests(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.bench = None

        def start(self, limits: BatchLimits, places: int) -> None:
            self.bench = new_bench(limits, places=places)
            self.open: list[object] = []
            self.left: list[object] = []
            self.refused = 0
            self.is_stopped = False

        @precondition(lambda self: self.bench is None)
        @rule(limits=LIMITS, places=st.sampled_from([1, 1, 2]))
        def begin(self, limits: BatchLimits, places: int) -> None:
            self.start(limits, places)

        @precondition(lambda self: self.bench is not None)
        @rule(
            values=st.lists(VALUES, min_size=1, max_size=3),
            timeout=st.sampled_from([None, 0.0, 0.1, 1.0, 5.0]),
            outputs=st.sampled_from([None, ("y",)]),
            leaves_when_told=st.booleans(),
        )
        def submit(self, values, timeout, outputs, leaves_when_told) -> None:
            ticket = self.bench.ticket(*values, timeout=timeout, outputs=outputs)
            if leaves_when_told:
                note = ticket.done
                ticket.done = lambda told: (note(told), self.bench.engine.cancel(told))
            try:
                self.bench.engine.submit(ticket)
            except (Overloaded, Draining):
                self.refused += 1
                self.left.append(ticket)
            else:
                self.open.append(ticket)

        @precondition(lambda self: self.bench is not None and self.open)
        @rule(data=st.data())
        def cancel(self, data) -> None:
            ticket = data.draw(st.sampled_from(self.open))
            was_open = ticket.is_open
            self.bench.engine.cancel(ticket)
            if was_open:
                self.open.remove(ticket)
                self.left.append(ticket)

        @precondition(lambda self: self.bench is not None)
        @rule(seconds=st.sampled_from([0.0, 0.0, 0.03, 0.5, 2.0]))
        def turn(self, seconds) -> None:
            self.bench.loop.turn(seconds)

        @precondition(lambda self: self.bench is not None)
        @rule(seconds=st.sampled_from([0.5, 6.0]))
        def clock_runs_while_the_loop_is_busy(self, seconds) -> None:
            self.bench.loop.now += seconds

        @precondition(lambda self: self.bench is not None and self.bench.executor.running)
        @rule(data=st.data())
        def finish(self, data) -> None:
            batch = data.draw(st.sampled_from(self.bench.executor.running))
            if KILLER in batch.columns["x"]:
                self.bench.executor.die(batch)
            else:
                self.bench.executor.finish(batch)

        @precondition(lambda self: self.bench is not None and self.bench.executor.running)
        @rule(data=st.data())
        def die(self, data) -> None:
            self.bench.executor.die(data.draw(st.sampled_from(self.bench.executor.running)))

        @precondition(lambda self: self.bench is not None and not self.is_stopped)
        @rule(limit=st.sampled_from([0.0, 1.0]))
        def drain(self, limit) -> None:
            self.is_stopped = True
            task = self.bench.loop.create_task(self.bench.engine.drain(limit))
            self.bench.loop.turn()
            self.bench.loop.turn(limit)
            assert task.done()
            assert task.result() is self.bench.engine.is_idle

        @precondition(lambda self: self.bench is not None)
        @rule()
        def close(self) -> None:
            self.is_stopped = True
            self.bench.loop.run_until_complete(self.bench.engine.close())

        @invariant()
        def nobody_is_told_twice_and_nobody_who_left_is_told(self) -> None:
            if self.bench is None:
                return
            told = [id(ticket) for ticket in self.bench.told]
            assert len(told) == len(set(told))
            assert not set(told) & {id(ticket) for ticket in self.left}
            assert all((ticket.result is None) is not (ticket.error is None) for ticket in self.bench.told)

        @invariant()
        def the_count_of_queued_rows_is_right(self) -> None:
            if self.bench is not None:
                queued = sum(ticket.columns.rows for ticket in [*self.open, *self.left] if ticket.is_queued)
                assert self.bench.engine.status()["queued_rows"] == queued >= 0

        @invariant()
        def one_timer_at_most(self) -> None:
            if self.bench is not None:
                assert len(self.bench.loop.armed) <= 1

        def teardown(self) -> None:
            bench = self.bench
            if bench is None:
                return
            for _ in range(300):
                bench.loop.turn(0.06)
                if not bench.executor.running:
                    break
                while bench.executor.running:
                    batch = bench.executor.running[0]
                    bench.executor.die(batch) if KILLER in batch.columns["x"] else bench.executor.finish(batch)
            assert bench.engine.is_idle
            assert len(bench.told) == len(self.open)
            for ticket in bench.told:
                self.is_truthful(ticket)
            bench.close()

        def is_truthful(self, ticket) -> None:
            values = ticket.columns["x"]
            if ticket.error is None:
                assert ticket.result["y"].tolist() == (values * 2 + 1).tolist()
                assert not {13.0, KILLER} & set(values.tolist())
            elif isinstance(ticket.error, DeadlineExceeded):
                assert ticket.deadline_s <= self.bench.loop.now
            elif isinstance(ticket.error, Draining):
                assert self.is_stopped
            else:
                assert isinstance(ticket.error, ModelportError)
                assert isinstance(ticket.error, WorkerDied) or (isinstance(ticket.error, ModelError) and 13.0 in values)

    run_state_machine_as_test(Requests, settings=settings(max_examples=50, stateful_step_count=40, deadline=None))
