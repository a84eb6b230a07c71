"""Reads an artifact once: one descriptor, one digest, and the compressions that joblib writes, bounded against bombs.

Whatever looks at a file afterwards (the static reader, the unpickler) works on the bytes returned here, so nothing can
change between the check and the use.
"""

from __future__ import annotations

import bz2
import hashlib
import importlib
import io
import lzma
import os
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from modelport.errors import MissingExtra, RefusedFile, UnreadableFile

# A compressed model of arrays full of zeros honestly reaches 100:1; zlib cannot exceed 1032:1, xz reaches 7000:1.
MAX_RATIO = 300
ALWAYS_ALLOWED_BYTES = 64 << 20
MAX_BYTES = 16 << 30
_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 4096
_DAMAGE = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError)  # what the five libraries raise on bad input


@dataclass(frozen=True, slots=True)
class Content:
    """A file's bytes without its compression; ``size_bytes`` and ``sha256`` are those of the file as it lies on disk."""

    data: bytes
    size_bytes: int
    sha256: str
    compression: str


class _Decoder(Protocol):
    """What ``bz2``, ``lzma`` and ``lz4.frame`` decompressors have in common."""

    eof: bool
    needs_input: bool
    unused_data: bytes | None

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return up to ``max_length`` bytes more."""
        ...


class _Zlib:
    """Gives zlib's object the surface of the other decompressors: it keeps the input that it has not consumed yet."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)
        self.unused_data = b""
        self.eof = False
        self.needs_input = True

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return up to ``max_length`` bytes more."""
        out = self._inner.decompress(self._inner.unconsumed_tail + data, max(max_length, 0))
        self.eof = self._inner.eof
        self.needs_input = not self._inner.unconsumed_tail
        self.unused_data = self._inner.unused_data
        return out


def compression(head: bytes) -> str:
    """Name the compression that these first bytes announce: zlib, gzip, bz2, xz, lzma, lz4, or "" for none."""
    if len(head) > 1 and head[0] == 0x78 and int.from_bytes(head[:2], "big") % 31 == 0:  # RFC 1950, 2.2
        return "zlib"
    signatures = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x5d\x00\x00": "lzma", b"\x04\x22\x4d\x18": "lz4"}
    return next((name for prefix, name in signatures.items() if head.startswith(prefix)), "")


def read(path: Path) -> Content:
    """Read a whole file, hash it, and undo its compression.

    Raises: UnreadableFile if it is missing, no regular file, damaged, or changes meanwhile; RefusedFile for a
        decompression bomb; MissingExtra for lz4 without its library.
    Cost: the file and its decompressed form in memory.
    """
    raw = _read_raw(path)
    digest = hashlib.sha256(raw).hexdigest()
    kind = compression(raw[:16])
    data = _inflate(raw, kind, path.name) if kind else raw
    return Content(data, len(raw), digest, kind)


def digest(path: Path) -> tuple[int, str]:
    """Return a file's size in bytes and its sha256, without holding it in memory. Raises: UnreadableFile."""
    hasher, size = hashlib.sha256(), 0
    with _open(path) as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            hasher.update(chunk)
            size += len(chunk)
    return size, hasher.hexdigest()


def head(path: Path) -> tuple[bytes, bytes]:
    """Return a file's first bytes as they lie there, and the first bytes after decompression (the same where there is none).

    Raises: UnreadableFile, MissingExtra.
    """
    with _open(path) as handle:
        raw = handle.read(_HEAD_BYTES)
    kind = compression(raw)
    if not kind:
        return raw, raw
    try:
        return raw, _decoder(kind).decompress(raw, _HEAD_BYTES)
    except _DAMAGE as error:
        raise UnreadableFile(
            f"{path.name}: its first bytes announce {kind} compression but do not decompress; the file is damaged"
        ) from error


def tail(path: Path) -> bytes:
    """Return a file's last byte, or nothing for an empty file. Raises: UnreadableFile."""
    with _open(path) as handle:
        handle.seek(max(0, os.fstat(handle.fileno()).st_size - 1))
        return handle.read(1)


class _Reader(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, /) -> int: ...
    def fileno(self) -> int: ...
    def __enter__(self) -> _Reader: ...
    def __exit__(self, *args: object) -> None: ...


def _open(path: Path) -> _Reader:
    try:
        # O_NONBLOCK so that a named pipe cannot hold us up before we see that it is one.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UnreadableFile(f"{path}: cannot be opened ({error.strerror}); give the path of a model file that you may read") from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise UnreadableFile(f"{path}: is {what}; a model file was expected here")
    return cast("_Reader", os.fdopen(descriptor, "rb"))


def _read_raw(path: Path) -> bytes:
    with _open(path) as handle:
        before = os.fstat(handle.fileno())
        if before.st_size > MAX_BYTES:
            raise RefusedFile(f"{path.name}: is {before.st_size} bytes, more than the limit of {MAX_BYTES}")
        data = handle.read()
        after = os.fstat(handle.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise UnreadableFile(f"{path.name}: changed while it was being read; wait until it is written, then try again")
    return data


def _decoder(kind: str) -> _Decoder:
    if kind == "lz4":
        try:
            frame = importlib.import_module("lz4.frame")
        except ModuleNotFoundError as error:
            raise MissingExtra("the file is compressed with lz4, whose library is not installed; run: pip install lz4") from error
        return cast("_Decoder", frame.LZ4FrameDecompressor())
    makers: dict[str, Callable[[], object]] = {
        "zlib": lambda: _Zlib(zlib.MAX_WBITS),
        "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
        "bz2": bz2.BZ2Decompressor,
        "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << 30),
        "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=1 << 30),
    }
    return cast("_Decoder", makers[kind]())


def _inflate(raw: bytes, kind: str, name: str) -> bytes:
    limit = min(MAX_BYTES, max(ALWAYS_ALLOWED_BYTES, len(raw) * MAX_RATIO))
    # BytesIO hands its own buffer over: a list of parts joined at the end would hold everything twice.
    decoder, out, position = _decoder(kind), io.BytesIO(), 0
    try:
        while not decoder.eof:
            chunk = raw[position : position + _CHUNK_BYTES]
            position += len(chunk)
            part = decoder.decompress(chunk, _CHUNK_BYTES * 8)
            if not part and not chunk and not decoder.eof:
                break
            if out.tell() + len(part) > limit:
                raise RefusedFile(
                    f"{name}: {len(raw)} bytes of {kind} unpack to more than {limit}; that is a decompression bomb, "
                    "or a model to save again without compression"
                )
            out.write(part)
    except _DAMAGE as error:
        raise UnreadableFile(f"{name}: its {kind} compression is damaged ({error}); copy the file again from where it was made") from error
    if not decoder.eof:
        raise UnreadableFile(f"{name}: its {kind} compression ends too early; the file is cut off, copy it again")
    if position - len(decoder.unused_data or b"") < len(raw):
        raise UnreadableFile(f"{name}: bytes follow the end of its {kind} compression; one compressed pickle was expected")
    return out.getvalue()
