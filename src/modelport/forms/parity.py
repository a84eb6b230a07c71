"""The proof that a form answers as the original does: the same rows through both, compared number by number.

The rows are those of ``trials``: random, and at and beside everything that the form compares with. Labels must be equal, numbers
within TOLERANCE, those of networks (float32) within NETWORK_TOLERANCE; a row on which the form leaves the answer to the original
proves nothing, and a form that does so too often is of no use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelport.columns import Columns
from modelport.errors import ModelportError
from modelport.forms.program.network import is_network
from modelport.forms.program.steps import Program
from modelport.forms.program.undecided import Undecided
from modelport.forms.trials import trials
from modelport.schema import Schema

TOLERANCE = 1e-12
TOLERANCE_SINGLE = 1e-6
"""For float32 answers, whose last bit is 6e-8."""
NETWORK_TOLERANCE = 1e-6
_SINGLES = 32
_BUDGET_S = 4.0
Predict = Callable[[Columns, Sequence[str] | None], Columns]


@dataclass(frozen=True, slots=True)
class Evidence:
    """How the comparison went. ``problem``: "" where the two agree. ``difference``: the largest one seen, ``rows``: compared."""

    problem: str
    rows: int = 0
    difference: float = 0.0


def tolerance_of(program: Program) -> float:
    """Return how far a number may be from the original's."""
    return NETWORK_TOLERANCE if is_network(program) else TOLERANCE


def prove(original: Predict, form: Predict, schema: Schema, program: Program, clock: Callable[[], float] = time.monotonic) -> Evidence:
    """Compare a form with the original on rows made for it.

    Cost: some hundred calls' worth of both. Of slow networks fewer rows are compared, at least one of each kind.
    """
    seen = _Seen(0.0 if _is_exact(program) else tolerance_of(program))
    began_s = clock()
    for columns in trials(schema, program):
        if is_network(program):
            columns = columns.slice(0, _affordable(columns.rows, seen.rows, clock() - began_s))
        problem = _look(seen, original, form, columns)
        if problem:
            return Evidence(problem, seen.rows, seen.largest)
    if not seen.rows and not seen.undecided:
        return Evidence("no rows were found that both answer")
    if seen.rows <= seen.undecided:
        return Evidence(f"the form left {seen.undecided} of {seen.rows + seen.undecided} rows to the original", seen.rows, seen.largest)
    return Evidence("", seen.rows, seen.largest)


def _affordable(rows: int, seen: int, spent_s: float) -> int:
    """Return how many of these rows can be compared, if they cost as much as those before."""
    each_s = spent_s / max(seen, 1)
    return rows if each_s * rows <= _BUDGET_S - spent_s else max(1, int((_BUDGET_S - spent_s) / each_s))


def _look(seen: _Seen, original: Predict, form: Predict, columns: Columns) -> str:
    """Compare on these rows; where the form leaves them to the original, one by one. Returns what differs, "" if nothing does."""
    try:
        return seen.look(original, form, columns)
    except Undecided:
        for at in range(min(columns.rows, _SINGLES)):
            try:
                problem = seen.look(original, form, columns.slice(at, at + 1))
            except Undecided:
                seen.undecided += 1
                continue
            if problem:
                return problem
    return ""


@dataclass(slots=True)
class _Seen:
    """What was compared so far."""

    tolerance: float
    rows: int = 0
    undecided: int = 0
    largest: float = 0.0

    def look(self, original: Predict, form: Predict, columns: Columns) -> str:
        """Compare on these rows. Returns what differs, "" if nothing does. Raises: Undecided."""
        found = _answer(form, columns)
        expected = _answer(original, columns)
        if expected is None or found is None:
            who = "the original" if expected is None else "the form"
            return "" if expected is found else f"{who} refuses rows that the other answers"
        problem, difference = compare(expected, found, self.tolerance)
        self.largest = max(self.largest, difference)
        self.rows += columns.rows
        return problem


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
        limit = TOLERANCE_SINGLE if tolerance and wanted.dtype == np.float32 else tolerance
        if not (apart <= limit).all():
            return f"{name} differs by {largest:.1e}, more than {limit:.0e}", largest
    return "", largest


def _apart(have: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.abs(have - wanted) / np.maximum(1.0, np.abs(wanted))


def _answer(predict: Predict, columns: Columns) -> Columns | None:
    """Return the answer, None where the rows are refused. Raises: Undecided."""
    try:
        with np.errstate(all="ignore"):
            return predict(columns, None)
    except ModelportError:
        return None
