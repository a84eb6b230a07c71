"""Of which type the numbers are that reach what answers in a pickled estimator: 64 bits, unless a part of it makes them 32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modelport.formats.likeness import Likeness
from modelport.formats.likeness_rules import Named
from modelport.formats.pictures import Untold

# What answers each value with one of the same type, whatever the value; anything else may answer rows of another shape or type.
_ELEMENTWISE = frozenset(
    f"numpy.{name}"
    for name in (
        *("abs", "absolute", "around", "array", "asarray", "cbrt", "ceil", "clip", "cos", "exp", "expm1", "fix", "floor", "log", "log10"),
        *("log1p", "log2", "nan_to_num", "negative", "reciprocal", "rint", "round", "sign", "sin", "sqrt", "square", "tan", "tanh"),
    )
)
_PARTS = ("best_estimator_", "estimator_", "base_estimator_", "final_estimator_", "regressor_", "transformer_", "estimator")
_LISTS = ("steps", "transformer_list", "transformers_", "estimators_", "calibrated_classifiers_")
_SINGLE = np.dtype(np.float32)
_DEPTH = 16


def is_single(model: object) -> bool:
    """Say whether numbers of 32 bits may reach what answers.

    Raises: Untold where a function or a class of the user's own is among its parts.
    """
    return any(_makes_single(part) for part in _parts(model, 0))


def _makes_single(part: Likeness) -> bool:
    name = type(part).__name__
    if name == "FunctionTransformer":
        for role in ("func", "inverse_func"):
            function = getattr(part, role, None)
            if function is not None and not (isinstance(function, Named) and function.dotted in _ELEMENTWISE):
                raise Untold("what a function answers")
    if not hasattr(part, "dtype"):
        return False
    return part.dtype in (np.float32, "float32", _SINGLE)


def _parts(model: object, depth: int) -> Iterator[Likeness]:
    if not isinstance(model, Likeness) or depth > _DEPTH:
        return
    if not model.is_known:
        raise Untold(f"{type(model).__name__} is no class of scikit-learn")
    yield model
    for name in _PARTS:
        yield from _parts(getattr(model, name, None), depth + 1)
    for name in _LISTS:
        found = getattr(model, name, None)
        for item in found[:_DEPTH] if isinstance(found, list) else ():
            yield from _parts(item[1] if isinstance(item, tuple) and len(item) > 1 else item, depth + 1)
