"""Layers: trees written as tar archives that depend on their content alone, compressed, and kept by what they hold.

The compressed bytes depend on the build of zlib. So what is kept is found by the digest of the archive itself, and the same
layer is not sent twice because another machine compressed it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import BinaryIO, Protocol

from modelport.errors import TargetRefused, UnreadableFile
from modelport.image.reference import DIGEST
from modelport.image.store import CHUNK_BYTES, Descriptor, Store, canonical, descriptor
from modelport.image.tree import Entry, with_parents

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_GZIP = 31  # zlib's window bits for a gzip header, which it writes without a time and a name
_TYPES = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}


@dataclass(frozen=True, slots=True)
class Layer:
    """A compressed layer: its blob, and the digest of the archive in it (``diff_id``)."""

    blob: Descriptor
    diff_id: str


class Sink(Protocol):
    """What archives are written to."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""
        ...


def epoch(environment: dict[str, str] | None = None) -> int:
    """Return the time that files and images get: SOURCE_DATE_EPOCH, else 0. https://reproducible-builds.org/specs/source-date-epoch/."""
    text = (os.environ if environment is None else environment).get("SOURCE_DATE_EPOCH", "0")
    return int(text) if text.isdecimal() and len(text) < 12 else 0


def write_tar(entries: Iterable[Entry], sink: Sink, mtime: int) -> None:
    """Write the entries, in the order they come, as a tar archive. Raises: UnreadableFile if a file changes meanwhile."""
    archive = tarfile.open(  # noqa: SIM115  # closed below, where nothing went wrong
        fileobj=_Writer(sink), mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
    )
    for entry in entries:
        member = tarfile.TarInfo(entry.path)
        member.type, member.linkname, member.mtime = _TYPES[entry.kind], entry.link, mtime
        member.mode = _mode(entry)
        if entry.kind != "file":
            archive.addfile(member)
        elif isinstance(entry.source, bytes):
            member.size = len(entry.source)
            archive.addfile(member, BytesIO(entry.source))
        else:
            _add_file(archive, member, entry.source)
    archive.close()


def _mode(entry: Entry) -> int:
    if entry.kind == "file":
        return 0o755 if entry.is_executable else 0o644
    return 0o777 if entry.kind == "link" else 0o1777 if entry.is_shared else 0o755


def make(store: Store, entries: Iterable[Entry], level: int) -> Layer:
    """Write a layer into the store, or find it there. Raises: UnreadableFile if a file cannot be read or changes.

    Cost: the files are read once where the layer is kept, else twice; compression at level 6 takes about 45 s a gigabyte.
    """
    ordered, mtime = with_parents(list(entries)), epoch()
    return compressed(store, lambda sink: write_tar(ordered, sink, mtime), level)


def compressed(store: Store, write: Callable[[Sink], object], level: int) -> Layer:
    """Compress what ``write`` writes, the same each time, into the store, unless it is there already."""
    hashed = hashlib.sha256()
    write(_Hash(hashed.update))
    diff_id = f"sha256:{hashed.hexdigest()}"
    note = store.root / "layers" / f"{hashed.hexdigest()}-{level}"
    if (known := _known(store, note)) is not None:
        return Layer(known, diff_id)
    with store.incoming() as path, path.open("wb") as file:
        packer = _Packer(file, level)
        write(packer)
        packer.finish()
        file.flush()
        if packer.diff_id != diff_id:
            raise UnreadableFile("a file changed while its layer was being written; wait until it is written, then try again")
        blob = Descriptor(LAYER, packer.digest, packer.size)
        path.replace(store.path(blob.digest))
    note.parent.mkdir(exist_ok=True, mode=0o700)
    note.write_bytes(canonical(blob.to_dict()))
    return Layer(blob, diff_id)


class _Writer(RawIOBase):
    """What tarfile takes for a file that can only be written."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, data: bytes) -> int:  # type: ignore[override]  # tarfile writes bytes
        self._sink.write(data)
        return len(data)


class _Hash:
    def __init__(self, update: Callable[[bytes], object]) -> None:
        self.write = update


class _Packer:
    """Compresses into a file; knows the digests of both sides."""

    def __init__(self, file: BinaryIO, level: int) -> None:
        self._file = file
        self._zlib = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
        self._inner, self._outer = hashlib.sha256(), hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._inner.update(data)
        self._out(self._zlib.compress(data))

    def finish(self) -> None:
        self._out(self._zlib.flush())

    def _out(self, data: bytes) -> None:
        self._outer.update(data)
        self.size += self._file.write(data)

    @property
    def diff_id(self) -> str:
        return f"sha256:{self._inner.hexdigest()}"

    @property
    def digest(self) -> str:
        return f"sha256:{self._outer.hexdigest()}"


def _add_file(archive: tarfile.TarFile, member: tarfile.TarInfo, source: Path) -> None:
    try:
        with source.open("rb") as file:
            member.size = os.fstat(file.fileno()).st_size
            archive.addfile(member, file)
            if file.read(1):
                raise UnreadableFile(f"{source}: grew while it was being read; wait until it is written, then try again")
    except OSError as error:
        said = error.strerror or "it became shorter while it was being read"
        raise UnreadableFile(f"{source}: cannot be read ({said}); give a file that you may read and nobody writes") from error


def _known(store: Store, note: Path) -> Descriptor | None:
    try:
        blob = descriptor(json.loads(note.read_bytes()), str(note))
    except (OSError, ValueError, TargetRefused):
        return None
    return blob if DIGEST.match(blob.digest) and store.has(blob) else None


def copy_into(file: BinaryIO, sink: Sink) -> None:
    """Write all of a file into a sink."""
    while chunk := file.read(CHUNK_BYTES):
        sink.write(chunk)
