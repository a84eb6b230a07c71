"""What scikit-learn's classes say of themselves by code rather than by state: properties, tags and methods that depend on parameters.

Each rule is what the class's own code does, told for a likeness; ``tests/formats/test_foretold.py`` holds them to the real ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from modelport.formats.pictures import Untold

METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")
NUMBERS = frozenset(
    {"bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "object_", "str_"}
)
_SEARCHES = ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")
_SELECTORS = ("RFE", "RFECV")
_THRESHOLDS = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")
_LIKE_THEIR_ESTIMATOR = (*_SELECTORS, "SelectFromModel", "SequentialFeatureSelector", "BaggingClassifier", "BaggingRegressor")


NO_ESTIMATORS = frozenset({"sklearn.calibration._CalibratedClassifier"})
"""Classes that are parts of estimators, and lack what makes one."""


@dataclass(frozen=True, slots=True)
class Named:
    """A function or class that an object of a file only holds."""

    dotted: str


class Model(Protocol):
    """A likeness, as far as the rules ask it: for attributes of any name."""

    def __getattr__(self, name: str) -> object: ...


Support: TypeAlias = Callable[[Model], npt.NDArray[np.bool_]]


def _name(model: object) -> str:
    return type(model).__name__


def derived(model: Model, name: str) -> object:
    """Return a property that is computed from the state. Raises: AttributeError where the class has none of that name."""
    kind = _name(model)
    if name == "named_steps" and kind == "Pipeline":
        return {}
    if name == "get_support" and kind in SUPPORTS:
        return lambda *, indices=False: np.flatnonzero(SUPPORTS[kind](model)) if indices else SUPPORTS[kind](model)
    if name == "named_transformers_" and kind == "ColumnTransformer":
        return {item[0]: item[1] for item in _listed(model, "transformers_")}
    if kind == "OneVsRestClassifier" and name in ("classes_", "multilabel_"):
        coder = getattr(model, "label_binarizer_")  # noqa: B009  # the likeness's own __getattr__
        return coder.classes_ if name == "classes_" else str(coder.y_type_).startswith("multilabel")
    if name in ("classes_", "n_features_in_", "feature_names_in_") and (inner := _asked(model, name)) is not None:
        return getattr(inner, name)
    if kind == "FrozenEstimator":
        return getattr(getattr(model, "estimator"), name)  # noqa: B009
    raise AttributeError(name)


def _asked(model: Model, name: str) -> object:
    """Return the part whose attribute is the model's own, by a property of its class."""
    kind = _name(model)
    if kind == "Pipeline":
        chain = [step for _, step in _listed(model, "steps")]
        return (chain[-1] if name == "classes_" else chain[0]) if chain else None
    if kind in _SEARCHES:
        return getattr(model, "best_estimator_", None)
    if kind in _SELECTORS or kind in _THRESHOLDS or (kind == "SelectFromModel" and name != "classes_"):
        return getattr(model, "estimator_", None)
    if kind == "TransformedTargetRegressor" and name != "classes_":
        return getattr(model, "regressor_", None)
    return None


def _listed(model: Model, name: str) -> list[tuple[object, ...]]:
    found = getattr(model, name, None)
    return found if isinstance(found, list) else []


def is_available(model: Model, method: str) -> bool:
    """Say whether an object has a method of its class, where that depends on its parameters or on what is inside it."""
    kind = _name(model)
    if kind == "LocalOutlierFactor":
        return bool(model.novelty)
    if method == "predict_proba" and kind in ("SVC", "NuSVC"):
        return bool(model.probability) and model.probability != "deprecated"
    if method == "predict_proba" and kind == "SGDClassifier":
        return model.loss in ("log_loss", "log", "modified_huber")
    if method == "predict_proba" and kind == "VotingClassifier":
        return model.voting == "soft"
    if method == "transform" and kind not in _SEARCHES:
        return True
    return all(hasattr(part, method) for part in _answering(model, method))


def _answering(model: Model, method: str) -> Sequence[object]:
    """Return the parts that a model hands the call of a method on to; none where it answers by itself."""
    kind = _name(model)
    if kind in _SEARCHES:
        found = getattr(model, "best_estimator_", None)
        return [] if found is None else [found]
    if kind == "Pipeline":
        return [step for _, step in _listed(model, "steps")][-1:]
    if kind in (*_SELECTORS, *_THRESHOLDS, "SelfTrainingClassifier") and method != "predict":
        found = getattr(model, "estimator_", None)
        return [model.base_estimator_ if found is None else found]
    if kind in ("StackingClassifier", "StackingRegressor"):
        return [model.final_estimator_]
    if method != "predict" and kind in ("OneVsRestClassifier", "MultiOutputClassifier", "ClassifierChain"):
        return _listed(model, "estimators_")
    return []


