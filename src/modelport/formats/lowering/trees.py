"""Trees of scikit-learn as steps of a program: decision trees, forests, gradient boosting, histogram gradient boosting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from modelport.formats.estimator_labels import Method
from modelport.formats.estimator_tree import class_name
from modelport.formats.lowering.draft import Draft, Input, NotLowered, Part
from modelport.formats.lowering.linear import labels
from modelport.formats.lowering.transformers import transform
from modelport.forms.program.steps import Floats

Answers = Mapping[Method, int]
Lower = Callable[[object, Input, Draft], Answers]
Whole = npt.NDArray[np.int64]
_LEAF = -1
_MAX_NODES = 5_000_000


@dataclass(frozen=True, slots=True)
class Nodes:
    """One tree: children (−1 in leaves), features, thresholds, whether a missing value goes left, and what each node holds."""

    left: Whole
    right: Whole
    feature: Whole
    threshold: Floats
    missing_left: Whole
    values: Floats
    category: Whole
    sets: npt.NDArray[np.uint8]


def plain(tree: object) -> Nodes:
    """Read ``sklearn.tree._tree.Tree``. Raises: NotLowered for several outputs."""
    left = np.asarray(getattr(tree, "children_left"), np.int64)  # noqa: B009  # of an object, as all below
    is_leaf = left == _LEAF
    values = np.asarray(getattr(tree, "value"), np.float64)  # noqa: B009
    if values.shape[1] != 1:
        raise NotLowered("trees of several outputs")
    missing = getattr(tree, "missing_go_to_left", None)
    return Nodes(
        left,
        np.asarray(getattr(tree, "children_right"), np.int64),  # noqa: B009
        np.where(is_leaf, 0, np.asarray(getattr(tree, "feature"), np.int64)),  # noqa: B009
        np.where(is_leaf, 0.0, np.asarray(getattr(tree, "threshold"), np.float64)),  # noqa: B009
        np.zeros(len(left), np.int64) if missing is None else np.asarray(missing, np.int64),
        values[:, 0, :],
        np.full(len(left), -1, np.int64),
        np.zeros((0, 256), np.uint8),
    )


def find_leaves(trees: Sequence[Nodes], x: Part, draft: Draft) -> int:
    """Add the step that finds the leaf of each row in each tree. Raises: NotLowered where they are too many."""
    sizes = [len(tree.left) for tree in trees]
    if sum(sizes) > _MAX_NODES:
        raise NotLowered(f"{sum(sizes)} nodes, more than {_MAX_NODES}")
    roots = np.cumsum([0, *sizes[:-1]])
    offsets = np.cumsum([0, *(len(tree.sets) for tree in trees[:-1])])
    category = np.concatenate([np.where(t.category < 0, -1, t.category + at) for t, at in zip(trees, offsets, strict=True)])
    sets = np.concatenate([tree.sets for tree in trees])
    missing = np.concatenate([tree.missing_left for tree in trees])
    return draft.add(
        "leaves",
        [x.register],
        {"width": x.width},
        left=np.concatenate([tree.left for tree in trees]),
        right=np.concatenate([tree.right for tree in trees]),
        feature=np.concatenate([tree.feature for tree in trees]),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        roots=roots,
        missing_left=missing if missing.any() else None,
        category=category if len(sets) else None,
        sets=sets if len(sets) else None,
    )


def singles(given: Input, draft: Draft) -> Part:
    """Return the input as one matrix rounded to float32, which is what trees of scikit-learn compare. Raises: NotLowered."""
    part = draft.matrix(given)
    return Part(draft.add("round_to_single", [part.register]), part.width)


def _forest(estimator: object, given: Input, draft: Draft) -> Answers:
    """Decision trees and their averages."""
    members = cast("Sequence[object]", getattr(estimator, "estimators_", None) or [estimator])
    trees = [plain(getattr(member, "tree_")) for member in members]  # noqa: B009
    if isinstance(getattr(estimator, "n_outputs_", 1), int) and getattr(estimator, "n_outputs_", 1) != 1:
        raise NotLowered("trees of several outputs")
    found = find_leaves(trees, singles(given, draft), draft)
    divisor = float(len(trees))
    sums = draft.add("leaf_sums", [found], {"divisor": divisor}, values=np.concatenate([tree.values for tree in trees]))
    if getattr(estimator, "classes_", None) is None:
        return {"predict": draft.add("first_column", [sums])}
    return {"predict_proba": sums, "predict": labels(sums, estimator, "largest", draft)}


def _isolated(trees: Sequence[Nodes], start: Floats) -> Floats:
    """Return what all nodes hold, as (nodes, 1), with the start values added to the first tree of each group.

    A sum that begins with the start value and one that begins with the first tree's value plus the start are the same.
    """
    held = [tree.values for tree in trees]
    for at, value in enumerate(start):
        held[at] = held[at] + value
    return np.concatenate(held)


def boosting(estimator: object, given: Input, draft: Draft, begin: Callable[[Part], int] | None = None) -> Answers:
    """Add gradient boosting. ``begin``: adds what another model begins with, over the rounded rows. Raises: NotLowered."""
    stages = cast("npt.NDArray[np.object_]", getattr(estimator, "estimators_"))  # noqa: B009
    rate = float(getattr(estimator, "learning_rate"))  # noqa: B009
    trees = [plain(getattr(member, "tree_")) for member in stages.reshape(-1)]  # noqa: B009
    trees = [replace(tree, values=rate * tree.values) for tree in trees]
    groups = stages.shape[1]
    single = singles(given, draft)
    found = find_leaves(trees, single, draft)
    if begin is None:
        raw = draft.add("leaf_sums", [found], {"groups": groups}, values=_isolated(trees, _start(estimator, groups)))
        return _of_raw(estimator, raw, groups, draft)
    sums = draft.add("leaf_sums", [found], {"groups": groups}, values=np.concatenate([tree.values for tree in trees]))
    raw = draft.add("project", [draft.add("join", [begin(single), sums])], None, matrix=np.ones((2, 1)))
    return _of_raw(estimator, raw, groups, draft)


def _start(estimator: object, groups: int) -> Floats:
    """Return what boosting begins with, which for the estimators' own starts is the same for every row."""
    begin = getattr(estimator, "_raw_predict_init", None)
    if begin is None:
        raise NotLowered("gradient boosting of an older version")
    width = int(getattr(estimator, "n_features_in_"))  # noqa: B009
    rows: Floats = np.asarray(begin(np.zeros((2, width), np.float32)), np.float64)
    first: Floats = rows[0].reshape(groups)
    return first


