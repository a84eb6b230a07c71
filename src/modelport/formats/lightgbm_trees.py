"""The trees of a LightGBM text model: checked number by number, and handed on line by line as they were checked.

LightGBM follows children, features and sets of categories without looking, and reads as many numbers as another line announces;
an edited file makes it crash. What is checked here is what training guarantees.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from modelport.errors import RefusedFile

Ints = npt.NDArray[np.int64]

_MAX_DEPTH = 4096
_MAX_LEAVES = 1 << 24
_SMALLEST = float(np.finfo(np.float64).tiny)  # std::stod raises below it, in a thread where nobody catches that
_CATEGORICAL, _LARGEST_DECISION = 1, 11  # categorical 1, default left 2, missing zero 4 or NaN 8 (io/tree.h of LightGBM)
_WHOLE = b"0123456789- "
_REAL = b"0123456789-+.eEinfatyINFATY "
# Of each line: whether its numbers are whole, and how many there are, by leaves (L), inner nodes (N) or neither.
_LINES: Mapping[str, tuple[bool, str]] = {
    "split_feature": (True, "N"),
    "threshold": (False, "N"),
    "decision_type": (True, "N"),
    "left_child": (True, "N"),
    "right_child": (True, "N"),
    "leaf_value": (False, "L"),
    "cat_boundaries": (True, ""),
    "cat_threshold": (True, ""),
    "leaf_const": (False, "L"),
    "num_features": (True, "L"),
    "leaf_features": (True, ""),
    "leaf_coeff": (False, ""),
}
_NEEDED = ("split_feature", "threshold", "decision_type", "left_child", "right_child", "leaf_value")
_STATISTICS: Mapping[str, tuple[bool, str]] = {  # a word among them ends the process
    "split_gain": (False, "N"),
    "leaf_weight": (False, "L"),
    "leaf_count": (True, "L"),
    "internal_value": (False, "N"),
    "internal_weight": (False, "N"),
    "internal_count": (True, "N"),
}


def fault(what: str) -> RefusedFile:
    """Return the error for a file that is not what training makes."""
    return RefusedFile(f"{what}, which training never makes; the file is damaged or was changed, save the model again")


def check(lines: Mapping[str, bytes], at: int, features: int) -> bytes:
    """Check one tree, given as its lines by their names, and return it as it is to be given to the library.

    ``features``: how many the model takes. Raises: RefusedFile naming the tree and what is wrong with it.
    Cost: about 100 microseconds.
    """
    where = f"tree {at}: "
    leaves = single(lines, "num_leaves", (1, _MAX_LEAVES), where=where)
    sets = single(lines, "num_cat", (0, _MAX_LEAVES), where=where)
    is_linear = bool(single(lines, "is_linear", (0, 1), where=where, default=0))
    arrays = _arrays(lines, leaves, at)
    if leaves > 1:
        if missing := [name for name in _NEEDED if name not in arrays]:
            raise fault(f"tree {at} has no {missing[0]}")
        _check_nodes(arrays, leaves, at)
        used = arrays["split_feature"].astype(np.int64)
        if bool(((used < 0) | (used >= features)).any()):
            raise fault(f"tree {at} asks for feature {int(used.max())} of {features}")
        _check_sets(arrays, sets, at)
    if len(arrays.get("leaf_value", ())) != leaves:
        raise fault(f"tree {at} has no value for each of {leaves} leaves")
    if is_linear:
        _check_slopes(arrays, features, at)
    return _write(lines, arrays, at, (leaves, sets if leaves > 1 else 0, is_linear))


def single(lines: Mapping[str, bytes], name: str, bounds: tuple[int, int], *, where: str = "", default: int | None = None) -> int:
    """Return a line that is one whole number within ``bounds``. Raises: RefusedFile if it is none, or out of them."""
    least, most = bounds
    text = lines.get(name)
    if text is None and default is not None:
        return default
    digits = (text or b"").removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 10 or not least <= int(text or b"0") <= most:
        shown = (text or b"").decode("utf-8", "replace")[:20]
        raise fault(f"{where}{name} is {shown!r}, not a whole number from {least} to {most}")
    return int(text or b"0")


def _arrays(lines: Mapping[str, bytes], leaves: int, at: int) -> dict[str, npt.NDArray[np.generic]]:
    lengths = {"L": leaves, "N": leaves - 1, "": None}
    found: dict[str, npt.NDArray[np.generic]] = {}
    for name, (is_whole, count) in _LINES.items():
        text = lines.get(name)
        if text is None or (leaves == 1 and count == "N"):
            continue
        array, length = _numbers(text, is_whole=is_whole), lengths[count]
        if array is None or (length is not None and len(array) != length):
            raise fault(f"tree {at}: {name} is not {'a list' if length is None else length} of {'whole ' if is_whole else ''}numbers")
        found[name] = array
    return found


def _statistics(lines: Mapping[str, bytes], leaves: int, at: int) -> list[bytes]:
    out = []
    for name, (is_whole, count) in _STATISTICS.items():
        text = lines.get(name)
        if text is None or leaves == 1:  # such a tree has none, or those of no leaf at all
            continue
        array, length = _numbers(text, is_whole=is_whole), leaves if count == "L" else leaves - 1
        if array is None or len(array) != length:
            raise fault(f"tree {at}: {name} is not {length} numbers")
        out.append(name.encode() + b"=" + b" ".join(text.split()))
    return out


def _numbers(text: bytes, *, is_whole: bool) -> npt.NDArray[np.generic] | None:
    """Read numbers with one or more spaces between them; None where anything else is among them."""
    if text.translate(None, _WHOLE if is_whole else _REAL):
        return None
    count = len(text.split())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # says that numpy stopped at what is no number; seen by the count
        try:
            array = np.fromstring(text, np.int64 if is_whole else np.float64, sep=" ") if count else np.zeros(0, np.int64)
        except ValueError:
            return None
    if len(array) != count or (is_whole and count and int(np.abs(array).max()) > 2**32 - 1):
        return None
    if not is_whole and b"n" not in text and not bool(np.isfinite(array).all()):
        return None  # larger than a number can be, on which LightGBM ends the process
    return array


def _check_nodes(arrays: Mapping[str, npt.NDArray[np.generic]], leaves: int, at: int) -> None:
    """Check that every inner node but the first, and every leaf, is the child of exactly one node."""
    left, right = arrays["left_child"].astype(np.int64), arrays["right_child"].astype(np.int64)
    children = np.concatenate((left, right))
    if bool(((children < -leaves) | (children >= leaves - 1)).any()):
        raise fault(f"tree {at}: the child of a node is not one of its nodes")
    reached = np.bincount(children + leaves, minlength=2 * leaves - 1)
    reached[leaves] += 1  # the root, which is nobody's child
    if bool((reached != 1).any()):
        raise fault(f"tree {at}: a node or leaf is the child of more than one node, or of none")
    level = np.zeros(1, np.int64)
    for _ in range(_MAX_DEPTH):
        level = np.concatenate((left[level], right[level]))
        level = level[level >= 0]
        if not len(level):
            return
    raise fault(f"tree {at} is deeper than {_MAX_DEPTH} nodes")


def _check_sets(arrays: Mapping[str, npt.NDArray[np.generic]], sets: int, at: int) -> None:
    decisions = arrays["decision_type"].astype(np.int64)
    if bool(((decisions < 0) | (decisions > _LARGEST_DECISION)).any()):
        raise fault(f"tree {at} has a decision of another type than LightGBM's")
    chosen = arrays["threshold"].astype(np.float64)[(decisions & _CATEGORICAL) == _CATEGORICAL]
    if bool(((chosen < 0) | (chosen >= sets) | (chosen != np.floor(chosen))).any()) or bool(np.isnan(chosen).any()):
        raise fault(f"tree {at}: a node names a set of categories that is not there")
    if not sets:
        return
    bounds, words = arrays.get("cat_boundaries"), arrays.get("cat_threshold")
    if bounds is None or words is None or len(bounds) != sets + 1:
        raise fault(f"tree {at} does not say where its {sets} sets of categories begin")
    ends = bounds.astype(np.int64)
    if ends[0] != 0 or ends[-1] != len(words) or bool((np.diff(ends) < 1).any()) or bool((words.astype(np.int64) < 0).any()):
        raise fault(f"tree {at}: its sets of categories do not fill their list")


def _check_slopes(arrays: Mapping[str, npt.NDArray[np.generic]], features: int, at: int) -> None:
    """Check the linear models in the leaves."""
    if missing := [name for name in ("leaf_const", "num_features", "leaf_features", "leaf_coeff") if name not in arrays]:
        raise fault(f"tree {at} is linear and has no {missing[0]}")
    for name in ("leaf_const", "leaf_coeff"):
        sizes = np.abs(arrays[name].astype(np.float64))
        if bool(((sizes > 0) & (sizes < _SMALLEST)).any()):
            raise fault(f"tree {at}: a number of {name} is smaller than LightGBM reads")
    counts, used = arrays["num_features"].astype(np.int64), arrays["leaf_features"].astype(np.int64)
    total = int(counts.sum())
    if bool((counts < 0).any()) or len(used) != total or len(arrays["leaf_coeff"]) != total:
        raise fault(f"tree {at}: the features of its leaves are not as many as they say")
    if bool(((used < 0) | (used >= features)).any()):
        raise fault(f"tree {at}: a leaf asks for feature {int(used.max())} of {features}")


def _write(lines: Mapping[str, bytes], arrays: Mapping[str, npt.NDArray[np.generic]], at: int, counts: tuple[int, int, bool]) -> bytes:
    leaves, sets, is_linear = counts
    out = [b"Tree=%d" % at, b"num_leaves=%d" % leaves, b"num_cat=%d" % sets]
    kept = [name for name in arrays if sets or not name.startswith("cat_")]
    out += [name.encode() + b"=" + b" ".join(lines[name].split()) for name in kept]
    out += _statistics(lines, leaves, at)
    if is_linear and leaves == 1:
        out += [name.encode() + b"=" for name in _NEEDED[:-1]]
    shrinkage = _numbers(lines.get("shrinkage", b"1"), is_whole=False)
    if shrinkage is None or len(shrinkage) != 1:
        raise fault(f"tree {at}: shrinkage is no number")
    out += [b"is_linear=%d" % is_linear, b"shrinkage=" + lines.get("shrinkage", b"1").strip(), b"", b""]
    return b"\n".join(out) + b"\n"
