"""Operations on the answers of several estimators: votes, labels by their places, calibration, powers of two."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelport.columns import Array
from modelport.forms.program.steps import Floats, Places, Step

Function = Callable[..., object]


def votes(step: Step) -> Function:
    """Places of classes (rows, members) → the place that the most ``weights`` are for (rows,), the first of several."""
    weights, count = step.floats("weights"), int(step.number("count"))

    def apply(x: Places) -> Places:
        held = np.zeros((len(x), count))
        for at, weight in enumerate(weights):  # in the library's order, so that equal weights stay equal sums
            held[np.arange(len(x)), x[:, at]] += weight
        found: Places = held.argmax(axis=1)
        return found

    return apply


def pick(step: Step) -> Function:
    """Places (rows,) → class labels."""
    if "classes" in step.arrays:
        classes = step.arrays["classes"]
    else:
        texts = step.texts("classes")
        classes = np.empty(len(texts), object)
        classes[:] = texts

    def apply(x: Places) -> Array:
        return classes[x]

    return apply


def interpolate(step: Step) -> Function:
    """Numbers (rows,) → numbers, on straight lines between the points (``x``, ``y``), and flat outside of them."""
    x, y = step.floats("x"), step.floats("y")
    if x.shape != y.shape or not len(x) or (np.diff(x) < 0).any():
        raise ValueError("points must be in order, one y for each x")
    return lambda values: np.interp(values, x, y)


def power(step: Step) -> Function:
    """Numbers x → base ** (x · factor)."""
    base, factor = step.number("base"), step.number("factor")
    return lambda x: base ** (x * factor)


def weigh(step: Step) -> Function:
    """Numbers (rows, k) → their shares of rows' sums, one for all where that is 0; "1 − x beside x" where there is one column."""
    del step

    def apply(x: Floats) -> Floats:
        if x.shape[1] == 1:
            return np.concatenate([1.0 - x, x], axis=1)
        total = x.sum(axis=1, keepdims=True)
        out: Floats = np.where(total == 0.0, 1.0 / x.shape[1], x / np.where(total == 0.0, 1.0, total))
        return out

    return apply


OPERATIONS: Mapping[str, Callable[[Step], Function]] = {
    "votes": votes,
    "pick": pick,
    "interpolate": interpolate,
    "power": power,
    "weigh": weigh,
}
