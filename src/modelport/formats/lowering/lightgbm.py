"""LightGBM's trees as steps of a program: float64 throughout, missing values and categories as the library takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from modelport.columns import Array
from modelport.formats.lightgbm_file import Content
from modelport.formats.lowering.boosted import Answers, flags, labels_of, program
from modelport.formats.lowering.draft import Draft, Input, NotLowered, Part
from modelport.formats.lowering.linear import choose
from modelport.formats.lowering.trees import Nodes, find_leaves
from modelport.forms.program.steps import Program
from modelport.schema import Schema

_LEAF = -1
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_SHIFT = 1, 2, 2
_NO_MISSING, _ZERO_MISSING = 0, 1
_BITS = 32
_NEARLY_ZERO = float(np.float32(1e-35))  # kZeroThreshold
_EXPONENTIAL = ("poisson", "gamma", "tweedie")
_PLAIN = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "xendcg")
Lines = Mapping[str, str]


def lower_file(content: Content, schema: Schema) -> Program:
    """Return the program of a native file. Raises: NotLowered."""
    return program(schema, lambda given, draft: lower(content, labels_of(content.classes), given, draft))


def lower(content: Content, classes: Array, given: Input, draft: Draft) -> Answers:
    """Add the trees of a model and what becomes of their sums. Raises: NotLowered."""
    head, *blocks = _blocks(content.document.decode())
    trees = [_read(lines) for lines in blocks]
    found = find_leaves(trees, _settled(trees, draft.matrix(given), draft), draft)
    divisor = float(len(trees) // content.outputs) if "average_output" in head else 1.0
    settings = {"groups": content.outputs, "divisor": divisor}
    raw = draft.add("leaf_sums", [found], settings, values=np.concatenate([tree.values for tree in trees]))
    name, *arguments = head.get("objective", "").split() or [""]
    told = dict(argument.split(":") for argument in arguments if ":" in argument)
    if name in ("binary", "multiclass", "multiclassova"):
        return _classifier(name, float(told.get("sigmoid", 1.0)), (raw, classes), draft)
    if name in _EXPONENTIAL or name in ("cross_entropy", "xentropy"):
        raw = draft.add("link", [raw], {"link": "exp" if name in _EXPONENTIAL else "expit"})
    elif name not in _PLAIN or "sqrt" in arguments:
        raise NotLowered(f"LightGBM with the objective {head.get('objective', 'of its own')}")
    return {"predict": draft.add("first_column", [raw]) if content.outputs == 1 else raw}


def _settled(trees: Sequence[Nodes], x: Part, draft: Draft) -> Part:
    """LightGBM reads what is nearly zero as zero, and of categories the whole part."""
    whole = np.unique(np.concatenate([tree.feature[tree.category >= 0] for tree in trees]))
    return Part(draft.add("settle", [x.register], {"small": _NEARLY_ZERO}, whole=whole), x.width)


def _classifier(name: str, sigmoid: float, found: tuple[int, Array], draft: Draft) -> Answers:
    raw, classes = found
    if name == "binary":
        flat = draft.add("first_column", [raw])
        label = choose(flat, classes, {"rule": "sign by margin"}, draft)
        return {"predict_proba": draft.add("two_sided", [flat], {"factor": sigmoid}), "predict": label}
    label = choose(raw, classes, {"rule": "largest by margin"}, draft)
    if name == "multiclass":
        return {"predict_proba": draft.add("softmax", [raw]), "predict": label}
    scaled = draft.add("scale", [raw], None, factor=np.array([sigmoid]))
    return {"predict_proba": draft.add("link", [scaled], {"link": "expit"}), "predict": label}


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """Yield the lines before the trees, then those of each tree, by their names; the text was checked when it was read."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, _, value = line.partition("=")
        if name in ("Tree", "end of trees"):
            yield found
            found = {}
        if name == "end of trees":
            return
        found[name] = value


def _numbers(lines: Lines, name: str, kind: type[np.int64 | np.float64]) -> npt.NDArray[np.int64 | np.float64]:
    return np.array(lines.get(name, "").split(), kind)


def _read(lines: Lines) -> Nodes:
    """Read a tree: its inner nodes, then its leaves."""
    if lines.get("is_linear", "0") != "0":
        raise NotLowered("LightGBM's linear trees")
    held = _numbers(lines, "leaf_value", np.float64)
    inner = len(held) - 1
    decision = _numbers(lines, "decision_type", np.int64).astype(np.int64)[:inner]
    threshold = _numbers(lines, "threshold", np.float64).astype(np.float64)[:inner]
    missing = decision >> _MISSING_SHIFT
    is_set = (decision & _CATEGORICAL) == _CATEGORICAL
    if ((missing == _ZERO_MISSING) & ~is_set).any():
        raise NotLowered("LightGBM that takes zeros for missing values")
    # Where nothing was missing in training, a missing value counts as zero; a missing category is in no set.
    goes_left = np.where(missing == _NO_MISSING, threshold >= 0.0, (decision & _DEFAULT_LEFT) != 0) & ~is_set
    children = (_numbers(lines, name, np.int64)[:inner] for name in ("left_child", "right_child"))
    left, right = (np.where(side < 0, inner + ~side.astype(np.int64), side) for side in children)
    leaves = np.zeros(len(held))
    none = np.full(len(held), -1)
    return Nodes(
        np.append(left, none).astype(np.int64),
        np.append(right, none).astype(np.int64),
        np.append(_numbers(lines, "split_feature", np.int64)[:inner], leaves).astype(np.int64),
        np.append(np.where(is_set, 0.0, threshold), leaves),
        np.append(goes_left, leaves).astype(np.int64),
        np.append(np.zeros(inner), held).astype(np.float64)[:, None],
        np.append(np.where(is_set, threshold, -1), none).astype(np.int64),
        flags(_members(lines)),
    )


def _members(lines: Lines) -> Sequence[npt.NDArray[np.int64]]:
    bounds, words = (_numbers(lines, name, np.int64).astype(np.int64) for name in ("cat_boundaries", "cat_threshold"))
    bits = ((words[:, None] >> np.arange(_BITS)) & 1).astype(bool)
    return [np.flatnonzero(bits[start:stop]) for start, stop in pairwise(bounds)]
