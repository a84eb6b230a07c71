"""Universal Binary JSON as XGBoost writes it: a bounded reader that makes numpy arrays of typed ones, and a writer.

The format is that of ubjson.org, draft 12, with what XGBoost keeps to: lengths are 64-bit integers, and a typed array ends by
its length alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Value: TypeAlias = "bool | int | float | str | npt.NDArray[np.generic] | list[Value] | dict[str, Value] | None"

_DEPTH = 24  # an XGBoost model nests 8 deep
_NUMBERS: Mapping[int, str] = MappingProxyType({ord("i"): ">i1", ord("U"): ">u1", ord("I"): ">i2", ord("l"): ">i4", ord("L"): ">i8"})
_FLOATS: Mapping[int, str] = MappingProxyType({ord("d"): ">f4", ord("D"): ">f8"})
_DTYPES = MappingProxyType({code: np.dtype(name) for code, name in {**_NUMBERS, **_FLOATS}.items()})
_SCALARS = MappingProxyType({code: struct.Struct(">" + dtype.char) for code, dtype in _DTYPES.items()} | {ord("L"): struct.Struct(">q")})
_CODES = MappingProxyType({np.dtype(name[1:]): bytes([code]) for code, name in {**_NUMBERS, **_FLOATS}.items()})
_LENGTH = struct.Struct(">q")
_CONSTANTS: Mapping[int, bool | None] = MappingProxyType({ord("Z"): None, ord("T"): True, ord("F"): False})


class _Reader:
    """Where reading has come to."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def expect(self, code: bytes) -> None:
        if self.data[self.at : self.at + 1] != code:
            raise ValueError(f"byte {self.at} is not {code.decode()!r}, as the format has it")
        self.at += 1

    def length(self, item_bytes: int = 1) -> int:
        self.expect(b"L")
        (found,) = _LENGTH.unpack_from(self.data, self.at)
        self.at += 8
        if not 0 <= found <= (len(self.data) - self.at) // item_bytes:
            raise ValueError(f"byte {self.at - 8} announces {found} items, more than the rest of the file holds")
        return int(found)

    def text(self) -> str:
        size = self.length()
        self.at += size
        return self.data[self.at - size : self.at].decode("utf-8")

    def value(self, depth: int = 0) -> Value:
        if depth > _DEPTH:
            raise ValueError("it nests deeper than any model does")
        code = self.byte()
        if code in _SCALARS:
            (number,) = _SCALARS[code].unpack_from(self.data, self.at)
            self.at += _SCALARS[code].size
            return int(number) if code in _NUMBERS else float(number)
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        reader = _CONTAINERS.get(code)
        if reader is None:
            raise ValueError(f"byte {self.at - 1} is {code:#04x}, which begins no value")
        return reader(self, depth)


def _object(reader: _Reader, depth: int) -> Value:
    found: dict[str, Value] = {}
    while reader.data[reader.at] != ord("}"):
        name = reader.text()
        if name in found:
            raise ValueError(f"the key {name[:40]!r} is there twice")
        found[name] = reader.value(depth + 1)
    reader.at += 1
    return found


def _array(reader: _Reader, depth: int) -> Value:
    if reader.data[reader.at] == ord("$"):
        reader.at += 1
        dtype = _DTYPES.get(reader.byte())
        if dtype is None:
            raise ValueError(f"byte {reader.at - 1} names no type of number")
        reader.expect(b"#")
        count = reader.length(dtype.itemsize)
        array = np.frombuffer(reader.data, dtype, count, reader.at)
        reader.at += array.nbytes
        return array
    if reader.data[reader.at] == ord("#"):
        reader.at += 1
        return [reader.value(depth + 1) for _ in range(reader.length())]
    items: list[Value] = []
    while reader.data[reader.at] != ord("]"):
        items.append(reader.value(depth + 1))
    reader.at += 1
    return items


_CONTAINERS: Mapping[int, Callable[[_Reader, int], Value]] = MappingProxyType(
    {ord("{"): _object, ord("["): _array, ord("S"): lambda reader, depth: reader.text()}  # noqa: ARG005  # one signature
)


def read(data: bytes) -> Value:
    """Read a whole document; typed arrays become views of ``data``, big-endian as they lie there.

    Raises: ValueError saying where it is not what the format has.
    Cost: a microsecond for each array or number, whatever the length of a typed array.
    """
    reader = _Reader(data)
    try:
        found = reader.value()
    except (IndexError, struct.error) as error:
        raise ValueError("it ends in the middle of a value") from error
    if reader.at != len(data):
        raise ValueError(f"{len(data) - reader.at} bytes follow its end")
    return found


def write(value: Value) -> bytes:
    """Return the document of plain values and numpy arrays of numbers."""
    parts: list[bytes] = []
    _write(value, parts.append)
    return b"".join(parts)


def _write(value: Value, put: Callable[[bytes], object]) -> None:
    if isinstance(value, np.ndarray):
        code = _CODES[value.dtype.newbyteorder("=")]
        put(b"[$" + code + b"#L" + _LENGTH.pack(len(value)) + value.astype(value.dtype.newbyteorder(">")).tobytes())
    elif isinstance(value, dict):
        put(b"{")
        for name, item in value.items():
            put(_text(name))
            _write(item, put)
        put(b"}")
    elif isinstance(value, list):
        put(b"[#L" + _LENGTH.pack(len(value)))
        for item in value:
            _write(item, put)
    elif isinstance(value, str):
        put(b"S" + _text(value))
    elif isinstance(value, bool) or value is None:
        put(b"Z" if value is None else b"T" if value else b"F")
    elif isinstance(value, int):
        put(b"L" + _LENGTH.pack(value))
    else:
        put(b"D" + struct.pack(">d", value))


def _text(value: str) -> bytes:
    encoded = value.encode()
    return b"L" + _LENGTH.pack(len(encoded)) + encoded
