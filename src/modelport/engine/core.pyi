"""Types of the worker core, which itself keeps to the syntax of Python 3.6."""

import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

from modelport.columns import Array

PREFIX: struct.Struct
LIMIT_HEADER_BYTES: int
LIMIT_BODY_BYTES: int
ALIGNMENT: int

class FrameError(Exception): ...

def encode(header: Mapping[str, object], columns: Mapping[str, Array] | None = ...) -> list[bytes | memoryview]: ...
def decode_prefix(data: bytes | bytearray | memoryview) -> tuple[int, int]: ...
def decode(
    prefix: bytes | bytearray | memoryview, head: bytes | bytearray | memoryview, body: bytes | bytearray | memoryview
) -> tuple[dict[str, Any], dict[str, Array] | None]: ...

class Reader:
    def __init__(self, sock: socket.socket) -> None: ...
    def receive(self) -> tuple[dict[str, Any], dict[str, Array] | None] | None: ...

def receive(sock: socket.socket) -> tuple[dict[str, Any], dict[str, Array] | None] | None: ...
def send(sock: socket.socket, header: Mapping[str, object], columns: Mapping[str, Array] | None = ...) -> None: ...
def run(
    sock: socket.socket,
    predict: Callable[[dict[str, Array], list[str] | None, Mapping[str, object] | None], Mapping[str, Array]],
    describe_error: Callable[[Exception], Mapping[str, object]],
) -> None: ...
