"""From lists of Python values, already of the right JSON type, to the physical arrays of a schema.

Both ways of decoding, the typed one and the one that finds faults, end here, so they cannot disagree about a number.
``struct`` does the work: it refuses what does not fit its type, where numpy would wrap around or answer inf, and for 100 rows
of 30 floats it takes 18 µs where ``np.array`` takes 65.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import nan
from typing import TypeAlias, cast

import numpy as np

from modelport.columns import Array, Columns
from modelport.schema import Block, Field, Schema

Build: TypeAlias = Callable[[Sequence[object]], Array]
Pack: TypeAlias = Callable[[Sequence[Sequence[object]]], bytes]

MISFIT: tuple[type[Exception], ...] = (struct.error, OverflowError, ValueError, TypeError)
"""What a builder raises for values that do not fit."""

_LISTS = frozenset({list})

# "=" for the narrow floats: struct checks their range only in its standard sizes.
_CODES = {
    "bool": ("", "?"),
    "int8": ("", "b"),
    "int16": ("", "h"),
    "int32": ("", "i"),
    "int64": ("", "q"),
    "uint8": ("", "B"),
    "uint16": ("", "H"),
    "uint32": ("", "I"),
    "uint64": ("", "Q"),
    "float16": ("=", "e"),
    "float32": ("=", "f"),
    "float64": ("", "d"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """How one physical column is built: the names of its logical ones, and ``build``.

    ``build`` takes the rows of a packed block as tuples in the order of ``names``, else the one column's values.
    ``pack`` gives the bytes of the rows of a packed block. ``number`` gives so many row numbers, for a key that the request leaves out.
    """

    name: str
    names: tuple[str, ...]
    is_packed: bool
    is_key: bool
    build: Build
    pack: Pack | None
    number: Callable[[int], Array]


def parts(schema: Schema) -> tuple[Part, ...]:
    """Prepare the builder of each physical column, in the order of ``schema.layout``."""
    return tuple(
        Part(
            name=block.name,
            names=tuple(item.name for item in block.fields),
            is_packed=block.is_packed,
            is_key=block.fields[0].role == "key",
            build=_builder(block),
            pack=_packer(block) if block.is_packed else None,
            number=_numberer(block.dtype),
        )
        for block in schema.layout
    )


def assemble(prepared: Sequence[Part], values: Mapping[str, Sequence[object]], rows: int) -> Columns:
    """Build physical columns from a list of values for each logical one; absent keys become row numbers.

    Raises: one of MISFIT for a value that does not fit its type, lists of unequal length, or nested lists of unequal shape.
    """
    out: dict[str, Array] = {}
    for part in prepared:
        if part.is_packed:
            out[part.name] = part.build(list(zip(*[values[name] for name in part.names], strict=True)))
        else:
            out[part.name] = part.build(values[part.name]) if part.name in values else part.number(rows)
    return Columns(out)


def flatten(values: Sequence[object], declared: Sequence[int | None]) -> tuple[tuple[int, ...], Sequence[object]]:
    """Return the lengths of the nested levels below the first, and the leaves in row-major order.

    Below an empty list the lengths are the declared ones, 0 where those are open.
    Raises: ValueError where lists of one level differ in length, TypeError where something is no list.
    """
    shape: list[int] = []
    level: Sequence[object] = values
    for want in declared:
        if not _LISTS.issuperset(map(type, level)):  # strings and objects have a length too
            raise TypeError("not a list")
        lists = cast("Sequence[list[object]]", level)
        lengths = set(map(len, lists))
        if len(lengths) > 1:
            raise ValueError("nested lists differ in length")
        shape.append(lengths.pop() if lengths else want or 0)
        level = list(chain.from_iterable(lists))
    return tuple(shape), level


def shape_fits(shape: tuple[int, ...], declared: Sequence[int | None]) -> bool:
    """Tell whether a shape is what a field declares; None stands for any length."""
    return all(want is None or have == want for have, want in zip(shape, declared, strict=True))


def scalars(item: Field) -> Build:
    """Return the builder of a flat array of this field's values."""
    if item.type == "string":
        return _strings
    order, code = _CODES[item.type]
    dtype = item.dtype

    def build(values: Sequence[object]) -> Array:
        return np.ndarray((len(values),), dtype, bytearray(struct.pack(f"{order}{len(values)}{code}", *values)))

    return _with_nan(build) if item.nullable and dtype.kind == "f" else build


def _numberer(dtype: np.dtype[np.generic]) -> Callable[[int], Array]:
    if dtype.hasobject:
        return lambda rows: _strings([str(at) for at in range(rows)])
    if dtype.itemsize >= 4:
        return lambda rows: np.arange(rows, dtype=dtype)
    return lambda rows: np.arange(rows).astype(dtype)  # a type too narrow for them starts again


def _builder(block: Block) -> Build:
    item = block.fields[0]
    if block.is_packed:
        return _matrix(block)
    return _tensor(item) if item.shape else scalars(item)


def _packer(block: Block) -> Pack:
    order, code = _CODES[block.fields[0].type]
    pack_row = struct.Struct(f"{order}{len(block.fields)}{code}").pack

    def pack(rows: Sequence[Sequence[object]]) -> bytes:
        return pack_row(*rows[0]) if len(rows) == 1 else b"".join([pack_row(*row) for row in rows])

    def pack_with_nan(rows: Sequence[Sequence[object]]) -> bytes:
        try:
            return pack(rows)
        except struct.error:
            return pack([[nan if value is None else value for value in row] for row in rows])

    is_nullable = block.dtype.kind == "f" and any(item.nullable for item in block.fields)
    return pack_with_nan if is_nullable else pack


def _matrix(block: Block) -> Build:
    pack, width, dtype = _packer(block), len(block.fields), block.dtype

    def build(rows: Sequence[Sequence[object]]) -> Array:
        return np.ndarray((len(rows), width), dtype, bytearray(pack(rows)))

    return build  # type: ignore[return-value]  # a packed block's values are its rows


def _tensor(item: Field) -> Build:
    flat, declared = scalars(item), item.shape

    def build(values: Sequence[object]) -> Array:
        shape, leaves = flatten(values, declared)
        if not shape_fits(shape, declared):
            raise ValueError("the nested lists have another shape")
        return flat(leaves).reshape(len(values), *shape)

    return build


def _with_nan(build: Build) -> Build:
    def build_with_nan(values: Sequence[object]) -> Array:
        try:
            return build(values)
        except struct.error:
            return build([nan if value is None else value for value in values])

    return build_with_nan


def _strings(values: Sequence[object]) -> Array:
    return np.array(values, object)
