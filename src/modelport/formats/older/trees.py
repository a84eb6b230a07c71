"""Decision trees and what is made of them: arrays in today's layout, fractions for counts, and no answer where there was none."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import cast

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import ExtraTreeClassifier
from sklearn.tree._classes import DecisionTreeClassifier
from sklearn.tree._tree import NODE_DTYPE, Tree

from modelport.errors import LoadError
from modelport.formats.older.kinds import Version, become, like_parent
from modelport.formats.older.missing import split_on_missing_since
from modelport.formats.older.remains import Remains

FRACTIONS_SINCE = (1, 4)
_CLASSIFIERS = (DecisionTreeClassifier, ExtraTreeClassifier, RandomForestClassifier, ExtraTreesClassifier)


def tree(model: object, made: Version) -> None:
    """Build the tree's arrays anew."""
    state = vars(model)
    _name_features(state)
    remains = state.get("tree_")
    if isinstance(remains, Remains):
        state["tree_"] = _built(remains, is_classifier=isinstance(model, _CLASSIFIERS), made=made)
    refuse_missing(model, made)


def forest(model: object, made: Version) -> None:
    """Rename what newer versions read."""
    state = vars(model)
    _name_features(state)
    base = state.pop("base_estimator", "deprecated")
    if base != "deprecated" and state.get("estimator") is None:
        state["estimator"] = base
    if "base_estimator_" in state and "estimator_" not in state:
        state["estimator_"] = state.pop("base_estimator_")
    refuse_missing(model, made)


def _name_features(state: dict[str, object]) -> None:
    if "n_features_" in state and "n_features_in_" not in state:
        state["n_features_in_"] = state.pop("n_features_")


def _built(remains: Remains, *, is_classifier: bool, made: Version) -> Tree:
    state = cast("dict[str, object]", remains.state)
    old = cast("npt.NDArray[np.void]", state["nodes"])
    nodes = np.zeros(len(old), NODE_DTYPE)
    for name in old.dtype.names or ():
        if name in nodes.dtype.names:
            nodes[name] = old[name]
    values = np.ascontiguousarray(cast("npt.NDArray[np.float64]", state["values"]), np.float64)
    if is_classifier and made < FRACTIONS_SINCE:
        totals = values.sum(axis=2, keepdims=True)
        values = values / np.where(totals == 0, 1.0, totals)
    features, classes, outputs = remains.args
    _check(nodes, features)
    built = Tree(features, np.asarray(classes, np.intp), outputs)
    built.__setstate__({"max_depth": state["max_depth"], "node_count": len(nodes), "nodes": nodes, "values": values})
    return built


def _check(nodes: npt.NDArray[np.void], features: object) -> None:
    """An edited tree whose children point out of it, or back, would read foreign memory or never end."""
    at = np.arange(len(nodes))
    inner = nodes["left_child"] != -1
    for side in ("left_child", "right_child"):
        child = nodes[side][inner]
        if (child <= at[inner]).any() or (child >= len(nodes)).any():
            raise LoadError("a decision tree of the file has nodes that point nowhere; the file is damaged")
    used = nodes["feature"][inner]
    if (used < 0).any() or (used >= cast("int", features)).any():
        raise LoadError("a decision tree of the file reads columns that it does not have; the file is damaged")


def refuse_missing(model: object, made: Version) -> None:
    """Let a model refuse NaN if its trees were fitted before they learnt to split on it."""
    since = split_on_missing_since(type(model).__name__)
    if since is not None and made < since:
        become(model, _without_missing(cast("Hashable", type(model))))


@cache
def _without_missing(key: Hashable) -> type:
    """Return the class refusing NaN, as it did before it learnt to split on it: a tree made then has no side for it."""
    kind = cast("type", key)

    def tags(self: object) -> object:
        found = kind.__sklearn_tags__(self)  # type: ignore[attr-defined]
        found.input_tags.allow_nan = False
        return found

    return like_parent(type(kind.__name__, (kind,), {"__sklearn_tags__": tags}))
