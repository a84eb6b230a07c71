"""ONNX model files written byte by byte: the few messages of onnx.proto that a converted network needs.

Written here rather than with the onnx package because that would be its only use at run time: importing it costs 0.1 s and
13 MB in every worker, and its messages copy each weight twice. Field numbers are those of onnx.proto (IR version 8).
Everything is a list of chunks, so that a weight is copied once, into the finished file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from modelport.columns import Array

Chunks: TypeAlias = list[bytes | memoryview]
Attribute: TypeAlias = int | float | str | Sequence[int] | Sequence[float] | Sequence[str] | Array
"""An array of whole numbers stands for a list of them, one of another type for a tensor."""

IR_VERSION = 8
OPSET = 18
ELEMENT_TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
}
_INT, _FLOAT, _STRING, _TENSOR, _INTS, _FLOATS, _STRINGS = 2, 1, 3, 4, 7, 6, 8
_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_EXTERNAL = 1
GIVEN = "given"
"""Where the file says that a constant lies which the runtime gets by name."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of the graph; ``shape`` starts with the row axis, None is an axis of any length."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation. An absent optional input is the empty string."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute]
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """What a graph is made of.

    ``apart``: the constants that stay out of the file, to be given to the runtime by name. ``domains``: versions of further
    operator sets.
    """

    nodes: Sequence[Node]
    constants: Mapping[str, Array]
    inputs: Sequence[Port]
    outputs: Sequence[Port]
    apart: frozenset[str] = frozenset()
    domains: Mapping[str, int] = field(default_factory=dict)


def serialize(body: Body) -> bytes:
    """Return the bytes of a model file. Cost: one copy of the constants in it."""
    graph: Chunks = []
    for node in body.nodes:
        graph += _field(1, _node(node))
    graph += _text(2, "network")
    for name, array in body.constants.items():
        graph += _field(5, _tensor(name, array, is_apart=name in body.apart))
    for port in body.inputs:
        graph += _field(11, _port(port))
    for port in body.outputs:
        graph += _field(12, _port(port))
    model: Chunks = [_number(1, IR_VERSION), *_text(2, "modelport"), *_field(8, [_number(2, OPSET)])]
    for domain, version in body.domains.items():
        model += _field(8, [*_text(1, domain), _number(2, version)])
    model += _field(7, graph)
    return b"".join(model)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers are ten bytes of two's complement
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varints(values: Array) -> bytes:
    """Write whole numbers from 0 to 2**62 as varints, all at once: packed, as readers of protobuf take any list of numbers."""
    left = values.astype(np.uint64)
    bits = np.ceil(np.log2(left.astype(np.float64) + 1.0) / 7.0)
    lengths = np.maximum(bits, 1).astype(np.intp)
    shifts = np.arange(int(lengths.max(initial=1)), dtype=np.uint64) * np.uint64(7)
    parts = ((left[:, None] >> shifts) & np.uint64(127)).astype(np.uint8)
    at = np.arange(len(shifts))
    parts[at < lengths[:, None] - 1] |= 128
    return parts[at < lengths[:, None]].tobytes()


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _real(field: int, value: float) -> bytes:
    return _varint(field << 3 | _FIXED32) + struct.pack("<f", value)


def _field(field: int, chunks: Chunks) -> Chunks:
    size = sum(len(chunk) for chunk in chunks)
    return [_varint(field << 3 | _BYTES) + _varint(size), *chunks]


def _text(field: int, value: str) -> Chunks:
    return _field(field, [value.encode()])


def _node(node: Node) -> Chunks:
    out: Chunks = []
    for name in node.inputs:
        out += _text(1, name)
    for name in node.outputs:
        out += _text(2, name)
    out += _text(3, node.outputs[0])
    out += _text(4, node.op)
    for name, value in node.attributes.items():
        out += _field(5, [*_text(1, name), *_attribute(value)])
    return out + (_text(7, node.domain) if node.domain else [])


def _attribute(value: Attribute) -> Chunks:
    if isinstance(value, int):
        return [_number(3, value), _number(20, _INT)]
    if isinstance(value, float):
        return [_real(2, value), _number(20, _FLOAT)]
    if isinstance(value, str):
        return [*_text(4, value), _number(20, _STRING)]
    if isinstance(value, np.ndarray):
        if value.dtype == np.int64:
            return [*_field(8, [_varints(value)]), _number(20, _INTS)]
        return [*_field(5, _tensor("", value, is_apart=False)), _number(20, _TENSOR)]
    out: Chunks = []
    for item in value:
        if isinstance(item, str):
            out += _text(9, item)
        else:
            out.append(_number(8, item) if isinstance(item, int) else _real(7, item))
    first = value[0]
    return [*out, _number(20, _STRINGS if isinstance(first, str) else _INTS if isinstance(first, int) else _FLOATS)]


def _tensor(name: str, array: Array, *, is_apart: bool) -> Chunks:
    head: Chunks = [*(_number(1, length) for length in array.shape), _number(2, ELEMENT_TYPES[array.dtype.name]), *_text(8, name)]
    if is_apart:
        return [*head, *_field(13, [*_text(1, "location"), *_text(2, GIVEN)]), _number(14, _EXTERNAL)]
    array = np.asarray(array, order="C")  # ascontiguousarray would make a scalar a vector
    data: bytes | memoryview = array.reshape(-1).view(np.uint8).data if array.size else b""
    return [*head, *_field(9, [data])]


def _port(port: Port) -> Chunks:
    shape: Chunks = []
    for axis, length in enumerate(port.shape):
        known: Chunks = [_number(1, length)] if length is not None else []
        shape += _field(1, known or (_text(2, "rows") if axis == 0 else []))
    tensor: Chunks = [_number(1, ELEMENT_TYPES[port.dtype]), *_field(2, shape)]
    kind = _field(1, tensor)
    return [*_text(1, port.name), *_field(2, kind)]
