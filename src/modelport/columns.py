"""Columns: named arrays of equal length, the one form in which data moves between the wire, the engine and the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from modelport.errors import ModelError

Array: TypeAlias = npt.NDArray[np.generic]
"""Any numpy array. Strings are object arrays of ``str`` or ``None`` (missing)."""

Signature: TypeAlias = tuple[tuple[str, str, tuple[int, ...]], ...]
"""What two Columns must share to be joined: names in order, dtypes, trailing shapes."""


class Columns(Mapping[str, Array]):
    """Named arrays whose first axis, the rows, is equally long.

    Shapes: each array is (rows, ...). Order of names is kept and is part of the signature.
    Raises: ValueError if the first axes differ or an array has none.
    """

    __slots__ = ("_arrays", "rows")

    rows: int

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        rows = -1
        for name, array in arrays.items():
            length = array.shape[0] if array.ndim else -2
            if rows == -1:
                rows = length
            if length != rows or length < 0:
                raise ValueError(f'column "{name}" has shape {array.shape}, the columns before it have {rows} rows')
        self._arrays = dict(arrays)
        self.rows = max(rows, 0)

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays  # a Mapping would raise and catch a KeyError

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}: {array.dtype}{list(array.shape)}" for name, array in self._arrays.items())
        return f"Columns({inside})"

    @property
    def signature(self) -> Signature:
        """What must be equal for two Columns to be joined. Cost: about a microsecond for one column."""
        return tuple((name, array.dtype.str, array.shape[1:]) for name, array in self._arrays.items())

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays; a string counts its characters, not its object."""
        total = 0
        for array in self._arrays.values():
            if array.dtype == object:
                total += sum(len(value) if isinstance(value, str) else 8 for value in array.reshape(-1))
            else:
                total += array.nbytes
        return total

    def select(self, names: Sequence[str]) -> Columns:
        """Return the named columns, in the order asked for. Raises: KeyError for an unknown name."""
        return Columns({name: self._arrays[name] for name in names})

    def slice(self, start: int, stop: int) -> Columns:
        """Return rows start..stop as views."""
        return Columns({name: array[start:stop] for name, array in self._arrays.items()})


class Shared:
    """A batch's output that several calls have rows of. ``memo``: what one of them made of all rows, for the others."""

    __slots__ = ("columns", "memo")

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.memo: dict[object, object] = {}


class Slice(Columns):
    """Rows start..start + rows of a batch's output. The arrays are cut when they are asked for; who works by batch never asks."""

    __slots__ = ("shared", "start")

    def __init__(self, shared: Shared, start: int, stop: int) -> None:
        self.shared = shared
        self.start = start
        self.rows = stop - start

    def __getattr__(self, name: str) -> dict[str, Array]:
        if name != "_arrays":
            raise AttributeError(name)
        start, stop = self.start, self.start + self.rows
        self._arrays = {name: array[start:stop] for name, array in self.shared.columns.items()}
        return self._arrays


def concat(parts: Sequence[Columns]) -> Columns:
    """Join calls of one signature into a batch, in order.

    Raises: ValueError if there is no part, or the parts differ in names or trailing shapes.
    Cost: one copy; a single part is returned as it is.
    """
    if len(parts) == 1:
        return parts[0]
    if not parts:
        raise ValueError("nothing to join")
    arrays = [part._arrays for part in parts]
    names = arrays[0].keys()  # of dicts: comparing those of a Mapping costs ten times as much
    if any(part.keys() != names for part in arrays):
        raise ValueError("the calls have different columns")
    return Columns({name: np.concatenate([part[name] for part in arrays]) for name in names})


def split(columns: Columns, lengths: Sequence[int]) -> list[Slice]:
    """Cut a batch's output back into one Columns for each call.

    Shapes: arrays are (rows, ...); ``lengths`` are the calls' rows, in order.
    Raises: ModelError if they do not add up to the rows.
    Cost: nothing is cut before it is asked for.
    """
    expected = sum(lengths)
    if columns.rows != expected:
        raise ModelError(f"the model answered {columns.rows} rows for {expected}; it must answer one row for each row it is given")
    shared = Shared(columns)
    starts = accumulate(lengths, initial=0)
    return [Slice(shared, start, start + length) for start, length in zip(starts, lengths, strict=False)]
