"""Ways in which somebody may edit an XGBoost document; each is refused with the words given. Used by the hostile corpus as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Document = dict[str, Any]
Edit = tuple[str, str, Callable[[Document], object]]


def learner(document: Document) -> Document:
    return document["learner"]


def model(document: Document) -> Document:
    booster = learner(document)["gradient_booster"]
    return booster.get("gbtree", booster)["model"]


def tree(document: Document, at: int = 0) -> Document:
    return model(document)["trees"][at]


def leaf(document: Document) -> int:
    return list(tree(document)["left_children"]).index(-1)


def put(table: Document, name: str, at: int, value: object) -> None:
    values = list(table[name])
    values[at] = value
    table[name] = values


def _swap(document: Document) -> None:
    put(tree(document), "left_children", 1, 0)


def _same(document: Document) -> None:
    put(tree(document), "right_children", 0, tree(document)["left_children"][0])


def _chain(document: Document) -> None:
    """A tree that goes down 1,100 nodes: every inner node has a leaf and the next."""
    count = 2201
    inner = range(0, count - 1, 2)
    left, right = [-1] * count, [-1] * count
    for at in inner:
        left[at], right[at] = at + 1, at + 2
    changed = tree(document)
    for name in ("parents", "split_indices", "default_left", "split_type"):
        changed[name] = [0] * count
    for name in ("split_conditions", "base_weights", "loss_changes", "sum_hessian"):
        changed[name] = [0.5] * count
    changed["left_children"], changed["right_children"] = left, right
    changed["tree_param"]["num_nodes"] = str(count)


# What is wrong, the words of the refusal, and the edit, of the file "three.json" (trees), "categories", "vectors", "dart" or "linear".
TREES: list[Edit] = [
    ("a child far away", "not one of its nodes", lambda d: put(tree(d), "left_children", 0, 10**6)),
    ("a child below zero", "not one of its nodes", lambda d: put(tree(d), "right_children", 0, -7)),
    ("a circle", "not one of its nodes", _swap),
    ("two ways to a node", "more than one node", _same),
    ("a node that is its own child", "more than one node", lambda d: put(tree(d), "left_children", 1, 1)),
    ("a leaf with a child", "a leaf has a child", lambda d: put(tree(d), "right_children", leaf(d), 1)),
    ("a feature that there is not", "asks for feature 4 of 4", lambda d: put(tree(d), "split_indices", 0, 4)),
    ("a feature below zero", "asks for feature", lambda d: put(tree(d), "split_indices", 0, -1)),
    ("a short list", "left_children for", lambda d: tree(d)["left_children"].pop()),
    ("a long list", "split_conditions for", lambda d: tree(d)["split_conditions"].append(0.0)),
    ("a list that is gone", "not a list of", lambda d: tree(d).pop("split_indices")),
    ("words for numbers", "not a list of", lambda d: put(tree(d), "split_indices", 0, "x")),
    ("numbers too large", "not a list of", lambda d: put(tree(d), "split_indices", 0, 2**70)),
    ("lists in a list", "not a list of", lambda d: put(tree(d), "split_indices", 0, [1])),
    ("a direction of neither side", "neither 0 nor 1", lambda d: put(tree(d), "default_left", 0, 7)),
    ("no parameters", "no parameters", lambda d: tree(d).pop("tree_param")),
    ("no nodes", "num_nodes", lambda d: tree(d)["tree_param"].update(num_nodes="0")),
    ("nodes in words", "num_nodes", lambda d: tree(d)["tree_param"].update(num_nodes="many")),
    ("leaves of several values", "base_weights for", lambda d: tree(d)["tree_param"].update(size_leaf_vector="2")),
    ("a tree without end", "deeper", _chain),
    ("categories of no node", "do not fill", lambda d: tree(d).update(categories=[1])),
    ("a node that asks for none", "not those that have some", lambda d: put(tree(d), "split_type", 0, 1)),
    ("a tree too few", "trees", lambda d: model(d)["trees"].pop()),
    ("no trees", "no list of trees", lambda d: model(d).pop("trees")),
    ("an output that there is not", "outputs", lambda d: put(model(d), "tree_info", 0, 3)),
    ("an output below zero", "outputs", lambda d: put(model(d), "tree_info", 0, -1)),
    ("rounds that do not add up", "rounds", lambda d: put(model(d), "iteration_indptr", -1, 99)),
    ("rounds that go back", "rounds", lambda d: put(model(d), "iteration_indptr", 1, 0)),
    ("rounds that nobody counted", "multiple of 6", lambda d: (model(d).pop("iteration_indptr"), _parallel(d, 2), _drop(d))),
    ("more rounds than trees", "best round", lambda d: learner(d)["attributes"].update(best_iteration="4")),
    ("a best round in words", "best_iteration", lambda d: learner(d)["attributes"].update(best_iteration="last")),
    ("attributes that are no texts", "table of texts", lambda d: learner(d)["attributes"].update(x=1)),
    ("no model", 'no "model"', lambda d: learner(d)["gradient_booster"].pop("model")),
    ("a booster of somebody's", "none of XGBoost's", lambda d: learner(d)["gradient_booster"].update(name="x")),
    ("no booster", 'no "gradient_booster"', lambda d: learner(d).pop("gradient_booster")),
    ("too few features", "asks for feature", lambda d: _parameter(d, num_feature="1")),
    ("features without end", "num_feature", lambda d: _parameter(d, num_feature=str(2**31 - 1))),
    ("classes without end", "num_class", lambda d: _parameter(d, num_class=str(2**31 - 1))),
    ("classes and targets", "3 classes and 2 targets", lambda d: _parameter(d, num_target="2")),
    ("no classes", "with 0 classes", lambda d: _parameter(d, num_class="0")),
    ("a base score in words", "base_score", lambda d: _parameter(d, base_score="half")),
    ("base scores too many", "base_score", lambda d: _parameter(d, base_score="[1,2]")),
    ("an endless base score", "base_score", lambda d: _parameter(d, base_score="inf")),
    ("names too few", "feature_names", lambda d: learner(d).update(feature_names=["a"])),
    ("names that are numbers", "feature_names", lambda d: learner(d).update(feature_names=[1, 2, 3, 4])),
    ("types of somebody's", "feature_types", lambda d: learner(d).update(feature_types=["x"] * 4)),
    ("a version in words", "version", lambda d: d.update(version=["a"])),
    ("no version", "version", lambda d: d.pop("version")),
    ("an objective with a list", "objective", lambda d: learner(d)["objective"].update(softmax_multiclass_param=[])),
    ("an objective with a program", "objective", lambda d: learner(d)["objective"].update(x={"y": "`id`"})),
]

CATEGORIES: list[Edit] = [
    ("segments that overlap", "do not fill", lambda d: put(tree(d), "categories_segments", -1, 0)),
    ("a segment outside", "do not fill", lambda d: put(tree(d), "categories_segments", 0, 10**12)),
    ("a segment without end", "do not fill", lambda d: put(tree(d), "categories_sizes", 0, 2**40)),
    ("an empty segment", "do not fill", lambda d: put(tree(d), "categories_sizes", 0, 0)),
    ("a node that does not ask", "not those that have some", lambda d: put(tree(d), "categories_nodes", 0, 5)),
    ("a category below zero", "below 0", lambda d: put(tree(d), "categories", 0, -1)),
    ("a category without end", "below 0 or over", lambda d: put(tree(d), "categories", 0, 2**31 - 1)),
    ("offsets outside", "do not fill", lambda d: put(model(d)["cats"]["enc"][0], "offsets", -1, 99)),
    ("offsets that go back", "do not fill", lambda d: put(model(d)["cats"]["enc"][0], "offsets", 1, 7)),
    ("a category twice", "twice", lambda d: model(d)["cats"]["enc"][0].update(offsets=[0, 1, 2], values=[97, 97])),
    ("stretches that do not add up", "add up", lambda d: put(model(d)["cats"], "feature_segments", 1, 3)),
    ("an order of others", "permutation", lambda d: put(model(d)["cats"], "sorted_idx", 0, 3)),
    ("an order too short", "order of its categories", lambda d: model(d)["cats"].update(sorted_idx=[])),
    ("categories of two features", "2 features", lambda d: model(d)["cats"]["enc"].pop()),
    ("categories of no type", "of the type", lambda d: model(d)["cats"]["enc"][1].update(type=7)),
    ("a feature of no table", "no table", lambda d: model(d)["cats"]["enc"].__setitem__(1, [1])),
    ("categories of no table", "no table", lambda d: model(d).update(cats=[1])),
]

VECTORS: list[Edit] = [
    ("answers of one target", "2 values for 1", lambda d: _parameter(d, num_target="1", base_score="0.5")),
    ("leaves too few", "leaf_weights", lambda d: tree(d).update(leaf_weights=[0.5])),
    ("a leaf outside", "leaf_weights", lambda d: put(tree(d), "right_children", leaf(d), 99)),
    ("leaves of three values", "base_weights", lambda d: tree(d)["tree_param"].update(size_leaf_vector="3")),
]

DART: list[Edit] = [
    ("weights too few", "weights of", lambda d: learner(d)["gradient_booster"]["weight_drop"].pop()),
    ("weights without end", "weights of", lambda d: put(learner(d)["gradient_booster"], "weight_drop", 0, 1e300)),
    ("weights in words", "not a list of", lambda d: learner(d)["gradient_booster"].update(weight_drop="x")),
    ("a base score that is no probability", "no probability", lambda d: _parameter(d, base_score="2")),
]

LINEAR: list[Edit] = [
    ("weights too few", "weights for", lambda d: model(d).update(weights=[0.5])),
    ("more features than weights", "weights for", lambda d: _parameter(d, num_feature="5")),
]


def _parameter(document: Document, **values: str) -> None:
    learner(document)["learner_model_param"].update(values)
    if "num_feature" in values:
        learner(document).update(feature_names=[], feature_types=[])


def _parallel(document: Document, count: int) -> None:
    model(document)["gbtree_model_param"]["num_parallel_tree"] = str(count)


def _drop(document: Document) -> None:
    """Leave an odd number of rounds."""
    kept = model(document)
    for name in ("trees", "tree_info"):
        kept[name] = kept[name][:9]
    kept["gbtree_model_param"]["num_trees"] = "9"
