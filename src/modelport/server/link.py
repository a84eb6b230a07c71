"""A front under a supervisor: how it is started, and its end of the channel."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from itertools import count
from typing import cast

import structlog

from modelport.bundle.snapshot import reopen
from modelport.config import Settings, Value, resolve
from modelport.errors import ModelportError
from modelport.http.app import App
from modelport.server.channel import Channel, Message, Order, encode
from modelport.server.front import Seat, run, serve_front
from modelport.server.live import Live
from modelport.server.versions import Part, Version, versions
from modelport.telemetry import logs
from modelport.telemetry.reports import Everybody, Report

_ANSWER_S = 1.0
"""Longest time that a front waits for the supervisor, which waits for half as long for the other fronts."""


def sit(order: Order, sock: socket.socket) -> int:
    """Serve as ordered until told to stop; return the process's exit code. What stands in the way is told to the supervisor."""
    spare = sock.dup()  # the loop closes its own
    try:
        settings = resolve(cast("dict[str, Value]", order.settings), {}, {})
        logs.configure("json" if settings.log_format == "json" else "text", "debug" if settings.debug else "info")
        structlog.contextvars.bind_contextvars(front=order.number + 1)
        part = Part(order.number, order.fronts, order.is_first, order.run_key)
        parts = versions([reopen(record) for record in order.snapshots], settings, part)
        run(_seated(parts, settings, order, sock))
    except ModelportError as error:
        spare.sendall(encode(Message("failed", code=error.code, text=error.message)))
        return error.exit_code
    finally:
        spare.close()
    return 0


async def _seated(parts: list[Version], settings: Settings, order: Order, sock: socket.socket) -> None:
    link = Link(sock)
    await serve_front(parts, settings, link.announce, Seat(order.port, order.is_late, link.join))


class Link:
    """A front's end of the channel: asks for all fronts, says how this one is."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._numbers = count(1)
        self._waiting: dict[int, tuple[Callable[[Everybody | None], None], asyncio.TimerHandle]] = {}
        self._report: Callable[[], Report] = Report
        self._stopping = asyncio.Event()
        self._channel = Channel(self._received, _gone)

    async def join(self, app: App, stopping: asyncio.Event) -> None:
        """Say that this front takes connections from now on, or will when it is ready."""
        self._stopping = stopping
        self._report = app.report
        await asyncio.get_running_loop().create_unix_connection(lambda: self._channel, sock=self._sock)
        app.peers = self
        self._channel.send(Message("joined"))

    def announce(self, live: Live) -> None:
        """Say that every model answers."""
        self._channel.send(Message("ready", models=list(live.models), report=self._report()))

    def ask(self, own: Report, done: Callable[[Everybody | None], None]) -> None:
        """Ask for all fronts; ``own`` goes along, so that whatever is answered here is known when this front is gone."""
        number = next(self._numbers)
        timer = asyncio.get_running_loop().call_later(_ANSWER_S, self._finish, number, None)
        self._waiting[number] = done, timer
        self._channel.send(Message("ask", number, own))

    def _received(self, message: Message) -> None:
        if message.kind == "report":
            self._channel.send(Message("report", report=self._report()))
        elif message.kind == "stop":
            self._stopping.set()
        elif message.kind == "told" and message.report is not None:
            everybody = Everybody(message.report, message.fronts, message.restarts, message.missing)
            self._finish(message.id, everybody)

    def _finish(self, number: int, everybody: Everybody | None) -> None:
        done, timer = self._waiting.pop(number, (None, None))
        if timer is not None:
            timer.cancel()
        if done is not None:
            done(everybody)


def _gone() -> None:
    """End at once: nobody would replace this front, stop it, or know that it still holds the port."""
    os._exit(1)
