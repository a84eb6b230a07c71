"""One worker process as the front sees it, whatever the process sends: frames in order, or its end, once."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Mapping
from textwrap import dedent

import numpy as np
import pytest
import uvloop

from modelport.columns import Columns
from modelport.engine.batcher import Batch, BatchLimits, Ticket
from modelport.engine.engine import Engine
from modelport.engine.executor import Identity
from modelport.engine.pool import Pool, PoolSettings
from modelport.engine.process import Command, Worker
from modelport.errors import LoadError, ModelError, WorkerDied

PRELUDE = """
    import os, socket, sys, time
    import numpy as np
    from modelport.engine import core
    sock = socket.socket(fileno=int(sys.argv[1]))
    receive = core.Reader(sock).receive
    def sent(header, columns=None): return b"".join(core.encode(header, columns))
    def ready():
        receive()
        core.send(sock, {"kind": "ready", "form": "f", "schema": {"inputs": [{"name": "x", "type": "float64"}]}})
"""


SPAWN = Worker.spawn.__func__


def command(code: str) -> Command:
    return Command((sys.executable, "-c", dedent(PRELUDE) + dedent(code)))


class Notes:
    """An owner that keeps what it is told."""

    def __init__(self) -> None:
        self.frames: list[tuple[dict[str, object], object]] = []
        self.ends = 0
        self.over = asyncio.Event()
        self.heard = bool

    def received(self, _worker: Worker, header: Mapping[str, object], columns: Columns | None) -> None:
        self.frames.append((dict(header), None if columns is None else {name: array.tolist() for name, array in columns.items()}))
        self.heard()

    def ended(self, _worker: Worker) -> None:
        self.ends += 1
        self.over.set()


def watch(code: str, loop: str = "uvloop") -> tuple[Notes, int]:
    """Start a process of that code, wait for its end, and give what its owner was told and its exit code."""

    async def main() -> tuple[Notes, int]:
        notes = Notes()
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # a garbled frame is logged by the loop
        worker = await Worker.spawn(command(code), notes)
        async with asyncio.timeout(20):
            await notes.over.wait()
            code_ = await worker.exit_code()
        assert worker.has_ended
        worker.send({"kind": "late"})
        worker.kill()
        assert worker.memory_bytes() == 0
        await worker.stop()
        return notes, code_

    return (uvloop if loop == "uvloop" else asyncio).run(main())


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_frames_are_told_in_order_however_their_bytes_arrive(loop):
    code = """
        data = sent({"n": 1}, {"x": np.arange(3.0)}) + sent({"n": 2}) + sent({"n": 3}, {"t": np.array(["a", None], object)})
        for at in range(0, len(data), 7): sock.sendall(data[at : at + 7])
        sock.sendall(sent({"n": 4}) + sent({"n": 5}, {"big": np.zeros(200_000)}) + sent({"n": 6}))
    """
    notes, code_ = watch(code, loop)
    assert [header["n"] for header, _ in notes.frames] == [1, 2, 3, 4, 5, 6]
    assert [columns for _, columns in notes.frames[:3]] == [{"x": [0.0, 1.0, 2.0]}, None, {"t": ["a", None]}]
    assert len(notes.frames[4][1]["big"]) == 200_000
    assert (notes.ends, code_) == (1, 0)


@pytest.mark.parametrize("columns", [1, 2, 50], ids=["one buffer", "several", "many"])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_large_frames_arrive_whole_and_in_order(loop, columns):
    """More than the socket holds at once, as buffers of their own or as one, with small frames before and behind."""
    echo = """
        while (frame := receive()) is not None:
            core.send(sock, {"n": frame[0]["n"]}, frame[1])
    """
    sent = [{f"c{at}": np.arange(number, number + 400_000 // columns) for at in range(columns)} for number in range(2)]
    sent[1]["text"] = np.array(["é" * 300_000, *["b"] * (len(sent[1]["c0"]) - 1)], object)

    async def main() -> list[tuple[dict[str, object], object]]:
        notes, heard = Notes(), asyncio.Event()
        notes.heard = lambda: len(notes.frames) == 4 and heard.set()
        worker = await Worker.spawn(command(echo), notes)
        for number, frame in enumerate([sent[0], {"x": np.arange(3)}, sent[1], {"x": np.arange(4)}]):
            worker.send({"n": number}, frame)
        async with asyncio.timeout(60):
            await heard.wait()
        await worker.stop()
        return notes.frames

    frames = (uvloop if loop == "uvloop" else asyncio).run(main())
    assert [header["n"] for header, _ in frames] == [0, 1, 2, 3]
    for at, frame in zip((0, 2), sent, strict=True):
        assert frames[at][1] == {name: array.tolist() for name, array in frame.items()}


@pytest.mark.parametrize(
    "garbage",
    [
        "b'HTTP/1.1 200 OK' * 9",
        "b'\\xff' * 32",
        "core.PREFIX.pack(2, 0, 0, 1, 0.0) + b'[]'",
        "sent({'columns': [['x', '<f8', [9]]]})",
        "sent({'n': 1}, {'x': np.zeros(1), 'y': np.zeros(2)})",
    ],
    ids=["another protocol", "over the limit", "no object", "a lie", "ragged columns"],
)
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_worker_that_sends_no_frame_is_ended_and_its_end_is_told_once(garbage, loop):
    notes, code = watch(f"sock.sendall(sent({{'n': 0}}) + {garbage})\ntime.sleep(60)\n", loop)
    assert [header for header, _ in notes.frames] == [{"n": 0}]
    assert (notes.ends, code) == (1, -9)


def test_half_a_frame_at_the_end_is_just_an_end():
    notes, code = watch("sock.sendall(sent({'n': 1}, {'x': np.zeros(9)})[:60])\nos._exit(5)")
    assert (notes.frames, notes.ends, code) == ([], 1, 5)


def test_a_worker_asked_to_stop_ends_by_itself_and_one_that_does_not_is_killed():
    async def main(code: str) -> int:
        notes = Notes()
        worker = await Worker.spawn(command(code), notes)
        await worker.stop()
        return await worker.exit_code()

    assert uvloop.run(main("receive()\nsys.exit(7)")) == 7
    assert uvloop.run(main("while True: pass")) == -9


def test_what_cannot_be_started_is_an_os_error_and_leaves_no_socket_open():
    async def main() -> None:
        with pytest.raises(OSError, match="nowhere"):
            await Worker.spawn(Command(("/nowhere",), {}), Notes())

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_front_without_a_terminal_starts_workers_as_well(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert watch("core.send(sock, {'n': 1})")[0].frames == [({"n": 1}, None)]


def pooled(monkeypatch: pytest.MonkeyPatch, code: str) -> object:
    """Give what one request gets of a pool whose workers run that code."""

    async def spawn_other(cls: type[Worker], given: Command, owner: object) -> Worker:
        return await SPAWN(cls, Command(command(code).arguments, given.environment), owner)

    monkeypatch.setattr(Worker, "spawn", classmethod(spawn_other))

    async def main() -> object:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        engine = Engine(Identity("m"), BatchLimits())
        try:
            async with asyncio.timeout(20):
                await engine.start(Pool(PoolSettings(1, {}, 1), engine))
                return dict(await engine.infer(Columns({"x": np.zeros(1)}), ("y",), {"k": 1}, None))
        except (ModelError, WorkerDied, LoadError) as error:
            return error
        finally:
            await engine.close()

    return uvloop.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        "{'id': header['id'] + 1, 'predict_s': 0.0}",
        "{'predict_s': 0.0}",
        "{'id': header['id']}",
        "{'id': header['id'], 'predict_s': 'soon'}",
        "{'id': header['id'], 'predict_s': 0.0, 'error': 'text'}",
        "{'kind': 'ready', 'form': 'f', 'schema': {}}",
    ],
)
def test_an_answer_to_nothing_costs_the_worker_its_life_and_no_request_its_answer(monkeypatch, answer):
    """The batch is redone; where every worker answers like this the request fails, it does not hang."""
    code = f"ready()\nheader, _ = receive()\ncore.send(sock, {answer}, {{'y': np.zeros(1)}})\ntime.sleep(60)"
    assert isinstance(pooled(monkeypatch, code), WorkerDied)


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        ("{'code': 'model_error', 'message': 'm'}", ModelError, "m"),
        ("{'code': 'never heard of', 'message': 'm'}", ModelError, "m"),
        ("{}", ModelError, "the model failed"),
    ],
)
def test_an_error_of_a_worker_becomes_its_class_here(monkeypatch, error, kind, says):
    answer = f"{{'id': header['id'], 'predict_s': 0.1, 'error': {error}}}"
    code = f"ready()\nheader, _ = receive()\ncore.send(sock, {answer})\nreceive()"
    found = pooled(monkeypatch, code)
    assert type(found) is kind
    assert str(found) == says


def test_outputs_and_parameters_travel_with_the_batch_and_an_answer_without_columns_has_no_rows(monkeypatch):
    code = """
        ready()
        header, columns = receive()
        fine = header["outputs"] == ["y"] and header["params"] == {"k": 1}
        core.send(sock, {"id": header["id"], "predict_s": 0.1}, {"y": np.ones(1)} if fine else None)
        receive()
    """
    assert pooled(monkeypatch, code)["y"].tolist() == [1.0]
    nothing = "ready()\nh, _ = receive()\ncore.send(sock, {'id': h['id'], 'predict_s': 0.1})\nreceive()"
    assert "answered 0 rows for 1" in str(pooled(monkeypatch, nothing))


def test_a_schema_that_is_none_fails_the_start(monkeypatch):
    code = "receive(); core.send(sock, {'kind': 'ready', 'form': 'f', 'schema': {'task': 'guess'}}); time.sleep(60)"
    assert "ended while loading" in str(pooled(monkeypatch, code))


def test_a_system_that_refuses_a_process_is_asked_again(make_bundle, monkeypatch):
    tries = []

    async def refuse_once(cls: type[Worker], given: Command, owner: object) -> Worker:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("Resource temporarily unavailable")
        return await SPAWN(cls, given, owner)

    monkeypatch.setattr(Worker, "spawn", classmethod(refuse_once))

    async def main() -> None:
        engine = Engine(Identity("m"), BatchLimits())
        pool = Pool(PoolSettings(1, {"source": str(make_bundle())}, 1), engine)
        await engine.start(pool)
        pool.abandon(Batch([Ticket(Columns({}), None, {}, None, print)]))  # what no worker holds ends none
        assert (await engine.infer(Columns({"x": np.ones(1)}), None, {}, None))["y"].tolist() == [3.0]
        await engine.close()

    uvloop.run(main())
    assert len(tries) == 2


def test_a_replacement_that_cannot_load_is_tried_again_until_it_can(make_bundle):
    """The file was altered under a running server: what was loaded is gone, and back when the file is."""
    folder = make_bundle()
    good = (folder / "hooks_file.py").read_text()

    async def main() -> None:
        engine = Engine(Identity("m"), BatchLimits())
        pool = Pool(PoolSettings(1, {"source": str(folder)}, 1), engine)
        await engine.start(pool)
        (folder / "hooks_file.py").write_text("1 / 0")
        os.kill(pool.pids[0], 9)
        async with asyncio.timeout(30):
            while pool.restarts < 2:  # noqa: ASYNC110  # the end of a process is no event of this loop
                await asyncio.sleep(0.01)
            (folder / "hooks_file.py").write_text(good)
            assert (await engine.infer(Columns({"x": np.ones(1)}), None, {}, None))["y"].tolist() == [3.0]
        await engine.close()

    uvloop.run(main())
