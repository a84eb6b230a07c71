"""XGBoost's trees as steps of a program: float32 thresholds, and float32 sums in the library's order.

XGBoost goes left below a threshold, a program at it or below: the threshold becomes the float32 before it. The chances go through
the library's own ``expf``, so they are equal to float32's last bits, and labels next to a tie are left to the original.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt

from modelport.columns import Array
from modelport.formats.lowering.boosted import Answers, flags, labels_of, program
from modelport.formats.lowering.draft import Draft, Input, NotLowered, Part
from modelport.formats.lowering.linear import choose
from modelport.formats.lowering.trees import Nodes, find_leaves
from modelport.formats.xgboost_file import Content
from modelport.forms.program.steps import Plain, Program
from modelport.schema import Schema

_LEAF = -1
_MARGIN = 1e-6
_EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie")
_PLAIN = (
    "reg:squarederror", "reg:linear", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror", "reg:squaredlogerror",
    "reg:expectileerror", "rank:pairwise", "rank:ndcg", "rank:map",
)  # fmt: skip
Arrays = Mapping[str, npt.NDArray[np.generic]]


def lower_file(content: Content, schema: Schema) -> Program:
    """Return the program of a native file. Raises: NotLowered."""
    return program(schema, lambda given, draft: lower(content, labels_of(content.classes), given, draft))


def lower(content: Content, classes: Array, given: Input, draft: Draft) -> Answers:
    """Add the trees of a model and what becomes of their sums. Raises: NotLowered."""
    if content.booster == "gblinear":
        raise NotLowered("XGBoost's linear booster")
    if content.targets > 1 and content.objective.startswith("binary:"):
        raise NotLowered("XGBoost with several labels a row")
    if any(kind == "c" and not known for kind, known in zip(content.types, content.categories, strict=False)):
        raise NotLowered("XGBoost with categories that are numbers of no list")
    whole = draft.matrix(given)
    single = Part(draft.add("round_to_single", [whole.register]), whole.width)
    trees = _chosen(content)
    found = find_leaves(trees, single, draft)
    values = np.concatenate([tree.values[:, 0] for tree in trees]).astype(np.float32)
    raw = draft.add("single_sums", [found], values=values, start=_start(content))
    return _answers(content, raw, classes, draft)


def _chosen(content: Content) -> list[Nodes]:
    """Return the trees that count, one of each group after another."""
    learner = cast("dict[str, dict[str, object]]", content.parts["learner"])
    booster = learner["gradient_booster"]
    inside = cast("dict[str, dict[str, object]]", booster.get("gbtree", booster))
    model = inside["model"]
    ends = cast("list[int]", model["iteration_indptr"])
    trees = [_read(tree) for tree in cast("list[Arrays]", model["trees"])[: ends[content.rounds]]]
    weights = np.array(booster.get("weight_drop", np.ones(len(trees))), np.float32)
    trees = [_weighed(tree, weight) for tree, weight in zip(trees, weights, strict=False)]
    group = np.array(model["tree_info"], np.int64)[: len(trees)]
    own = [np.flatnonzero(group == at) for at in range(content.groups)]
    if len({len(places) for places in own}) != 1:
        raise NotLowered("XGBoost with another number of trees for each class")
    return [trees[at] for at in np.stack(own, axis=1).reshape(-1)]


def _weighed(tree: Nodes, weight: np.float32) -> Nodes:
    """Multiply what a tree holds, in float32, by its weight (DART's; 1 elsewhere)."""
    return replace(tree, values=(tree.values.astype(np.float32) * weight).astype(np.float64))


def _read(tree: Arrays) -> Nodes:
    if len(tree.get("leaf_weights", ())):
        raise NotLowered("XGBoost's trees of several outputs")
    left, right = (np.asarray(tree[name], np.int64) for name in ("left_children", "right_children"))
    held = np.asarray(tree["split_conditions"], np.float32)
    is_leaf = left == _LEAF
    is_set = (np.asarray(tree["split_type"]) == 1) & ~is_leaf
    starts, sizes = (np.asarray(tree[name], np.int64) for name in ("categories_segments", "categories_sizes"))
    listed = np.asarray(tree["categories"], np.int64)
    category = np.full(len(left), -1, np.int64)
    category[np.asarray(tree["categories_nodes"], np.int64)] = np.arange(len(starts))
    missing = np.asarray(tree["default_left"], np.int64)
    return Nodes(
        np.where(is_set, right, left),  # members of a set go right there, and left in a program
        np.where(is_leaf, _LEAF, np.where(is_set, left, right)),
        np.where(is_leaf, 0, np.asarray(tree["split_indices"], np.int64)),
        np.where(is_leaf | is_set, 0.0, np.nextafter(held, np.float32(-np.inf)).astype(np.float64)),
        np.where(is_set, 1 - missing, missing),
        np.where(is_leaf, held, np.float32(0)).astype(np.float64)[:, None],
        category,
        flags([listed[start : start + size] for start, size in zip(starts, sizes, strict=True)]),
    )


def _start(content: Content) -> npt.NDArray[np.float32]:
    """Return what sums begin with: the base score, through the objective's link."""
    learner = cast("dict[str, dict[str, str]]", content.parts["learner"])
    text = learner["learner_model_param"]["base_score"].strip("[]")
    values = np.array([float(part) for part in text.split(",")], np.float32)
    link: Callable[[float], float] = float
    if content.objective in ("binary:logistic", "reg:logistic"):
        link = _logit
    elif content.objective in _EXPONENTIAL:
        link = math.log
    return np.broadcast_to(np.array([link(float(value)) for value in values], np.float32), (content.groups,)).copy()


def _logit(chance: float) -> float:
    return -math.log(1.0 / chance - 1.0)


def _answers(content: Content, raw: int, classes: Array, draft: Draft) -> Answers:
    objective = content.objective
    rule: dict[str, Plain]
    if objective in ("multi:softprob", "multi:softmax"):
        rule = {"rule": "largest by margin", "margin": _MARGIN}
        return {"predict_proba": draft.add("softmax", [raw]), "predict": choose(raw, classes, rule, draft)}
    if objective == "binary:logistic":
        chance = draft.add("single_link", [raw], {"link": "expit"})
        rule = {"rule": "sign by margin", "margin": _MARGIN}
        label = choose(draft.add("first_column", [raw]), classes, rule, draft)
        return {"predict_proba": draft.add("single_sides", [chance]), "predict": label}
    if objective in _PLAIN:
        linked = raw
    elif objective in _EXPONENTIAL or objective == "reg:logistic":
        linked = draft.add("single_link", [raw], {"link": "expit" if objective == "reg:logistic" else "exp"})
    else:
        raise NotLowered(f"XGBoost with the objective {objective}")
    return {"predict": draft.add("first_column", [linked]) if content.groups == 1 else linked}
