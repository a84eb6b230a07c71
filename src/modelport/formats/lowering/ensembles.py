"""Ensembles that weigh their trees in ways of their own: AdaBoost, isolation forests; boosting that begins with another model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt

from modelport.formats.estimator_labels import Method
from modelport.formats.estimator_tree import class_name, is_from_sklearn
from modelport.formats.lowering.draft import Draft, Input, NotLowered
from modelport.formats.lowering.linear import choose, labels
from modelport.formats.lowering.trees import Nodes, find_leaves, plain, singles
from modelport.forms.program.steps import Floats

Answers = Mapping[Method, int]
Lower = Callable[[object, Input, Draft], Answers]
_TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")


def _members(estimator: object) -> Sequence[object]:
    members = cast("Sequence[object]", getattr(estimator, "estimators_"))  # noqa: B009  # of an object, as all below
    if strange := [member for member in members if class_name(member) not in _TREES or not is_from_sklearn(member)]:
        raise NotLowered(f"{class_name(estimator)} of {class_name(strange[0])}")
    return members


def _trees(estimator: object) -> list[Nodes]:
    return [plain(getattr(member, "tree_")) for member in _members(estimator)]  # noqa: B009


def _adaptive(estimator: object, given: Input, draft: Draft) -> Answers:
    """AdaBoostClassifier (SAMME): each tree gives its weight to the class that it says, and takes a share of it from the others."""
    classes = np.asarray(getattr(estimator, "classes_"))  # noqa: B009
    count = len(classes)
    weights = np.asarray(getattr(estimator, "estimator_weights_"), np.float64)  # noqa: B009
    if getattr(estimator, "algorithm", "deprecated") == "SAMME.R" or count < 2:
        raise NotLowered("AdaBoostClassifier by SAMME.R")
    held = list[Floats]()
    trees = _trees(estimator)
    for member, tree, weight in zip(_members(estimator), trees, weights, strict=False):
        said = np.asarray(getattr(member, "classes_"))[tree.values.argmax(axis=1)]  # noqa: B009
        held.append(np.where(said[:, None] == classes, weight, -1 / (count - 1) * weight))
    found = find_leaves(trees, singles(given, draft), draft)
    sums = draft.add("leaf_sums", [found], {"divisor": float(weights.sum())}, values=np.concatenate(held))
    if count == 2:
        flat = draft.add("first_column", [draft.add("project", [sums], None, matrix=np.array([[-1.0], [1.0]]))])
        label = labels(flat, estimator, "sign by margin", draft)
        return {"predict_proba": draft.add("two_sided", [flat]), "decision_function": flat, "predict": label}
    chance = draft.add("softmax", [draft.add("scale", [sums], None, divisor=np.array(float(count - 1)))])
    return {"predict_proba": chance, "decision_function": sums, "predict": labels(sums, estimator, "largest by margin", draft)}


def _median(estimator: object, given: Input, draft: Draft) -> Answers:
    """AdaBoostRegressor: the weighted median of what the trees say."""
    trees = _trees(estimator)
    weights = np.asarray(getattr(estimator, "estimator_weights_"), np.float64)[: len(trees)]  # noqa: B009
    found = find_leaves(trees, singles(given, draft), draft)
    held = np.concatenate([tree.values[:, 0] for tree in trees])
    return {"predict": draft.add("leaf_median", [found], None, values=held, weights=weights)}


def _isolation(estimator: object, given: Input, draft: Draft) -> Answers:
    depths = cast("Sequence[Floats]", getattr(estimator, "_decision_path_lengths", ()))
    lengths = cast("Sequence[Floats]", getattr(estimator, "_average_path_length_per_tree", ()))
    features = cast("Sequence[npt.NDArray[np.int64]]", getattr(estimator, "estimators_features_"))  # noqa: B009
    trees = [replace(tree, feature=np.asarray(own)[tree.feature]) for tree, own in zip(_trees(estimator), features, strict=True)]
    if not len(depths) == len(lengths) == len(trees):
        raise NotLowered("IsolationForest of an older version")
    held = [depth + length - 1.0 for depth, length in zip(depths, lengths, strict=True)]
    usual = len(trees) * _usual_length(int(getattr(estimator, "_max_samples")))  # noqa: B009
    if usual == 0.0:
        raise NotLowered("IsolationForest of single samples")
    found = find_leaves(trees, singles(given, draft), draft)
    sums = draft.add("leaf_sums", [found], {"divisor": usual}, values=np.concatenate(held)[:, None])
    powers = draft.add("power", [draft.add("first_column", [sums])], {"base": 2.0, "factor": -1.0})
    offset = float(getattr(estimator, "offset_"))  # noqa: B009
    score = draft.add("scale", [powers], None, factor=np.array(-1.0), after=np.array(-offset))
    return {"decision_function": score, "predict": choose(score, np.array([-1, 1]), {"rule": "sign by margin"}, draft)}


def _usual_length(samples: int) -> float:
    """Return how long a search in a random tree of so many samples is (Liu, Ting, Zhou: Isolation Forest, 2008)."""
    if samples <= 2:
        return float(max(samples - 1, 0))
    return 2.0 * (math.log(samples - 1.0) + float(np.euler_gamma)) - 2.0 * (samples - 1.0) / samples


ENSEMBLES: Mapping[str, Lower] = {
    "AdaBoostClassifier": _adaptive,
    "AdaBoostRegressor": _median,
    "IsolationForest": _isolation,
}
