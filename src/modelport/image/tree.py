"""What a layer holds, as data: files, folders and links under the paths that they get in the image.

Owners, times and the modes that the builder's file system happens to have are no part of it: the same content is the same tree.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from modelport.errors import UnreadableFile, UsageError

Kind: TypeAlias = Literal["file", "folder", "link"]
_WHITEOUT = ".wh."
_LONGEST_NAME, _LONGEST_PATH = 255, 4000


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of an image, without a leading slash. ``source``: a file's content, or where it lies; ``link``: what a link says.

    ``is_shared``: of a folder, that everybody may put files there and remove their own.
    """

    path: str
    kind: Kind
    source: Path | bytes = b""
    link: str = ""
    is_executable: bool = False
    is_shared: bool = False


def file(path: str, content: bytes, *, is_executable: bool = False) -> Entry:
    """Return an entry for content that lies in no file."""
    return Entry(_checked(path), "file", content, is_executable=is_executable)


def walk(folder: Path, prefix: str, keep: Callable[[str], bool] = lambda _: True) -> Iterator[Entry]:
    """Yield all that lies in a folder as entries below ``prefix``. ``keep``: which paths, relative to the folder, are taken.

    Raises: UnreadableFile for what is neither file, folder nor a link that stays inside; UsageError for a name no image can hold.
    """
    for entry in sorted(_scan(folder), key=lambda item: os.fsencode(item.name)):
        yield from _one(entry, folder, "", (prefix, keep))


def _one(entry: os.DirEntry[str], root: Path, inner: str, how: tuple[str, Callable[[str], bool]]) -> Iterator[Entry]:
    prefix, keep = how
    name = f"{inner}/{entry.name}".lstrip("/")
    if not keep(name):
        return
    target = _checked(f"{prefix}/{name}")
    mode = entry.stat(follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        yield Entry(target, "link", link=_inside(root, name, os.readlink(entry.path)))  # noqa: PTH115  # as it is written
    elif stat.S_ISDIR(mode):
        yield Entry(target, "folder")
        for below in sorted(_scan(Path(entry.path)), key=lambda item: os.fsencode(item.name)):
            yield from _one(below, root, name, how)
    elif stat.S_ISREG(mode):
        yield Entry(target, "file", Path(entry.path), is_executable=bool(mode & 0o100))
    else:
        raise UnreadableFile(f"{entry.path}: is neither a file nor a folder; remove it from what goes into the image")


def with_parents(entries: list[Entry]) -> list[Entry]:
    """Return the entries in the order of their paths, each once, with the folders that they lie in.

    Raises: UsageError where two of them claim one path.
    """
    found: dict[str, Entry] = {}
    for entry in entries:
        for parent in PurePosixPath(entry.path).parents:
            if str(parent) != "." and found.setdefault(str(parent), Entry(str(parent), "folder")).kind != "folder":
                raise UsageError(f'"{parent}" would be twice in the image, as a folder and as something else; rename one of them')
        known = found.get(entry.path)
        if known is not None and not known.kind == entry.kind == "folder":
            raise UsageError(f'"{entry.path}" would be twice in the image; rename one of them')
        found[entry.path] = entry
    # A folder before what lies in it: "a" before "a/b", which comes before "a-b".
    return [found[path] for path in sorted(found, key=lambda path: os.fsencode(path).split(b"/"))]


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise UnreadableFile(f"{folder}: cannot be listed ({error.strerror}); give a folder that you may read") from error


def _inside(root: Path, name: str, link: str) -> str:
    """Return what a link says if it leads to something in the root, whatever lies there. Raises: UnreadableFile if it leads out."""
    reached = os.path.normpath(os.path.join(os.path.dirname(name), link))  # noqa: PTH118, PTH120  # text, not a path of this machine
    if link.startswith("/") or reached == ".." or reached.startswith("../"):
        raise UnreadableFile(f'{root / name}: links to "{link}", outside of what goes into the image; copy the file there instead')
    return link


def _checked(path: str) -> str:
    """Return a path as it stands in a layer. Raises: UsageError for one that would mean something else there."""
    parts = path.split("/")
    is_long = len(os.fsencode(path)) > _LONGEST_PATH or any(len(os.fsencode(part)) > _LONGEST_NAME for part in parts)
    if is_long or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise UsageError(f"{path[:120]!r} is no path for an image; rename the file")
    if any(part.startswith(_WHITEOUT) for part in parts):
        raise UsageError(f"{path[:120]!r}: a name that begins with {_WHITEOUT} removes files from an image; rename the file")
    return path
