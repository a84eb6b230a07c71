"""Connection: one client's socket. Requests go to the application as they come, answers leave in the order of the requests.

No task, no coroutine, no timer for a request; one write an answer. A client that sends faster than it is answered, or does
not read, is no longer read from; of a packet full of requests TURN are handled before everybody else has had a turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, cast

from modelport.errors import ModelportError, NotReady, RequestTimeout
from modelport.http.heads import CONTINUE
from modelport.http.intake import BETWEEN, HEAD, Intake
from modelport.http.limits import HttpLimits
from modelport.http.memo import Memo
from modelport.http.request import Request
from modelport.http.watch import Watch

TURN = 32  # requests of one connection in one turn of the loop


class Handler(Protocol):
    """What a connection needs of the application."""

    limits: HttpLimits
    memo: Memo
    connections: set[Connection]

    def handle(self, request: Request) -> None:
        """Take a complete request; its sink's ``answer`` is called now or later, exactly once unless it is cancelled."""
        ...

    def refuse(self, request: Request, error: ModelportError) -> None:
        """Answer a request with an error, whatever it was."""
        ...

    def cancel(self, request: Request) -> None:
        """The caller left: its answer is no longer wanted and will not come."""
        ...

    def disconnected(self, connection: Connection) -> None:
        """The connection is gone."""
        ...


