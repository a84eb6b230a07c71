"""Intake: bytes to requests. llhttp does the parsing; the limits, and the framing that it lets pass, are checked here.

Whatever is malformed ends the connection, because where the next request starts is then anybody's guess (RFC 9112,
section 11.2). Nothing of a body is taken before its head was found good.
"""

from __future__ import annotations

from typing import Protocol

import httptools

from modelport.errors import BadRequest, HeadersTooLarge, ModelportError, TooLarge, UriTooLong
from modelport.http.limits import HttpLimits
from modelport.http.memo import Memo
from modelport.http.request import KEEP_1_0, Request, Sink, check_host, check_transfer_coding, repeat_header

BETWEEN, HEAD, BODY = 0, 1, 2


class Receiver(Sink, Protocol):
    """Who gets what the intake makes of the bytes."""

    def begin(self) -> None:
        """The first byte of a message came."""
        ...

    def proceed(self) -> None:
        """The client waits for ``100 Continue`` before it sends the body."""
        ...

    def take(self, request: Request) -> None:
        """A request is complete."""
        ...


class Intake:
    """The parser of one connection. ``stage``: BETWEEN messages, in a HEAD, in a BODY. ``is_over``: no more is taken."""

    __slots__ = (
        "_body_bytes",
        "_chunks",
        "_head",
        "_headers",
        "_host",
        "_is_chunked",
        "_limits",
        "_memo",
        "_messages",
        "_overhead_bytes",
        "_parser",
        "_partial_bytes",
        "_pieces",
        "_receiver",
        "_repeats",
        "_repeats_bytes",
        "_request",
        "_step",
        "_target",
        "is_over",
        "stage",
    )

    def __init__(self, receiver: Receiver, limits: HttpLimits, memo: Memo) -> None:
        self._receiver = receiver
        self._limits = limits
        self._step = limits.header_bytes // 2
        self._parser = httptools.HttpRequestParser(self)
        self._memo = memo
        self._head = b""
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._host: bytes | None = None
        self._pieces: list[bytes] = []
        self._request: Request | None = None
        self._messages = self._partial_bytes = self._repeats = self._repeats_bytes = 0
        self._body_bytes = self._chunks = self._overhead_bytes = 0
        self._is_chunked = False
        self.stage = BETWEEN
        self.is_over = False

    def feed(self, data: bytes) -> None:
        """Parse; a head in slices, so that one that does not end is seen before it is long. Raises: ModelportError."""
        if self.stage == BETWEEN:
            end = data.find(b"\r\n\r\n") + 4
            head = data[:end]
            known = self._memo.heads.get(head)
            if known is not None and len(data) - end == known.length:
                self._receiver.take(Request(self._receiver, known.method, known.target, known.headers, data[end:], known))
                return
            self._head = head
        at, size = 0, len(data)
        while at < size and not self.is_over:
            if size - at <= self._step or (self.stage == BODY and not self._is_chunked):
                self._feed(data[at:])
                return
            self._feed(data[at : at + self._step])
            at += self._step

    def close(self) -> None:
        """Take no more, and let go of the parser, which holds this object's methods."""
        self.is_over = True
        del self._parser

    def unfinished(self) -> Request:
        """Return the request that is being parsed, as far as it is known, to be answered with an error."""
        return self._request or Request(self._receiver, b"", self._target, {})

    # --- what the parser calls --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Start a message."""
        self.stage = HEAD
        self._messages += 1
        self._receiver.begin()

    def on_url(self, url: bytes) -> None:
        """Keep the target; it comes in pieces where it crosses a packet."""
        self._target += url
        if len(self._target) > self._limits.target_bytes:
            raise UriTooLong(f"the request target is longer than {self._limits.target_bytes} bytes; send data in the body")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer lands here too and is dropped with its message."""
        name = name.lower()
        if name in self._headers:
            self._repeats += 1
            self._repeats_bytes += len(value)
            repeat_header(self._headers, name, value.rstrip())
        else:
            self._headers[name] = value.rstrip()

    def on_headers_complete(self) -> None:
        """Check the head before any of the body is taken."""
        self.stage = BODY
        headers, parser = self._headers, self._parser
        request = self._request = Request(self._receiver, parser.get_method(), self._target, headers)
        self._target, self._headers = b"", {}
        if self._partial_bytes or self._repeats or len(headers) > self._limits.header_fields:
            self._check_size(headers)
        is_1_1 = True
        if not parser.should_keep_alive() or b"connection" in headers:
            is_1_1 = self._check_connection(request)
        if is_1_1:  # without a Connection header only 1.1 stays open, so the version needs no look (0.2 µs)
            host = headers.get(b"host")
            if host is None or host != self._host:
                self._host = check_host(host)
        if b"content-length" in headers or b"transfer-encoding" in headers:
            self._check_body(headers, is_1_1=is_1_1)

    def on_chunk_header(self) -> None:
        """Count chunks: a body of single bytes costs a thousand times its size."""
        self._chunks += 1
        if self._chunks > self._limits.chunks:
            raise TooLarge(f"the body comes in more than {self._limits.chunks} chunks; send larger ones")

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        self._pieces.append(piece)
        self._body_bytes += len(piece)
        if self._body_bytes > self._limits.body_bytes:
            raise self._too_large()

    def on_message_complete(self) -> None:
        """Hand the request over."""
        request = self._request
        assert request is not None  # noqa: S101  # llhttp completes no message without its head
        if self._is_cut_short(request):
            return
        if self._pieces:
            pieces = self._pieces
            request.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._pieces = []
            self._body_bytes = 0
        if self._is_chunked:
            self._is_chunked = False
            self._chunks = self._overhead_bytes = self._repeats = self._repeats_bytes = 0
            self._headers = {}
        self.stage = BETWEEN
        self._request = None
        if self._head:
            self._memo.keep(self._head, request)
            self._head = b""
        self._receiver.take(request)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        before = self._messages
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay_http(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if self.is_over:  # what follows a "Connection: close" is nobody's request
                return
            cause = error.__context__
            if isinstance(cause, ModelportError):
                raise cause from None
            raise BadRequest("the request is not valid HTTP/1.1; the connection is closed") from error
        if self.stage != BETWEEN and not self.is_over:
            self._check_unfinished(len(data), is_new=self._messages != before)

    def _check_unfinished(self, size: int, *, is_new: bool) -> None:
        """Bound what cannot be seen through the parser: a field that does not end, chunks that are mostly framing."""
        if self.stage == HEAD:
            self._partial_bytes = 1 if is_new else self._partial_bytes + size
            if self._partial_bytes > self._limits.header_bytes + self._limits.target_bytes:
                raise self._head_too_large()
        elif self._is_chunked:
            self._overhead_bytes += size
            if self._overhead_bytes - self._body_bytes > self._limits.chunk_overhead_bytes:
                raise TooLarge("the chunked body has more framing than the server takes; send larger chunks without extensions")

    def _is_cut_short(self, request: Request) -> bool:
        """Whether llhttp took the message for complete at its head, because it asks for an upgrade, though a body follows."""
        headers = request.headers
        return (
            b"upgrade" in headers
            and not self._pieces
            and ((self._is_chunked and not self._chunks) or int(headers.get(b"content-length", b"0")) > 0)
        )

    def _stay_http(self, rest: bytes) -> None:
        """Go on in HTTP/1.1 after an Upgrade that we do not take (RFC 9110, section 7.8).

        llhttp stops at the end of such a head. If a body follows, the head is parsed anew without the wish for an upgrade:
        Java's client sends it with every first POST.
        """
        if self.is_over:
            return
        self._parser = httptools.HttpRequestParser(self)
        if (request := self._request) is not None:
            self._is_chunked = False
            dropped = (b"upgrade", b"expect")
            fields = b"".join(b"%b: %b\r\n" % item for item in request.headers.items() if item[0] not in dropped)
            self._feed(b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method, request.target, fields))
        if rest:
            self._feed(rest)

    def _check_size(self, headers: dict[bytes, bytes]) -> None:
        size = self._repeats_bytes + sum(len(name) + len(value) + 4 for name, value in headers.items())
        fields = len(headers) + self._repeats
        self._partial_bytes = self._repeats = self._repeats_bytes = 0
        if size > self._limits.header_bytes or fields > self._limits.header_fields:
            raise self._head_too_large()

    def _check_connection(self, request: Request) -> bool:
        """Find out what becomes of the connection after this request. Returns whether it is HTTP/1.1, else it is 1.0."""
        version, is_keep_alive = self._parser.get_http_version(), self._parser.should_keep_alive()
        if version not in ("1.0", "1.1"):
            raise BadRequest("the HTTP version is neither 1.0 nor 1.1")
        if not is_keep_alive:
            request.close()
        elif version == "1.0":
            request.tail = KEEP_1_0
        if version == "1.0" and (host := request.headers.get(b"host")) is not None:
            check_host(host)
        return version == "1.1"

    def _check_body(self, headers: dict[bytes, bytes], *, is_1_1: bool) -> None:
        if (coding := headers.get(b"transfer-encoding")) is not None:
            if b"content-length" in headers:
                raise BadRequest("the request has both Content-Length and Transfer-Encoding; send one")
            check_transfer_coding(coding, is_1_1=is_1_1)
            self._is_chunked = True
        elif int(headers[b"content-length"]) > self._limits.body_bytes:
            raise self._too_large()
        if b"expect" in headers and headers[b"expect"].lower() == b"100-continue" and is_1_1:
            self._receiver.proceed()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is over the limit of {self._limits.body_bytes} bytes; send fewer rows a request")

    def _head_too_large(self) -> HeadersTooLarge:
        limits = self._limits
        return HeadersTooLarge(f"the head is over the limit of {limits.header_bytes} bytes or {limits.header_fields} fields; send fewer")
