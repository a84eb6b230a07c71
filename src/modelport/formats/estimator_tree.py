"""Look into fitted scikit-learn objects: what kind they are, what is inside them, what they call their columns.

Everything here reads attributes and tags only, so that it works for files of many versions and for libraries that follow
scikit-learn's conventions (XGBoost, LightGBM). Nothing is imported from scikit-learn and no data is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

VECTORIZERS = frozenset({"CountVectorizer", "TfidfVectorizer", "HashingVectorizer"})
"""First steps that read one string a row."""

RECORD_READERS = frozenset({"DictVectorizer", "FeatureHasher"})
"""First steps that read a mapping a row, of names that no schema can list."""

TARGET_CODERS = frozenset({"LabelEncoder", "LabelBinarizer", "MultiLabelBinarizer"})
"""Transformers of labels, not of rows."""

VALIDATING = frozenset({"BaggingClassifier", "BaggingRegressor", "SelfTrainingClassifier"})
"""Estimators that check every column's name, and only then hand the rows on to what is inside them."""

# The attribute under which a fitted estimator keeps the ones it gives its rows to, unchanged.
_INSIDE = (
    ("best_estimator_", ("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV")),
    ("calibrated_classifiers_", ("CalibratedClassifierCV",)),
    ("regressor_", ("TransformedTargetRegressor",)),
    ("estimator_", ("FixedThresholdClassifier", "TunedThresholdClassifierCV", "SelfTrainingClassifier")),
    ("base_estimator_", ("SelfTrainingClassifier",)),
    ("estimator", ("FrozenEstimator", "FixedThresholdClassifier", "_CalibratedClassifier")),
    ("estimators_", ("VotingClassifier", "VotingRegressor", "StackingClassifier", "StackingRegressor")),
    ("estimators_", ("MultiOutputClassifier", "MultiOutputRegressor", "OneVsRestClassifier")),
)


def class_name(estimator: object) -> str:
    """Return the name of its class, without the module."""
    return type(estimator).__name__


def is_from_sklearn(estimator: object) -> bool:
    """Say whether the class itself, not only a parent of it, is scikit-learn's."""
    return type(estimator).__module__.partition(".")[0] == "sklearn"


def steps(estimator: object) -> list[object] | None:
    """Return a pipeline's fitted steps in order, without those that do nothing; None where it is no pipeline."""
    found = getattr(estimator, "steps", None)
    if not isinstance(found, list) or not hasattr(estimator, "named_steps"):
        return None
    return [step for _, step in found if step is not None and step != "passthrough"]


def branches(estimator: object) -> list[object] | None:
    """Return the transformers that a FeatureUnion gives the same rows to; None where it is no union."""
    found = getattr(estimator, "transformer_list", None)
    if not isinstance(found, list):
        return None
    return [item for _, item in found if item not in ("drop", "passthrough", None)]


def inside(estimator: object) -> list[object]:
    """Return the fitted estimators that get this one's rows as they are; none where it works on the rows itself."""
    name = class_name(estimator)
    for attribute, owners in _INSIDE:
        found = getattr(estimator, attribute, None) if name in owners else None
        if found is None:
            continue
        members = list(found) if isinstance(found, Sequence) else [found]
        return [member for member in members if member is not None and not isinstance(member, str)]
    if name in VALIDATING and not getattr(estimator, "bootstrap_features", False):
        members = list(getattr(estimator, "estimators_", []))[:1]
        return members if getattr(estimator, "max_features", 1.0) == 1.0 else []
    return []


def flatten(estimator: object) -> tuple[list[object], object]:
    """Split nested pipelines and searches into the transformers to run in order and the estimator that answers.

    A pipeline whose last step is "passthrough" answers with its last real transformer.
    """
    if class_name(estimator) in _INSIDE[0][1] or class_name(estimator) == "FrozenEstimator":
        found = inside(estimator)
        return flatten(found[0]) if found else ([], estimator)
    chain = steps(estimator)
    if not chain:
        return [], estimator
    before, last = flatten(chain[-1])
    return [*chain[:-1], *before], last


def tags_of(estimator: object) -> tuple[str | None, bool]:
    """Return its kind ("classifier", …, or None) and whether its class says that it takes missing values, or checks none."""
    read = getattr(estimator, "__sklearn_tags__", None)  # scikit-learn 1.6 and later
    if read is not None:
        try:
            found = read()
            return found.estimator_type, bool(found.input_tags.allow_nan or found.no_validation)
        except (AttributeError, TypeError, ValueError):
            pass  # a class written for other versions; what follows asks the older way
    kind = getattr(estimator, "_estimator_type", None)
    older = getattr(estimator, "_get_tags", None)
    said = older() if older else {}
    return (kind if isinstance(kind, str) else None), bool(said.get("allow_nan") or said.get("no_validation"))