def tags(model: Model, kind: str | None, *, is_default: bool) -> tuple[str | None, bool]:
    """Return what an object is for, and whether it takes missing values; the class's own kind and default are given."""
    name = _name(model)
    if name in _SEARCHES or name == "FrozenEstimator":
        return _inner_tags(getattr(model, "best_estimator_", None) or getattr(model, "estimator", None))[0], False
    if name == "Pipeline":
        chain = [step for _, step in _listed(model, "steps")]
        return (_inner_tags(chain[-1])[0] if chain else None), False
    if name in _LIKE_THEIR_ESTIMATOR:
        of = next((found for part in _PARTS if (found := getattr(model, part, None)) is not None), None)
        inner, takes_missing = (None, True) if of is None else _inner_tags(of)  # bagging without one bags decision trees
        return (inner if name in _SELECTORS else kind), takes_missing
    return kind, MISSING[name](model) if name in MISSING else is_default


_PARTS = ("estimator", "base_estimator", "estimator_", "base_estimator_")


def _inner_tags(model: object) -> tuple[str | None, bool]:
    ask = getattr(model, "__sklearn_tags__", None)
    if ask is None:
        return None, False
    found = ask()
    return found.estimator_type, found.input_tags.allow_nan


def _is_nan(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or value == "NaN"  # "NaN" of before 0.20


def _measures_nan(model: Model) -> bool:
    return bool(model.metric == "nan_euclidean")


MISSING: Mapping[str, Callable[[Model], bool]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("KNeighborsClassifier", "KNeighborsRegressor", "RadiusNeighborsClassifier", "RadiusNeighborsRegressor"), _measures_nan
        ),
        **dict.fromkeys(("NearestCentroid", "LocalOutlierFactor", "KNeighborsTransformer", "RadiusNeighborsTransformer"), _measures_nan),
        **dict.fromkeys(("ExtraTreeClassifier", "ExtraTreeRegressor"), lambda model: model.splitter == "random"),
        **dict.fromkeys(("SimpleImputer", "KNNImputer", "IterativeImputer"), lambda model: _is_nan(model.missing_values)),
        "FunctionTransformer": lambda model: not getattr(model, "validate", False),
        "SplineTransformer": lambda model: getattr(model, "handle_missing", "error") == "zeros",
    }
)
"""Classes whose objects take missing values or not by their parameters."""


def _best(model: Model) -> npt.NDArray[np.bool_]:
    scores = np.asarray(model.scores_, np.float64)
    if not isinstance(model.k, int):
        return np.ones(len(scores), bool)
    mask = np.zeros(len(scores), bool)
    if model.k:
        mask[np.argsort(np.where(np.isnan(scores), np.finfo(scores.dtype).min, scores), kind="stable")[-model.k :]] = True
    return mask


def _best_share(model: Model) -> npt.NDArray[np.bool_]:
    scores = np.asarray(model.scores_, np.float64)
    share = float(str(model.percentile))
    if share >= 100 or share <= 0:
        return np.full(len(scores), share > 0)
    scores = np.where(np.isnan(scores), np.finfo(scores.dtype).min, scores)
    least = np.percentile(scores, 100 - share)
    mask = scores > least
    room = int(len(scores) * share / 100) - int(mask.sum())
    mask[np.flatnonzero(scores == least)[: max(room, 0)]] = True
    return mask


def _significant(model: Model) -> npt.NDArray[np.bool_]:
    chances = np.asarray(model.pvalues_, np.float64)
    limit = float(str(model.alpha))
    return chances < (limit / len(chances) if _name(model) == "SelectFwe" else limit)


def _varying(model: Model) -> npt.NDArray[np.bool_]:
    return np.asarray(model.variances_, np.float64) > float(str(model.threshold))


def _chosen(model: Model) -> npt.NDArray[np.bool_]:
    return np.asarray(model.support_, bool)


def _untold(model: Model) -> npt.NDArray[np.bool_]:
    raise Untold(f"which columns {_name(model)} keeps")


SUPPORTS: Mapping[str, Support] = MappingProxyType(
    {
        **dict.fromkeys(_SELECTORS, _chosen),
        "SequentialFeatureSelector": _chosen,
        "SelectKBest": _best,
        "VarianceThreshold": _varying,
        "SelectPercentile": _best_share,
        **dict.fromkeys(("SelectFpr", "SelectFwe"), _significant),
        **dict.fromkeys(("SelectFromModel", "SelectFdr", "GenericUnivariateSelect"), _untold),
    }
)
"""Classes that keep some columns, and which of them."""
