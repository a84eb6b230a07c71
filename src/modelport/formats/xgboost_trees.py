"""The trees of an XGBoost file: checked node by node, all at once, and written anew in the one form that the library gets.

XGBoost follows children, features and segments of categories without looking; an edited file makes it crash or go in circles. What
is checked here is what training guarantees, so that every walk from a root ends at a leaf of the same tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelport.errors import RefusedFile
from modelport.formats.ubjson import Value

Ints = npt.NDArray[np.int64]

_LEAF = -1
_ROOT_PARENT = 2**31 - 1
_DELETED = 2**31 - 1  # the feature of a node that pruning took out
_MAX_DEPTH = 1024
_MAX_CATEGORY = 1 << 24  # common/categorical.h of XGBoost: what a float32 counts exactly
_MAX_BITS_BYTES = 256 << 20
_WHOLE = ("left_children", "right_children", "parents", "split_indices", "default_left", "split_type")
_FLOATS = ("split_conditions", "base_weights", "loss_changes", "sum_hessian")
_CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_OPTIONAL = frozenset({"split_type", "loss_changes", "sum_hessian", *_CATEGORIES})
_WRITTEN = {
    "left_children": "i4",
    "right_children": "i4",
    "parents": "i4",
    "split_indices": "i4",
    "default_left": "u1",
    "split_type": "u1",
    "categories": "i4",
    "categories_nodes": "i4",
    "categories_segments": "i8",
    "categories_sizes": "i8",
}


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree: its number of nodes, how many values a leaf holds, and its arrays by the names in the file."""

    nodes: int
    width: int
    arrays: dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Forest:
    """All nodes of all trees one after another. ``home``: each node's tree; ``start``: where that begins."""

    trees: Sequence[Tree]
    home: Ints
    start: Ints
    left: Ints
    right: Ints
    feature: Ints
    flags: Ints


def fault(what: str) -> RefusedFile:
    """Return the error for a file that is not what training makes."""
    return RefusedFile(f"{what}, which training never makes; the file is damaged or was changed, save the model again")


def check(found: Value, features: int, groups: int) -> list[Value]:
    """Check the trees of a model and return them as they are to be given to the library.

    ``features``: how many the model takes; ``groups``: how many values a row gets.
    Raises: RefusedFile naming the tree and what is wrong with it. Cost: about 50 microseconds for each tree.
    """
    if not isinstance(found, list):
        raise fault("it has no list of trees")
    trees = [_read(item, at) for at, item in enumerate(found)]
    if not trees:
        return []
    if len({tree.width for tree in trees}) > 1 or trees[0].width not in (1, groups):
        raise fault(f"its leaves hold {', '.join(str(width) for width in sorted({tree.width for tree in trees}))} values for {groups}")
    forest = _join(trees)
    parents = _check_nodes(forest, features)
    bits = sum(_check_categories(tree, at) for at, tree in enumerate(trees))
    if bits // 8 > _MAX_BITS_BYTES:
        raise fault(f"its categories take {bits >> 23} MB")
    sizes = np.array([tree.nodes for tree in trees])
    cuts = np.cumsum(sizes)[:-1]
    return [_write(tree, at, features, own) for at, (tree, own) in enumerate(zip(trees, np.split(parents, cuts), strict=True))]


def _read(found: Value, at: int) -> Tree:
    parameters = found.get("tree_param") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(parameters, dict):
        raise fault(f"tree {at} has no parameters")
    nodes, width = whole(parameters, "num_nodes", 1), max(1, whole(parameters, "size_leaf_vector", 0, default=1))
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name in (*_WHOLE, *_CATEGORIES, *_FLOATS):
        value = found.get(name)
        if value is None and name in _OPTIONAL:
            value = np.zeros(0 if name in _CATEGORIES else nodes, np.int64)
        arrays[name] = numbers(value, f"tree {at}: {name}", is_float=name in _FLOATS)
        length = nodes * width if name == "base_weights" else nodes
        if name not in _CATEGORIES and len(arrays[name]) != length:
            raise fault(f"tree {at} has {len(arrays[name])} {name} for {nodes} nodes")
    if width > 1:
        arrays |= _vectors(found, at, nodes, width, arrays)
    return Tree(nodes, width, arrays)


def _vectors(
    found: Mapping[str, Value], at: int, nodes: int, width: int, arrays: Mapping[str, npt.NDArray[np.generic]]
) -> dict[str, npt.NDArray[np.generic]]:
    """Read the leaves of a tree that answers several targets; XGBoost 2 kept them among the weights of all nodes."""
    is_leaf = arrays["left_children"] == _LEAF
    count = int(is_leaf.sum())
    if "leaf_weights" not in found:
        right = np.array(arrays["right_children"], np.int64)
        right[is_leaf] = np.arange(count)
        return {"right_children": right, "leaf_weights": arrays["base_weights"].reshape(nodes, width)[is_leaf].reshape(-1)}
    weights = numbers(found["leaf_weights"], f"tree {at}: leaf_weights", is_float=True)
    places = np.sort(arrays["right_children"][is_leaf])
    if len(weights) != count * width or not np.array_equal(places, np.arange(count)):
        raise fault(f"tree {at} has {len(weights)} leaf_weights for {count} leaves of {width} values")
    return {"leaf_weights": weights}


def _join(trees: Sequence[Tree]) -> Forest:
    sizes = np.array([tree.nodes for tree in trees])
    starts = np.cumsum(sizes) - sizes
    home = np.repeat(np.arange(len(trees)), sizes)
    joined = [np.concatenate([tree.arrays[name] for tree in trees]).astype(np.int64) for name in _WHOLE]
    for name, values in zip(("default_left", "split_type"), joined[4:], strict=True):
        if bool(((values < 0) | (values > 1)).any()):
            raise fault(f"{name} of a node is neither 0 nor 1")
    return Forest(trees, home, starts[home], joined[0], joined[1], joined[3], joined[4])


