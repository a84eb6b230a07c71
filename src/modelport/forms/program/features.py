"""Operations that read a call's columns: matrices of numbers, and categories as codes.

A code is a category's place in its column's list, −1 for one that is not known. Linear models add up rows of a table by code
instead of multiplying with zeros and ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from modelport.columns import Array, Columns
from modelport.forms.program.steps import Floats, Places, Plain, Step
from modelport.forms.program.undecided import Undecided

Function = Callable[..., object]


def numbers(step: Step) -> Function:
    """Physical columns → one float64 matrix (rows, width).

    ``sources``: [block, positions within it or null for a column that is not packed, positions in the matrix]. Infinite values
    are the original's to refuse. A matrix that is one whole block is not copied.
    """
    width = int(step.number("width"))
    sources = [_source(item) for item in cast("list[list[Plain]]", step.settings["sources"])]
    name, within, at = sources[0] if sources else ("", None, [])
    if len(sources) == 1 and at == list(range(width)) and within == list(range(width)) and bool(step.settings.get("is_whole")):
        return lambda columns: _finite(cast("Floats", columns[name].astype(np.float64, copy=False)))

    def gather(columns: Columns) -> object:
        out = np.empty((columns.rows, width), np.float64)
        for name, within, at in sources:
            out[:, at if within is not None else at[0]] = columns[name] if within is None else columns[name][:, within]
        return _finite(out)

    return gather


def _source(item: list[Plain]) -> tuple[str, list[int] | None, list[int]]:
    name, within, at = item
    return str(name), None if within is None else [int(cast("int", n)) for n in cast("list[Plain]", within)], [
        int(cast("int", n)) for n in cast("list[Plain]", at)
    ]  # fmt: skip


def _finite(x: Floats) -> Floats:
    if np.isinf(x).any():
        raise Undecided
    return x


def number_codes(step: Step) -> Function:
    """A matrix → codes, by each column's sorted ``categories`` (joined; ``lengths`` of each); NaN has the code ``missing``."""
    lists = np.split(step.floats("categories"), np.cumsum(step.places("lengths"))[:-1])
    missing = step.places("missing")

    def codes(x: Floats) -> Places:
        out = np.empty(x.shape, np.intp)
        for at, known in enumerate(lists):
            values = x[:, at]
            found = np.minimum(np.searchsorted(known, values), len(known) - 1)
            out[:, at] = np.where(known[found] == values, found, np.where(np.isnan(values), missing[at], -1))
        return out

    return codes


def text_codes(step: Step) -> Function:
    """Columns of strings → codes (rows, columns), by each column's list of categories; null has the code ``missing``."""
    lists = cast("list[list[str]]", step.settings["categories"])
    names = step.texts("columns")
    missing = step.places("missing").tolist()
    if not len(lists) == len(names) == len(missing):
        raise ValueError("columns and lists of categories differ in number")
    known = [dict(zip([*values, None], [*range(len(values)), gap], strict=True)) for values, gap in zip(lists, missing, strict=True)]

    def codes(columns: Columns) -> Places:
        out = np.empty((columns.rows, len(names)), np.intp)
        for at, name in enumerate(names):
            get = known[at].get
            out[:, at] = [get(value, -1) for value in columns[name].tolist()]
        return out

    return codes


def refuse_unknown(step: Step) -> Function:
    """Places → the same codes; an unknown category is the original's to refuse."""
    del step

    def check(codes: Places) -> Places:
        if (codes < 0).any():
            raise Undecided
        return codes

    return check


def renumber(step: Step) -> Function:
    """Places → codes, by each column's table (joined; ``starts`` of each), where column i's code −1 becomes ``unknown``[i]."""
    table, starts, unknown = (step.places(name) for name in ("table", "starts", "unknown"))

    def apply(codes: Places) -> Places:
        return np.where(codes < 0, unknown, table[np.maximum(codes, 0) + starts])

    return apply


def one_hot(step: Step) -> Function:
    """Places → zeros and ones (rows, sum of ``lengths``); −1 gives zeros."""
    lengths = step.places("lengths")
    starts, width = np.cumsum(lengths) - lengths, int(lengths.sum())

    def expand(codes: Places) -> Array:
        out = np.zeros((len(codes), width + 1), np.float64)  # one column more takes what is not known
        np.put_along_axis(out, np.where(codes < 0, width, codes + starts), 1.0, axis=1)
        return out[:, :width]

    return expand


def look_up(step: Step) -> Function:
    """Places → numbers (rows, columns), by each column's table (joined; ``starts``); −1 gives ``unknown``."""
    table, starts, unknown = step.floats("table"), step.places("starts"), step.floats("unknown")
    if len(starts) != len(unknown) or (len(starts) and not 0 <= starts.min() <= starts.max() <= len(table)):
        raise ValueError("tables and columns differ in number")
    return lambda codes: np.where(codes < 0, unknown, table[np.maximum(codes, 0) + starts])


OPERATIONS: Mapping[str, Callable[[Step], Function]] = {
    "numbers": numbers,
    "number_codes": number_codes,
    "text_codes": text_codes,
    "refuse_unknown": refuse_unknown,
    "renumber": renumber,
    "one_hot": one_hot,
    "look_up": look_up,
}
