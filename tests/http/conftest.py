"""What the HTTP tests share: a loop whose clock jumps, a transport in memory, and an executor that really computes.

The engine is the real one; only its executor is small: it adds up each row, in this process, and can be told to hold its
answers back, to fail, or to say that it is not ready.
"""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelport.columns import Columns
from modelport.engine.batcher import Batch, BatchLimits
from modelport.engine.engine import Engine
from modelport.engine.executor import Description, Identity
from modelport.engine.models import Models
from modelport.errors import ModelError
from modelport.http.app import App, build
from modelport.http.limits import HttpLimits
from modelport.http.protocol import Connection
from modelport.schema import Field, Schema

SUMS = Schema(
    inputs=(Field("ref", "int64", role="key"), Field("a", "float64"), Field("b", "float64")),
    outputs=(Field("prediction", "float64"),),
    task="regressor",
)


class _Jump(selectors.SelectSelector):
    """Never waits: it moves the clock to where it would have woken."""

    now_s = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        found = super().select(0)
        if not found and timeout is None:
            raise AssertionError("the loop would sleep for ever: nothing is scheduled")
        if not found and timeout > 0:
            self.now_s += timeout
        return found


class JumpLoop(asyncio.SelectorEventLoop):
    """An event loop on a clock that jumps to the next timer at once."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now_s


def jump_run(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        return runner.run(main)


class RowSums:
    """An executor that adds up each row. ``is_held``: batches wait for ``release``. A row with the sum 666 fails."""

    def __init__(self, schema: Schema = SUMS) -> None:
        self.schema = schema
        self.restarts = 0
        self.is_held = False
        self.is_alive = self.is_recovering = True
        self.pids: list[int] = []
        self.memory_bytes = 0
        self.computed = 0
        self.held: list[Batch] = []
        self.engine: Engine

    @property
    def free(self) -> int:
        return int(not self.held)

    async def start(self) -> Description:
        return Description(self.schema, "sums", {})

    def run(self, batch: Batch) -> None:
        self.held.append(batch)
        if not self.is_held:
            asyncio.get_running_loop().call_soon(self.release)

    def release(self) -> None:
        batches, self.held = self.held, []
        for batch in batches:
            self._compute(batch)

    def _compute(self, batch: Batch) -> None:
        self.computed += batch.rows
        columns = batch.columns
        sums = columns["#float64"].sum(axis=1) if "#float64" in columns else columns[next(iter(columns))]
        if (sums == 666).any():
            self.engine.failed(batch, ModelError("this model does not answer 666"), 0.001)
            return
        name = self.schema.outputs[0].name
        self.engine.answered(batch, Columns({name: sums}), 0.001)

    def abandon(self, batch: Batch) -> None:
        self.held = [held for held in self.held if held is not batch]

    async def close(self) -> None:
        self.held.clear()


@dataclass
class Front:
    """A whole front over one or more RowSums."""

    app: App
    models: Models
    executors: dict[str, RowSums]
    engines: list[Engine]

    @property
    def executor(self) -> RowSums:
        return next(iter(self.executors.values()))

    async def start(self) -> Front:
        for engine in self.engines:
            executor = self.executors[f"{engine.name}/{engine.version}"]
            executor.engine = engine
            await engine.start(executor)
        return self

    def connect(self, **facts: Any) -> Client:
        connection = Connection(self.app, asyncio.get_running_loop())
        client = Client(connection, Transport(connection, **facts))
        connection.connection_made(client.transport)
        return client


class Transport(asyncio.Transport):
    """A socket in memory. ``is_stuck``: the client reads nothing, so everything stays unsent."""

    def __init__(self, protocol: asyncio.Protocol, *, is_stuck: bool = False) -> None:
        super().__init__()
        self.protocol = protocol
        self.is_stuck = is_stuck
        self.sent = b""
        self.writes = 0
        self.unsent = 0
        self.is_reading = True
        self.is_half_closed = False
        self.is_closed = False
        self.is_aborted = False
        self.is_lost = False

    def write(self, data: bytes) -> None:
        assert not self.is_half_closed, "written after the end"
        if self.is_closed:
            return
        self.sent += data
        self.writes += 1
        if self.is_stuck:
            self.unsent += len(data)
            if self.unsent > 65536:
                self.protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.is_half_closed = True

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            if not self.unsent:
                asyncio.get_running_loop().call_soon(self._lose)

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True
        asyncio.get_running_loop().call_soon(self._lose)

    def _lose(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            self.protocol.connection_lost(None)


@dataclass
class Response:
    """One parsed answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """One client's end of a connection in memory."""

    connection: Connection
    transport: Transport
    heads: list[bool] = field(default_factory=list)

    def send(self, data: bytes) -> Client:
        self.connection.data_received(data)
        return self

    @property
    def responses(self) -> list[Response]:
        return parse(self.transport.sent, self.heads)

    @property
    def statuses(self) -> list[int]:
        return [response.status for response in self.responses]

    @property
    def is_ended(self) -> bool:
        """Whether the server takes no further request here."""
        return self.transport.is_closed or self.transport.is_half_closed


def parse(data: bytes, heads: list[bool] | None = None) -> list[Response]:
    """Read answers strictly; ``heads`` says which of them answer a HEAD."""
    out: list[Response] = []
    while data:
        head, found, rest = data.partition(b"\r\n\r\n")
        assert found, f"an answer without the end of its head: {data[:80]!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        assert first.startswith("HTTP/1.1 "), first
        pairs = [line.split(": ", 1) for line in lines]
        headers = dict(pairs)
        assert len(headers) == len(pairs), f"a header twice: {lines}"
        has_body = status not in (100, 204) and not (heads and heads[len(out)])
        length = int(headers["content-length"]) if has_body else 0
        assert len(rest) >= length, "an answer shorter than it says"
        out.append(Response(status, headers, rest[:length]))
        data = rest[length:]
    return out


def post(path: str = "/predict", body: bytes = b'{"a":[1],"b":[2]}', fields: str = "") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body
    )


def get(path: str = "/livez", fields: str = "", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()


async def turn(times: int = 6) -> None:
    """Let everything that is ready run."""
    for _ in range(times):
        await asyncio.sleep(0)


def front(limits: HttpLimits | None = None, *identities: Identity, schema: Schema = SUMS, queue: int = 20_000) -> Front:
    models = Models()
    executors: dict[str, RowSums] = {}
    engines: list[Engine] = []
    for identity in identities or (Identity("sums", "1", "/sum", "/hello"),):
        engine = Engine(identity, BatchLimits(max_queued_rows=queue))
        models.add(engine)
        engines.append(engine)
        executors[f"{engine.name}/{engine.version}"] = RowSums(schema)
    return Front(build(models, limits or HttpLimits()), models, executors, engines)


@dataclass(frozen=True)
class Kit:
    """The functions above, for tests: a conftest cannot be imported."""

    front: Callable[..., Front] = front
    post: Callable[..., bytes] = post
    get: Callable[..., bytes] = get
    turn: Callable[..., Coroutine[Any, Any, None]] = turn
    parse: Callable[..., list[Response]] = parse
    run: Callable[[Coroutine[Any, Any, Any]], Any] = jump_run
    limits: type[HttpLimits] = HttpLimits
    identity: type[Identity] = Identity


@pytest.fixture
def kit() -> Kit:
    return Kit()
