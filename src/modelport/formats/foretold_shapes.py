"""What shape and type the labels and numbers have that a pickled estimator would predict, told from its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from modelport.formats.estimator_outputs import classes_of
from modelport.formats.estimator_tree import tags_of
from modelport.formats.likeness import Likeness
from modelport.formats.pictures import Untold

Shape: TypeAlias = tuple[int, ...]
Told: TypeAlias = tuple[Shape, np.dtype[np.generic]]

FLOAT: np.dtype[np.generic] = np.dtype(np.float64)
WHOLE: np.dtype[np.generic] = np.dtype(np.int64)
_ONE_OF_MEMBERS = ("BaggingRegressor",)
_LIKE_INNER = {
    "RFE": "estimator_",
    "RFECV": "estimator_",
    "RANSACRegressor": "estimator_",
    "StackingRegressor": "final_estimator_",
}
_COUNT_MEMBERS = ("MultiOutputRegressor", "RegressorChain")
_BY_TARGETS = {
    "KNeighborsRegressor": "_y",
    "RadiusNeighborsRegressor": "_y",
    "GaussianProcessRegressor": "y_train_",
    "KernelRidge": "dual_coef_",
}
_SINGLE = ("SVR", "NuSVR", "VotingRegressor", "AdaBoostRegressor", "GradientBoostingRegressor", "HistGradientBoostingRegressor")
_SINGLE_TARGET_SINCE = (1, 3)  # of partial least squares
_LEAST_SQUARES = ("PLSRegression", "PLSCanonical", "CCA")


def predicted(model: Likeness) -> Told:
    """Return the shape of one row's prediction and its type. Raises: Untold."""
    if tags_of(model)[0] == "classifier":
        return _labels(model)
    name = type(model).__name__
    if name in _SINGLE:
        return (), FLOAT
    if name in _COUNT_MEMBERS:
        return (len(_members(model)),), FLOAT
    if name in _ONE_OF_MEMBERS:
        return _inner(_members(model)[0])
    if name in _LIKE_INNER:
        return _inner(getattr(model, _LIKE_INNER[name]))
    if name == "TransformedTargetRegressor":
        return ((), FLOAT) if model._training_dim == 1 else _inner(model.regressor_)
    if name == "IsotonicRegression":
        return (), _array(model.X_thresholds_).dtype
    if name in _BY_TARGETS:
        targets = _array(getattr(model, _BY_TARGETS[name]))
        if targets.dtype.kind == "f" and targets.dtype != FLOAT:
            raise Untold("targets of less precision")
        return targets.shape[1:], FLOAT
    if name in _LEAST_SQUARES:
        is_single = getattr(model, "_predict_1d", False) and not (model.made is not None and model.made < _SINGLE_TARGET_SINCE)
        return ((), FLOAT) if is_single else (_array(model._y_mean).shape, FLOAT)  # of the file
    return _by_outputs(model)


def _by_outputs(model: Likeness) -> Told:
    count = getattr(model, "n_outputs_", None)
    if isinstance(count, int):
        return ((count,) if count > 1 else ()), FLOAT
    return _array(model.coef_).shape[:-1], FLOAT


def _labels(model: Likeness) -> Told:
    """Return what labels are like; their type counts only where there are several for a row."""
    found = model.classes_
    if isinstance(found, np.ndarray) and found.ndim == 1:
        return (() if classes_of(model) else (len(found),)), WHOLE
    if not isinstance(found, list) or not all(isinstance(item, np.ndarray) for item in found):
        raise Untold("classes of another kind")
    if type(model).__name__ == "ClassifierChain":
        return (len(found),), FLOAT
    if any(item.dtype.kind not in "iu" for item in found):
        raise Untold("several labels that are no whole numbers")
    return (len(found),), WHOLE


def _inner(model: object) -> Told:
    if not isinstance(model, Likeness):
        raise Untold("a part that is no estimator")
    return predicted(model)


def _members(model: Likeness) -> Sequence[object]:
    found = model.estimators_
    if not isinstance(found, list) or not found:
        raise Untold("no members")
    return found


def _array(value: object) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    if not isinstance(value, np.ndarray):
        raise Untold("no array")
    return value
