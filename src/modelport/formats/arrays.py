"""Numpy data types and arrays, rebuilt by our own code from what a pickle says of them.

The state of a pickled dtype is trusted by numpy: one whose flags deny that it holds objects makes numpy take bytes of the file
for pointers. So each is rebuilt here from its plain description and must agree with what numpy itself would have written.
"""

from __future__ import annotations

import re
from typing import cast

import numpy as np
import numpy.typing as npt

from modelport.errors import RefusedFile, UnreadableFile
from modelport.formats.symbols import Block, Node, Symbol, Text, kind_of

_CODE = re.compile(r"[<>|=]?(b1|[iuf][1248]|f16|c8|c16|c32|[SUV]\d{1,9}|O8|O4|O|[Mm]8)\Z|[?]\Z")
_FLAG_MASK = 0x7F  # all but "aligned struct"
SMALL_BYTES = 1 << 16
_RECONSTRUCT = {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"}
_FROMBUFFER = {"numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"}
_SCALAR = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}


def dtype_of(symbol: Symbol) -> np.dtype[np.generic]:
    """Return the checked data type of a symbolic ``numpy.dtype``. Raises: RefusedFile if it is none."""
    if not isinstance(symbol, Node) or symbol.dtype is None:
        raise RefusedFile("an array names something else than a numpy dtype as its data type; no library writes that")
    return symbol.dtype


def base_dtype(args: tuple[Symbol, ...]) -> np.dtype[np.generic]:
    """Return the dtype that ``numpy.dtype(*args)`` makes. Raises: RefusedFile unless the arguments are those numpy writes."""
    code = args[0] if args else None
    if not isinstance(code, str) or not _CODE.match(code) or len(args) > 3:
        raise RefusedFile(f"numpy.dtype is called with {_show(code)}; a type code such as 'f8' was expected")
    return np.dtype("O" if code in {"O4", "O8"} else code)


def built_dtype(base: np.dtype[np.generic], state: Symbol) -> np.dtype[np.generic]:
    """Return ``base`` with the pickled ``state`` applied.

    Raises: RefusedFile if the state is not what numpy would have written for that type.
    """
    if not isinstance(state, tuple) or len(state) not in {5, 6, 7, 8, 9} or state[1] not in ("<", ">", "|", "="):
        raise RefusedFile("a numpy dtype is filled with a state that numpy does not write")
    padded = (*state[:5], *((-1, -1, 0) if len(state) < 8 else state[5:8]), *(state[8:] or (None,)))
    _, order, subarray, names, fields, size, _, flags, metadata = padded
    try:
        result = _assemble(base.newbyteorder(order if order in ("<", ">") else "="), (subarray, names, fields, size, metadata))
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise RefusedFile(f"a numpy dtype in the file contradicts itself ({error})") from error
    expected = cast("tuple[object, ...]", result.__reduce__()[2])
    is_plain = result.hasobject == (base == np.dtype("O"))
    if not is_plain or not isinstance(flags, int) or (flags ^ cast("int", expected[7])) & _FLAG_MASK or size not in (-1, result.itemsize):
        raise RefusedFile(
            f"a numpy dtype in the file claims size {_show(size)} and flags {_show(flags)}, which numpy does not write for {result}"
        )
    return result


def _assemble(base: np.dtype[np.generic], parts: tuple[Symbol, ...]) -> np.dtype[np.generic]:
    subarray, names, fields, size, metadata = parts
    if isinstance(subarray, tuple):
        inner, shape = subarray
        return np.dtype((dtype_of(inner), _shape(shape if isinstance(shape, tuple) else (shape,))))
    if isinstance(names, tuple) and isinstance(fields, dict):
        if not all(isinstance(name, str) and isinstance(fields[name][1], int) for name in names):
            raise ValueError("a field without a name or a place")
        formats = [dtype_of(fields[name][0]) for name in names]
        offsets = [fields[name][1] for name in names]
        described = {"names": list(names), "formats": formats, "offsets": offsets, "itemsize": size}
        return cast("np.dtype[np.generic]", np.dtype(cast("npt.DTypeLike", described)))
    if metadata is not None and base.kind in "Mm":
        unit, step = _datetime_unit(metadata)
        return np.dtype(f"{base.byteorder}{base.kind}8[{step}{unit}]")
    return base


