"""Support vector machines: attributes that moved behind an underscore, and the scores of before 0.21."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.svm import SVC, NuSVC

from modelport.formats.older.kinds import Version, become, like_parent

_Floats = npt.NDArray[np.float64]
_SCORES_SINCE = (0, 21)


def machine(model: object, made: Version) -> None:
    """Rename what newer versions read; answer several classes' scores as the day's version did."""
    state = vars(model)
    empty = np.empty(0)
    for public in ("probA_", "probB_", "n_support_"):
        kept = state.pop(public, None)
        if "_" + public.rstrip("_") not in state:
            state["_" + public.rstrip("_")] = empty if kept is None else np.asarray(kept)
    if isinstance(model, SVC | NuSVC):
        state["_n_support"] = np.asarray(state["_n_support"], np.int32)
    else:  # only the number of them all; what older versions wrote beside it was never set
        state["_n_support"] = np.array([len(state.get("support_", ())), 0], np.int32)
    state.setdefault("_effective_probability", bool(state.get("probability", False)))
    state.setdefault("_num_iter", np.zeros(1, np.int32))
    if made < _SCORES_SINCE and isinstance(model, SVC | NuSVC) and len(state.get("classes_", ())) > 2:
        become(model, _OldNu if isinstance(model, NuSVC) else _Old)


def _scores(model: object, rows: object) -> _Floats:
    """Votes, and confidences scaled by the largest of the whole call: so the scores of a row depend on its company."""
    pairs: _Floats = model._decision_function(rows)  # type: ignore[attr-defined]  # of scikit-learn's BaseLibSVM
    if getattr(model, "decision_function_shape", "ovr") != "ovr":
        return pairs
    count = len(model.classes_)  # type: ignore[attr-defined]
    return scaled_votes(pairs < 0, -pairs, count)


def scaled_votes(chosen: npt.NDArray[np.bool_], confidences: _Floats, count: int) -> _Floats:
    """Turn one-against-one answers (rows, pairs) into scores (rows, classes) as before 0.21."""
    votes, sums = np.zeros((len(chosen), count)), np.zeros((len(chosen), count))
    at = 0
    for first in range(count):
        for second in range(first + 1, count):
            sums[:, first] -= confidences[:, at]
            sums[:, second] += confidences[:, at]
            votes[~chosen[:, at], first] += 1
            votes[chosen[:, at], second] += 1
            at += 1
    largest = max(abs(sums.max()), abs(sums.min()))
    return votes if sums.max() == sums.min() else votes + sums * ((0.5 - np.finfo(sums.dtype).eps) / largest)


@like_parent
class _Old(SVC):  # type: ignore[misc]  # scikit-learn is untyped
    is_batchwise = True

    def decision_function(self, X: object) -> _Floats:  # noqa: N803  # scikit-learn's name for it
        return _scores(self, X)


@like_parent
class _OldNu(NuSVC):  # type: ignore[misc]
    is_batchwise = True

    def decision_function(self, X: object) -> _Floats:  # noqa: N803
        return _scores(self, X)
