"""Operations from numbers to numbers: scaling, imputing, choosing and joining columns.

Each performs the same IEEE operations in the same order as the library that it stands for, so that what trees compare with
their thresholds is equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelport.forms.program.scores import expit
from modelport.forms.program.steps import Floats, Step
from modelport.forms.program.undecided import Undecided

Function = Callable[..., object]
_LARGEST_SINGLE = float(np.finfo(np.float32).max)


def scale(step: Step) -> Function:
    """Give (x − before) / divisor, or x · factor + after, then clipped; absent arrays are left out."""
    before, divisor = step.some_floats("before"), step.some_floats("divisor")
    factor, after = step.some_floats("factor"), step.some_floats("after")
    is_clipped = "low" in step.settings
    low, high = step.number("low", 0.0), step.number("high", 0.0)

    def apply(x: Floats) -> Floats:
        if before is not None:
            x = x - before
        if divisor is not None:
            x = x / divisor
        if factor is not None:
            x = x * factor
        if after is not None:
            x = x + after
        return np.clip(x, low, high) if is_clipped else x

    return apply


def impute(step: Step) -> Function:
    """Put ``values`` where x is missing (NaN, or equal to ``marker``), keep the columns ``kept``, add the indicators ``flagged``."""
    values, kept, flagged = step.floats("values"), step.places("kept"), step.places("flagged")
    marker = step.number("marker") if "marker" in step.settings else None
    keeps_all = np.array_equal(kept, np.arange(len(values)))

    def apply(x: Floats) -> Floats:
        missing = np.isnan(x) if marker is None else x == marker
        filled = np.where(missing, values, x)
        if not keeps_all:
            filled = filled[:, kept]
        return filled if not len(flagged) else np.concatenate([filled, missing[:, flagged].astype(np.float64)], axis=1)

    return apply


def take(step: Step) -> Function:
    """Choose columns by position."""
    at = step.places("at")
    return lambda x: x[:, at]


def join(step: Step) -> Function:
    """Put matrices side by side."""
    del step
    return lambda *parts: np.concatenate(parts, axis=1)


def round_to_single(step: Step) -> Function:
    """Round to float32, as scikit-learn's trees do with what they are given; the numbers stay float64.

    What float32 does not hold is the original's to refuse.
    """
    del step

    def apply(x: Floats) -> Floats:
        if (np.abs(x) > _LARGEST_SINGLE).any():
            raise Undecided
        return x.astype(np.float32).astype(np.float64)

    return apply


def project(step: Step) -> Function:
    """Give (x − mean) @ matrix · factor (principal components and the like); absent arrays are left out."""
    mean, matrix, factor = step.some_floats("mean"), step.floats("matrix"), step.some_floats("factor")
    after = step.some_floats("after")

    def apply(x: Floats) -> Floats:
        if mean is not None:
            x = x - mean
        out: Floats = x @ matrix
        if after is not None:
            out = out + after
        return out if factor is None else out * factor

    return apply


def normalize(step: Step) -> Function:
    """Divide each row by its norm ("l1", "l2" or "max"), as ``sklearn.preprocessing.normalize`` does; zero rows stay."""
    norm = step.text("norm")
    if norm not in ("l1", "l2", "max"):
        raise ValueError(f"unknown norm {norm!r}")

    def apply(x: Floats) -> Floats:
        if norm == "l2":
            length = np.sqrt(np.einsum("ij,ij->i", x, x))
        else:
            length = np.abs(x).sum(axis=1) if norm == "l1" else np.abs(x).max(axis=1)
        return x / np.where(length == 0.0, 1.0, length)[:, None]

    return apply


def layer(step: Step) -> Function:
    """One layer of a perceptron: x @ weights + bias, through its activation."""
    weights, bias = step.floats("weights"), step.floats("bias")
    activation = {
        "identity": lambda x: x,
        "relu": lambda x: np.maximum(x, 0.0, out=x),
        "tanh": lambda x: np.tanh(x, out=x),
        "logistic": expit,
    }[step.text("activation")]
    if weights.shape[1] != len(bias):
        raise ValueError("weights and bias differ in width")
    return lambda x: activation(x @ weights + bias)


OPERATIONS: Mapping[str, Callable[[Step], Function]] = {
    "scale": scale,
    "impute": impute,
    "take": take,
    "join": join,
    "round_to_single": round_to_single,
    "project": project,
    "normalize": normalize,
    "layer": layer,
}
