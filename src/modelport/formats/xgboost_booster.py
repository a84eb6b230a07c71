"""The booster within an XGBoost file: trees in rounds, with or without weights of their own, or a linear one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from modelport.formats import xgboost_trees
from modelport.formats.ubjson import Value
from modelport.formats.xgboost_categories import read_categories
from modelport.formats.xgboost_trees import fault, numbers, whole
from modelport.schema import Scalar

_MAX_TREES = 1_000_000


@dataclass(frozen=True, slots=True)
class Told:
    """What the booster says of itself."""

    booster: str
    trees: int
    rounds: int
    is_stopped: bool
    categories: tuple[tuple[Scalar, ...] | None, ...]
    notes: tuple[str, ...] = ()


def check_booster(found: Mapping[str, Value], features: int, groups: int, attributes: Mapping[str, str]) -> tuple[dict[str, Value], Told]:
    """Check the booster of a model; return it as it is to be written, and what it tells.

    Raises: RefusedFile.
    """
    name = found.get("name")
    if name == "gblinear":
        return _linear(mapping(found, "model"), features, groups)
    inside = mapping(found, "gbtree") if name == "dart" else found
    if name not in ("gbtree", "dart") or inside.get("name") != "gbtree":
        raise fault(f"its booster is {str(name)[:40]!r}, none of XGBoost's")
    model, told = _trees(mapping(inside, "model"), features, groups, attributes)
    tree: dict[str, Value] = {"name": "gbtree", "model": model}
    if name == "gbtree":
        return tree, told
    drops = numbers(found.get("weight_drop"), "weight_drop", is_float=True)
    if len(drops) != told.trees or not bool(np.isfinite(drops).all()):
        raise fault(f"it has {len(drops)} weights of {told.trees} trees")
    kept = Told("dart", told.trees, told.rounds, told.is_stopped, told.categories, told.notes)
    return {"name": "dart", "gbtree": tree, "weight_drop": [float(drop) for drop in drops]}, kept


def _linear(model: Mapping[str, Value], features: int, groups: int) -> tuple[dict[str, Value], Told]:
    weights = numbers(model.get("weights"), "weights", is_float=True)
    if len(weights) != (features + 1) * groups:
        raise fault(f"it has {len(weights)} weights for {features} features and {groups} outputs")
    rounds = whole(model, "boosted_rounds", 0, default=0)
    return {"name": "gblinear", "model": {"weights": weights, "boosted_rounds": rounds}}, Told("gblinear", 0, rounds, False, ())


def _trees(model: Mapping[str, Value], features: int, groups: int, attributes: Mapping[str, str]) -> tuple[dict[str, Value], Told]:
    parameters = mapping(model, "gbtree_model_param")
    count = whole(parameters, "num_trees", 1, most=_MAX_TREES)
    trees = xgboost_trees.check(model.get("trees"), features, groups)
    info = numbers(model.get("tree_info"), "tree_info").astype(np.int64)
    if len(trees) != count or len(info) != count or bool(((info < 0) | (info >= groups)).any()):
        raise fault(f"it has {len(trees)} trees and {len(info)} numbers of their outputs for {count} trees and {groups} outputs")
    is_vector = cast("dict[str, dict[str, str]]", trees[0])["tree_param"]["size_leaf_vector"] != "1"
    best = whole(attributes, "best_iteration", 0) + 1 if "best_iteration" in attributes else 0
    parallel = whole(parameters, "num_parallel_tree", 0, default=0) or _parallel(attributes, best)
    ends = _rounds(model.get("iteration_indptr"), count, parallel * (1 if is_vector else groups))
    rounds = len(ends) - 1
    if best > rounds:
        raise fault(f"its best round is number {best} of {rounds}")
    categories, container = read_categories(model.get("cats"), features)
    out: dict[str, Value] = {
        "gbtree_model_param": {"num_trees": str(count), "num_parallel_tree": str(parallel)},
        "trees": trees,
        "tree_info": [int(group) for group in info],
        "iteration_indptr": ends,
    }
    if container is not None:
        out["cats"] = container
    is_moved = is_vector and any("leaf_weights" not in cast("dict[str, Value]", tree) for tree in cast("list[Value]", model["trees"]))
    notes = ("the leaves of trees with several targets are kept as today's XGBoost keeps them",) if is_moved else ()
    # XGBoost's scikit-learn classes count the trees up to the best round, and leave their mark in a file; a Booster counts all.
    used = best if "scikit_learn" in attributes and best else rounds
    return out, Told("gbtree", count, used, used < rounds, categories, notes)


def _parallel(attributes: Mapping[str, str], best: int) -> int:
    """How many trees a round has where the file of before 1.3 does not say: from the two ways in which it tells the best round."""
    limit = whole(attributes, "best_ntree_limit", 1, default=1, most=_MAX_TREES)
    return max(1, limit // best) if best else 1


def _rounds(found: Value, count: int, layer: int) -> list[Value]:
    """Return where the trees of each round begin, and where the last one ends."""
    if found is None:
        whole_rounds = count // layer if count % layer == 0 else 0
        if not whole_rounds:
            raise fault(f"it has {count} trees, not a multiple of {layer} a round")
        return [layer * at for at in range(whole_rounds + 1)]
    ends = numbers(found, "iteration_indptr").astype(np.int64)
    if len(ends) < 2 or ends[0] != 0 or ends[-1] != count or bool((np.diff(ends) < 1).any()):
        raise fault("its rounds do not add up to its trees")
    return [int(end) for end in ends]


def mapping(found: Mapping[str, Value], name: str) -> dict[str, Value]:
    """Return a part that is a table. Raises: RefusedFile if it is none."""
    value = found.get(name)
    if not isinstance(value, dict):
        raise fault(f'it has no "{name}"')
    return value
