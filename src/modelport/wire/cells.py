"""Checking the values of one column, as untyped JSON gave them, cell by cell, and naming each that does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from modelport.columns import Array
from modelport.schema import Field
from modelport.wire.arrays import MISFIT, flatten, scalars, shape_fits
from modelport.wire.base import Limits
from modelport.wire.faults import Faults, kind, listed, short
from modelport.wire.rules import allowed_numbers, allowed_texts, longest_text, takes_null

Where: TypeAlias = Callable[[int], str]
"""Row number -> JSON Pointer of this column's cell in it."""

Found: TypeAlias = tuple[str, str]
"""A fault's code, and what was expected and got."""


_CHUNK = 1024
"""Cells that are checked in one go, so that one wrong leaf among millions is found in well under a second."""


@dataclass(frozen=True, slots=True)
class _Check:
    """The checks of one column: Python types that its JSON may have; ``within``, the rest for many; ``look``, all for one cell."""

    types: frozenset[type]
    within: Callable[[Sequence[object]], bool]
    look: Callable[[object], Found | None]

    def is_fine(self, values: Sequence[object]) -> bool:
        """Tell at C speed whether all values fit."""
        return self.types.issuperset(map(type, values)) and self.within(values)

    def faults(self, values: Sequence[object]) -> Iterator[tuple[int, Found]]:
        """Give what is wrong with values, and where."""
        for start in range(0, len(values), _CHUNK):
            chunk = values[start : start + _CHUNK]
            if not self.is_fine(chunk):
                looked = ((at, self.look(value)) for at, value in enumerate(chunk, start))
                yield from ((at, found) for at, found in looked if found)


@dataclass(frozen=True, slots=True)
class Cells:
    """What a body gives for one column: its values, the numbers of the rows they stand in, and where in the body."""

    rows: Sequence[int]
    values: Sequence[object]
    where: Where


def check_column(item: Field, cells: Cells, limits: Limits, faults: Faults) -> None:
    """Add a fault for each cell of a column that does not fit."""
    check = _check(item, limits)
    if item.shape:
        walk = _Walk(item, check, faults)
        for row, value in zip(cells.rows, cells.values, strict=True):
            walk.row = row
            walk.visit(value, 0, cells.where(row), "")
        return
    for at, (code, message) in check.faults(cells.values):
        row = cells.rows[at]
        faults.add(cells.where(row), code, f'column "{short(item.name)}": {message} at row {row}')


class _Walk:
    """Walks the nested lists of a tensor column; lengths left open by the schema are bound by the first list seen."""

    def __init__(self, item: Field, check: _Check, faults: Faults) -> None:
        self.item, self.check, self.noted = item, check, faults
        self.bound: list[int | None] = list(item.shape)
        self.row = 0

    def visit(self, value: object, axis: int, path: str, inside: str) -> None:
        """Check one list of the given axis, and what is in it."""
        want = self.bound[axis]
        if type(value) is not list:
            self.add(path, "shape", f"expected {_lists(self.item, axis)}, got {kind(value)}", inside)
            return
        if want is None:
            self.bound[axis] = want = len(value)
        if len(value) != want:
            declared = "" if self.item.shape[axis] is not None else " as in the first"
            self.add(path, "shape", f"expected a list of {want} values{declared}, got {len(value)}", inside)
        elif axis + 1 < len(self.bound):
            for start in range(0, len(value), _CHUNK):
                chunk = value[start : start + _CHUNK]
                for at, part in enumerate(() if self.is_fine(chunk, axis + 1) else chunk, start):
                    self.visit(part, axis + 1, f"{path}/{at}", f"{inside}[{at}]")
        else:
            for at, found in self.check.faults(value):
                self.add(f"{path}/{at}", *found, f"{inside}[{at}]")

    def is_fine(self, parts: Sequence[object], axis: int) -> bool:
        """Tell at C speed whether lists of the given axis are as they should be; if so they bind what is still open."""
        try:
            shape, leaves = flatten(parts, self.bound[axis:])
        except MISFIT:
            return False
        if not shape_fits(shape, self.bound[axis:]) or not self.check.is_fine(leaves):
            return False
        self.bound[axis:] = shape
        return True

    def add(self, path: str, code: str, message: str, inside: str) -> None:
        """Add a fault with the row and the position within it."""
        place = f"row {self.row}, position {inside}" if inside else f"row {self.row}"
        self.noted.add(path, code, f'column "{short(self.item.name)}": {message} at {place}')


