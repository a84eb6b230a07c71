"""The scikit-learn classes of XGBoost and LightGBM as steps of a program: their boosters, as in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelport.formats import lightgbm, xgboost
from modelport.formats.lowering import lightgbm as lightgbm_trees
from modelport.formats.lowering import xgboost as xgboost_trees
from modelport.formats.lowering.boosted import Answers
from modelport.formats.lowering.draft import Draft, Input, NotLowered


def _classes(estimator: object) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    return np.asarray(getattr(estimator, "classes_", ()))


def _xgboost(estimator: object, given: Input, draft: Draft) -> Answers:
    missing = getattr(estimator, "missing", np.nan)
    if not isinstance(missing, int | float) or missing == missing:
        raise NotLowered(f"XGBoost that takes {missing} for a missing value")
    content = xgboost.content_of(getattr(estimator, "_Booster"), is_wrapper=True)  # noqa: B009  # of an object
    if content.objective == "multi:softmax":
        raise NotLowered("XGBoost's classes with the objective multi:softmax")
    return xgboost_trees.lower(content, _classes(estimator), given, draft)


def _lightgbm(estimator: object, given: Input, draft: Draft) -> Answers:
    content = lightgbm.content_of(getattr(estimator, "_Booster"))  # noqa: B009  # of an object
    return lightgbm_trees.lower(content, _classes(estimator), given, draft)


_XGBOOST = ("Classifier", "Regressor", "RFClassifier", "RFRegressor", "Ranker")
BOOSTED: Mapping[str, Callable[[object, Input, Draft], Answers]] = {
    **dict.fromkeys(
        (f"xgboost.sklearn.XGB{kind}" for kind in ("Classifier", "Regressor", "RFClassifier", "RFRegressor", "Ranker")), _xgboost
    ),
    **dict.fromkeys((f"lightgbm.sklearn.LGBM{kind}" for kind in ("Classifier", "Regressor", "Ranker")), _lightgbm),
}
"""By module and name: classes of the user's own that inherit from these are not these."""
