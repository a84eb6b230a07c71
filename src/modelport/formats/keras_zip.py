"""The members of a ``.keras`` archive: configuration, metadata and the HDF5 file of weights, with their sizes bounded."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import IO

from modelport.errors import RefusedFile, UnreadableFile

CONFIG_LIMIT_BYTES = 64 << 20
_RATIO = 100
_SMALL = 1 << 20
_FOREIGN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, ValueError, RuntimeError, NotImplementedError, MemoryError)


def read_members(handle: IO[bytes]) -> tuple[bytes, bytes, IO[bytes]]:
    """Return config.json, metadata.json (empty if there is none) and model.weights.h5 as a file.

    Raises: UnreadableFile for a damaged or incomplete archive; RefusedFile for doubled members and for ones that unpack to
    a hundred times their size.
    """
    try:
        with zipfile.ZipFile(handle) as archive:
            _check(archive, handle.seek(0, 2))
            config = archive.read("config.json")
            metadata = archive.read("metadata.json") if "metadata.json" in archive.namelist() else b""
            weights = archive.read("model.weights.h5")
    except _FOREIGN as error:
        cause = str(error).strip("'\"").split("\n", 1)[0][:120] or type(error).__name__
        raise UnreadableFile(
            f"the .keras archive cannot be read ({cause}); it is damaged or cut short, so copy or save it again"
        ) from error
    return config, metadata, io.BytesIO(weights)


def _check(archive: zipfile.ZipFile, archive_bytes: int) -> None:
    names = archive.namelist()
    if len(names) != len(set(names)):
        raise RefusedFile("two members of the archive have the same name, which Keras does not write; save the model again")
    total = sum(item.file_size for item in archive.infolist())
    if total > _RATIO * archive_bytes + _SMALL:
        raise RefusedFile(f"the archive unpacks to {total} bytes from {archive_bytes}, far more than weights do; save the model again")
    for item in archive.infolist():
        if item.filename.endswith(".json") and item.file_size > CONFIG_LIMIT_BYTES:
            raise RefusedFile(f'"{item.filename}" is {item.file_size} bytes, expected at most {CONFIG_LIMIT_BYTES}; save the model again')
        if item.filename.startswith("/") or ".." in item.filename.split("/"):
            raise RefusedFile(f'the member "{item.filename[:60]}" points out of the archive; save the model again')