def takes_missing(estimator: object) -> bool:
    """Say whether it takes NaN among its own input, whatever comes after it."""
    if type(estimator).__module__.partition(".")[0] in ("xgboost", "lightgbm", "catboost"):
        return True
    return tags_of(estimator)[1]


def feature_names(estimator: object) -> tuple[str, ...] | None:
    """Return the column names that it was fitted with, in order; None where it was fitted without."""
    found = getattr(estimator, "feature_names_in_", None)
    if found is None:
        found = getattr(estimator, "_df_columns", None)  # scikit-learn 0.20 to 0.23, ColumnTransformer
    if found is not None:
        names = tuple(str(name) for name in found)
        return names if len(set(names)) == len(names) else None
    for member in _first(estimator):
        names_inside = feature_names(member)
        if names_inside is not None:
            return names_inside
    return None


def width(estimator: object) -> int | None:
    """Return the number of columns it was fitted with, from whichever attribute tells; None where none does."""
    for name in ("n_features_in_", "n_features_", "_n_features"):
        found = getattr(estimator, name, None)
        if isinstance(found, int | np.integer):
            return int(found)
    for member in _first(estimator):
        inner = width(member)
        if inner is not None:
            return inner
    tree = getattr(estimator, "tree_", None)
    if tree is not None:
        return int(tree.n_features)
    if hasattr(estimator, "categories_"):
        return len(estimator.categories_)
    return _width_of_arrays(estimator)


def _width_of_arrays(estimator: object) -> int | None:
    names = ("coef_", "cluster_centers_", "theta_", "feature_log_prob_", "components_", "support_vectors_", "means_", "_fit_X")
    for name in (*names, "statistics_", "mean_", "scale_", "data_min_", "center_"):
        found = getattr(estimator, name, None)
        shape = getattr(found, "shape", None)
        if isinstance(shape, tuple) and shape:
            return int(shape[-1])
    members = getattr(estimator, "estimators_", None)
    if isinstance(members, list) and members:
        return width(members[0])
    return 1 if hasattr(estimator, "X_min_") else None  # isotonic regression reads one column


def _first(estimator: object) -> Iterator[object]:
    yield from (steps(estimator) or [])[:1]
    yield from branches(estimator) or []
    yield from inside(estimator)


def reads(estimator: object, names: frozenset[str]) -> bool:
    """Say whether the rows come first to an estimator of one of these classes, however deep.

    Functions and classes of the user's own are looked past where they do not say how many columns they take.
    """
    if class_name(estimator) in names:
        return True
    chain = steps(estimator)
    if chain:
        for step in chain:
            if reads(step, names):
                return True
            is_open = class_name(step) == "FunctionTransformer" or not is_from_sklearn(step)
            if not is_open or width(step) is not None:
                return False
        return False
    return any(reads(member, names) for member in (*(branches(estimator) or []), *inside(estimator)))


def contains(estimator: object, names: frozenset[str]) -> bool:
    """Say whether any part of it is of one of these classes."""
    parts = [*(steps(estimator) or []), *(branches(estimator) or []), *inside(estimator)]
    return class_name(estimator) in names or any(contains(part, names) for part in parts)


def is_any(estimator: object, flag: str) -> bool:
    """Say whether any part of it, as deep as can be seen, has a flag set; repaired models of older versions have some."""
    parts = [*(steps(estimator) or []), *(branches(estimator) or []), *inside(estimator)]
    return bool(getattr(type(estimator), flag, False)) or any(is_any(part, flag) for part in parts)


def is_set_to_frames(value: object, seen: set[int]) -> bool:
    """Say whether any part of it was told by ``set_output`` to answer with data frames."""
    if id(value) in seen:
        return False
    seen.add(id(value))
    if isinstance(value, list | tuple):
        return any(is_set_to_frames(item, seen) for item in value)
    state = getattr(value, "__dict__", None)
    if not isinstance(state, dict) or type(value).__module__.partition(".")[0] in ("numpy", "pandas", "scipy", "builtins"):
        return False
    config = state.get("_sklearn_output_config")
    if isinstance(config, dict) and config.get("transform", "default") != "default":
        return True
    return any(is_set_to_frames(item, seen) for item in state.values())
