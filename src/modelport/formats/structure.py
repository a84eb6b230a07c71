"""Arrays of a fitted estimator that compiled code follows without looking: children of nodes, numbers of features, indices.

An edited file can send that code out of its arrays (a crash, or somebody else's memory) or round in circles. What is checked
here is what fitting guarantees: children come after their parents, and every index lies within what it points into.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import numpy.typing as npt

from modelport.errors import RefusedFile

_LEAF = -1
_LIBRARY = "sklearn"
_NEIGHBOURS = ("KDTree", "BallTree")
_DEPTH = 32


def check_structure(estimator: object) -> None:
    """Check every tree, neighbour index and support vector machine within an estimator.

    Raises: RefusedFile naming the part and what is wrong with it. Cost: a few vector operations for each tree.
    """
    for part in _parts(estimator, set(), 0):
        kind = type(part).__name__
        fault = ""
        if kind == "Tree":
            fault = _tree(part)
        elif kind == "TreePredictor":
            fault = _boosted(part)
        elif kind.startswith(_NEIGHBOURS):
            fault = _index(part)
        elif hasattr(part, "support_vectors_"):
            fault = _machine(part)
        elif hasattr(part, "n_features_in_"):
            fault = _width(part)
        if fault:
            raise RefusedFile(f"the model's {kind} is not what fitting makes ({fault}); the file is damaged or was changed, save it again")


def _parts(value: object, seen: set[int], depth: int) -> Iterator[object]:
    """Yield every object of scikit-learn within a value, itself included."""
    if id(value) in seen or depth > _DEPTH or isinstance(value, str | bytes | int | float | None):
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            for item in value.reshape(-1).tolist():
                yield from _parts(item, seen, depth + 1)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _parts(item, seen, depth + 1)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _parts(item, seen, depth + 1)
    elif type(value).__module__.partition(".")[0] == _LIBRARY and not isinstance(value, type):
        yield value
        for item in getattr(value, "__dict__", {}).values():
            yield from _parts(item, seen, depth + 1)


def _tree(tree: object) -> str:
    """Check a decision tree: a leaf has no children, another node two that come after it, and a feature that exists."""
    left, right, feature = (_integers(tree, name) for name in ("children_left", "children_right", "feature"))
    is_leaf = left == _LEAF
    if bool((right[is_leaf] != _LEAF).any()):
        return "a leaf has a child"
    return _nodes(~is_leaf, left, right) or _features(feature[~is_leaf], int(getattr(tree, "n_features", 0)))


def _boosted(tree: object) -> str:
    """Check a tree of histogram gradient boosting."""
    nodes = cast("npt.NDArray[np.void]", tree.nodes)  # type: ignore[attr-defined]  # of every TreePredictor
    is_inner = nodes["is_leaf"] == 0
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    if fault := _nodes(is_inner, left, right):
        return fault
    used = nodes["bitset_idx"][is_inner & (nodes["is_categorical"] != 0)]
    sets = min(len(getattr(tree, name)) for name in ("binned_left_cat_bitsets", "raw_left_cat_bitsets"))
    return "a node names a set of categories that is not there" if bool((used.astype(np.int64) >= sets).any()) else ""


def _nodes(is_inner: npt.NDArray[np.bool_], left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> str:
    count = len(left)
    if not count:
        return "it has no node"
    at = np.flatnonzero(is_inner)
    for children in (left[at], right[at]):
        if bool(((children <= at) | (children >= count)).any()):
            return "a node's child is not one of the nodes after it"
    return ""


def _features(used: npt.NDArray[np.int64], features: int) -> str:
    return "a node asks for a feature that there is not" if bool(((used < 0) | (used >= features)).any()) else ""


def _width(estimator: object) -> str:
    """Check that an estimator's trees were made for as many features as it lets in."""
    width = getattr(estimator, "n_features_in_", None)
    tree = getattr(estimator, "tree_", None)
    if not isinstance(width, int | np.integer):
        return ""
    if tree is not None and getattr(tree, "n_features", width) != width:
        return f"its tree is made for {tree.n_features} features, it lets in {width}"
    for trees in getattr(estimator, "_predictors", None) or []:
        for each in trees:
            nodes = each.nodes
            if fault := _features(nodes["feature_idx"][nodes["is_leaf"] == 0].astype(np.int64), int(width)):
                return fault
    return ""


def _index(index: object) -> str:
    """Check a KD tree or ball tree: a permutation of the rows, and nodes that hold stretches of it."""
    data, order, nodes, bounds = (np.asarray(part) for part in index.get_arrays())  # type: ignore[attr-defined]  # of both kinds
    rows, count = len(data), len(nodes)
    if order.shape != (rows,) or not np.array_equal(np.sort(order), np.arange(rows)):
        return "its order of rows is no permutation"
    if bounds.ndim < 2 or bounds.shape[1] != count or bounds.shape[-1] not in (1, data.shape[1]):
        return "its bounds do not belong to its nodes"
    start, stop = nodes["idx_start"], nodes["idx_end"]
    if bool(((start < 0) | (stop < start) | (stop > rows)).any()):
        return "a node holds rows that there are not"
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    return "a node's child is not one of the nodes" if bool((2 * inner + 2 >= count).any()) else ""


def _machine(machine: object) -> str:
    """Check a support vector machine: its arrays have the lengths that libsvm reads them by."""
    vectors = machine.support_vectors_  # type: ignore[attr-defined]  # asked for before
    support, counts = _integers(machine, "support_"), _integers(machine, "_n_support")
    weights, intercept = getattr(machine, "_dual_coef_", None), np.atleast_1d(getattr(machine, "_intercept_", []))
    is_classifier = hasattr(machine, "classes_")
    classes = len(counts) if is_classifier else 2
    rows = int(getattr(machine, "shape_fit_", (np.iinfo(np.int64).max,))[0])
    if len(support) and (int(support.min()) < 0 or int(support.max()) >= rows):
        return "a support vector is not one of the rows it was fitted on"
    is_kept = getattr(machine, "kernel", "") != "precomputed"
    if is_kept and vectors.shape[0] != len(support):
        return f"it has {vectors.shape[0]} support vectors and {len(support)} numbers of them"
    if is_classifier and int(counts.sum()) != len(support):
        return "the numbers of support vectors of its classes do not add up"
    if bool((counts < 0).any()) or weights is None or weights.shape != (max(1, classes - 1), len(support)):
        return "its weights do not belong to its support vectors"
    return "" if len(intercept) == classes * (classes - 1) // 2 else "its intercepts do not belong to its classes"


def _integers(part: object, name: str) -> npt.NDArray[np.int64]:
    return np.atleast_1d(np.asarray(getattr(part, name, []))).astype(np.int64)
