"""Operations on decision trees: ONNX Runtime finds the leaf of every tree, numpy adds up what the leaves hold.

The runtime compares float64 values with float64 thresholds, as the libraries do, and answers the leaf's number; the sum is
then made here, tree after tree, so that it is the library's own to the last bit. For 100 trees and one row that is 12 µs where
a forest of scikit-learn takes 5 ms, for 64 rows 0.5 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelport.errors import LoadError
from modelport.forms.keras_onnx.proto import Attribute, Body, Node, Port, serialize
from modelport.forms.program.steps import Floats, Places, Step
from modelport.forms.session import open_session

Function = Callable[..., object]
_DOMAIN, _VERSION = "ai.onnx.ml", 5  # TreeEnsemble, the first operator that answers float64
_AT_MOST, _MEMBER = 0, 6  # BRANCH_LEQ, BRANCH_MEMBER
_SUM, _NO_POST_TRANSFORM = 1, 0
_LEAF = -1


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Trees one after another: node arrays joined, ``roots`` is where each begins.

    ``left`` and ``right`` count from the tree's own root, −1 in leaves. A value at most ``threshold`` goes left; a missing one
    goes left where ``missing_left``. ``category``: the node's row in ``sets`` (rows of 256 flags) whose members go left, or −1.
    """

    left: Places
    right: Places
    feature: Places
    threshold: Floats
    roots: Places
    width: int
    missing_left: Places
    category: Places
    sets: Places


def leaves(step: Step) -> Function:
    """A matrix (rows, width) → the number of the leaf that each row reaches in each tree (rows, trees), over all trees' nodes."""
    ensemble = _ensemble(step)
    _check(ensemble)
    try:
        session = open_session(_graph(ensemble), threads=1)
    except ImportError as error:
        raise LoadError("trees are computed by ONNX Runtime, which is not installed; run: pip install onnxruntime") from error
    roots = ensemble.roots

    def find(x: Floats) -> Places:
        (found,) = session.run(["leaf"], {"x": np.ascontiguousarray(x)})
        return np.asarray(found).astype(np.intp) + roots

    return find


def leaf_sums(step: Step) -> Function:
    """Leaves (rows, trees) → the sums of what they hold (rows, k), tree after tree, divided by ``divisor``.

    ``values`` (nodes, k) of every node; or, where ``groups`` is more than 1, (nodes, 1), and tree i belongs to column i mod groups.
    """
    values, divisor, groups = step.floats("values"), step.number("divisor", 1.0), int(step.number("groups", 1))
    if values.ndim != 2 or groups < 1 or (groups > 1 and values.shape[1] != 1):
        raise ValueError("values must have one column for each group")
    single = values[:, 0] if values.shape[1] == 1 else None

    def add(found: Places) -> Floats:
        if single is None:
            held = values[found.T]
        else:
            held = single[found].reshape(len(found), -1, groups).transpose(1, 0, 2)
        total: Floats = np.cumsum(held, axis=0)[-1] if held[0].size == 1 else np.add.reduce(held, axis=0)
        return total / divisor if divisor != 1.0 else total

    return add


def leaf_median(step: Step) -> Function:
    """Leaves (rows, trees) → the weighted median of what they hold (rows,): the lowest at which half of the weight is reached."""
    values, weights = step.floats("values"), step.floats("weights")

    def choose(found: Places) -> Floats:
        held = values[found]
        order = np.argsort(held, axis=1)
        reached = np.cumsum(weights[order], axis=1)
        at = (reached >= 0.5 * reached[:, -1:]).argmax(axis=1)
        out: Floats = held[np.arange(len(held)), order[np.arange(len(held)), at]]
        return out

    return choose


def _ensemble(step: Step) -> Ensemble:
    nodes = len(step.floats("threshold"))
    none = np.full(nodes, -1, np.intp)
    return Ensemble(
        step.places("left"),
        step.places("right"),
        step.places("feature"),
        step.floats("threshold"),
        step.places("roots"),
        int(step.number("width")),
        step.places("missing_left") if "missing_left" in step.arrays else np.zeros(nodes, np.intp),
        step.places("category") if "category" in step.arrays else none,
        step.places("sets") if "sets" in step.arrays else np.zeros((0, 256), np.intp),
    )


