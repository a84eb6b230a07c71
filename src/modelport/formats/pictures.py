"""Arrays of a scanned pickle as numpy arrays: with their values where those are told, else only their type and shape."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modelport.formats import arrays
from modelport.formats.symbols import Block, Node, Ref, Symbol, Text

_MOST_BYTES = 64 << 20  # of an array whose values are read: categories, classes, names
_FEW_BYTES = 1 << 16
_NOTHING = {"NA", "NaT"}


class Untold(Exception):
    """Only the loaded object can tell."""


def is_array(symbol: Symbol) -> bool:
    """Say whether a symbol is a numpy array or scalar."""
    return isinstance(symbol, Node) and symbol.maker.dotted in arrays.MAKERS


def picture(data: bytes, symbol: Block | Symbol, *, values: bool) -> object:
    """Return an array, or a scalar as a plain value.

    ``values``: read the elements however many there are; otherwise a large array shows zeros, which take no memory.
    Raises: Untold for an array of objects that are no plain values, where ``values`` is set.
    """
    if isinstance(symbol, Node) and arrays.is_scalar(symbol):
        return arrays.scalar_value(data, symbol)
    found = arrays.layout(symbol)
    if found is None:
        raise Untold("an array of another kind")
    dtype, shape, held, is_fortran = found
    if isinstance(held, list):
        return _objects(data, held, shape, values=values)
    size = arrays.count(shape) * dtype.itemsize
    if not dtype.itemsize:
        raise Untold("elements of no size")
    if not values and size > _FEW_BYTES:
        return np.broadcast_to(np.zeros((), dtype), shape)
    raw = arrays.content(data, held, size) if size <= _MOST_BYTES else None
    if raw is None:
        raise Untold(f"an array of {size} bytes")
    flat = np.frombuffer(raw, dtype, arrays.count(shape)) if size else np.zeros(arrays.count(shape), dtype)
    return flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)


def held(symbol: Block | Symbol) -> tuple[list[Symbol], tuple[int, ...]] | None:
    """Return the symbols that an array of objects holds, and its shape; None for an array of anything else."""
    found = None if isinstance(symbol, Node) and arrays.is_scalar(symbol) else arrays.layout(symbol)
    if found is None or not isinstance(found[2], list) or len(found[2]) != arrays.count(found[1]):
        return None
    return found[2], found[1]


def _objects(data: bytes, items: list[Symbol], shape: tuple[int, ...], *, values: bool) -> npt.NDArray[np.object_]:
    if arrays.count(shape) != len(items):
        raise Untold("an array that contradicts itself")
    out = np.empty(shape, object)
    if values:
        flat = out.reshape(-1)
        for at, item in enumerate(items):
            flat[at] = _plain(data, item)
    return out


def _plain(data: bytes, symbol: Symbol) -> object:
    if symbol is None or isinstance(symbol, str | int | float | bool):
        return symbol
    if isinstance(symbol, Ref) and symbol.name in _NOTHING:
        return None
    if isinstance(symbol, Text) and not symbol.is_bytes:
        return str(data[symbol.start : symbol.stop], "utf-8", "surrogatepass")
    if isinstance(symbol, Node) and arrays.is_scalar(symbol) and (found := arrays.scalar_value(data, symbol)) is not None:
        return found
    raise Untold("an object among plain values")
