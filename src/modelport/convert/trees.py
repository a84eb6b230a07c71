"""Trees of scikit-learn prepared for ONNX, so that a converter's graph compares as scikit-learn does.

scikit-learn casts rows to float32 right before its trees and not earlier, and each node of a tree says to which side a missing
value goes; skl2onnx 1.20 leaves that out, as if all went to the right.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np

from modelport.formats.estimator_tree import class_name, steps

_CAST_IN = ("DecisionTree", "RandomForest", "ExtraTree", "GradientBoosting", "IsolationForest")
_SIDE = "nodes_missing_value_tracks_true"
_LEFT = "missing_go_to_left"
_DEPTH = 12


def cast_before(estimator: object) -> object:
    """Return an estimator whose final trees get their rows in float32, as scikit-learn casts them, and not earlier."""
    inside = steps(estimator)
    final = inside[-1] if inside else estimator
    if not class_name(final).startswith(_CAST_IN):
        return estimator
    cast_ = importlib.import_module("skl2onnx.sklapi").CastTransformer()
    found = list(getattr(estimator, "steps", [])) if inside else [("model", estimator)]
    made: object = importlib.import_module("sklearn.pipeline").Pipeline([*found[:-1], ("modelport_cast", cast_), found[-1]])
    return made


def with_sides(data: bytes, estimator: object) -> bytes:
    """Return the bytes of a graph with the side to which missing values go in each node of the estimator's trees.

    The graph is returned as it is where its trees are not the estimator's, one by one and node by node.
    """
    trees = [tree for tree in _trees(estimator, 0) if np.any(getattr(tree, _LEFT, False))]
    if not trees:
        return data
    onnx = importlib.import_module("onnx")
    model = onnx.load_from_string(data)
    every = iter(list(_trees(estimator, 0)))
    for node in model.graph.node:
        if not node.op_type.startswith("TreeEnsemble"):
            continue
        given = {item.name: list(item.ints) for item in node.attribute}
        sides = _sides(given, every)
        if sides is None:
            return data
        kept = [item for item in node.attribute if item.name != _SIDE]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute(_SIDE, sides)])
    return cast("bytes", model.SerializeToString())


def _sides(given: Mapping[str, list[int]], every: Iterator[object]) -> list[int] | None:
    """Return a side for each node of an operator's trees, 1 for left; None where they are not the estimator's."""
    treeids, nodeids = given["nodes_treeids"], given["nodes_nodeids"]
    trees = {number: next(every, None) for number in dict.fromkeys(treeids)}
    counts = Counter(treeids)
    if any(getattr(tree, "node_count", -1) != counts[number] for number, tree in trees.items()):
        return None
    lefts = {number: np.asarray(getattr(tree, _LEFT)) for number, tree in trees.items()}
    return [int(lefts[number][node]) for number, node in zip(treeids, nodeids, strict=True)]


def _trees(value: object, depth: int) -> Iterator[object]:
    """Yield every tree inside a fitted estimator, in its order."""
    if depth > _DEPTH:
        return
    if isinstance(value, np.ndarray):
        value = value.reshape(-1).tolist() if value.dtype == object else []
    if isinstance(value, list | tuple):
        for item in value:
            yield from _trees(item, depth + 1)
    elif hasattr(value, "tree_"):
        yield value.tree_
    elif hasattr(value, "get_params") and hasattr(value, "__dict__"):
        for item in vars(value).values():
            yield from _trees(item, depth + 1)
