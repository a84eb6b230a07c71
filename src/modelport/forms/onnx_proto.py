"""ONNX model files read as protobuf messages, statically: ports, operator sets, operators, class labels, data kept elsewhere.

A reader of our own, because the check has to come before ONNX Runtime sees the file, and the ``onnx`` package need not be there.
Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from modelport.errors import UnreadableFile

Value: TypeAlias = int | memoryview

_DEPTH = 64
_LONG = 1 << 14
_RUN = -1
# Repeated floats (field 7) or ints (field 8) of an AttributeProto, one tag a number: skipped at the speed of a regular expression.
_RUNS = re.compile(rb"(?:\x3d.{4})+|(?:\x40[\x80-\xff]{0,9}[\x00-\x7f])+", re.DOTALL)
_FIXED = {1: 8, 5: 4}


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output. ``type`` is an ONNX element type, or "map" for a sequence of maps from class to probability."""

    name: str
    type: int | str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Outside:
    """A tensor whose data lies in another file."""

    name: str
    type: int
    shape: tuple[int, ...]
    location: str
    offset: int
    length: int | None
    is_top: bool


@dataclass(slots=True)
class Outline:
    """What was found in a model file. ``operators`` are (domain, operator) pairs; ``labels`` the class labels of any classifier.

    ``metadata``: what the file says of itself, by key.
    """

    producer: str = ""
    producer_version: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    constants: set[str] = field(default_factory=set)
    operators: set[tuple[str, str]] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    outside: list[Outside] = field(default_factory=list)
    labels: tuple[str | int, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


def entry(key: str, value: str) -> bytes:
    """Return an entry of a model's metadata as it stands in the file; it may be appended to one."""
    inner = b"".join(_prefixed(tag, text.encode("utf-8")) for tag, text in ((b"\x0a", key), (b"\x12", value)))
    return _prefixed(b"\x72", inner)


def _prefixed(tag: bytes, data: bytes) -> bytes:
    length, left = bytearray(), len(data)
    while left > 127:
        length.append(left & 127 | 128)
        left >>= 7
    return tag + bytes(length) + bytes([left]) + data


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield (field number, value) of a message: whole numbers, or bytes. Raises: UnreadableFile where it is cut short.

    Long runs of an attribute's numbers (a forest has millions) come as one field with the bytes of the whole run.
    """
    at, looked, size = 0, 0, len(message)
    while at < size:
        if at >= looked and (run := _RUNS.match(message, at)):
            looked = run.end()
            if looked - at > _LONG:
                yield _RUN, message[at:looked]
                at = looked
                continue
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        length = _FIXED.get(wire, 0)
        if wire == 2:
            length, at = _varint(message, at)
        elif wire not in _FIXED:
            raise UnreadableFile(f"the ONNX file holds a field of wire type {wire}, expected 0, 1, 2 or 5; it is damaged")
        if at + length > size:
            raise UnreadableFile(f"the ONNX file ends within a field of {length} bytes; it is damaged or cut short, so copy it again")
        yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(message):
            raise UnreadableFile("the ONNX file ends within a number; it is damaged or cut short, so copy it again")
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise UnreadableFile("the ONNX file holds a number of more than ten bytes; it is damaged")


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise UnreadableFile("the ONNX file holds a number where a message is expected; it is damaged")
    return value


def _text(value: Value) -> str:
    return bytes(_bytes(value)).decode("utf-8", "replace")


def _number(value: Value) -> int:
    if not isinstance(value, int):
        raise UnreadableFile("the ONNX file holds a message where a number is expected; it is damaged")
    return value - (1 << 64) if value >> 63 else value


def _numbers(value: Value) -> list[int]:
    """Return a repeated number, packed or single."""
    if isinstance(value, int):
        return [_number(value)]
    out: list[int] = []
    at = 0
    while at < len(value):
        item, at = _varint(value, at)
        out.append(_number(item))
    return out


def outline(data: bytes | memoryview) -> Outline:
    """Read a model file. Raises: UnreadableFile if it is damaged. Cost: some microseconds for each operator; no tensor is copied."""
    out = Outline()
    for number, value in fields(memoryview(data)):
        if number == 2:
            out.producer = _text(value)
        elif number == 3:
            out.producer_version = _text(value)
        elif number == 7:
            _graph(_bytes(value), out, 0)
        elif number == 8:
            opset = dict(fields(_bytes(value)))
            out.opsets[_text(opset.get(1, memoryview(b"")))] = _number(opset.get(2, 0))
        elif number == 14:
            pair = dict(fields(_bytes(value)))
            out.metadata[_text(pair.get(1, memoryview(b"")))] = _text(pair.get(2, memoryview(b"")))
        elif number == 20:
            for part, graph in fields(_bytes(value)):
                if part in (1, 2):
                    _graph(_bytes(graph), out, 1)
        elif number == 25:
            _function(_bytes(value), out)
    if not out.outputs:
        raise UnreadableFile("the ONNX file has no outputs; it is damaged or not a model")
    return out


def _function(message: memoryview, out: Outline) -> None:
    for number, value in fields(message):
        if number == 7:
            _node(_bytes(value), out, 1)
        elif number == 10:
            out.functions.add(_text(value))


def _graph(message: memoryview, out: Outline, depth: int) -> None:
    if depth > _DEPTH:
        raise UnreadableFile(f"the ONNX file nests graphs more than {_DEPTH} deep; it is damaged")
    for number, value in fields(message):
        if number == 1:
            _node(_bytes(value), out, depth)
        elif number == 5:
            _tensor(_bytes(value), out, is_top=depth == 0)
        elif number == 15:
            for part, tensor in fields(_bytes(value)):
                if part in (1, 2):
                    _tensor(_bytes(tensor), out, is_top=False)
        elif number in (11, 12) and depth == 0:
            (out.inputs if number == 11 else out.outputs).append(_port(_bytes(value)))


def _node(message: memoryview, out: Outline, depth: int) -> None:
    operator = domain = ""
    for number, value in fields(message):
        if number == 4:
            operator = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5:
            _attribute(_bytes(value), out, depth)
    out.operators.add((domain, operator))


def _attribute(message: memoryview, out: Outline, depth: int) -> None:
    name, texts, numbers = "", list[str | int](), list[str | int]()
    for number, value in fields(message):
        if number == 1:
            name = _text(value)
        elif number in (5, 10):
            _tensor(_bytes(value), out, is_top=False)
        elif number in (6, 11):
            _graph(_bytes(value), out, depth + 1)
        elif number in (22, 23):
            for part, tensor in fields(_bytes(value)):
                if part in (1, 2):
                    _tensor(_bytes(tensor), out, is_top=False)
        elif not name.startswith(("classlabels_", "classes_")):
            continue
        elif number == 8:
            numbers += _numbers(value)
        elif number == 9:
            texts.append(_text(value))
    if texts or numbers:
        out.labels = tuple(texts or numbers)


def _tensor(message: memoryview, out: Outline, *, is_top: bool) -> None:
    shape: list[int] = []
    name, kind, is_outside, where = "", 0, False, dict[str, str]()
    for number, value in fields(message):
        if number == 1:
            shape += _numbers(value)
        elif number == 2:
            kind = _number(value)
        elif number == 8:
            name = _text(value)
        elif number == 13:
            entry = dict(fields(_bytes(value)))
            where[_text(entry.get(1, memoryview(b"")))] = _text(entry.get(2, memoryview(b"")))
        elif number == 14:
            is_outside = _number(value) == 1
    if is_top:
        out.constants.add(name)
    if is_outside or where:
        offset, length = where.get("offset", "0"), where.get("length")
        if not offset.isdecimal() or (length is not None and not length.isdecimal()):
            raise UnreadableFile(f'the tensor "{name}" has no proper place in its file; the ONNX file is damaged')
        place = where.get("location", "")
        out.outside.append(Outside(name, kind, tuple(shape), place, int(offset), None if length is None else int(length), is_top))


def _port(message: memoryview) -> Port:
    name, kind = "", memoryview(b"")
    for number, value in fields(message):
        if number == 1:
            name = _text(value)
        elif number == 2:
            kind = _bytes(value)
    for number, value in fields(kind):
        if number == 1:
            tensor = dict(fields(_bytes(value)))
            return Port(name, _number(tensor.get(1, 0)), _shape(_bytes(tensor.get(2, memoryview(b"")))))
        if number == 4:
            return Port(name, "map", (None,))
    raise UnreadableFile(f'the port "{name}" of the ONNX file has no type; it is damaged')


def _shape(message: memoryview) -> tuple[int | None, ...]:
    out: list[int | None] = []
    for number, value in fields(message):
        if number == 1:
            length = dict(fields(_bytes(value))).get(1)
            out.append(_number(length) if isinstance(length, int) and length > 0 else None)
    return tuple(out)
