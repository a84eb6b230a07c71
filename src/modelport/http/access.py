"""Who may ask: API keys, compared in constant time."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest

from modelport.errors import Unauthorized
from modelport.http.request import Request


class Keys:
    """The keys that are let in. Only their digests are kept; equal lengths make the comparison take equal time."""

    __slots__ = ("_digests",)

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(sha256(key.encode()).digest() for key in keys)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def check(self, request: Request) -> None:
        """Let a request with a valid key pass. Raises: Unauthorized."""
        given = request.headers.get(b"x-api-key")
        if given is None:
            scheme, _, token = request.headers.get(b"authorization", b"").partition(b" ")
            given = token.strip() if scheme.lower() == b"bearer" else b""
        digest = sha256(given).digest()
        if not sum([compare_digest(digest, known) for known in self._digests]):  # a list: no early end tells which key was near
            raise Unauthorized('the API key is missing or wrong; send it as "Authorization: Bearer KEY" or "X-API-Key: KEY"')
