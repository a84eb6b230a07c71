"""Fits every estimator that scikit-learn lists, with the arguments and data that each needs.

It runs with every scikit-learn from 1.3 on: what a version does not have is left out, and what it
has but could not be fitted is yielded as an exception, so that nothing gets lost silently.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

RNG = np.random.RandomState(0)
X = np.abs(RNG.rand(60, 4)) + 0.01
Y = np.tile([0, 1, 2], 20)
Y2 = np.tile([0, 1], 30)
YR = X[:, 0] * 2 + 1
MULTI_Y = np.c_[Y2, np.roll(Y2, 1)]
MULTI_R = np.c_[YR, YR + 1]
DOCS = ["a bad film", "a good film indeed", "well made", "not so well made at all"] * 5
DOC_Y = [0, 1, 1, 0] * 5


@dataclass(frozen=True)
class Sample:
    """One model, or the exception that fitting raised; ``rows`` to predict from, None where it has nothing to predict."""

    name: str
    model: object
    rows: object = None
    error: Exception | None = None


def estimators() -> Iterator[Sample]:
    """Yield one fitted model of each."""
    from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
    from sklearn.utils import all_estimators

    for name, cls in all_estimators():
        yield fit(name, lambda name=name, cls=cls: _fitted(name, cls))


def fit(name: str, make: Callable[[], tuple[object, object]]) -> Sample:
    """Make a model and the rows to predict from, or keep what went wrong."""
    try:
        model, rows = make()
    except Exception as error:  # noqa: BLE001  # reported by whoever asks for the samples
        return Sample(name, None, None, error)
    return Sample(name, model, rows)


def _fitted(name: str, cls: type) -> tuple[object, object]:
    from sklearn.base import is_regressor

    model = cls(**_arguments(name))
    special = _special(name)
    if special is not None:
        rows, target = special
        model.fit(rows, target) if target is not None else model.fit(rows)
        return model, rows
    target = YR if is_regressor(model) else Y2 if name in {"FixedThresholdClassifier", "TunedThresholdClassifierCV"} else Y
    model.fit(X, target)
    return model, X


def _special(name: str) -> tuple[object, object] | None:
    rows: dict[str, tuple[object, object]] = {
        "CountVectorizer": (DOCS, None),
        "TfidfVectorizer": (DOCS, None),
        "HashingVectorizer": (DOCS, None),
        "DictVectorizer": ([{"a": 1, "b": "x"}, {"a": 2.0}], None),
        "FeatureHasher": ([{"a": 1}, {"b": 2}], None),
        "LabelBinarizer": (Y, None),
        "LabelEncoder": (["b", "a", "c"], None),
        "MultiLabelBinarizer": ([(1, 2), (3,)], None),
        "IsotonicRegression": (X[:, 0], YR),
        "PatchExtractor": (RNG.rand(2, 6, 6), None),
        "KernelCenterer": (X @ X.T, None),
        "SparseCoder": (X, None),
        "TargetEncoder": (np.array([["a"], ["b"]] * 30, dtype=object), YR),
        "Isomap": (X, None),
        "MultiOutputClassifier": (X, MULTI_Y),
        "ClassifierChain": (X, MULTI_Y),
    }
    multi = ("MultiTask", "MultiOutputRegressor", "RegressorChain", "CCA", "PLS")
    return (X, MULTI_R) if name.startswith(multi) else rows.get(name)


def _arguments(name: str) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    logistic, ridge = LogisticRegression(), Ridge()
    fixed: dict[str, dict[str, Any]] = {
        "ColumnTransformer": {"transformers": [("a", StandardScaler(), [0, 1])], "remainder": "passthrough"},
        "FeatureUnion": {"transformer_list": [("a", StandardScaler())]},
        "Pipeline": {"steps": [("a", StandardScaler()), ("b", logistic)]},
        "FrozenEstimator": {"estimator": LogisticRegression().fit(X, Y)},
        "GridSearchCV": {"estimator": logistic, "param_grid": {"C": [0.1, 1.0]}, "cv": 2},
        "HalvingGridSearchCV": {"estimator": logistic, "param_grid": {"C": [0.1, 1.0]}, "cv": 2},
        "RandomizedSearchCV": {"estimator": logistic, "param_distributions": {"C": [0.1, 1.0]}, "n_iter": 2, "cv": 2},
        "HalvingRandomSearchCV": {"estimator": logistic, "param_distributions": {"C": [0.1, 1.0]}, "cv": 2},
        "SparseCoder": {"dictionary": X[:5]},
        "VotingClassifier": {"estimators": [("a", logistic)]},
        "StackingClassifier": {"estimators": [("a", logistic)], "cv": 2},
        "VotingRegressor": {"estimators": [("a", ridge)]},
        "StackingRegressor": {"estimators": [("a", ridge)], "cv": 2},
        "TunedThresholdClassifierCV": {"estimator": logistic, "cv": 2},
        "SelfTrainingClassifier": _inner(name, logistic),
        "GaussianRandomProjection": {"n_components": 2},
        "SparseRandomProjection": {"n_components": 2},
        "PatchExtractor": {"patch_size": (2, 2)},
        "SpectralBiclustering": {"n_clusters": 2},
        "LocalOutlierFactor": {"novelty": True},
        "TSNE": {"perplexity": 5, "max_iter": 250} if _has("TSNE", "max_iter") else {"perplexity": 5, "n_iter": 250},
    }
    if name.startswith(("CCA", "PLS")):
        return {"n_components": 1}
    if name in fixed:
        return fixed[name]
    if name in {"MultiOutputRegressor", "RegressorChain"}:
        return {"estimator": ridge} if name == "MultiOutputRegressor" else {_chain(): ridge}
    if name == "ClassifierChain":
        return {_chain(): logistic}
    wrapped = {
        "MultiOutputClassifier",
        "OneVsOneClassifier",
        "OneVsRestClassifier",
        "OutputCodeClassifier",
        "RFE",
        "RFECV",
        "SelectFromModel",
    }
    return {"estimator": logistic} if name in wrapped | {"SequentialFeatureSelector", "FixedThresholdClassifier"} else {}


def _has(cls: str, parameter: str) -> bool:
    manifold = importlib.import_module("sklearn.manifold")
    return parameter in getattr(manifold, cls)().get_params()


def _chain() -> str:
    from sklearn.linear_model import Ridge
    from sklearn.multioutput import RegressorChain

    try:
        RegressorChain(estimator=Ridge())
    except TypeError:
        return "base_estimator"
    return "estimator"


def _inner(name: str, model: object) -> dict[str, object]:
    from sklearn.semi_supervised import SelfTrainingClassifier

    parameters = SelfTrainingClassifier(model).get_params(deep=False)
    return {"estimator" if "base_estimator" not in parameters else "base_estimator": model} if name else {}