def _of_raw(estimator: object, raw: int, groups: int, draft: Draft) -> Answers:
    """Add what the raw sums become: probabilities and labels, or a number through the loss's inverse link."""
    if getattr(estimator, "classes_", None) is None:
        flat = draft.add("first_column", [raw])
        link = class_name(getattr(getattr(estimator, "_loss", None), "link", None))
        if link == "IdentityLink":
            return {"predict": flat}
        if link == "LogLink":
            return {"predict": draft.add("link", [flat], {"link": "exp"})}
        raise NotLowered(f"boosting whose loss has the link {link}")
    loss = class_name(getattr(estimator, "_loss", None))
    if groups > 1:
        if loss != "HalfMultinomialLoss":
            raise NotLowered(f"boosting with the loss {loss}")
        label = labels(raw, estimator, "largest by margin", draft)
        return {"predict_proba": draft.add("softmax", [raw]), "decision_function": raw, "predict": label}
    flat = draft.add("first_column", [raw])
    factors = {"HalfBinomialLoss": 1.0, "ExponentialLoss": 2.0}
    if loss not in factors:
        raise NotLowered(f"boosting with the loss {loss}")
    chance = draft.add("two_sided", [flat], {"factor": factors[loss]})
    return {"predict_proba": chance, "decision_function": flat, "predict": labels(flat, estimator, "sign by margin", draft)}


def _histogram(estimator: object, given: Input, draft: Draft) -> Answers:
    stages = cast("Sequence[Sequence[object]]", getattr(estimator, "_predictors"))  # noqa: B009
    groups = len(stages[0]) if stages else 0
    if not groups:
        raise NotLowered("histogram gradient boosting without trees")
    before = getattr(estimator, "_preprocessor", None)
    if before is None and getattr(estimator, "is_categorical_", None) is not None:
        raise NotLowered("histogram gradient boosting with categories of an older version")
    if before is not None:  # puts categories first, as their places, and what is not known among them as missing
        given = transform(before, given, draft)
    trees = [_binned(tree) for stage in stages for tree in stage]
    start = np.asarray(getattr(estimator, "_baseline_prediction"), np.float64).reshape(-1)  # noqa: B009
    found = find_leaves(trees, draft.matrix(given), draft)
    raw = draft.add("leaf_sums", [found], {"groups": groups}, values=_isolated(trees, np.broadcast_to(start, (groups,))))
    return _of_raw(estimator, raw, groups, draft)


def _binned(tree: object) -> Nodes:
    """Read a ``TreePredictor`` of histogram gradient boosting."""
    nodes = cast("npt.NDArray[np.void]", getattr(tree, "nodes"))  # noqa: B009
    is_leaf = nodes["is_leaf"].astype(bool)
    is_set = nodes["is_categorical"].astype(bool) & ~is_leaf
    words = np.asarray(getattr(tree, "raw_left_cat_bitsets"), "<u4")  # noqa: B009
    sets = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little").reshape(len(words), 256)
    return Nodes(
        np.where(is_leaf, _LEAF, nodes["left"].astype(np.int64)),
        np.where(is_leaf, _LEAF, nodes["right"].astype(np.int64)),
        np.where(is_leaf, 0, nodes["feature_idx"].astype(np.int64)),
        np.where(is_leaf | is_set, 0.0, nodes["num_threshold"].astype(np.float64)),
        nodes["missing_go_to_left"].astype(np.int64),
        nodes["value"].astype(np.float64)[:, None],
        np.where(is_set, nodes["bitset_idx"].astype(np.int64), -1),
        sets,
    )


TREES: Mapping[str, Lower] = {
    **dict.fromkeys(
        (
            "DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor", "RandomForestClassifier",
            "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor",
        ),
        _forest,
    ),
    "HistGradientBoostingClassifier": _histogram,
    "HistGradientBoostingRegressor": _histogram,
}  # fmt: skip
