"""Which Python a base has, and where: read from the listing of its layers, as an overlay of them would show it."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from modelport.errors import TargetRefused
from modelport.image.base import Base
from modelport.image.store import Store
from modelport.image.unpack import members

OLDEST = (3, 11)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for if a base does not say."""
_PROGRAM = re.compile(r"python3(?:\.(\d{1,3}))?\Z")
_LOADER = re.compile(r"(?:usr/)?lib/ld-musl-[a-z0-9_]+\.so\.1\Z")
_LINKS = 40
_MOST_KEPT = 200_000


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter in a base: where it is, its version, and which C library it stands on."""

    path: str
    version: tuple[int, int]
    libc: Literal["glibc", "musl"] = "glibc"

    @property
    def text(self) -> str:
        """The version as it is written."""
        return f"{self.version[0]}.{self.version[1]}"


def find(base: Base, store: Store) -> Python:
    """Return the Python that a base runs, the one of its PATH first.

    Raises: TargetRefused if there is none that we run on, or a layer is not what it should be. Cost: about a second for 50 MB.
    """
    seen = _Seen()
    for layer in base.layers:
        seen.begin()
        for member in members(layer, store):
            seen.add(member)
        seen.end()
    pythons = _pythons(seen.found, search_path(base.settings).split(":"))
    fit = [python for python in pythons if python.version >= OLDEST]
    if not fit:
        there = ", ".join(sorted({python.text for python in pythons})) or "no Python at all"
        raise TargetRefused(
            f"{base.name} has {there}, Python {OLDEST[0]}.{OLDEST[1]} or later was expected on its PATH; choose another --base"
        )
    return fit[0]


def search_path(settings: Mapping[str, object]) -> str:
    """Return the PATH that an image's config sets."""
    listed = settings.get("Env")
    texts = [item for item in listed if isinstance(item, str)] if isinstance(listed, list) else []
    return next((text.removeprefix("PATH=") for text in reversed(texts) if text.startswith("PATH=")), PATH)


@dataclass(slots=True)
class _Seen:
    """Links, and files that matter, of the layers so far. A value is what a link says, "" for a file."""

    found: dict[str, str] = field(default_factory=dict)
    _new: dict[str, str] = field(default_factory=dict)
    _gone: list[str] = field(default_factory=list)
    _emptied: list[str] = field(default_factory=list)

    def begin(self) -> None:
        self._new, self._gone, self._emptied = {}, [], []

    def add(self, member: tarfile.TarInfo) -> None:
        path = member.name.removeprefix("./").rstrip("/")
        folder, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            self._emptied.append(folder)
        elif name.startswith(".wh."):
            self._gone.append(f"{folder}/{name.removeprefix('.wh.')}".lstrip("/"))
        elif member.issym():
            self._new[path] = member.linkname
        elif (member.isreg() or member.islnk()) and (_PROGRAM.match(name) or _LOADER.match(path)):
            self._new[path] = ""
        elif path in self.found and not member.isdir():
            self._gone.append(path)
        if len(self._new) + len(self._gone) > _MOST_KEPT:
            raise TargetRefused(f"a layer of the base holds more than {_MOST_KEPT} links; use another base")

    def end(self) -> None:
        """Take away what the layer hides, then add what it brings."""
        gone, emptied = set(self._gone), set(self._emptied)
        if gone or emptied:
            self.found = {path: link for path, link in self.found.items() if not _is_hidden(path, gone, emptied)}
        self.found |= self._new


def _is_hidden(path: str, gone: set[str], emptied: set[str]) -> bool:
    if path in gone or "" in emptied:
        return True
    parents = [path[:at] for at, char in enumerate(path) if char == "/"]
    return any(parent in gone or parent in emptied for parent in parents)


def _pythons(found: Mapping[str, str], folders: list[str]) -> list[Python]:
    """Return those on the PATH: what ``python3`` is, folder by folder, then the others, the newest first."""
    libc: Literal["glibc", "musl"] = "musl" if any(_LOADER.match(path) for path in found) else "glibc"
    out: list[Python] = []
    others: list[Python] = []
    for folder in folders:
        place = _resolved(found, folder.strip("/"))
        named = [path for path in found if path.rpartition("/")[0] == place and _PROGRAM.match(path.rpartition("/")[2])]
        for path in named:
            real = _resolved(found, path)
            program = _PROGRAM.match(real.rpartition("/")[2])
            if found.get(real, None) != "" or program is None or program[1] is None:
                continue
            python = Python(f"/{real}", (3, int(program[1])), libc)
            (out if path.endswith("python3") else others).append(python)
    return out + sorted(others, key=lambda python: python.version, reverse=True)


def _resolved(found: Mapping[str, str], path: str) -> str:
    """Follow links, of folders on the way too; a path that never ends, or leaves the root, resolves to nothing."""
    todo, done = [part for part in path.split("/") if part not in ("", ".")], list[str]()
    for _ in range(_LINKS * 10):
        if not todo:
            return "/".join(done)
        part = todo.pop(0)
        if part == "..":
            done = done[:-1]
            continue
        link = found.get("/".join([*done, part]), "")
        if not link:
            done.append(part)
            continue
        if link.startswith("/"):
            done = []
        todo = [piece for piece in link.split("/") if piece not in ("", ".")] + todo
    return "\0"
