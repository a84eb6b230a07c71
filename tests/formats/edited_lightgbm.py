"""Ways in which somebody may edit a LightGBM text model; each is refused with the words given. Used by the hostile corpus as well."""

from __future__ import annotations

import re
from collections.abc import Callable

Edit = tuple[str, str, Callable[[str], str]]


def line(name: str, value: str) -> Callable[[str], str]:
    """Give the first line of that name another value."""
    return lambda text: re.sub(rf"^{name}=.*$", f"{name}={value}", text, count=1, flags=re.MULTILINE)


def number(name: str, at: int, value: object) -> Callable[[str], str]:
    """Change one number in the first line of that name."""

    def edit(text: str) -> str:
        found = re.search(rf"^{name}=(.*)$", text, re.MULTILINE)
        parts = found[1].split(" ")
        parts[at] = str(value)
        return line(name, " ".join(parts))(text)

    return edit


def without(name: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"^{name}=.*\n", "", text, count=1, flags=re.MULTILINE)


def twice(name: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"^({name}=.*\n)", r"\1\1", text, count=1, flags=re.MULTILINE)


# What is wrong, the words of the refusal, and the edit, of the file "three.txt", "categories.txt" or "slopes.txt".
TREES: list[Edit] = [
    ("a child far away", "not one of its nodes", number("left_child", 0, 10**6)),
    ("a leaf far away", "not one of its nodes", number("right_child", 0, -9)),
    ("a node that is its own child", "more than one node", number("left_child", 1, 1)),
    ("a circle to the root", "more than one node", number("left_child", 1, 0)),
    ("a leaf of two nodes", "more than one node", lambda text: _two(text)),
    ("a feature that there is not", "feature 4 of 4", number("split_feature", 0, 4)),
    ("a feature below zero", "feature", number("split_feature", 0, -1)),
    ("children too few", "left_child is not 4", line("left_child", "1 -1")),
    ("children in words", "left_child is not 4", number("left_child", 0, "x")),
    ("children with a fraction", "left_child is not 4", number("left_child", 0, "1.5")),
    ("children with two signs", "left_child is not 4", number("left_child", 0, "1-1")),
    ("children without end", "left_child is not 4", number("left_child", 0, 2**63)),
    ("no children", "has no right_child", without("right_child")),
    ("values too few", "leaf_value is not 5", line("leaf_value", "0.5")),
    ("no values", "has no leaf_value", without("leaf_value")),
    ("a value without end", "leaf_value is not 5", number("leaf_value", 0, "1e999")),
    ("counts too few", "leaf_count is not 5 numbers", line("leaf_count", "1 2")),
    ("gains in words", "split_gain is not 4 numbers", number("split_gain", 0, "x")),
    ("leaves without end", "num_leaves", line("num_leaves", 2**31 - 1)),
    ("more leaves than values", "is not", line("num_leaves", 6)),
    ("no leaves", "num_leaves", line("num_leaves", 0)),
    ("leaves in words", "num_leaves", line("num_leaves", "many")),
    ("sets that are not there", "where its 3 sets", line("num_cat", 3)),
    ("a decision of no kind", "another type", number("decision_type", 0, 64)),
    ("a set that is not there", "set of categories", number("decision_type", 0, 1)),
    ("a linear tree without lines", "linear and has no", line("is_linear", 1)),
    ("a tree that is half linear", "is_linear", line("is_linear", 2)),
    ("shrinkage in words", "shrinkage", line("shrinkage", "x")),
    ("a line twice", "there twice", twice("left_child")),
    ("a header twice", "there twice", twice("num_class")),
    ("a tree too few a round", "multiple of 3", lambda text: _drop(text)),
    ("features without end", "max_feature_idx", line("max_feature_idx", 2**31 - 1)),
    ("features below zero", "max_feature_idx", line("max_feature_idx", -1)),
    ("features that are not named", "feature_names", line("max_feature_idx", 2)),
    ("ranges too few", "feature_infos", line("feature_infos", "none")),
    ("ranges of something else", "feature_infos", line("feature_infos", "a none none none")),
    ("classes without end", "num_class", line("num_class", 2**31 - 1)),
    ("classes of another objective", "for 3 classes", line("objective", "multiclass num_class:9")),
    ("an objective with more classes", "is binary with 3", line("objective", "binary sigmoid:1")),
    ("an objective with a program", "its objective is", line("objective", "multiclass num_class:3 x:`id`")),
    ("trees of no round", "num_tree_per_iteration", line("num_tree_per_iteration", 0)),
    ("trees of another round", "5 trees a round", line("num_tree_per_iteration", 5)),
    ("a tree without end", "deeper", lambda text: _chain(text)),
]

