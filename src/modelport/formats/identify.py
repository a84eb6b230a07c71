"""Tells what kind of file an artifact is, by its first bytes and its structure, never by its name."""

from __future__ import annotations

import os
from pathlib import Path

from modelport.errors import RefusedFile, UnreadableFile
from modelport.formats import streams
from modelport.formats.xgboost_legacy import LEGACY, is_legacy

_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS = (0, 512, 1024, 2048)  # a user block may come first (HDF5 file format specification, III.A)
_MAX_PICKLE_PROTOCOL = 5
# What a pickle without a protocol byte can begin with: a mark, a global, an empty container, a string or a number.
_TEXT_PICKLE = frozenset(b"(c]})lIFLSVNKMJ")
_FIELD_WIRES = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}  # ModelProto in onnx.proto
_ONNX_GRAPH = 7
_MAX_FIELDS = 100_000  # a model has a dozen, and one for each local function
_FOREIGN = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the model itself; run: git lfs pull"),
    (b"<!doctype html", "is a web page, not a model; download the raw file instead"),
    (b"<html", "is a web page, not a model; download the raw file instead"),
    (b"\x93numpy", "is a numpy array, not a model; give the file of the fitted estimator"),
    (b"zf0x", "was written by joblib before 0.10, whose format is not read; load it there with joblib and save it with a newer one"),
)
_UBJSON = b"{L\x00\x00\x00\x00\x00\x00\x00\x07"  # an object whose first key has seven letters: learner, or version
_EXPECTED = "expected a pickle or joblib file, Keras .hdf5/.h5/.keras, ONNX, skops, XGBoost .json/.ubj, or LightGBM text"


def kind_of(path: Path) -> str:
    """Return the name of the format, "pickle", "keras", "onnx", "skops", "xgboost" or "lightgbm", that the file's content has.

    Raises: UnreadableFile, saying what was found, if it has none of them.
    """
    raw, head = streams.head(path)
    if not head:
        raise UnreadableFile(f"{path.name}: is empty; {_EXPECTED}")
    for signature, message in _FOREIGN:
        if head[:64].lower().startswith(signature):
            raise UnreadableFile(f"{path.name}: {message}")
    if raw.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    if any(raw[at : at + len(_HDF5)] == _HDF5 for at in _HDF5_OFFSETS):
        return "keras"
    if boosted := _kind_of_boosted(path, head):
        return boosted
    if head[0] == 0x80 and len(head) > 1:
        if head[1] <= _MAX_PICKLE_PROTOCOL:
            return "pickle"
        raise UnreadableFile(f"{path.name}: begins like a pickle of protocol {head[1]}; protocols 0 to 5 are known, so the file is damaged")
    if _is_onnx(path):
        return "onnx"
    if head[0] in _TEXT_PICKLE and (raw is not head or streams.tail(path) == b"."):
        return "pickle"
    raise UnreadableFile(f"{path.name}: begins with the bytes {head[:8].hex(' ')}, which is no format that modelport knows; {_EXPECTED}")


def _kind_of_boosted(path: Path, head: bytes) -> str:
    """Name the format of a gradient boosting library; "" if it is none. Raises: UnreadableFile for XGBoost's old one."""
    if head.startswith((b"tree\nversion=", b"tree\r\nversion=")):
        return "lightgbm"
    if head.startswith(_UBJSON) or (head.lstrip()[:1] == b"{" and b'"learner"' in head):
        return "xgboost"
    if is_legacy(head):
        raise UnreadableFile(f"{path.name}: {LEGACY}")
    return ""


def _kind_of_zip(path: Path) -> str:
    from zipfile import BadZipFile, ZipFile  # 0.2 MB of every front, for few kinds of files

    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except (BadZipFile, OSError, ValueError) as error:
        raise UnreadableFile(f"{path.name}: begins like a zip archive but cannot be listed ({error}); copy the file again") from error
    if len(names) != len(set(names)):
        raise RefusedFile(f"{path.name}: two members of the archive have the same name; no library writes that")
    if "config.json" in names and any(name.endswith(".weights.h5") for name in names):
        return "keras"
    if "schema.json" in names:
        return "skops"
    if any(name.endswith("data.pkl") for name in names):
        found = "a PyTorch file, which this version does not serve; export it to ONNX"
    elif any(name.endswith(".npy") for name in names):
        found = "a numpy .npz archive, not a model; give the file of the fitted estimator"
    else:
        found = f"a zip archive of {len(names)} members, none of them a model that modelport knows; {_EXPECTED}"
    raise UnreadableFile(f"{path.name}: is {found}")


def _is_onnx(path: Path) -> bool:
    """Walk the top-level protobuf fields: all must be ONNX's, of the right wire type, end with the file, and hold a graph."""
    seen, position = set[int](), 0
    with path.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        for _ in range(_MAX_FIELDS):
            if position >= size:
                break
            handle.seek(position)
            window = handle.read(24)
            key, used = _varint(window, 0)
            field, wire = key >> 3, key & 7
            if not used or _FIELD_WIRES.get(field) != wire:
                return False
            value, length = _varint(window, used)
            if not length:
                return False
            seen.add(field)
            position += used + length + (value if wire == 2 else 0)
    return position == size and _ONNX_GRAPH in seen


def _varint(window: bytes, start: int) -> tuple[int, int]:
    """Return a protobuf varint and how many bytes it takes; zero bytes if it does not end within ten."""
    value = 0
    for count, byte in enumerate(window[start : start + 10]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, count + 1
    return 0, 0
