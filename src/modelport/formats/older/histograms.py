"""Histogram gradient boosting: losses and starts of before 1.1, node arrays of before 0.24."""

from __future__ import annotations

import numpy as np

from modelport.errors import LoadError
from modelport.formats.older.kinds import Version

_LOSSES = {
    "auto": "log_loss",
    "binary_crossentropy": "log_loss",
    "categorical_crossentropy": "log_loss",
    "least_squares": "squared_error",
    "least_absolute_deviation": "absolute_error",
}
_CATEGORIES_SINCE = (1, 4)


def histograms(model: object, made: Version) -> None:
    """Make the loss anew and turn the start the way round that newer versions read it."""
    state = vars(model)
    state["loss"] = _LOSSES.get(state["loss"], state["loss"])
    state.pop("loss_", None)
    if "_predictors" not in state:
        return
    if made < _CATEGORIES_SINCE and state.get("is_categorical_") is not None:
        raise LoadError("its histogram gradient boosting reads categories, which scikit-learn before 1.4 kept in another form")
    state.setdefault("is_categorical_", None)
    state.setdefault("_preprocessor", None)
    state.setdefault("_is_categorical_remapped", None)
    state["_loss"] = model._get_loss(sample_weight=None)  # type: ignore[attr-defined]  # of scikit-learn's BaseHistGradientBoosting
    start = np.asarray(state["_baseline_prediction"], np.float64)
    state["_baseline_prediction"] = start.reshape(1, state["n_trees_per_iteration_"])


def mapper(model: object, made: Version) -> None:  # noqa: ARG001  # one signature for all repairs
    """Write down what newer versions read of the bins."""
    state = vars(model)
    for old, new in (("actual_n_bins_", "n_bins_non_missing_"), ("max_bins", "n_bins")):
        if old in state and new not in state:
            state[new] = state.pop(old)
    thresholds = state.get("bin_thresholds_")
    if thresholds is not None and state.get("is_categorical_") is None:
        state["is_categorical_"] = np.zeros(len(thresholds), np.uint8)


def predictor(model: object, made: Version) -> None:  # noqa: ARG001
    """Give a tree of numbers the empty tables of categories."""
    state = vars(model)
    for name in ("binned_left_cat_bitsets", "raw_left_cat_bitsets"):
        state.setdefault(name, np.zeros((0, 8), np.uint32))
