"""A loop whose clock is turned by hand, an executor that does what the test says, and bundles for real worker processes."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.engine.batcher import Batch, BatchLimits, Ticket
from modelport.engine.engine import Engine
from modelport.engine.executor import Description, Identity, Listener
from modelport.errors import ModelError, ModelportError
from modelport.schema import Field, Schema

SCHEMA = Schema((Field("x", "float64"),), (Field("y", "float64"),))
POISON = 13.0


class NeverWait(selectors.DefaultSelector):
    """A selector that finds the loop out if it would wait: every event of these tests is made by the test."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout == 0, f"the loop would sleep for {timeout} s"
        return super().select(0)


class TurnedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock goes only when told to, and that remembers its timers."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[asyncio.TimerHandle] = []
        super().__init__(NeverWait())

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., object], *args: object, context: object = None) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *args, context=context)
        self._timers.append(handle)
        return handle

    @property
    def armed(self) -> list[float]:
        """When the timers will go off that are neither cancelled nor over."""
        self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() > self.now]
        return [timer.when() for timer in self._timers]

    def turn(self, seconds: float = 0.0) -> None:
        """Let the clock go by so many seconds, and the loop do all that is due."""
        self.now += seconds

        async def turns() -> None:
            for _ in range(4):
                await asyncio.sleep(0)

        self.run_until_complete(turns())


def double(columns: Columns) -> Columns:
    """The model of these tests, y = 2 x + 1, which raises on one value."""
    x = columns["x"]
    if (x == POISON).any():
        raise ModelError("the model failed: 13 is unlucky")
    return Columns({"y": x * 2 + 1})


@dataclass
class Scripted:
    """An executor with so many places that computes a batch when the test says so, or lets it fail or die."""

    listener: Listener
    places: int = 1
    model: Callable[[Columns], Columns] = double
    schema: Schema = SCHEMA
    running: list[Batch] = field(default_factory=list)
    seen: list[list[float]] = field(default_factory=list)
    abandoned: list[Batch] = field(default_factory=list)
    restarts: int = 0
    is_alive: bool = True
    is_recovering: bool = True
    is_closed: bool = False
    pids: list[int] = field(default_factory=lambda: [1])
    memory_bytes: int = 7
    problem: ModelportError | None = None

    @property
    def free(self) -> int:
        return max(0, self.places - len(self.running))

    async def start(self) -> Description:
        if self.problem is not None:
            raise self.problem
        return Description(self.schema, "native", {})

    def run(self, batch: Batch) -> None:
        assert self.free, "a batch was given to a busy executor"
        self.running.append(batch)
        self.seen.append(next(iter(batch.columns.values())).tolist())

    def abandon(self, batch: Batch) -> None:
        self.abandoned.append(batch)
        self.die(batch)

    async def close(self) -> None:
        self.is_closed = True
        self.running.clear()

    def take(self, batch: Batch | None) -> Batch:
        batch = self.running[0] if batch is None else batch
        self.running.remove(batch)
        return batch

    def finish(self, batch: Batch | None = None) -> None:
        """Compute a running batch (the first) as it was sent, really, and tell the engine."""
        batch = self.take(batch)
        try:
            answer = self.model(batch.columns)
        except ModelError as error:
            self.listener.failed(batch, error, 0.25)
        else:
            self.listener.answered(batch, answer, 0.25)

    def die(self, batch: Batch | None = None) -> None:
        batch = self.take(batch)
        self.restarts += 1
        self.listener.died(batch)


@dataclass
class Bench:
    """An engine on a turned loop with a scripted executor, and everybody who was told something, in order."""

    loop: TurnedLoop
    engine: Engine
    executor: Scripted
    told: list[Ticket] = field(default_factory=list)

    @classmethod
    def build(cls, limits: BatchLimits | None = None, **executor: object) -> Bench:
        loop = TurnedLoop()
        engine = Engine(Identity("m"), limits or BatchLimits())
        bench = cls(loop, engine, Scripted(engine, **executor))  # type: ignore[arg-type]
        loop.run_until_complete(engine.start(bench.executor))
        return bench

    def ticket(self, *values: float, timeout: float | None = 30.0, outputs: tuple[str, ...] | None = None, **params: float) -> Ticket:
        columns = Columns({"x": np.array(values)})
        deadline_s = None if timeout is None else self.loop.now + timeout
        return Ticket(columns, outputs, params, deadline_s, self.told.append)

    def submit(self, *values: float, **options: object) -> Ticket:
        ticket = self.ticket(*values, **options)  # type: ignore[arg-type]
        self.engine.submit(ticket)
        return ticket

    def finish_all(self) -> None:
        self.loop.turn()
        while self.executor.running:
            self.executor.finish()
            self.loop.turn()

    def close(self) -> None:
        self.loop.run_until_complete(self.engine.close())
        assert self.engine.is_idle
        assert self.loop.armed == []
        self.loop.close()


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """Give a function that sets up an engine: bench(BatchLimits(…), places=2). Afterwards nothing may be left over."""
    benches: list[Bench] = []

    def build(limits: BatchLimits | None = None, **executor: object) -> Bench:
        benches.append(Bench.build(limits, **executor))
        return benches[-1]

    yield build
    for each in benches:
        each.close()


@pytest.fixture(scope="session")
def new_bench() -> Callable[..., Bench]:
    """Give the function itself, for state machines, which set up and close many of their own."""
    return Bench.build


FAULTS = '''
    """A model with faults, by the value of x."""
    import ctypes, os, sys, threading, time
    from pathlib import Path

    class Model:
        held = []

        def predict(self, x):
            a = x["x"]
            if (a == 2).any(): ctypes.string_at(0)
            if (a == 3).any(): os._exit(3)
            if (a == 4).any():
                while True: pass
            if (a == 5).any(): raise ValueError("five at /etc/secret/file")
            if (a == 6).any(): return a[:-1]
            if (a == 7).any(): return a * float("nan")
            if (a == 8).any(): return [object() for _ in a]
            if (a == 9).any(): self.held.append(bytes(1024 * 1024))
            if (a == 10).any(): return [os.environ.get("OMP_NUM_THREADS", "")] * len(a)
            if (a == 11).any(): raise OSError("disk")
            if (a == 12).any(): sys.exit(4)
            if (a == 14).any(): time.sleep(0.05)
            if (a == 15).any(): raise Rude()
            return a * 2 + 1

    class Rude(Exception):
        def __str__(self): raise RuntimeError("no")

    def load(folder):
        return Model()
'''


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Write a bundle with one input x, one output y and the given hook file; give its folder."""

    def make(code: str = FAULTS, extra: str = "", name: str = "faults") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "hooks_file.py").write_text(dedent(code))
        head = 'format = 1\n[hooks]\nload = "hooks_file.py:load"\n[[inputs]]\nname = "x"\ntype = "float64"\n'
        (folder / "model.toml").write_text(head + '[[outputs]]\nname = "y"\ntype = "float64"\n' + extra)
        return folder

    return make