def _datetime_unit(metadata: Symbol) -> tuple[str, int]:
    unit, step, *_ = cast("tuple[tuple[object, ...], ...]", metadata)[1]
    if isinstance(unit, Node) and unit.maker.dotted == "_codecs.encode":
        unit = unit.args[0]
    text = unit.decode("ascii") if isinstance(unit, bytes) else unit
    if not isinstance(text, str) or not text.isalpha() or not isinstance(step, int):
        raise ValueError("a date unit was expected")
    return text, step


def _shape(symbol: Symbol) -> tuple[int, ...]:
    if not isinstance(symbol, tuple) or not all(type(n) is int and n >= 0 for n in symbol) or len(symbol) > 32:
        raise RefusedFile(f"an array has the shape {_show(symbol)}; a tuple of lengths was expected")
    return symbol


def block_of(state: Symbol) -> Block:
    """Return the array that the state of a joblib wrapper describes, its position still to be set.

    Raises: RefusedFile if the state is not what joblib writes.
    """
    if not isinstance(state, dict) or state.get("order") not in ("C", "F"):
        raise RefusedFile("a joblib array block has no order 'C' or 'F'; joblib does not write that")
    block = Block(dtype_of(state.get("dtype")), _shape(state.get("shape")), is_fortran=state["order"] == "F", start=0)
    if not block.dtype.itemsize and count(block.shape):
        raise RefusedFile("an array in the file has elements of no size, which would be made up from nothing")
    return block


def count(shape: tuple[int, ...]) -> int:
    """Elements of an array of that shape, in exact arithmetic."""
    total = 1
    for length in shape:
        total *= length
    return total


def nbytes(block: Block) -> int:
    """Bytes of the block's elements, in exact arithmetic."""
    return count(block.shape) * block.dtype.itemsize


def realize(data: bytes, block: Block) -> npt.NDArray[np.generic]:
    """Return a block as an array of its own in the machine's byte order. Cost: one copy."""
    size = count(block.shape)
    flat = np.frombuffer(data, block.dtype, size, block.start) if size else np.zeros(0, block.dtype)
    native = flat.astype(block.dtype.newbyteorder("="), copy=True)
    return native.reshape(block.shape[::-1]).T if block.is_fortran else native.reshape(block.shape)


def small_values(data: bytes, symbol: Symbol) -> list[object] | None:
    """Return a symbolic array of one axis as a list, or None where it cannot be read statically or is large."""
    if isinstance(symbol, Block):
        if symbol.nested is not None:
            return small_values(data, symbol.root)
        fits = len(symbol.shape) == 1 and nbytes(symbol) <= SMALL_BYTES
        return cast("list[object]", realize(data, symbol).tolist()) if fits else None
    if isinstance(symbol, list):
        return [scalar_value(data, item) for item in symbol] if len(symbol) <= SMALL_BYTES else None
    if not isinstance(symbol, Node):
        return None
    if symbol.maker.dotted in _FROMBUFFER and len(symbol.args) >= 3:
        return _decode(_raw_bytes(data, symbol.args[0]), symbol.args[1], symbol.args[2])
    if symbol.maker.dotted in _RECONSTRUCT and isinstance(symbol.state, tuple) and len(symbol.state) == 5:
        _, shape, dtype, _, content = symbol.state
        if isinstance(content, list):
            return [scalar_value(data, item) for item in content] if len(content) <= SMALL_BYTES else None
        return _decode(_raw_bytes(data, content), dtype, shape)
    return None


