"""The same application as ASGI, to be mounted in somebody's Starlette or FastAPI.

Slower than the front of our own (a task and several messages a request), with the same routes, limits and answers. Engines are started and
closed by whoever made them; lifespan events are answered, and nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TypeAlias

from modelport.engine.models import Models
from modelport.errors import ModelportError, TooLarge
from modelport.http.app import App, build
from modelport.http.limits import HttpLimits
from modelport.http.request import Request

Message: TypeAlias = MutableMapping[str, object]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Asgi: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_HOP = (b"connection", b"transfer-encoding")


def asgi(models: Models, limits: HttpLimits | None = None) -> Asgi:
    """Return an ASGI 3 application over these models. Raises: UsageError if two of them want the same path."""
    app = build(models, limits)

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _http(app, scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    return serve


class _Answer:
    """The sink of one request: a future instead of a socket."""

    __slots__ = ("payload",)

    def __init__(self) -> None:
        self.payload: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def answer(self, request: Request, payload: bytes) -> None:  # noqa: ARG002  # the protocol of all sinks
        """Take the answer, unless nobody waits for it any more."""
        if not self.payload.done():
            self.payload.set_result(payload)


async def _http(app: App, scope: Message, receive: Receive, send: Send) -> None:
    sink = _Answer()
    request = _request(scope, sink)
    try:
        body = await _body(receive, app.limits.body_bytes)
    except ModelportError as error:
        app.refuse(request, error)
    else:
        if body is None:
            return
        request.body = body
        app.handle(request)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((sink.payload, gone), return_when=asyncio.FIRST_COMPLETED)
        if sink.payload.done():
            await _send(send, sink.payload.result())
    finally:
        gone.cancel()
        if not sink.payload.done():
            app.cancel(request)
            sink.payload.cancel()


def _request(scope: Message, sink: _Answer) -> Request:
    """Make a request of a scope; the path is taken from behind the mount point."""
    headers: dict[bytes, bytes] = {}
    pairs = scope["headers"]
    assert isinstance(pairs, list | tuple)  # noqa: S101  # as ASGI says
    for name, value in pairs:
        headers.setdefault(bytes(name).lower(), bytes(value))
    raw, path, root = scope.get("raw_path"), str(scope["path"]), str(scope.get("root_path", ""))
    target = raw if isinstance(raw, bytes) and raw else path.encode()
    prefix = root.rstrip("/").encode()
    if prefix and target.startswith(prefix):
        target = target[len(prefix) :] or b"/"
    return Request(sink, str(scope["method"]).encode("ascii"), target, headers)


async def _body(receive: Receive, limit_bytes: int) -> bytes | None:
    """Collect the body; None if the client left. Raises: TooLarge."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        assert isinstance(part, bytes)  # noqa: S101  # as ASGI says
        size += len(part)
        if size > limit_bytes:
            raise TooLarge(f"the body is over the limit of {limit_bytes} bytes; send fewer rows a request")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, payload: bytes) -> None:
    """Take an answer apart again: its head is ours, so a split by lines reads it."""
    head, _, body = payload.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    pairs = [(name, value) for name, _, value in (line.partition(b": ") for line in lines) if name not in _HOP]
    await send({"type": "http.response.start", "status": int(first[9:12]), "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
