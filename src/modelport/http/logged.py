"""Logged: the access log, a line of debugging for each answer, on its way to where the answer goes."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from modelport.http.request import Request, Sink

_log = structlog.get_logger(__name__)


class Logged:
    """A sink that writes the access log, one line an answer; in use only where debug lines are wanted."""

    __slots__ = ("_began_s", "_clock", "_sink")

    def __init__(self, sink: Sink, clock: Callable[[], float], began_s: float) -> None:
        self._sink = sink
        self._clock = clock
        self._began_s = began_s

    def answer(self, request: Request, payload: bytes) -> None:
        """Log and pass on."""
        _log.debug(
            "request",
            request=request.id.decode("ascii"),
            method=request.method.decode("ascii"),
            target=request.target.decode("latin-1"),
            status=int(payload[9:12]),
            ms=round((self._clock() - self._began_s) * 1e3, 3),
        )
        self._sink.answer(request, payload)