def _check_nodes(forest: Forest, features: int) -> Ints:
    """Check children and features of all nodes and return each one's parent, in numbers of its tree."""
    count = np.array([tree.nodes for tree in forest.trees])[forest.home]
    inner = np.flatnonzero(forest.left != _LEAF)
    is_gone = (forest.feature == _DELETED) & (forest.flags == 1)
    inner = inner[~is_gone[inner]]
    reached = np.zeros(len(forest.left), np.int64)
    parents = np.full(len(forest.left), 0, np.int64)
    for children in (forest.left[inner], forest.right[inner]):
        wrong = inner[(children <= 0) | (children >= count[inner])]
        if len(wrong):
            raise fault(f"tree {forest.home[wrong[0]]}: the child of node {wrong[0] - forest.start[wrong[0]]} is not one of its nodes")
        at = forest.start[inner] + children
        reached += np.bincount(at, minlength=len(reached))
        parents[at] = inner - forest.start[inner]
    if bool((reached > 1).any()) or bool((reached[is_gone] > 0).any()):
        wrong = np.flatnonzero((reached > 1) | (is_gone & (reached > 0)))
        raise fault(
            f"tree {forest.home[wrong[0]]}: node {wrong[0] - forest.start[wrong[0]]} is the child of more than one node, or deleted"
        )
    scalar = forest.trees[0].width == 1
    if scalar and bool((forest.right[(forest.left == _LEAF) & ~is_gone] != _LEAF).any()):
        raise fault("a leaf has a child")
    used = forest.feature[inner]
    if bool(((used < 0) | (used >= features)).any()):
        raise fault(f"a node asks for feature {int(used.max())} of {features}")
    _check_depth(forest, inner)
    parents[forest.start == np.arange(len(parents))] = _ROOT_PARENT if scalar else -1
    return parents


def _check_depth(forest: Forest, inner: Ints) -> None:
    is_inner = np.zeros(len(forest.left), bool)
    is_inner[inner] = True
    level = np.unique(forest.start)
    for _ in range(_MAX_DEPTH):
        level = level[is_inner[level]]
        if not len(level):
            return
        level = np.concatenate([forest.start[level] + forest.left[level], forest.start[level] + forest.right[level]])
    raise fault(f"a tree is deeper than {_MAX_DEPTH} nodes")


def _check_categories(tree: Tree, at: int) -> int:
    """Check that the nodes that ask for categories are those listed, each with a stretch of the list that belongs to it.

    Returns how many bits the library will make of them.
    """
    arrays = tree.arrays
    listed, nodes, start, size = (arrays[name].astype(np.int64) for name in _CATEGORIES)
    is_asking = np.flatnonzero((arrays["split_type"] == 1) & (arrays["left_children"] != _LEAF))
    if not len(nodes) and not len(is_asking) and not len(listed) and not len(start) and not len(size):
        return 0
    if not len(nodes) == len(start) == len(size) or not np.array_equal(nodes, is_asking):
        raise fault(f"tree {at}: the nodes that ask for categories are not those that have some")
    # One stretch after another, as XGBoost writes them: none can hold what another has, or be told twice.
    if bool((size < 1).any()) or int(size.sum()) != len(listed) or not np.array_equal(start, np.cumsum(size) - size):
        raise fault(f"tree {at}: the stretches of its categories do not fill their list")
    if bool(((listed < 0) | (listed >= _MAX_CATEGORY)).any()):
        raise fault(f"tree {at} has a category below 0 or over {_MAX_CATEGORY}")
    return int(np.maximum.reduceat(listed, start).sum())


def _write(tree: Tree, at: int, features: int, parents: Ints) -> Value:
    deleted = int(((tree.arrays["split_indices"] == _DELETED) & (tree.arrays["default_left"] == 1)).sum())
    out: dict[str, Value] = {"id": at}
    for name in (*_WHOLE, *_CATEGORIES):
        out[name] = tree.arrays[name].astype(_WRITTEN[name])
    for name in (*_FLOATS, "leaf_weights"):
        if name in tree.arrays:
            out[name] = tree.arrays[name].astype(np.float32)
    out["parents"] = parents.astype(np.int32)
    out["tree_param"] = {
        "num_deleted": str(deleted),
        "num_feature": str(features),
        "num_nodes": str(tree.nodes),
        "size_leaf_vector": str(tree.width),
    }
    return out


def whole(found: Mapping[str, Value], name: str, least: int, *, default: int | None = None, most: int = 2**31 - 1) -> int:
    """Return a parameter that is a whole number, kept as text. Raises: RefusedFile if it is none, or out of range."""
    value = found.get(name)
    if value is None and default is not None:
        return default
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 12) or not least <= int(text) <= most:
        raise fault(f"{name} is {text[:20]!r}, not a whole number from {least} to {most}")
    return int(text)


def numbers(found: Value, what: str, *, is_float: bool = False) -> npt.NDArray[np.generic]:
    """Return a list of numbers as an array: int64, or float32 where it ``is_float``. Raises: RefusedFile if it is none."""
    try:
        array = found if isinstance(found, np.ndarray) else np.asarray(found if isinstance(found, list) else None)
    except (ValueError, OverflowError):
        array = np.asarray(None)
    if array.size == 0 and array.ndim == 1:
        array = array.astype(np.int64)
    kinds = "iufb" if is_float else "iub"
    if array.ndim != 1 or array.dtype.kind not in kinds or array.dtype == np.uint64:
        raise fault(f"{what} is not a list of {'numbers' if is_float else 'whole numbers'}")
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(np.float32) if is_float else array.astype(np.int64)
