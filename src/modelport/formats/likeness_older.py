"""Attributes that files of older scikit-learn have under other names, or not at all: what ``older`` repairs, told for a likeness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from modelport.formats.likeness_rules import Model

# The attributes that show how many columns there are: by their length, or by that of their first row.
_ONE_A_COLUMN = ("scores_", "variances_", "n_bins_", "lambdas_", "support_")
_ONE_A_COLUMN_IN_ROWS = ("X_fit_", "quantiles_")
_MEANS = {"_x_mean": "x_mean_", "_y_mean": "y_mean_"}
_LEAST_SQUARES = ("PLSRegression", "PLSCanonical", "CCA")
_ENCODERS = ("OneHotEncoder", "OrdinalEncoder")


def former(model: Model, name: str) -> object:
    """Return what a repair would write under a name. Raises: AttributeError where it writes nothing there."""
    kind = type(model).__name__
    if name == "n_features_in_":
        return _width(model, kind)
    if name == "classes_" and kind in ("RidgeClassifier", "RidgeClassifierCV"):
        return getattr(model._label_binarizer, "classes_")  # noqa: B009  # an attribute of the file, as below
    if name == "estimator" and kind == "_CalibratedClassifier":
        return model.base_estimator
    if name == "handle_unknown" and kind in _ENCODERS:
        return "error"
    if name == "encoded_missing_value" and kind == "OrdinalEncoder":
        return float("nan")
    if name in _MEANS and kind in _LEAST_SQUARES:
        return getattr(model, _MEANS[name])
    if name == "X_thresholds_" and kind == "IsotonicRegression":
        return model._necessary_X_
    raise AttributeError(name)


def _width(model: Model, kind: str) -> int:
    found = getattr(model, "n_features_", None) if not kind.startswith("RFE") else None
    if isinstance(found, int):
        return found
    rule = _COUNTS.get(kind)
    count = rule(model) if rule is not None else None
    if count is None:
        raise AttributeError("n_features_in_")
    return count


def _count(model: Model) -> int | None:
    for name in _ONE_A_COLUMN:
        if isinstance(found := getattr(model, name, None), np.ndarray):
            return len(found)
    for name in _ONE_A_COLUMN_IN_ROWS:
        if isinstance(found := getattr(model, name, None), np.ndarray):
            return int(found.shape[-1])
    layers = getattr(model, "coefs_", None)
    return len(layers[0]) if isinstance(layers, list) and isinstance(layers[0], np.ndarray) else None


def _least_squares(model: Model) -> int | None:
    return len(np.asarray(model._x_mean))


def _polynomial(model: Model) -> int | None:
    found = getattr(model, "n_input_features_", None)
    return found if isinstance(found, int) else None


def _pairs(model: Model) -> int | None:
    members = getattr(model, "estimators_", None)
    first = members[0] if isinstance(members, list | tuple) and members else None
    found = getattr(first, "n_features_in_", None)
    weights = getattr(first, "coef_", None)
    return found if isinstance(found, int) else int(weights.shape[-1]) if isinstance(weights, np.ndarray) else None


def _boosting(model: Model) -> int | None:
    members = getattr(model, "estimators_", None)
    first = members.flat[0] if isinstance(members, np.ndarray) and members.size else None
    found = getattr(getattr(first, "tree_", None), "n_features", None)
    return found if isinstance(found, int) else None


_COUNTS: Mapping[str, Callable[[Model], int | None]] = MappingProxyType(
    {
        **dict.fromkeys(("MLPClassifier", "MLPRegressor", "SelectKBest", "SelectPercentile", "VarianceThreshold"), _count),
        **dict.fromkeys(("KBinsDiscretizer", "PowerTransformer", "QuantileTransformer", "KernelRidge", "RFE", "RFECV"), _count),
        **dict.fromkeys(_LEAST_SQUARES, _least_squares),
        **dict.fromkeys(("GradientBoostingClassifier", "GradientBoostingRegressor"), _boosting),
        "PolynomialFeatures": _polynomial,
        "OneVsOneClassifier": _pairs,
    }
)
