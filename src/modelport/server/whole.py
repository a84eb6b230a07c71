"""Each answer of a replica of Ray Serve in one write, so that a SIGKILL lets all of it out, or nothing.

uvicorn, which Serve runs in a replica, writes the head of an answer and then its body. A proxy asks another replica as long as nothing of
an answer has come, so that a replica killed between the two loses one. Serve puts what ``middlewares`` returns around its own application;
``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`` names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import structlog

from modelport.http.asgi import Asgi, Message, Receive, Send

if TYPE_CHECKING:
    from starlette.middleware import Middleware

_log = structlog.get_logger(__name__)


def middlewares() -> list[Middleware]:
    """Return what Serve puts around the application of each replica."""
    from starlette.middleware import Middleware

    return [Middleware(Whole)]


class Whole:
    """An ASGI application around another one, which has uvicorn write the head of an answer with the first of its body.

    uvicorn has no option for it: for these two messages it is given a transport that joins what it writes. Where it has none to replace
    (another server, or another uvicorn), answers leave as they would without all this, and the log says so once.
    """

    def __init__(self, app: Asgi) -> None:
        self._app = app
        self._is_told = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer as the application does."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head: Message | None = None

        async def send_joined(message: Message) -> None:
            nonlocal head
            if message["type"] == "http.response.start":
                head = message
            elif head is None:
                await send(message)
            else:
                first, head = head, None
                await self._join(send, first, message)

        await self._app(scope, receive, send_joined)

    async def _join(self, send: Send, head: Message, message: Message) -> None:
        cycle = cast("_Cycle | None", getattr(send, "__self__", None))  # of the request; ``send`` is a method of it
        transport = getattr(cycle, "transport", None)
        if cycle is None or transport is None:
            self._tell()
            await send(head)
            await send(message)
            return
        joined = _Joined(transport)
        cycle.transport = joined
        try:
            await send(head)
            await send(message)
        finally:
            cycle.transport = transport
            joined.flush()
        if not joined.is_used and not getattr(cycle, "disconnected", False):
            self._tell()

    def _tell(self) -> None:
        if not self._is_told:
            self._is_told = True
            _log.warning("answers leave in two writes; a replica that is killed between them loses one")


class _Transport(Protocol):
    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class _Cycle(Protocol):
    transport: _Transport


class _Joined:
    """A transport which keeps what is written until it is let go or closed."""

    __slots__ = ("_parts", "_transport", "is_used")

    def __init__(self, transport: _Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []
        self.is_used = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._parts.append(data)
        self.is_used = True

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        if self._parts:
            self._transport.write(b"".join(self._parts))
            self._parts.clear()