def _check(trees: Ensemble) -> None:
    """Raise ValueError unless every child is a node after its parent in its own tree, and every feature and set is there."""
    nodes = len(trees.threshold)
    parts = (trees.left, trees.right, trees.feature, trees.missing_left, trees.category)
    if not nodes or any(part.shape != (nodes,) for part in parts) or trees.sets.ndim != 2 or trees.sets.shape[1] != 256:
        raise ValueError("the arrays of the nodes differ in length")
    roots = trees.roots
    if not len(roots) or roots[0] != 0 or (np.diff(roots) < 1).any() or roots[-1] >= nodes:
        raise ValueError("the trees do not follow each other")
    sizes = np.diff(np.append(roots, nodes))
    own, size = np.arange(nodes) - np.repeat(roots, sizes), np.repeat(sizes, sizes)
    is_leaf = trees.left == _LEAF
    for child in (trees.left, trees.right):
        if (child[is_leaf] != _LEAF).any() or (child[~is_leaf] <= own[~is_leaf]).any() or (child[~is_leaf] >= size[~is_leaf]).any():
            raise ValueError("a node's child is not one of the nodes after it")
    inner = trees.feature[~is_leaf]
    if (inner < 0).any() or (inner >= trees.width).any() or (trees.category >= len(trees.sets)).any():
        raise ValueError("a node asks for a feature or a set that there is not")


def _graph(trees: Ensemble) -> bytes:
    """Write the ensemble as an ONNX model with one output: for each tree, the number of the leaf within it."""
    count = len(trees.roots)
    node = Node("TreeEnsemble", ("x",), ("leaf",), {**_shape(trees), **_decisions(trees)}, _DOMAIN)
    ports = [Port("x", "float64", (None, trees.width))], [Port("leaf", "float64", (None, count))]
    return serialize(Body([node], {}, *ports, domains={_DOMAIN: _VERSION}))


def _written(trees: Ensemble) -> npt.NDArray[np.bool_]:
    """Return which nodes the operator's list has: those with children, and the roots of trees of one leaf."""
    out: npt.NDArray[np.bool_] = trees.left != _LEAF
    out[trees.roots] = True
    return out


def _shape(trees: Ensemble) -> dict[str, Attribute]:
    """Return where each node leads. A tree of one leaf gets a node before it, both of whose sides are that leaf."""
    nodes, count = len(trees.threshold), len(trees.roots)
    sizes = np.diff(np.append(trees.roots, nodes))
    root_of, tree_of = np.repeat(trees.roots, sizes), np.repeat(np.arange(count), sizes)
    is_leaf = trees.left == _LEAF
    leaf_place, place = np.cumsum(is_leaf) - 1, np.cumsum(_written(trees)) - 1
    at = np.flatnonzero(_written(trees))
    left, right = (np.where(is_leaf[at], 0, side[at]) + root_of[at] for side in (trees.left, trees.right))
    return {
        "n_targets": count,
        "aggregate_function": _SUM,
        "post_transform": _NO_POST_TRANSFORM,
        "tree_roots": place[trees.roots].astype(np.int64),
        "nodes_truenodeids": np.where(is_leaf[left], leaf_place[left], place[left]).astype(np.int64),
        "nodes_trueleafs": is_leaf[left].astype(np.int64),
        "nodes_falsenodeids": np.where(is_leaf[right], leaf_place[right], place[right]).astype(np.int64),
        "nodes_falseleafs": is_leaf[right].astype(np.int64),
        "leaf_targetids": tree_of[is_leaf].astype(np.int64),
        "leaf_weights": (np.arange(nodes) - root_of)[is_leaf].astype(np.float64),
    }


def _decisions(trees: Ensemble) -> dict[str, Attribute]:
    """Return what each node asks."""
    at = np.flatnonzero(_written(trees))
    is_leaf, category = trees.left[at] == _LEAF, trees.category[at]
    # The operator refuses a set without members; to be at most −∞ is as impossible.
    is_empty = np.append(~trees.sets.any(axis=1), False)[category]
    is_member = (category >= 0) & ~is_empty
    out: dict[str, Attribute] = {
        "nodes_featureids": np.where(is_leaf, 0, trees.feature[at]).astype(np.int64),
        "nodes_splits": np.where(is_member, 0.0, np.where(is_empty, -np.inf, trees.threshold[at])),
        "nodes_modes": np.where(is_member, _MEMBER, _AT_MOST).astype(np.uint8),
    }
    if trees.missing_left.any():
        out["nodes_missing_value_tracks_true"] = trees.missing_left[at].astype(np.int64)
    if is_member.any():
        out["membership_values"] = np.concatenate([np.append(np.flatnonzero(trees.sets[row]), np.nan) for row in category[is_member]])
    return out


OPERATIONS: Mapping[str, Callable[[Step], Function]] = {"leaves": leaves, "leaf_sums": leaf_sums, "leaf_median": leaf_median}
