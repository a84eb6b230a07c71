"""Memo: request heads that were parsed before, byte for byte.

A client that keeps its connection sends the same head again and again; only the body differs. The same bytes parse the same
way, so a head that llhttp and every check of ours passed needs neither a second time (2 µs become 0.4), and what the application
made of it the first time (route, content type, time limit) holds as well. Only heads are kept that a body of a fixed length follows
and that nothing marks as different next time.
"""

from __future__ import annotations

from modelport.http.request import KEEP, Head, Request

HEADS = 256
HEAD_BYTES = 2048
_PASSING = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"x-request-id", b"traceparent"))


class Memo:
    """The heads that all connections of a front have seen; at most HEADS of HEAD_BYTES."""

    __slots__ = ("heads",)

    def __init__(self) -> None:
        self.heads: dict[bytes, Head] = {}

    def clear(self) -> None:
        """Forget all heads: what was made of them may not hold any more."""
        for head in self.heads.values():
            head.start = None
        self.heads.clear()

    def keep(self, head: bytes, request: Request) -> None:
        """Remember a head and what it became, if the same bytes will mean the same again.

        ``head`` are the first bytes of a packet up to an empty line. They are this request's head only if they begin with its
        request line: a client may send empty lines before it.
        """
        headers = request.headers
        if request.tail is not KEEP or len(head) > HEAD_BYTES or not _PASSING.isdisjoint(headers):
            return
        if not head.startswith(b"%b %b HTTP/1.1\r\n" % (request.method, request.target)):
            return
        if len(self.heads) >= HEADS:
            self.clear()
        self.heads[head] = Head(request.method, request.target, headers, int(headers.get(b"content-length", b"0")))
