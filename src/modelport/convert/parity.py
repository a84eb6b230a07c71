"""The comparison that decides: the same rows through the original and the converted file, number by number, label by label.

Rows whose label hangs on less than the numbers may differ are ties: there either label is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelport.columns import Array, Columns
from modelport.convert.order import LABELS_EQUAL, Order
from modelport.errors import ModelportError

Predict = Callable[[Columns, Sequence[str] | None], Columns]
Floats = npt.NDArray[np.float64]
_SINGLES = 16
_MOST = float(np.finfo(np.float64).max)  # JSON has no infinity
_SCORES = ("probabilities", "scores", "score")


@dataclass(slots=True)
class Comparison:
    """What was seen. Differences are relative where numbers are above 1.

    ``refused``: rows that the original takes no more than the converted file. ``labels``: rows with a label, of which
    ``label_changes`` got another one and ``ties`` could have either. ``choice_changes``: rows where another of several
    probabilities is the largest, of networks without labels. ``where``: the first thing that is too far apart, "" for none.
    """

    rows: int = 0
    refused: int = 0
    numbers: int = 0
    largest: float = 0.0
    total: float = 0.0
    labels: int = 0
    label_changes: int = 0
    ties: int = 0
    choice_changes: int = 0
    where: str = ""

    @property
    def mean(self) -> float:
        """The mean difference of all numbers."""
        return self.total / max(self.numbers, 1)

    def to_dict(self) -> dict[str, object]:
        """Return it as a report shows it."""
        return {
            "rows": self.rows,
            "refused_rows": self.refused,
            "largest_difference": min(self.largest, _MOST),
            "mean_difference": min(self.mean, _MOST),
            "labels": self.labels,
            "label_changes": self.label_changes,
            "ties": self.ties,
            "choice_changes": self.choice_changes,
        }


def compare(original: Predict, made: Predict, batches: Iterable[Columns], order: Order) -> Comparison:
    """Compare on batches of rows; with full numbers it ends at the first that is too far apart."""
    seen = Comparison()
    for rows in batches:
        _look(seen, original, made, rows, order)
        if seen.where:
            return seen
    if not seen.rows and not seen.where:
        seen.where = "no rows were found that the original takes; give some with --data"
    if order.quantize:
        seen.where = seen.where or _verdict(seen, order.limit)
    return seen


def _verdict(seen: Comparison, limit: float) -> str:
    """Say why a quantised model is too far from the original, "" if it is not."""
    if seen.mean > limit:
        return f"the mean difference is {seen.mean:.2g}, more than the tolerance of {limit:g}"
    share = 1 - seen.label_changes / max(seen.labels, 1)
    return f"{share:.2%} of the labels are equal, expected {LABELS_EQUAL:.0%}" if share < LABELS_EQUAL else ""


def _look(seen: Comparison, original: Predict, made: Predict, rows: Columns, order: Order) -> None:
    expected, found = _answer(original, rows), _answer(made, rows)
    if expected is not None and found is not None:
        _compared(seen, expected, found, order)
    elif rows.rows == 1 and expected is None:
        seen.refused += 1  # what the original does not answer, nobody asks
    elif rows.rows == 1:
        seen.where = "the converted file refuses a row that the original answers"
    else:
        for at in range(min(rows.rows, _SINGLES)):
            if not seen.where:
                _look(seen, original, made, rows.slice(at, at + 1), order)


def _answer(predict: Predict, rows: Columns) -> Columns | None:
    try:
        with np.errstate(all="ignore"):
            return predict(rows, None)
    except ModelportError:
        return None


def _compared(seen: Comparison, expected: Columns, found: Columns, order: Order) -> None:
    margin = _margin(expected)
    for name, wanted in expected.items():
        have = found[name]
        if have.shape != wanted.shape:
            seen.where = f"{name} has the shape {list(have.shape[1:])} a row, the original's has {list(wanted.shape[1:])}"
            return
        if name in ("label", "cluster") or wanted.dtype.kind not in "f":
            _labels(seen, have, wanted, name, _ties(margin, seen, order))
        else:
            _numbers(seen, have, wanted, name)
            if not order.quantize and not seen.largest <= order.limit:
                seen.where = seen.where or f"{name} differs by {seen.largest:.1e}, more than the tolerance of {order.limit:g}"
    if not order.quantize and seen.label_changes:
        seen.where = seen.where or f"{seen.label_changes} of {seen.labels} labels differ"
    seen.rows += expected.rows


def _ties(margin: Floats | None, seen: Comparison, order: Order) -> npt.NDArray[np.bool_] | None:
    limit = 0.0 if order.quantize else 2 * max(order.limit, seen.largest)
    return None if margin is None else margin <= limit


def _labels(seen: Comparison, have: Array, wanted: Array, name: str, ties: npt.NDArray[np.bool_] | None) -> None:
    apart: npt.NDArray[np.bool_] = np.asarray(have != wanted, np.bool_)
    differ = apart.reshape(len(wanted), -1).any(axis=1)
    tied = differ & ties if ties is not None and name == "label" else np.zeros(len(wanted), np.bool_)
    seen.labels += len(wanted)
    seen.ties += int(tied.sum())
    seen.label_changes += int((differ & ~tied).sum())


def _numbers(seen: Comparison, have: Array, wanted: Array, name: str) -> None:
    there, before = have.astype(np.float64), wanted.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(there - before) / np.maximum(1.0, np.abs(before))
    apart = np.where((there == before) | (np.isnan(there) & np.isnan(before)), 0.0, apart)
    apart = np.where(np.isnan(apart), np.inf, apart)
    seen.numbers += apart.size
    seen.total += float(apart.sum())
    seen.largest = max(seen.largest, float(apart.max(initial=0.0)))
    if name not in _SCORES and before.ndim == 2 and before.shape[1] > 1 and _are_shares(before):
        seen.choice_changes += int((there.argmax(axis=1) != before.argmax(axis=1)).sum())
    if np.isinf(apart).any():
        seen.where = seen.where or f"{name} is no number where the original's is one"


def _are_shares(values: Floats) -> bool:
    """Whether each row holds probabilities of classes: none negative, one in all."""
    return bool((values >= 0).all() and (np.abs(values.sum(axis=1) - 1.0) < 1e-3).all())


def _margin(answer: Columns) -> Floats | None:
    """Return how far each row's label is from another one; None where the answer does not tell."""
    name = next((name for name in _SCORES if name in answer), None)
    if name is None or "label" not in answer:
        return None
    scores = answer[name].astype(np.float64)
    if name != "probabilities" and scores.size == len(scores):  # a decision between two
        return np.abs(scores.reshape(-1))
    if scores.ndim != 2 or scores.shape[1] < 2:
        return None
    ranked = np.partition(scores, scores.shape[1] - 2, axis=1)
    return np.asarray(ranked[:, -1] - ranked[:, -2])
