"""The routes of a front, as data, and how a request's target finds one.

A path with a model's name in it is written out for every model, so that finding a route is one look into a dict; only a target
that is not there is taken apart (query, percent-encoding, absolute form), and then refused with what there is nearby.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from modelport.engine.engine import Engine
from modelport.errors import BadRequest, NotFound
from modelport.http.heads import Answer
from modelport.http.request import Request
from modelport.telemetry.metrics import Tally

Handler: TypeAlias = Callable[[Request], Answer | None]
"""Returns the answer; None if it sends the answer itself, now or later."""

Prepare: TypeAlias = Callable[[Mapping[bytes, bytes]], Callable[[Request], None] | None]
"""Takes the headers of a POST and returns what starts every request that has them; None if each has to be looked at."""

NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Route:
    """One path. ``methods`` holds GET or POST; HEAD follows GET, OPTIONS is answered for all. ``is_open``: needs no API key.

    ``prepare``: what is asked once for a head that comes again and again.
    """

    path: str
    kind: str
    methods: Mapping[bytes, Handler]
    summary: str
    is_open: bool = False
    engine: Engine | None = None
    tally: Tally = field(default_factory=lambda: Tally("none"))
    prepare: Prepare | None = None

    @property
    def allow(self) -> tuple[str, ...]:
        """What the Allow header says."""
        names = [method.decode("ascii") for method in self.methods]
        return (*names, *(("HEAD",) if "GET" in names else ()), "OPTIONS")


class Table:
    """The routes by path."""

    __slots__ = ("_by_path", "routes")

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_path: dict[bytes, Route] = {}
        for route in routes:
            self._by_path.setdefault(route.path.encode(), route)
        self.routes = tuple(self._by_path.values())

    def find(self, target: bytes) -> Route:
        """Return the route of a request target. Raises: NotFound naming paths nearby; BadRequest for a malformed target."""
        return self._by_path.get(target) or self._search(target)

    def _search(self, target: bytes) -> Route:
        path = _path(target)
        route = self._by_path.get(path)
        if route is None:
            raise self._missing(path.decode("utf-8", "replace"))
        return route

    def _missing(self, path: str) -> NotFound:
        known = [route.path for route in self.routes if route.summary or route.kind == "predict"]
        shown = path if len(path) <= 100 else path[:100] + "…"
        shown = "".join(char if char.isprintable() else "�" for char in shown)
        if path.rstrip("/") in known:
            return NotFound(f'there is no path "{shown}"; did you mean "{path.rstrip("/")}", without the slash at the end?')
        if (problem := self._unknown_model(path)) is not None:
            return NotFound(problem)
        near = difflib.get_close_matches(path[:100], known, n=3, cutoff=0.6)
        if near:
            return NotFound(f'there is no path "{shown}"; did you mean {" or ".join(near)}?')
        main = [route.path for route in self.routes if route.kind == "predict"][:_SHOWN]
        return NotFound(
            f'there is no path "{shown}"; predictions are at {", ".join(main) or "no path yet"}, everything else is listed in /openapi.json'
        )

    def _unknown_model(self, path: str) -> str | None:
        """Say that a model or version does not exist, and which do; None if the path is not about one."""
        parts = path.split("/")
        if len(parts) < 3 or parts[1] != "models":
            return None
        versions: dict[str, list[str]] = {}
        for route in self.routes:
            if route.engine is not None and route.engine.version not in versions.setdefault(route.engine.name, []):
                versions[route.engine.name].append(route.engine.version)
        name = parts[2]
        if not NAME.fullmatch(name):
            return "that is no model's name; names are 1 to 128 letters, digits, dots, dashes and underscores"
        if name not in versions:
            return f'there is no model "{name}"; there are: {", ".join(versions) or "none"}'
        if len(parts) > 4 and parts[3] == "versions" and parts[4] not in versions[name]:
            if not NAME.fullmatch(parts[4]):
                return "that is no version; versions are 1 to 128 letters, digits, dots, dashes and underscores"
            return f'the model "{name}" has no version "{parts[4]}"; it has: {", ".join(versions[name])}'
        return None


def _path(target: bytes) -> bytes:
    """Return the decoded path of a target. Raises: BadRequest, NotFound."""
    if b"#" in target or any(byte <= 0x20 or byte >= 0x7F for byte in target):
        raise BadRequest("the request target holds a character that does not belong in one; percent-encode it")
    if target[:1] != b"/":
        scheme, found, rest = target.partition(b"://")
        if not found or scheme.lower() not in (b"http", b"https"):
            raise BadRequest('the request target is neither a path that starts with "/" nor an http URL')
        target = b"/" + rest.partition(b"/")[2] if b"/" in rest else b"/"
    path = target.partition(b"?")[0]
    if b"%" not in path:
        return path
    if re.search(rb"%(?![0-9A-Fa-f]{2})", path):
        raise BadRequest('the request target holds a "%" that is not followed by two hexadecimal digits')
    segments = [unquote_to_bytes(segment) for segment in path.split(b"/")]
    if any(re.search(rb"[/\\\x00-\x1f\x7f]", segment) for segment in segments):
        raise NotFound("there is no such path: a name in it holds an encoded slash or control character")
    return b"/".join(segments)