MAKERS = frozenset(_RECONSTRUCT | _FROMBUFFER | _SCALAR)
"""The functions by which numpy's arrays and scalars are made, outside of joblib's blocks."""


def is_scalar(symbol: Node) -> bool:
    """Say whether an object is one of numpy's scalars."""
    return symbol.maker.dotted in _SCALAR


def layout(symbol: Symbol) -> tuple[np.dtype[np.generic], tuple[int, ...], Symbol, bool] | None:
    """Return an array's data type, its shape, its content (to be read with ``content``), and whether that is in Fortran's order.

    The content of an array of objects is a list. None for what is no array, or one that contradicts itself.
    """
    if isinstance(symbol, Block):
        return layout(symbol.root) if symbol.nested is not None else (symbol.dtype, symbol.shape, symbol, symbol.is_fortran)
    if not isinstance(symbol, Node):
        return None
    if symbol.maker.dotted in _FROMBUFFER and len(symbol.args) >= 3:
        return dtype_of(symbol.args[1]), _shape(symbol.args[2]), symbol.args[0], symbol.args[3:4] == ("F",)
    if symbol.maker.dotted in _RECONSTRUCT and isinstance(symbol.state, tuple) and len(symbol.state) == 5:
        _, shape, dtype, is_fortran, held = symbol.state
        return dtype_of(dtype), _shape(shape), held, is_fortran is True
    return None


def content(data: bytes, symbol: Symbol, size: int) -> bytes | None:
    """Return the ``size`` bytes that an array's content stands for; None where it holds another number of them."""
    if isinstance(symbol, Block):
        return data[symbol.start : symbol.start + size]
    raw = _raw_bytes(data, symbol, size * 2)  # every byte of latin1 takes at most two of UTF-8
    return raw if raw is not None and len(raw) == size else None


def scalar_value(data: bytes, symbol: Symbol) -> object:
    """Return a pickled numpy scalar as a Python value, plain values as they are, and None for anything else."""
    if isinstance(symbol, Node) and symbol.maker.dotted in _SCALAR and len(symbol.args) == 2:
        values = _decode(_raw_bytes(data, symbol.args[1]), symbol.args[0], (1,))
        return values[0] if values else None
    return symbol if isinstance(symbol, str | int | float | bool) else None


def _decode(raw: bytes | None, dtype: Symbol, shape: Symbol) -> list[object] | None:
    kind = dtype_of(dtype)
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if raw is None or len(sizes) != 1 or kind.hasobject or not kind.itemsize or len(raw) > SMALL_BYTES or len(raw) % kind.itemsize:
        return None
    return cast("list[object]", np.frombuffer(raw, kind).tolist())


def _raw_bytes(data: bytes, symbol: Symbol, limit: int = SMALL_BYTES) -> bytes | None:
    if isinstance(symbol, Node) and symbol.args:  # bytearray(b"..."), or _codecs.encode(text, "latin1") of protocols 0 to 2
        return _raw_bytes(data, symbol.args[0], limit)
    try:
        if isinstance(symbol, Text) and symbol.stop - symbol.start <= limit:
            raw = data[symbol.start : symbol.stop]
            return raw if symbol.is_bytes else raw.decode("utf-8").encode("latin1")
        if isinstance(symbol, str):
            return symbol.encode("latin1")
    except UnicodeError as error:
        raise UnreadableFile("a byte string in the file does not decode; the file is damaged") from error
    return symbol if isinstance(symbol, bytes) else None


def _show(symbol: Symbol) -> str:
    """Say what a symbol is; containers are not shown, because what shares parts within itself can be endless."""
    if isinstance(symbol, str | int | float):
        return repr(symbol)[:60]
    if isinstance(symbol, tuple) and all(isinstance(item, int) for item in symbol):
        return repr(symbol[:8])
    return f"a {kind_of(symbol)}"
