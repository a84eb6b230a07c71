"""HTTP to registries: one request at a time, streamed both ways, with time-outs, and credentials for the host that they belong to.

urllib follows redirects with whatever headers it was given, and holds bodies in memory to send them again; so this is http.client
with the rules of registries: HTTPS but for this machine, no more than a few redirects, a login for its own host only.
"""

from __future__ import annotations

import http.client
import ssl
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import SplitResult, urljoin, urlsplit

from modelport.errors import TargetRefused
from modelport.image.store import CHUNK_BYTES
from modelport.version import VERSION

_TIMEOUT_S = 60.0
_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
_LARGEST_ANSWER = 16 << 20


class Lost(Exception):
    """The connection broke, or could not be had: trying again may help."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request. ``body``: bytes, or pieces of ``length`` bytes in all. ``login``: for the URL's own host and port only."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] | None = None
    length: int = 0
    login: str = ""


class Answer:
    """A response whose body is not read yet; ``read`` or ``chunks`` take it, once."""

    def __init__(self, response: http.client.HTTPResponse, url: str) -> None:
        self.status = response.status
        self.headers: Message = response.headers
        self.url = url
        self._response = response

    def read(self, limit: int = _LARGEST_ANSWER) -> bytes:
        """Return the body. Raises: Lost; TargetRefused if it is longer than ``limit``."""
        data = b""
        for chunk in self.chunks():
            data += chunk
            if len(data) > limit:
                self._response.close()
                raise TargetRefused(f"{host_of(self.url)} answered with more than {limit} bytes where a document was expected")
        return data

    def chunks(self) -> Iterator[bytes]:
        """Yield the body. Raises: Lost."""
        try:
            while chunk := self._response.read(CHUNK_BYTES):
                yield chunk
        except (OSError, http.client.HTTPException) as error:
            raise Lost(_reason(error)) from error


class Transport:
    """Connections to hosts, kept open between requests. ``is_insecure``: plain HTTP to any host, not only to this machine."""

    def __init__(self, *, is_insecure: bool = False, timeout_s: float = _TIMEOUT_S) -> None:
        self._is_insecure = is_insecure
        self._timeout_s = timeout_s
        self._open: dict[tuple[str, str], http.client.HTTPConnection] = {}

    def send(self, call: Call) -> Answer:
        """Send a request, and follow where its answer leads if it asks for something.

        Raises: Lost if the connection breaks; TargetRefused for a redirect to where nothing may be sent, or too many.
        """
        for _ in range(_REDIRECTS + 1):
            answer = self._once(call)
            target = answer.headers.get("Location", "")
            if answer.status not in _MOVED or call.method not in ("GET", "HEAD") or not target:
                return answer
            answer.read()
            moved = urljoin(call.url, target)
            call = Call(call.method, moved, call.headers, login=call.login if _origin(moved) == _origin(call.url) else "")
        raise TargetRefused(f"{host_of(call.url)} redirects more than {_REDIRECTS} times; ask who runs the registry")

    def close(self) -> None:
        """Close all connections."""
        while self._open:
            self._open.popitem()[1].close()

    def _once(self, call: Call) -> Answer:
        parts = urlsplit(call.url)
        key = (parts.scheme, parts.netloc)
        is_kept = key in self._open
        try:
            return self._exchange(key, parts, call)
        except (OSError, http.client.HTTPException) as error:
            self._drop(key)
            # A connection that the other side closed while it was idle says nothing about the next one.
            if is_kept and not isinstance(error, TimeoutError) and (call.body is None or isinstance(call.body, bytes)):
                try:
                    return self._exchange(key, parts, call)
                except (OSError, http.client.HTTPException) as again:
                    self._drop(key)
                    error = again
            raise Lost(_reason(error)) from error

    def _exchange(self, key: tuple[str, str], parts: SplitResult, call: Call) -> Answer:
        connection = self._open.get(key)
        if connection is None:
            connection = self._open[key] = self._connect(parts)
        path = parts.path or "/"
        connection.putrequest(call.method, f"{path}?{parts.query}" if parts.query else path, skip_accept_encoding=True)
        pieces = [call.body] if isinstance(call.body, bytes) else call.body
        length = len(call.body) if isinstance(call.body, bytes) else call.length
        headers = {"User-Agent": f"modelport/{VERSION}", **call.headers}
        if call.login:
            headers["Authorization"] = call.login
        if pieces is not None or call.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(length)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        for piece in pieces or ():
            connection.send(piece)
        response = connection.getresponse()
        if response.will_close:
            self._open.pop(key, None)  # the response keeps the socket until it is read
        return Answer(response, call.url)

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or not host or parts.username is not None:
            raise TargetRefused(f"{parts.scheme}://{parts.netloc} is no address of a registry; https:// was expected")
        if parts.scheme == "http" and not (self._is_insecure or is_loopback(host)):
            raise TargetRefused(f"{host} is reached without encryption only with --insecure; use HTTPS")
        proxy = "" if is_loopback(host) or urllib.request.proxy_bypass(host) else urllib.request.getproxies().get(parts.scheme, "")
        via = urlsplit(proxy)
        address, port = (via.hostname or "", via.port or 8080) if via.hostname else (host, parts.port or 0)
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                address, port or 443, timeout=self._timeout_s, context=ssl.create_default_context()
            )
            if via.hostname:
                connection.set_tunnel(host, parts.port or 443)
            return connection
        return http.client.HTTPConnection(host, parts.port or 80, timeout=self._timeout_s)

    def _drop(self, key: tuple[str, str]) -> None:
        if (connection := self._open.pop(key, None)) is not None:
            connection.close()


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    return host == "localhost" or host == "::1" or (host.startswith("127.") and host.replace(".", "").isdecimal())


def host_of(url: str) -> str:
    """Return the host and port of a URL, for messages."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
