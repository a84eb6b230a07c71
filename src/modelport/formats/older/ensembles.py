"""Estimators made of estimators, and single ones whose attributes were renamed or are looked up instead of computed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest
from sklearn.ensemble._iforest import _average_path_length
from sklearn.multiclass import OneVsOneClassifier
from sklearn.tree._tree import Tree

from modelport.formats.older.kinds import Version, become, like_parent
from modelport.formats.older.svm import scaled_votes
from modelport.formats.older.trees import forest, refuse_missing

_SCORES_SINCE = (0, 21)
_PATHS_SINCE = (0, 21)
_HARMONIC_SINCE = (0, 19)
_EULER = 0.5772156649  # as many digits as it had
_DEGREES_SINCE = (1, 0)  # of polynomials, which may be a range
_ONE_A_COLUMN = ("scores_", "variances_", "n_bins_", "lambdas_", "support_")
_OFFSET_SINCE = (0, 22)


def isolation(model: object, made: Version) -> None:
    """Compute the paths' lengths that newer versions keep; judge by the threshold of the day."""
    forest(model, made)
    state = vars(model)
    if "estimators_" not in state:
        return
    trees = [member.tree_ for member in state["estimators_"]]
    state.setdefault("_average_path_length_per_tree", [_average_path_length(item.n_node_samples) for item in trees])
    state.setdefault("_decision_path_lengths", [item.compute_node_depths() for item in trees])
    if made < _PATHS_SINCE:
        _older_paths(state, trees, made)
    if made < _OFFSET_SINCE:
        for name in ("_threshold_", "threshold_"):
            if name in state:
                state["_limit"] = state.pop(name)
        state.setdefault("offset_", -0.5)
        if "_limit" in state:
            become(model, _Isolation)
            refuse_missing(model, made)


def _older_paths(state: dict[str, list[npt.NDArray[np.float64]]], trees: list[Tree], made: Version) -> None:
    """Use the path lengths of before 0.21, which took 1 for a single row.

    Newer versions divide by their own length for ``_max_samples``, so that everything is scaled by the ratio of the two.
    """
    size = np.array([state["_max_samples"]])
    ratio = float(_average_path_length(size)[0] / _older_length(size, made)[0])
    state["_average_path_length_per_tree"] = [_older_length(item.n_node_samples, made) * ratio - ratio + 1 for item in trees]
    state["_decision_path_lengths"] = [lengths * ratio for lengths in state["_decision_path_lengths"]]


def _older_length(counts: npt.NDArray[np.int_], made: Version) -> npt.NDArray[np.float64]:
    several = np.maximum(counts, 2).astype(np.float64)
    harmonic = np.log(several - 1) + np.euler_gamma if made >= _HARMONIC_SINCE else np.log(several) + _EULER
    return np.where(counts <= 1, 1.0, 2 * harmonic - 2 * (several - 1) / several)


@like_parent
class _Isolation(IsolationForest):  # type: ignore[misc]  # scikit-learn is untyped
    """Of before 0.22, where outliers had scores up to a threshold instead of below zero."""

    def predict(self, X: object) -> npt.NDArray[np.int_]:  # noqa: N803  # scikit-learn's name for it
        return np.where(self.decision_function(X) <= self._limit, -1, 1)


def calibrated(model: object, made: Version) -> None:  # noqa: ARG001  # one signature for all repairs
    """Rename what newer versions read."""
    state = vars(model)
    for old, new in (("base_estimator", "estimator"), ("calibrators_", "calibrators")):
        if old in state and state.get(new) is None:
            state[new] = state.pop(old)
    if state.get("classes") is None and "classes_" in state and "calibrators" in state:
        state["classes"] = state["classes_"]


def isotonic(model: object, made: Version) -> None:  # noqa: ARG001
    """Rename the points and join them anew."""
    state = vars(model)
    for old, new in (("_necessary_X_", "X_thresholds_"), ("_necessary_y_", "y_thresholds_")):
        if old in state and new not in state:
            state[new] = state.pop(old)
    if "X_thresholds_" in state and "f_" not in state:
        model._build_f(state["X_thresholds_"], state["y_thresholds_"])  # type: ignore[attr-defined]


def clusters(model: object, made: Version) -> None:  # noqa: ARG001
    """Write down the number of threads."""
    vars(model).setdefault("_n_threads", 1)


def pairs(model: object, made: Version) -> None:
    """Score one-against-one votes as the day's version did."""
    members = vars(model).get("estimators_") or ()
    for member in list(members)[:1]:
        found = vars(member).get("n_features_in_") or np.shape(vars(member).get("coef_"))[-1:]
        vars(model).setdefault("n_features_in_", int(np.ravel(found)[0]) if found else None)
    if made < _SCORES_SINCE:
        become(model, _Pairs)


@like_parent
class _Pairs(OneVsOneClassifier):  # type: ignore[misc]
    is_batchwise = True

    def decision_function(self, X: object) -> npt.NDArray[np.float64]:  # noqa: N803
        chosen = np.column_stack([member.predict(X) for member in self.estimators_]) > 0
        scores = np.column_stack([_score(member, X) for member in self.estimators_])
        found = scaled_votes(chosen, scores, len(self.classes_))
        return found[:, 1] if len(self.classes_) == 2 else found


def _score(member: object, rows: object) -> npt.NDArray[np.float64]:
    if hasattr(member, "decision_function"):
        return np.ravel(member.decision_function(rows))
    shares: npt.NDArray[np.float64] = member.predict_proba(rows)[:, 1]  # type: ignore[attr-defined]
    return shares


def dummy(model: object, made: Version) -> None:  # noqa: ARG001
    """Write down the strategy under the name that newer versions read."""
    state = vars(model)
    state.setdefault("_strategy", state.get("strategy"))


def widths(model: object, made: Version) -> None:  # noqa: ARG001
    """Write down the number of columns, which newer versions keep."""
    state = vars(model)
    found = next((state[name] for name in _ONE_A_COLUMN if state.get(name) is not None), None)
    if found is None and "coefs_" in state:
        found = state["coefs_"][0]
    if found is None and "X_fit_" in state:
        found = state["X_fit_"][0]
    if found is None and "quantiles_" in state:
        found = state["quantiles_"][0]
    if found is not None:
        state.setdefault("n_features_in_", len(found))


def stacked(model: object, made: Version) -> None:  # noqa: ARG001
    """Rename the encoder of the labels."""
    state = vars(model)
    if "_le" in state:
        state.setdefault("_label_encoder", state.pop("_le"))


def polynomial(model: object, made: Version) -> None:
    """Count the products that newer versions keep the number of."""
    state = vars(model)
    if "n_input_features_" in state:
        state["n_features_in_"] = state.pop("n_input_features_")
    if "n_features_in_" not in state or made >= _DEGREES_SINCE:
        return
    state.update(_min_degree=0, _max_degree=state["degree"])
    state["_n_out_full"] = model._num_combinations(  # type: ignore[attr-defined]
        n_features=state["n_features_in_"],
        min_degree=0,
        max_degree=state["degree"],
        interaction_only=state["interaction_only"],
        include_bias=state["include_bias"],
    )
    state.setdefault("n_output_features_", state["_n_out_full"])
