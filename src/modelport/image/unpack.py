"""Reading layers of others: decompressed in bounded pieces, hashed, and walked as tar archives from front to back."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from io import SEEK_SET, RawIOBase

from modelport.errors import TargetRefused
from modelport.image.layers import Layer
from modelport.image.store import CHUNK_BYTES, Store

_GZIP = 31
_LARGEST_READ = 32 << 20  # of one header's names: tarfile takes them into memory
_FREE_BYTES = 1 << 30
_RATIO = 200  # deflate reaches 1032; file systems reach 5
_MOST_MEMBERS = 2_000_000


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what is in gzip members, or the bytes as they are if it is none, a mebibyte at a time at most.

    Raises: TargetRefused for damaged data, and for what unpacks to far more than files do.
    """
    packed = plain = 0
    unpacker, is_first = None, True
    for chunk in chunks:
        packed += len(chunk)
        if is_first and chunk[:2] == b"\x1f\x8b":
            unpacker = zlib.decompressobj(_GZIP)
        is_first = False
        if unpacker is None:
            yield chunk
            continue
        rest = chunk
        while rest:
            try:
                piece = unpacker.decompress(rest, CHUNK_BYTES)
            except zlib.error as error:
                raise TargetRefused(f"a layer of the base is damaged ({error}); fetch the base anew") from error
            plain += len(piece)
            if plain > _FREE_BYTES and plain > _RATIO * packed:
                raise TargetRefused(f"a layer of the base unpacks to more than {_RATIO} times its size; use another base")
            if piece:
                yield piece
            rest = unpacker.unconsumed_tail
            if unpacker.eof:
                rest = unpacker.unused_data
                unpacker = zlib.decompressobj(_GZIP)


def members(layer: Layer, store: Store) -> Iterator[tarfile.TarInfo]:
    """Yield what a layer's archive lists, and check that it is what its config promised.

    Raises: TargetRefused if it is not, if it is damaged, or if a path of it leads out of the root.
    """
    source = _Forward(inflate(store.chunks(layer.blob)))
    try:
        with tarfile.open(fileobj=source, mode="r:") as archive:
            count = 0
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # tarfile would keep all of them
                count += 1
                if count > _MOST_MEMBERS:
                    raise TargetRefused(f"a layer of the base holds more than {_MOST_MEMBERS} files; use another base")
                if member.name.startswith("/") or ".." in member.name.split("/"):
                    raise TargetRefused(f"a layer of the base holds {member.name[:100]!r}, which leads out of it; use another base")
                yield member
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError) as error:
        raise TargetRefused(f"a layer of the base is no tar archive ({str(error)[:100]}); use another base") from error
    if (found := source.rest()) != layer.diff_id:
        raise TargetRefused(f"a layer of the base was promised as {layer.diff_id} and is {found}; somebody changed it: fetch the base anew")


class _Forward(RawIOBase):
    """A file to tarfile that only goes forward, and hashes what passes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = memoryview(b"")
        self._at = 0
        self._hash = hashlib.sha256()

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        if whence != SEEK_SET or offset < self._at:
            raise tarfile.ReadError("it would have to be read backwards")
        while self._at < offset and self._take(offset - self._at):
            pass
        return self._at

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_READ:
            raise tarfile.ReadError(f"a header claims {size} bytes")
        out = bytearray()
        while len(out) < size and (piece := self._take(size - len(out))):
            out += piece
        return bytes(out)

    def rest(self) -> str:
        """Read to the end; return the digest of everything."""
        while self._take(CHUNK_BYTES):
            pass
        return f"sha256:{self._hash.hexdigest()}"

    def _take(self, most: int) -> memoryview:
        if not self._buffer:
            chunk = next(self._chunks, b"")
            self._hash.update(chunk)
            self._buffer = memoryview(chunk)
        piece, self._buffer = self._buffer[:most], self._buffer[most:]
        self._at += len(piece)
        return piece
