"""The archive that a skops file is: members within bounds, arrays whose headers say what their bytes hold, nothing unpacked unseen.

skops 0.16 unpacks 200 MiB from 200 kB without a question, and hands members to ``numpy.load``, which allots whatever an array's
header claims. So sizes are added up from the archive's directory first (a member cannot unpack to more than it says), and each
header is read here.
"""

from __future__ import annotations

import ast
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelport.errors import RefusedFile, UnreadableFile
from modelport.formats import arrays
from modelport.formats.streams import ALWAYS_ALLOWED_BYTES, MAX_RATIO
from modelport.formats.symbols import Block

SCHEMA = "schema.json"
_MOST_MEMBERS = 200_000
_MOST_SCHEMA_BYTES = 256 << 20
_MOST_HEADER_BYTES = 10_000
_KEPT_BYTES = 1 << 20  # of an array that is read for the report; of a larger one the shape is enough
_MAGIC = b"\x93NUMPY"
_SPARSE_KEYS = frozenset(f"{name}.npy" for name in ("indices", "indptr", "format", "shape", "data", "row", "col", "offsets", "_is_array"))
_DAMAGE = (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, NotImplementedError, KeyError)


@dataclass(frozen=True, slots=True)
class Archive:
    """An opened skops file: its members by name, and the bytes of the arrays that were looked at, joined for the report."""

    members: Mapping[str, zipfile.ZipInfo]
    source: zipfile.ZipFile
    kept: bytearray

    def read(self, name: object) -> bytes:
        """Return a member's bytes. Raises: UnreadableFile if there is none of that name, or it is damaged."""
        info = self.members.get(name) if isinstance(name, str) else None
        if info is None:
            raise UnreadableFile(f"the skops file names the member {str(name)[:60]!r}, which is not in it; it is damaged")
        try:
            return self.source.read(info)
        except _DAMAGE as error:
            raise UnreadableFile(f"the member {info.filename!r} of the skops file is damaged ({error}); copy the file again") from error


def open_archive(data: bytes) -> Archive:
    """Open a skops file's bytes. Raises: UnreadableFile if it is damaged, RefusedFile if it unpacks to more than any model does."""
    try:
        source = zipfile.ZipFile(io.BytesIO(data))
    except _DAMAGE as error:
        raise UnreadableFile(f"the skops file is no whole zip archive ({error}); copy it again") from error
    members = {info.filename: info for info in source.infolist()}
    if len(members) != len(source.infolist()) or len(members) > _MOST_MEMBERS:
        raise RefusedFile(f"the skops file has {len(source.infolist())} members, some of one name or too many; skops does not write that")
    _bound(members, len(data))
    if SCHEMA not in members or members[SCHEMA].file_size > _MOST_SCHEMA_BYTES:
        raise RefusedFile(f"the skops file has no {SCHEMA}, or one of more than {_MOST_SCHEMA_BYTES} bytes; save the model with joblib")
    return Archive(members, source, bytearray())


def _bound(members: Mapping[str, zipfile.ZipInfo], packed: int) -> None:
    total, limit = sum(info.file_size for info in members.values()), max(ALWAYS_ALLOWED_BYTES, packed * MAX_RATIO)
    if total > limit:
        raise RefusedFile(f"{packed} bytes unpack to {total}, more than {limit}; that is a decompression bomb, or save it uncompressed")


def array_of(archive: Archive, name: object) -> Block:
    """Return the array that a member holds, checked against its header. Raises: RefusedFile, UnreadableFile."""
    content = archive.read(name)
    block = _header(content)
    kept = content[block.start :] if arrays.nbytes(block) <= _KEPT_BYTES else b""
    archive.kept.extend(kept)
    return Block(block.dtype, block.shape, block.is_fortran, len(archive.kept) - len(kept))


def _header(content: bytes) -> Block:
    version = content[6:7]
    if not content.startswith(_MAGIC) or version not in (b"\x01", b"\x02", b"\x03"):
        raise RefusedFile("an array of the skops file is not in numpy's own format; skops does not write that")
    size_bytes = 2 if version == b"\x01" else 4
    start = 8 + size_bytes
    size = int.from_bytes(content[8:start], "little")
    if size > _MOST_HEADER_BYTES or start + size > len(content):
        raise UnreadableFile("an array of the skops file has a header longer than itself; the file is damaged")
    try:
        # The header is a literal by numpy's format; literal_eval makes nothing else, runs nothing, and the size is bounded above.
        told = ast.literal_eval(content[start : start + size].decode("utf-8" if version == b"\x03" else "latin1"))
        dtype = np.lib.format.descr_to_dtype(told["descr"])
        shape, is_fortran = told["shape"], told["fortran_order"]
    except (SyntaxError, ValueError, TypeError, LookupError, RecursionError, MemoryError) as error:
        raise UnreadableFile("an array of the skops file has a header that does not parse; the file is damaged") from error
    if dtype.hasobject or not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise RefusedFile("an array of the skops file holds objects, or has no proper shape; skops does not write that")
    block = Block(dtype, shape, is_fortran is True, start + size)
    if arrays.nbytes(block) != len(content) - block.start or (not dtype.itemsize and arrays.count(shape)):
        has = len(content) - block.start
        raise RefusedFile(f"an array of the skops file claims {arrays.nbytes(block)} bytes and has {has}; the file was changed")
    return block


def sparse_shape(archive: Archive, name: object) -> tuple[int, ...]:
    """Return the shape of the sparse matrix that a member holds, an archive within the archive. Raises: RefusedFile, UnreadableFile."""
    content = archive.read(name)
    try:
        inner = zipfile.ZipFile(io.BytesIO(content))
    except _DAMAGE as error:
        raise UnreadableFile(f"a sparse matrix of the skops file is no whole archive ({error}); copy the file again") from error
    members = {info.filename: info for info in inner.infolist()}
    if len(members) != len(inner.infolist()) or not members.keys() <= _SPARSE_KEYS or not {"shape.npy", "format.npy"} <= members.keys():
        raise RefusedFile("a sparse matrix of the skops file holds something else than its arrays; scipy does not write that")
    _bound(members, len(content))
    within = Archive(members, inner, bytearray())
    blocks = {key: array_of(within, key) for key in members}
    shape = arrays.realize(bytes(within.kept), blocks["shape.npy"]).tolist()
    if not isinstance(shape, list) or not all(isinstance(length, int) for length in shape):
        raise RefusedFile("a sparse matrix of the skops file has no proper shape; scipy does not write that")
    return tuple(shape)
