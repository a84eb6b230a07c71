"""The members of a ``.keras`` archive: configuration, metadata, the HDF5 file of weights and vocabularies, their sizes bounded."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from modelport.errors import RefusedFile, UnreadableFile

CONFIG_LIMIT_BYTES = 64 << 20
_ASSETS, _VOCABULARY = "assets/", "/vocabulary.txt"
_RATIO = 100
_SMALL = 1 << 20
_FOREIGN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, ValueError, RuntimeError, NotImplementedError, MemoryError)


@dataclass(frozen=True, slots=True)
class Members:
    """What an archive holds: config.json, metadata.json (empty if there is none), model.weights.h5 as a file.

    ``vocabularies``: the text of each by its layer's group, as "layers/text_vectorization".
    """

    config: bytes
    metadata: bytes
    weights: IO[bytes]
    vocabularies: Mapping[str, bytes]


def read_members(handle: IO[bytes]) -> Members:
    """Return the members that a network is made of.

    Raises: UnreadableFile for a damaged or incomplete archive; RefusedFile for doubled members and for ones that unpack to
    a hundred times their size.
    """
    try:
        with zipfile.ZipFile(handle) as archive:
            _check(archive, handle.seek(0, 2))
            config = archive.read("config.json")
            metadata = archive.read("metadata.json") if "metadata.json" in archive.namelist() else b""
            weights = archive.read("model.weights.h5")
            listed = [name for name in archive.namelist() if name.startswith(_ASSETS) and name.endswith(_VOCABULARY)]
            vocabularies = {name.removeprefix(_ASSETS).removesuffix(_VOCABULARY): archive.read(name) for name in listed}
    except _FOREIGN as error:
        cause = str(error).strip("'\"").split("\n", 1)[0][:120] or type(error).__name__
        raise UnreadableFile(
            f"the .keras archive cannot be read ({cause}); it is damaged or cut short, so copy or save it again"
        ) from error
    return Members(config, metadata, io.BytesIO(weights), vocabularies)


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
