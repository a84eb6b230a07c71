"""One cell of CSV text to the value that native JSON would have had: a parser for each type of column."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import orjson

from modelport.schema import Field

Parse: TypeAlias = Callable[[str], object]

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "<na>"})
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def parser(item: Field) -> Parse:
    """Return the reader of this column's cells. The reader raises ValueError for what is no value of the column's type."""
    if item.shape:
        return orjson.loads
    if item.type == "string":
        return _optional if item.nullable else str
    if item.type == "bool":
        return _truth
    return _real if item.type.startswith("float") else _whole


def is_number(cell: str) -> bool:
    """Tell whether a cell could stand in a column of numbers, as a number or as a missing one."""
    try:
        _real(cell)
    except ValueError:
        return False
    return True


def _optional(cell: str) -> str | None:
    return cell or None


def _truth(cell: str) -> bool | None:
    text = cell.strip().casefold()
    if text in _TRUTHS:
        return _TRUTHS[text]
    if text in _MISSING:
        return None
    raise ValueError(cell)


def _real(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        if cell.strip().casefold() in _MISSING:
            return None
        raise
    if "_" in cell:
        raise ValueError(cell)
    return None if number != number else number


def _whole(cell: str) -> int | None:
    try:
        if "_" in cell:
            raise ValueError(cell)
        return int(cell)
    except ValueError:
        number = _real(cell)
    if number is None or number.is_integer():
        return None if number is None else int(number)
    raise ValueError(cell)
