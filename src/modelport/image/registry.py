"""A registry as OCI's distribution specification has it: manifests and blobs of one repository, read and written.

What breaks on the way is tried again with growing pauses: downloads and uploads go on where they stopped.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import urljoin

from modelport.errors import TargetRefused
from modelport.image import login as logins
from modelport.image.media import INDEXES, MANIFESTS
from modelport.image.order import Access, Credentials
from modelport.image.reference import HUB, Reference
from modelport.image.store import Descriptor, Store, digest_of
from modelport.image.transport import Answer, Call, Lost, Transport, is_loopback

T = TypeVar("T")
_BUSY = (429, 500, 502, 503, 504)
_LONGEST_PAUSE_S = 20.0
_LARGEST_MANIFEST = 4 << 20
_ACCEPT = {"Accept": ", ".join([*INDEXES, *MANIFESTS])}


class Registry:
    """One repository. ``pause`` waits a number of seconds between tries."""

    def __init__(self, reference: Reference, access: Access, *, pause: Callable[[float], object] = time.sleep) -> None:
        self.reference = reference
        self._transport = Transport(is_insecure=access.is_insecure, timeout_s=access.timeout_s)
        self._tries = access.tries
        self._pause = pause
        self._credentials: Credentials | None = access.credentials
        self._is_asked = access.credentials is not None
        self._login = ""
        host = "registry-1.docker.io" if reference.host == HUB else reference.host
        name = re.sub(r":\d+\Z", "", host).strip("[]")
        self._scheme = "http" if is_loopback(name) or access.is_insecure else "https"
        self._root = f"{self._scheme}://{host}/v2/{reference.path}"

    def close(self) -> None:
        """Close its connections."""
        self._transport.close()

    def manifest(self, wanted: str) -> tuple[bytes, str]:
        """Return a manifest or index by tag or digest, checked, and its media type. Raises: TargetRefused if there is none."""

        def get() -> tuple[bytes, str]:
            answer = self._send(Call("GET", f"{self._root}/manifests/{wanted}", _ACCEPT))
            data = answer.read(_LARGEST_MANIFEST)
            if answer.status == 404:
                raise TargetRefused(f"{self.reference.name} has no {wanted}; list its tags, and correct the reference")
            self._check(answer, data, (200,), f"reading {wanted}")
            found = digest_of(data)
            if wanted.startswith("sha256:") and found != wanted:
                raise TargetRefused(f"{self.reference.name} answered for {wanted} with {found}; somebody changed it: use another registry")
            return data, answer.headers.get_content_type()

        return self._again(get)

    def fetch(self, blob: Descriptor, store: Store) -> None:
        """Bring a blob into the store, unless it is there. Raises: TargetRefused if it is missing or another one."""
        if not store.has(blob):
            store.fill(blob, self._pieces(blob))

    def has(self, blob: Descriptor) -> bool:
        """Whether the repository has a blob."""

        def head() -> bool:
            answer = self._send(Call("HEAD", f"{self._root}/blobs/{blob.digest}"))
            answer.read()
            if answer.status not in (200, 404):
                self._check(answer, b"", (200,), "looking for a layer")
            return answer.status == 200

        return self._again(head)

    def upload(self, blob: Descriptor, store: Store, mount: str = "") -> bool:
        """Put a blob there; False if it was there, or could be taken from the repository ``mount`` of the same registry.

        An upload that breaks goes on from what the registry has of it, where it says so, else from the beginning.
        """
        if self.has(blob):
            return False
        place = self._again(lambda: self._begin(blob, mount))
        if not place:
            return False
        for attempt in range(self._tries):
            start = 0
            try:
                if attempt:
                    place, start = self._resume(place)
                self._finish(self._send_rest(place, blob, store, start), blob)
                return True
            except Lost as error:
                if attempt == self._tries - 1:
                    raise self._gone(error) from error
                self._wait(attempt)
        raise AssertionError("the last try returns or raises")

    def put_manifest(self, data: bytes, media: str, wanted: str) -> None:
        """Put a manifest or index under a tag or its digest."""

        def put() -> None:
            answer = self._send(Call("PUT", f"{self._root}/manifests/{wanted}", {"Content-Type": media}, data))
            self._check(answer, answer.read(), (200, 201, 202), f"writing {wanted}")

        self._again(put)

    def _pieces(self, blob: Descriptor) -> Iterator[bytes]:
        """Yield a blob's bytes; after a break go on from where it broke."""
        done, attempt = 0, 0
        while True:
            try:
                for piece in self._piece(blob, done):
                    done += len(piece)
                    attempt = 0
                    yield piece
                if done >= blob.size:
                    return
                raise Lost("the answer was cut short")
            except Lost as error:
                attempt += 1
                if attempt >= self._tries:
                    raise self._gone(error) from error
                self._wait(attempt - 1)

    def _piece(self, blob: Descriptor, start: int) -> Iterator[bytes]:
        ranged = {"Range": f"bytes={start}-"} if start else {}
        answer = self._send(Call("GET", f"{self._root}/blobs/{blob.digest}", ranged))
        if answer.status not in (200, 206):
            self._check(answer, answer.read(), (200,), f"reading {blob.digest}")
        skipped = start if answer.status == 200 else 0  # it knows no ranges
        for piece in answer.chunks():
            rest = piece[skipped:]
            skipped -= len(piece) - len(rest)
            if rest:
                yield rest

    def _begin(self, blob: Descriptor, mount: str) -> str:
        """Return where an upload goes; "" if nothing is to be sent."""
        query = f"?mount={blob.digest}&from={mount}" if mount else ""
        answer = self._send(Call("POST", f"{self._root}/blobs/uploads/{query}", body=b""))
        data = answer.read()
        if mount and answer.status == 201:
            return ""
        if mount and answer.status not in (201, 202):  # no right to read the other repository: then without it
            return self._begin(blob, "")
        self._check(answer, data, (202,), "beginning an upload")
        return self._next(answer)

    def _resume(self, place: str) -> tuple[str, int]:
        """Ask how far an upload came. Returns where it goes on, and from which byte; a new one where the old one is lost."""
        answer = self._send(Call("GET", place))
        answer.read()
        found = re.fullmatch(r"(?:bytes=)?0-(\d+)", answer.headers.get("Range", ""))
        if answer.status == 204 and found is not None:
            last = int(found[1])
            return self._next(answer, place), last + 1 if last else 0  # an empty upload says 0-0, too
        answer = self._send(Call("POST", f"{self._root}/blobs/uploads/", body=b""))
        self._check(answer, answer.read(), (202,), "beginning an upload anew")
        return self._next(answer), 0

    def _send_rest(self, place: str, blob: Descriptor, store: Store, start: int) -> str:
        """Send the bytes from ``start`` on; returns where the upload is to be closed."""
        if start >= blob.size:
            return place
        headers = {"Content-Type": "application/octet-stream"}
        if start:
            headers["Content-Range"] = f"{start}-{blob.size - 1}"
        answer = self._send(Call("PATCH", place, headers, store.chunks(blob, start), blob.size - start))
        data = answer.read()
        if answer.status in _BUSY or answer.status == 416:
            raise Lost(f"HTTP {answer.status} in an upload")
        self._check(answer, data, (202, 201, 204), "sending a layer")
        return self._next(answer, place)

    def _finish(self, place: str, blob: Descriptor) -> None:
        separator = "&" if "?" in place else "?"
        answer = self._send(Call("PUT", f"{place}{separator}digest={blob.digest}", body=b""))
        data = answer.read()
        if answer.status in _BUSY or answer.status in (400, 404, 416):
            if not self.has(blob):  # what it has of the upload is not what it should be: once more
                raise Lost(f"HTTP {answer.status} at the end of an upload ({words(data)})")
            return
        self._check(answer, data, (201, 204), "closing an upload")

    def _next(self, answer: Answer, place: str = "") -> str:
        location = answer.headers.get("Location", "")
        if not location and not place:
            raise TargetRefused(f"{self.reference.host} takes an upload and does not say where; ask who runs it")
        return urljoin(answer.url, location) if location else place

    def _send(self, call: Call) -> Answer:
        """Send with the login that belongs to this registry; get one if the answer asks for it."""
        is_own = call.url.startswith(f"{self._root.partition('/v2/')[0]}/")
        answer = self._transport.send(_with(call, self._login if is_own else ""))
        if answer.status != 401 or not is_own:
            return answer
        answer.read()
        challenge = answer.headers.get("WWW-Authenticate", "")
        if not self._is_asked:
            self._credentials, self._is_asked = logins.credentials(self.reference.host), True
        if challenge.lower().startswith("basic"):
            if self._credentials is None or self._login:
                raise logins.refused(self.reference.host, self._credentials, 401)
            self._login = logins.basic(self._credentials)
        else:
            self._login = logins.bearer(self._transport, challenge, self.reference.host, self._credentials)
        if call.body is not None and not isinstance(call.body, bytes):  # what was sent of it is gone
            raise Lost("a login was asked for in the middle of an upload")
        answer = self._transport.send(_with(call, self._login))
        if answer.status == 401:
            answer.read()
            raise logins.refused(self.reference.host, self._credentials, 401)
        return answer

    def _check(self, answer: Answer, data: bytes, expected: tuple[int, ...], doing: str) -> None:
        if answer.status in expected:
            return
        if answer.status in (401, 403):
            raise logins.refused(self.reference.host, self._credentials, answer.status)
        if answer.status in _BUSY:
            raise Lost(f"HTTP {answer.status} while {doing} ({words(data)})")
        raise TargetRefused(
            f'{self.reference.host} refused with "{words(data)}" (HTTP {answer.status}) while {doing} of '
            f"{self.reference.path}; correct the name, or ask who runs the registry"
        )

    def _again(self, action: Callable[[], T]) -> T:
        for attempt in range(self._tries):
            try:
                return action()
            except Lost as error:
                if attempt == self._tries - 1:
                    raise self._gone(error) from error
                self._wait(attempt)
        raise AssertionError("the last try returns or raises")

    def _wait(self, attempt: int) -> None:
        self._pause(min(_LONGEST_PAUSE_S, 0.5 * 2**attempt) * random.uniform(0.7, 1.0))  # noqa: S311  # so that not all come back at once

    def _gone(self, error: Lost) -> TargetRefused:
        return TargetRefused(f"{self.reference.host} cannot be reached ({error}), {self._tries} times; look at the network and the address")


def words(data: bytes) -> str:
    """Return what a registry says of an error, on one line."""
    try:
        first = json.loads(data)["errors"][0]
        said = f"{first.get('code', '')}: {first.get('message', '')}".strip(": ")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        said = data.decode("utf-8", "replace")
    line = " ".join(said.split())
    return "".join(char for char in line if char.isprintable())[:200] or "no reason given"


def _with(call: Call, login: str) -> Call:
    return Call(call.method, call.url, call.headers, call.body, call.length, login)
