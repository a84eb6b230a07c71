"""Checking the values of one column, as untyped JSON gave them, cell by cell, and naming each that does not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from modelport.schema import Field
from modelport.wire.arrays import MISFIT, scalars
from modelport.wire.base import Limits
from modelport.wire.faults import Faults, kind, listed, pointer, short
from modelport.wire.rules import allowed_numbers, allowed_texts, longest_text, takes_null

Where: TypeAlias = Callable[[int], str]
"""Row number -> JSON Pointer of this column's cell in it."""

Found: TypeAlias = tuple[str, str]
"""A fault's code, and what was expected and got."""


@dataclass(frozen=True, slots=True)
class _Check:
    """The checks of one column: Python types that its JSON may have, whether that and its range is all, and ``look`` for one cell."""

    item: Field
    types: frozenset[type]
    is_plain: bool
    look: Callable[[object], Found | None]

    def is_fine(self, values: Sequence[object]) -> bool:
        """Tell at C speed whether all values fit; no means look closer."""
        if not self.is_plain or not self.types.issuperset(map(type, values)):
            return False
        return self.item.type == "string" or _fits(self.item, values)


def check_column(item: Field, rows: Sequence[int], values: Sequence[object], where: Where, limits: Limits, faults: Faults) -> None:
    """Add a fault for each cell of a column that does not fit. ``rows`` are the row numbers of ``values``."""
    check = _check(item, limits)
    if item.shape:
        walk = _Walk(item, check, faults)
        for row, value in zip(rows, values, strict=True):
            walk.row = row
            walk.visit(value, 0, where(row), "")
    elif not check.is_fine(values):
        for row, value in zip(rows, values, strict=True):
            if found := check.look(value):
                faults.add(where(row), found[0], f'column "{short(item.name)}": {found[1]} at row {row}')


class _Walk:
    """Walks the nested lists of a tensor column; lengths left open by the schema are bound by the first list seen."""

    def __init__(self, item: Field, check: _Check, faults: Faults) -> None:
        self.item, self.check, self.faults = item, check, faults
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
            for at, part in enumerate(value):
                self.visit(part, axis + 1, f"{path}/{at}", f"{inside}[{at}]")
        elif not self.check.is_fine(value):
            for at, leaf in enumerate(value):
                if found := self.check.look(leaf):
                    self.add(f"{path}/{at}", *found, f"{inside}[{at}]")

    def add(self, path: str, code: str, message: str, inside: str) -> None:
        """Add a fault with the row and the position within it."""
        place = f"row {self.row}, position {inside}" if inside else f"row {self.row}"
        self.faults.add(path, code, f'column "{short(self.item.name)}": {message} at {place}')


def _lists(item: Field, axis: int) -> str:
    *outer, last = ("" if n is None else f"{n} " for n in item.shape[axis:])
    return "a list of " + "".join(f"{n}lists of " for n in outer) + f"{last}values"


def _check(item: Field, limits: Limits) -> _Check:
    missing = {type(None)} if takes_null(item) else set()
    if item.type == "string":
        is_plain = not allowed_texts(item) and longest_text(item, limits) is None
        return _Check(item, frozenset({str} | missing), is_plain, _text_look(item, limits))
    is_plain = allowed_numbers(item) is None
    if item.type == "bool":
        return _Check(item, frozenset({bool}), is_plain, _look(item, _bool))
    if item.type.startswith("float"):
        return _Check(item, frozenset({int, float} | missing), is_plain, _look(item, _float))
    return _Check(item, frozenset({int}), is_plain, _look(item, _integer))


def _fits(item: Field, values: Sequence[object]) -> bool:
    """Tell whether numbers of the right type are within the column's range."""
    try:
        return not np.isinf(scalars(item)(values)).any()
    except MISFIT:
        return False


def _look(item: Field, convert: Callable[[Field, object], Found | None]) -> Callable[[object], Found | None]:
    allowed = allowed_numbers(item)
    known = None if allowed is None else set(allowed.tolist())

    def look(value: object) -> Found | None:
        if value is None:
            return None if takes_null(item) else _null(item)
        found = convert(item, value)
        if found is None and known is not None and np.asarray(value, item.dtype).item() not in known:
            return "category", f"expected one of {listed(sorted(known))}, got {value}"
        return found

    return look


def _text_look(item: Field, limits: Limits) -> Callable[[object], Found | None]:
    known, longest = allowed_texts(item), longest_text(item, limits)
    members = set(known)

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

    return look


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
    return None if _fits(item, [value]) else ("out_of_range", f"expected {item.type}, got a number beyond its range")


def _digits(value: int) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"an integer of {len(text.lstrip('-'))} digits"


__all__ = ["Where", "check_column", "pointer"]
