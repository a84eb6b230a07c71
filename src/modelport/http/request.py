"""Request: one parsed HTTP request, from its first byte to its answer, and the rules for what its head may say.

The rules that llhttp leaves open are here: one valid Host, no transfer coding but a single ``chunked``, no header repeated
whose repetition two servers could read differently (RFC 9112, sections 3.2, 6.1 and 11.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

import msgspec

from modelport.errors import BadRequest

CLOSE = b"connection: close\r\n\r\n"
KEEP = b"\r\n"
KEEP_1_0 = b"connection: keep-alive\r\n\r\n"

_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_REPEATABLE = frozenset(
    b"accept accept-charset accept-encoding accept-language cache-control connection content-encoding cookie expect forwarded"
    b" pragma te trailer upgrade vary via warning tracestate".split()
)
_SINGLE = frozenset(
    b"host content-length content-type transfer-encoding authorization x-api-key x-request-id x-request-timeout origin traceparent"
    b" inference-header-content-length".split()
)


class Work(Protocol):
    """What is being done for a request."""

    def cancel(self) -> None:
        """Stop: the caller left."""
        ...


class Sink(Protocol):
    """Where a request's answer goes: a connection, or an adapter."""

    def answer(self, request: Request, payload: bytes) -> None:
        """Send the whole answer, head and body. Called exactly once for a request, unless its caller left."""
        ...


class Head:
    """A parsed head that may come again, byte for byte. ``headers`` is shared by every request that has it: nobody changes it.

    ``length``: of the body, in bytes. ``start``: what starts a request with this head without a look at it, once that is known.
    """

    __slots__ = ("headers", "length", "method", "start", "target")

    def __init__(self, method: bytes, target: bytes, headers: dict[bytes, bytes], length: int) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.length = length
        self.start: Callable[[Request], None] | None = None


class Request(msgspec.Struct, eq=False):  # a Struct is made in half the time of a class, and one is made for every request
    """One request.

    ``headers``: lower-case names; repeated fields joined by ", ". ``target``: as it was sent. ``tail``: the end of the
    answer's head, which says whether the connection stays open. ``work``: what to cancel if the caller leaves.
    ``payload``: the answer while an earlier request of the same connection is not answered yet. ``head``: what it shares
    with requests that came with the same bytes.
    """

    sink: Sink
    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes = b""
    head: Head | None = None
    id: bytes = b""
    is_keep_alive: bool = True
    lingers: bool = False
    tail: bytes = KEEP
    work: Work | None = None
    payload: bytes | None = None

    def close(self) -> None:
        """Make this the last request of its connection."""
        self.is_keep_alive = False
        self.tail = CLOSE

    def header(self, name: bytes) -> str | None:
        """Return a header's value as text, None if it was not sent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


def check_host(value: bytes | None) -> bytes:
    """Return a Host that is one valid host and port. Raises: BadRequest."""
    if value is None:
        raise BadRequest("the request has no Host header; HTTP/1.1 requires exactly one")
    if not _HOST.fullmatch(value):
        raise BadRequest("the Host header is not a host name or address with an optional port; send exactly one")
    return value


def check_transfer_coding(value: bytes, *, is_1_1: bool) -> None:
    """Accept a body framed by one ``chunked`` in HTTP/1.1 and nothing else. Raises: BadRequest."""
    if not is_1_1:
        raise BadRequest("Transfer-Encoding was sent with HTTP/1.0, which does not have it; send a Content-Length")
    if value.strip().lower() != b"chunked":
        raise BadRequest('the Transfer-Encoding is not "chunked" alone; use Content-Encoding for a compressed body')


def repeat_header(headers: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    """Join a repeated header to the one before. Raises: BadRequest where a second one is ambiguous."""
    if name in _SINGLE:
        raise BadRequest(f"the header {name.decode('latin-1')} was sent more than once; send exactly one")
    joint = b"; " if name == b"cookie" else b", "
    # Names outside the list are only kept as first seen: an unknown one repeated may not be a list at all.
    if name in _REPEATABLE:
        headers[name] += joint + value


def accepts(accept: bytes | None, wanted: bytes) -> bool:
    """Say whether an Accept header names a media type itself, not by a wildcard and not with q=0."""
    for item in (accept or b"").lower().split(b","):
        media, _, parameters = item.partition(b";")
        if media.strip() == wanted:
            return not re.search(rb"(?:^|;)\s*q=0(?:\.0*)?\s*(?:;|$)", parameters)
    return False
