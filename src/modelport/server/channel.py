"""What a supervisor and its fronts tell each other, over a socket pair: an order with its length, then one JSON document a line.

Only these two ends hold the pair, and its end is the end of the other process.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Literal, TypeAlias, cast

import msgspec

from modelport.bundle.snapshot import Record
from modelport.server.live import Served
from modelport.telemetry.reports import Report

Kind: TypeAlias = Literal["joined", "ready", "failed", "ask", "told", "report", "stop"]


class Order(msgspec.Struct, frozen=True):
    """What a front is started with. ``settings``: by name, as ``config.resolve`` takes flags."""

    number: int
    fronts: int
    is_first: bool
    is_late: bool
    port: int
    run_key: str
    settings: dict[str, object]
    snapshots: list[Record]


class Message(msgspec.Struct, omit_defaults=True):
    """One line. From a front: it has ``joined``, is ``ready``, has ``failed``, wants to ``ask`` for all; ``report`` is what it counts.

    To a front: it is to ``report``, is ``told`` what all count, is to ``stop``. ``id``: of the question that is answered.
    """

    kind: Kind
    id: int = 0
    report: Report | None = None
    models: list[Served] = []
    code: str = ""
    text: str = ""
    fronts: int = 0
    restarts: int = 0
    missing: dict[str, str] = {}


_LENGTH_BYTES = 4
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Message)


def encode(message: Message) -> bytes:
    """Return a message as it is sent."""
    return _encoder.encode(message) + b"\n"


def receive_order(sock: socket.socket) -> Order | None:
    """Wait for the order, which comes before all messages; None if the supervisor is gone."""
    head = sock.recv(_LENGTH_BYTES, socket.MSG_WAITALL)
    length = int.from_bytes(head, "big")
    body = sock.recv(length, socket.MSG_WAITALL) if length else b""
    return msgspec.json.decode(body, type=Order) if length and len(body) == length else None


class Channel(asyncio.Protocol):
    """One end. ``received`` is called for each message, ``ended`` once, when the other end is gone."""

    def __init__(self, received: Callable[[Message], None], ended: Callable[[], None]) -> None:
        self._received = received
        self._ended = ended
        self._transport: asyncio.WriteTransport | None = None
        self._rest = b""

    def send(self, message: Message) -> None:
        """Send a message; an end that is gone swallows it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    def hand_over(self, order: Order) -> None:
        """Send a front its order."""
        body = msgspec.json.encode(order)
        if self._transport is not None:
            self._transport.write(len(body).to_bytes(_LENGTH_BYTES, "big") + body)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by the loop)."""
        self._transport = cast("asyncio.WriteTransport", transport)  # what a stream connection gives; uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Hand on each whole line (called by the loop)."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._received(_decoder.decode(line))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the other end is gone (called by the loop)."""
        del exc
        self._transport = None
        self._ended()
