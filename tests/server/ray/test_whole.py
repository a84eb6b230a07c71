"""Answers leave in one write each, whichever protocol of uvicorn serves the replica."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from modelport.http.asgi import Asgi, Message, Receive, Send
from modelport.server.whole import Whole, middlewares

PROTOCOLS = ["uvicorn.protocols.http.httptools_impl:HttpToolsProtocol", "uvicorn.protocols.http.h11_impl:H11Protocol"]
BODY = b'[{"label":0}]'
HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"13"), (b"content-type", b"application/json")]}


class Recorder(asyncio.Transport):
    """A socket of which we see each write."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 8000), "peername": ("127.0.0.1", 9000)})
        self.did: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.did.append(bytes(data))

    def close(self) -> None:
        self.did.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.did

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def served(app: Asgi, protocol: str, *requests: bytes) -> list[bytes | str]:
    """What a connection of uvicorn does with these requests."""
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    async def main() -> list[bytes | str]:
        config = Config(app, http=protocol, lifespan="off", log_config=None)
        state, recorder = ServerState(), Recorder()
        config.load()
        connection: Any = config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]
        connection.connection_made(recorder)
        for request in requests:
            connection.data_received(request)
            while state.tasks:
                await asyncio.gather(*state.tasks)
        connection.connection_lost(ConnectionResetError())  # after which it closes nothing itself
        return recorder.did

    return asyncio.run(main())


def request(method: str = "POST", *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} /predict HTTP/{version}", "host: a", "content-length: 2", *headers, "", "{}"]).encode()


def answering(*messages: Message) -> Asgi:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(dict(message))

    return app


WHOLE = answering(HEAD, {"type": "http.response.body", "body": BODY})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_answer_of_a_connection_leaves_in_one_write(protocol: str) -> None:
    parted = served(WHOLE, protocol, request(), request())
    joined = served(Whole(WHOLE), protocol, request(), request())
    assert len(parted) > len(joined)  # or there would be nothing to join, nor here to test
    assert len(joined) == 2
    for answer in joined:
        assert isinstance(answer, bytes)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\n" + BODY)
    assert _undated(b"".join(joined)) == _undated(b"".join(parted))  # type: ignore[arg-type]  # nothing was closed


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("last", [request("POST", "connection: close"), request(version="1.0")], ids=["close", "1.0"])
def test_an_answer_is_out_before_its_connection_is_closed(protocol: str, last: bytes) -> None:
    answer, *after = served(Whole(WHOLE), protocol, last)
    assert isinstance(answer, bytes)
    assert answer.endswith(BODY)
    assert set(after) == {"closed"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_answers_without_a_body_are_one_write(protocol: str) -> None:
    empty = answering({"type": "http.response.start", "status": 204, "headers": []}, {"type": "http.response.body", "body": b""})
    (answer,) = served(Whole(empty), protocol, request())
    assert isinstance(answer, bytes)
    assert answer.startswith(b"HTTP/1.1 204")
    (answer,) = served(Whole(WHOLE), protocol, request("HEAD"))
    assert isinstance(answer, bytes)
    assert b"content-length: 13" in answer
    assert BODY not in answer


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pieces_of_a_body_follow_as_they_come(protocol: str) -> None:
    app = answering(
        HEAD, {"type": "http.response.body", "body": BODY[:5], "more_body": True}, {"type": "http.response.body", "body": BODY[5:]}
    )
    first, *more = served(Whole(app), protocol, request())
    assert isinstance(first, bytes)
    assert first.endswith(b"\r\n\r\n" + BODY[:5])
    assert b"".join(more) == BODY[5:]  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_application_that_fails_after_its_head_is_answered_for(protocol: str) -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(dict(HEAD))
        raise ValueError("no body")

    first, *_ = served(Whole(app), protocol, request())
    assert isinstance(first, bytes)
    assert first.startswith(b"HTTP/1.1 500")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_uvicorn_refuses_is_refused_as_without(protocol: str) -> None:
    wrong = answering(HEAD, {"type": "http.response.body", "body": BODY * 2})
    assert "closed" in served(Whole(wrong), protocol, request())
    assert BODY * 2 not in b"".join(each for each in served(Whole(wrong), protocol, request()) if isinstance(each, bytes))


class Direct:
    """A server which has a transport and writes past it."""

    def __init__(self, *, disconnected: bool = False) -> None:
        self.transport = Recorder()
        self.disconnected = disconnected
        self.sent: list[str] = []

    async def send(self, message: Message) -> None:
        assert not self.transport.is_closing()
        self.sent.append(str(message["type"]))


def warnings_of(send: Send) -> list[Any]:
    """Let three requests be answered by ``send``, and tell what the log warned of."""

    async def receive() -> Message:
        raise AssertionError

    async def main() -> None:
        app = Whole(WHOLE)
        for _ in range(3):
            await app({"type": "http"}, receive, send)

    with structlog.testing.capture_logs() as said:
        asyncio.run(main())
    return [each["event"] for each in said if each["log_level"] == "warning"]


def test_elsewhere_answers_leave_as_they_are_and_the_log_says_so_once() -> None:
    server, other = Direct(), Direct()

    async def function(message: Message) -> None:
        await other.send(message)

    for send in (server.send, function):
        (said,) = warnings_of(send)
        assert "two writes" in said
    assert server.sent == other.sent == ["http.response.start", "http.response.body"] * 3


def test_a_client_that_left_is_no_reason_to_warn() -> None:
    assert warnings_of(Direct(disconnected=True).send) == []


def test_other_conversations_pass_through() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close"})

    async def receive() -> Message:
        raise AssertionError

    found: list[Message] = []

    async def send(message: Message) -> None:
        found.append(message)

    asyncio.run(Whole(app)({"type": "websocket"}, receive, send))
    assert found == [{"type": "websocket.close"}]


def test_it_is_a_middleware_as_serve_wants_them() -> None:
    (found,) = middlewares()
    assert found.cls is Whole


def _undated(answers: bytes) -> list[bytes]:
    return [line for line in answers.split(b"\r\n") if not line.startswith(b"date: ")]