class Connection(asyncio.Protocol):
    """One client connection."""

    __slots__ = (
        "_app",
        "_budget",
        "_intake",
        "_is_closing",
        "_is_due",
        "_is_paused",
        "_later",
        "_limits",
        "_loop",
        "_pending",
        "_time",
        "_transport",
        "_watch",
    )

    def __init__(self, app: Handler, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._limits = app.limits
        self._loop = loop
        self._time = loop.time
        self._pending: deque[Request] = deque()
        self._later: deque[tuple[Request, ModelportError | None]] = deque()
        self._budget = TURN
        self._intake = Intake(self, app.limits, app.memo)
        self._watch = Watch(self, app.limits, loop)
        self._transport: asyncio.Transport
        self._is_closing = self._is_paused = self._is_due = False

    # --- what the transport calls -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to watch the clock; refuse at once where there are too many connections."""
        self._transport = cast("asyncio.Transport", transport)
        self._app.connections.add(self)
        if len(self._app.connections) > self._limits.connections:
            self._refuse(NotReady("the server has as many connections as it takes; try again shortly"))
        else:
            self._watch.arm()

    def data_received(self, data: bytes) -> None:
        """Parse what came; each complete request is handed over at once."""
        self._watch.heard_s = self._time()
        if self._is_closing:
            return
        self._budget = TURN
        intake = self._intake
        try:
            intake.feed(data)
        except ModelportError as error:
            self._refuse(error)
        if intake.stage != BETWEEN and not self._is_closing:
            self._watch.arm()

    def eof_received(self) -> bool:
        """Take the end of input for the end of the caller: a closed socket looks no different from a half-closed one."""
        self._abandon()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Cancel what the caller no longer waits for."""
        self._is_closing = True
        self._watch.stop()
        self._abandon()
        self._intake.close()
        self._app.connections.discard(self)
        self._app.disconnected(self)

    def pause_writing(self) -> None:
        """The client does not read: take no more from it, and cut it when nothing moves."""
        self._watch.stalled(self.unsent_bytes())
        self._pause()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._watch.flowing()
        self._go_on()

    # --- what the intake calls --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A message starts."""
        self._watch.begin()

    def proceed(self) -> None:
        """Ask for the body, unless earlier answers leave first; the client sends it unasked then (RFC 9110, 10.1.1)."""
        if not self._pending and not self._later:
            self._transport.write(CONTINUE)

    def take(self, request: Request) -> None:
        """Queue a request for its answer and hand it over, or keep it for a later turn."""
        if self._is_closing:
            return
        pending = self._pending
        if self._budget and not self._later and len(pending) < self._limits.pipelined:
            self._budget -= 1
            pending.append(request)
            self._app.handle(request)
            if len(pending) >= self._limits.pipelined:
                self._pause()
        else:
            self._later.append((request, None))
            self._pause()
            self._go_on()
        if not request.is_keep_alive:
            self._is_closing = self._intake.is_over = True

    # --- answers ----------------------------------------------------------------------------------------------------

    def answer(self, request: Request, payload: bytes) -> None:
        """Send an answer when its turn has come; drop it if the caller left."""
        pending = self._pending
        if not pending or pending[0] is not request:
            request.payload = payload
            return
        pending.popleft()
        self._transport.write(payload)
        if pending or self._is_paused or not request.is_keep_alive:
            self._follow(request)
        self._watch.answered()

    def drain(self) -> None:
        """Close once everything in flight is answered; at once if nothing is."""
        if self._pending:
            if self._intake.stage == BETWEEN and not self._later:
                self._pending[-1].close()
                self._is_closing = self._intake.is_over = True
        elif self._intake.stage == BETWEEN and not self._is_closing:
            self._finish(lingers=False)

    def give_up(self, error: ModelportError) -> None:
        """Answer everything in flight with an error and close."""
        self._later.clear()  # they come after a "Connection: close", which tells the client that they were not looked at
        waiting = [request for request in self._pending if request.payload is None]
        if self._intake.stage == BETWEEN and self._pending:
            self._pending[-1].close()
        elif not self._is_closing:
            self._refuse(error)
        for request in waiting:
            self._app.cancel(request)
            self._app.refuse(request, error)

    # --- what the watch asks ----------------------------------------------------------------------------------------

    def is_receiving(self) -> bool:
        """Whether a request has begun and its rest is expected."""
        return self._intake.stage != BETWEEN and not self._is_closing and not self._is_paused

    def is_in_head(self) -> bool:
        """Whether it is the head that is not complete."""
        return self._intake.stage == HEAD

    def is_waiting(self) -> bool:
        """Whether the client waits for us."""
        return bool(self._pending or self._later)

    def unsent_bytes(self) -> int:
        """Bytes that the client has not taken."""
        return self._transport.get_write_buffer_size()

    def time_out(self) -> None:
        """Refuse the request that does not arrive."""
        self._refuse(RequestTimeout("the request stopped arriving before it was complete; send it again"))

    def cut(self) -> None:
        """End the connection now; without waiting for a client that does not read."""
        self._is_closing = True
        if self.unsent_bytes():
            self._transport.abort()
        else:
            self._transport.close()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _refuse(self, error: ModelportError) -> None:
        """Answer an error after what is in flight, and end: nobody knows where the next request would start."""
        self._is_closing = self._intake.is_over = True
        request = self._intake.unfinished()
        request.close()
        request.lingers = True
        self._later.append((request, error))
        if len(self._later) == 1:
            self._catch_up()

    def _follow(self, request: Request) -> None:
        """Send what was answered out of order; close after the last one, or read on."""
        pending = self._pending
        while pending and pending[0].payload is not None and request.is_keep_alive:
            request = pending.popleft()
            self._transport.write(cast("bytes", request.payload))
        if not request.is_keep_alive:
            self._finish(lingers=request.lingers)
        elif self._is_paused:
            self._go_on()

    def _go_on(self) -> None:
        """Handle what was kept for later in the next turn; read on once nothing is left and the client keeps up."""
        if self._watch.is_stalled or len(self._pending) >= self._limits.pipelined:
            return
        if not self._later:
            self._resume()
        elif not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._catch_up)

    def _catch_up(self) -> None:
        self._is_due = False
        later, pending = self._later, self._pending
        for _ in range(TURN):
            if not later or len(pending) >= self._limits.pipelined or self._watch.is_stalled or self._transport.is_closing():
                break
            request, error = later.popleft()
            pending.append(request)
            self._app.handle(request) if error is None else self._app.refuse(request, error)
            if not request.is_keep_alive:
                later.clear()
        self._go_on()

    def _finish(self, *, lingers: bool) -> None:
        """Close. A refused client may still be sending: closing on unread bytes would take the answer back (RFC 9112, 9.6)."""
        self._is_closing = self._intake.is_over = True
        if lingers and not self._transport.is_closing():
            self._resume()
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._watch.linger()
            return
        self._transport.close()
        if unsent := self.unsent_bytes():
            self._watch.stalled(unsent)

    def _abandon(self) -> None:
        pending = self._pending
        self._later.clear()
        while pending:
            request = pending.popleft()
            if request.payload is None:
                self._app.cancel(request)

    def _pause(self) -> None:
        if not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._is_paused and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()
            self._watch.flowing()