CATEGORIES: list[Edit] = [
    ("a set outside", "set of categories", number("threshold", 0, 99)),
    ("a set of a fraction", "set of categories", number("threshold", 0, 0.5)),
    ("a set below zero", "set of categories", number("threshold", 0, -1)),
    ("a set that is no number", "set of categories", number("threshold", 0, "nan")),
    ("bounds that go back", "do not fill", number("cat_boundaries", 1, 0)),
    ("bounds outside", "do not fill", number("cat_boundaries", -1, 10**6)),
    ("bounds too few", "where its", line("cat_boundaries", "0")),
    ("no bounds", "where its", without("cat_boundaries")),
    ("sets too few", "do not fill", line("cat_threshold", "1")),
    ("a set of a sign", "do not fill", number("cat_threshold", 0, -1)),
    ("categories that are no lists", "not a list of lists", lambda text: _pandas(text, '["a"]')),
    ("categories of tables", "not a list of lists", lambda text: _pandas(text, "[[{}]]")),
    ("a category twice", "twice", lambda text: _pandas(text, '[["a", "a"], [1]]')),
]

SLOPES: list[Edit] = [
    ("more slopes than there are", "not as many", number("num_features", 0, 3)),
    ("slopes below zero", "not as many", number("num_features", 0, -1)),
    ("a slope of a feature outside", "a leaf asks for feature 77", number("leaf_features", 0, 77)),
    ("a slope that LightGBM cannot read", "smaller than LightGBM reads", number("leaf_const", 0, "1e-310")),
    ("a slope without end", "leaf_const is not", number("leaf_const", 0, "1e400")),
]


def _two(text: str) -> str:
    """Let the first node have the same leaf on both sides."""
    return number("right_child", 0, -1)(number("left_child", 0, -1)(text))


def _drop(text: str) -> str:
    """Take the last tree away, and its size."""
    sizes = re.search(r"^tree_sizes=(.*)$", text, re.MULTILINE)[1].split()
    shorter = line("tree_sizes", " ".join(sizes[:-1]))(text)
    return re.sub(rf"^Tree={len(sizes) - 1}\n.*?(?=^end of trees)", "", shorter, flags=re.MULTILINE | re.DOTALL)


def _chain(text: str) -> str:
    """Make the first tree 5,000 nodes deep."""
    leaves = 5001
    lines = {
        "num_leaves": str(leaves),
        "split_feature": " ".join(["0"] * (leaves - 1)),
        "split_gain": " ".join(["1"] * (leaves - 1)),
        "threshold": " ".join(["0.5"] * (leaves - 1)),
        "decision_type": " ".join(["2"] * (leaves - 1)),
        "left_child": " ".join(str(-at - 1) for at in range(leaves - 1)),
        "right_child": " ".join([*(str(at + 1) for at in range(leaves - 2)), str(-leaves)]),
        "leaf_value": " ".join(["0.5"] * leaves),
    }
    for name in ("leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count"):
        text = without(name)(text)
    for name, value in lines.items():
        text = line(name, value)(text)
    return text


def _pandas(text: str, value: str) -> str:
    return re.sub(r"^pandas_categorical:.*$", "pandas_categorical:" + value, text, flags=re.MULTILINE)