def _lists(item: Field, axis: int) -> str:
    *outer, last = ("" if n is None else f"{n} " for n in item.shape[axis:])
    return "a list of " + "".join(f"{n}lists of " for n in outer) + f"{last}values"


def _check(item: Field, limits: Limits) -> _Check:
    missing = {type(None)} if takes_null(item) else set()
    if item.type == "string":
        return _text_check(item, frozenset({str} | missing), limits)
    if item.type == "bool":
        return _number_check(item, frozenset({bool}), _bool)
    if item.type.startswith("float"):
        return _number_check(item, frozenset({int, float} | missing), _float)
    return _number_check(item, frozenset({int}), _integer)


def _number_check(item: Field, types: frozenset[type], convert: Callable[[Field, object], Found | None]) -> _Check:
    allowed = allowed_numbers(item)
    known = None if allowed is None else set(allowed.tolist())

    def within(values: Sequence[object]) -> bool:
        array = _array(item, values)
        return array is not None and (known is None or known.issuperset(array[array == array].tolist()))

    def look(value: object) -> Found | None:
        if value is None:
            return None if takes_null(item) else _null(item)
        found = convert(item, value)
        if found is None and known is not None and np.asarray(value, item.dtype).item() not in known:
            return "category", f"expected one of {listed(sorted(known))}, got {value}"
        return found

    return _Check(types, within, look)


def _array(item: Field, values: Sequence[object]) -> Array | None:
    """Return numbers of the right JSON type as an array, or None if one is beyond the column's range."""
    try:
        array = scalars(item)(values)
    except MISFIT:
        return None
    return None if np.isinf(array).any() else array


def _text_check(item: Field, types: frozenset[type], limits: Limits) -> _Check:
    known, longest = allowed_texts(item), longest_text(item, limits)
    members = {None, *known}

    def within(values: Sequence[object]) -> bool:
        if known:
            return members.issuperset(values)
        return longest is None or all(len(value) <= longest for value in values if isinstance(value, str))

    def look(value: object) -> Found | None:
        if value is None:
            return None if takes_null(item) else _null(item)
        if not isinstance(value, str):
            return "wrong_type", f"expected string, got {kind(value)}"
        if known:
            return None if value in members else ("category", f'expected one of {listed(known)}, got "{short(value)}"')
        if longest is not None and len(value) > longest:
            return "too_long", f"expected at most {longest} characters, got {len(value)}"
        return None

    return _Check(types, within, look)


def _null(item: Field) -> Found:
    return "null", f"expected {item.type}, got null (the model takes no missing values here)"


def _bool(item: Field, value: object) -> Found | None:
    return None if type(value) is bool else ("wrong_type", f"expected {item.type}, got {kind(value)}")


def _integer(item: Field, value: object) -> Found | None:
    if isinstance(value, float):
        return "wrong_type", f"expected {item.type}, got {value!r}, a number with a fraction or an exponent"
    if type(value) is not int:
        return "wrong_type", f"expected {item.type}, got {kind(value)}"
    bounds = np.iinfo(item.type)
    if bounds.min <= value <= bounds.max:
        return None
    return "out_of_range", f"expected {item.type} ({bounds.min} to {bounds.max}), got {_digits(value)}"


def _float(item: Field, value: object) -> Found | None:
    if type(value) is not int and type(value) is not float:
        return "wrong_type", f"expected {item.type}, got {kind(value)}"
    return None if _array(item, [value]) is not None else ("out_of_range", f"expected {item.type}, got a number beyond its range")


def _digits(value: int) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"an integer of {len(text.lstrip('-'))} digits"
