"""The proof that a form answers as the original does: the same rows through both, compared number by number.

The rows are random, at and beside every threshold the form holds, missing where the model takes missing values, of every
category and of none, one at a time and many together. Labels must be equal, numbers within TOLERANCE; a row on which the form
leaves the answer to the original proves nothing, and a form that does so too often is of no use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelport.columns import Array, Columns
from modelport.errors import ModelportError
from modelport.forms.program.steps import Program
from modelport.forms.program.undecided import Undecided
from modelport.schema import Field, Schema

TOLERANCE = 1e-12
Predict = Callable[[Columns, Sequence[str] | None], Columns]
_ROWS = 128
_NEAR = 512
_SPREADS = (1.0, 30.0, 1e4)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How the comparison went. ``problem``: "" where the two agree. ``difference``: the largest one seen, ``rows``: compared."""

    problem: str
    rows: int = 0
    difference: float = 0.0


def prove(original: Predict, form: Predict, schema: Schema, program: Program) -> Evidence:
    """Compare a form with the original on rows made for it. Cost: some hundred calls' worth of both."""
    rows, largest, undecided, asked = 0, 0.0, 0, 0
    tolerance = 0.0 if _is_exact(program) else TOLERANCE
    for columns in trials(schema, program):
        asked += 1
        expected = _answer(original, columns)
        try:
            found = _answer(form, columns)
        except Undecided:
            undecided += 1
            continue
        if expected is None or found is None:
            if expected is not found:
                who = "the original" if expected is None else "the form"
                return Evidence(f"{who} refuses rows that the other answers", rows, largest)
            continue
        problem, difference = compare(expected, found, tolerance)
        if problem:
            return Evidence(problem, rows, difference)
        rows, largest = rows + columns.rows, max(largest, difference)
    if not rows or undecided > asked // 2:
        return Evidence(f"the form left {undecided} of {asked} trials to the original", rows, largest)
    return Evidence("", rows, largest)


def _is_exact(program: Program) -> bool:
    """Whether labels are taken from numbers without a margin, as trees vote: then the last bit may decide one."""
    return any(step.op == "labels" and "margin" not in str(step.settings["rule"]) for step in program.steps)


def compare(expected: Columns, found: Columns, tolerance: float = TOLERANCE) -> tuple[str, float]:
    """Return what differs, "" if nothing does, and the largest difference of any number, relative where numbers are above 1."""
    largest = 0.0
    for name, wanted in expected.items():
        have = found[name]
        if have.shape != wanted.shape or have.dtype != wanted.dtype:
            return f"{name} is {have.dtype}{list(have.shape)}, expected {wanted.dtype}{list(wanted.shape)}", largest
        if wanted.dtype.kind != "f":
            if not np.array_equal(have, wanted):
                at = int(np.argwhere(np.atleast_1d(have != wanted))[0][0])
                return f"{name} differs in row {at} of {len(wanted)}", largest
            continue
        with np.errstate(invalid="ignore", over="ignore"):
            apart = _apart(have.astype(np.float64), wanted.astype(np.float64))
        apart = np.where((have == wanted) | (np.isnan(have) & np.isnan(wanted)), 0.0, apart)
        largest = max(largest, float(apart.max(initial=0.0)))
        if not (apart <= tolerance).all():
            return f"{name} differs by {largest:.1e}, more than {tolerance:.0e}", largest
    return "", largest


def _apart(have: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.abs(have - wanted) / np.maximum(1.0, np.abs(wanted))


def trials(schema: Schema, program: Program) -> Iterator[Columns]:
    """Yield rows to compare on, by their physical columns."""
    random = np.random.default_rng(20)
    near = _thresholds(program)
    yield schema.sample(1)
    for spread in _SPREADS:
        yield _rows(schema, random, _ROWS, spread, near)
    for _ in range(8):
        yield _rows(schema, random, 1, 3.0, near)
    if any(item.nullable for item in schema.features):
        for share in (0.1, 0.5, 1.0):
            yield _rows(schema, random, _ROWS, 3.0, near, missing=share)
    if len(near):
        for _ in range(4):
            yield _rows(schema, random, _NEAR, 0.0, near)


def _thresholds(program: Program) -> Array:
    """Return what the form compares numbers with, and the numbers next to those."""
    found = [array.reshape(-1) for step in program.steps for name, array in step.arrays.items() if name in ("threshold", "categories")]
    values = np.unique(np.concatenate(found).astype(np.float64)) if found else np.zeros(0)
    values = values[np.isfinite(values)]
    if len(values) > _NEAR:
        values = np.random.default_rng(0).choice(values, _NEAR, replace=False)
    single = values.astype(np.float32)
    with np.errstate(over="ignore"):
        beside = [np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf)), single]
        exact = [values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)]
        return np.concatenate([*exact, *(part.astype(np.float64) for part in beside)])


def _rows(schema: Schema, random: np.random.Generator, rows: int, spread: float, near: Array, *, missing: float = 0.0) -> Columns:
    """Make rows; with a spread of 0, of numbers at and beside the thresholds alone."""
    return schema.pack({item.name: _column(item, random, rows, spread, near, missing) for item in schema.inputs})


def _column(item: Field, random: np.random.Generator, rows: int, spread: float, near: Array, missing: float) -> Array:
    shape = (rows, *(1 if length is None else length for length in item.shape))
    gone = random.random(shape) < missing if item.nullable else np.zeros(shape, bool)
    if item.type == "string":
        out = np.empty(shape, object)
        out.reshape(-1)[:] = [_text(item, random) for _ in range(out.size)]
        out[gone] = None
        return out
    if item.categories and (item.closed or random.random() < 0.8):
        known = np.array([value for value in item.categories if value is not None], np.float64)
        values = random.choice(known, shape)
    elif not spread and len(near):
        values = random.choice(near, shape)
    else:
        center = random.choice(near, shape) if len(near) else 0.0
        values = random.normal(0, max(spread, 1.0), shape) + center
    if item.dtype.kind == "b":
        return np.asarray(values > 0)
    if item.dtype.kind in "iu":
        limits = np.iinfo(item.type)
        return np.clip(np.round(values), max(limits.min, -(2**53)), min(limits.max, 2**53)).astype(item.dtype)
    with np.errstate(over="ignore"):
        values = values.astype(item.dtype)
    values[gone] = np.nan
    return values


_WORDS = (
    "the",
    "a",
    "good",
    "bad",
    "very",
    "not",
    "it",
    "was",
    "I",
    "am",
    "well",
    "never",
    "again",
    "Film",
    "42",
    "don't",
    "naïve",
    "你好",
    "x",
)


def _text(item: Field, random: np.random.Generator) -> str:
    if item.categories and (item.closed or random.random() < 0.8):
        return str(random.choice(np.array([value for value in item.categories if value is not None], object)))
    words = random.choice(np.array(_WORDS), int(random.integers(0, 30)))
    return " ".join(words)[: item.max_length]


def _answer(predict: Predict, columns: Columns) -> Columns | None:
    """Return the answer, None where the rows are refused. Raises: Undecided."""
    try:
        with np.errstate(all="ignore"):
            return predict(columns, None)
    except ModelportError:
        return None
