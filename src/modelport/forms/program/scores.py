"""Operations that answer: linear scores, probabilities, labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from modelport.columns import Array
from modelport.forms.program.steps import Floats, Places, Step
from modelport.forms.program.undecided import MARGIN, Undecided

Function = Callable[..., object]


def linear(step: Step) -> Function:
    """Matrices and codes → scores (rows, k).

    Input i is a matrix with the weights ``w<i>`` (width, k), or codes with the rows ``w<i>`` of all their columns' tables joined
    and ``s<i>``, where each begins; the last row is zeros, for codes of −1. ``intercept`` (k,).
    """
    parts = [_part(step, at) for at in range(len(step.inputs))]
    intercept = step.floats("intercept")
    if any(weights.ndim != 2 or weights.shape[1] != len(intercept) for weights, _ in parts):
        raise ValueError("weights and intercept differ in width")
    if len(parts) == 1 and parts[0][1] is None:
        only = parts[0][0]
        return lambda x: x @ only + intercept

    def add(*inputs: npt.NDArray[np.float64 | np.intp]) -> Floats:
        total = np.zeros((len(inputs[0]), len(intercept)))
        for x, (weights, starts) in zip(inputs, parts, strict=True):
            if starts is None:
                total += x @ weights
            else:
                total += weights[np.where(x < 0, len(weights) - 1, x + starts)].sum(axis=1)
        return total + intercept

    return add


def _part(step: Step, at: int) -> tuple[Floats, Places | None]:
    return step.floats(f"w{at}"), step.places(f"s{at}") if f"s{at}" in step.arrays else None


def first_column(step: Step) -> Function:
    """(rows, 1) → (rows,)."""
    del step
    return lambda x: x[:, 0]


def as_column(step: Step) -> Function:
    """(rows,) → (rows, 1)."""
    del step
    return lambda x: x[:, None]


def link(step: Step) -> Function:
    """Apply an inverse link to each number: "exp", "expm1", "expit", "logit", "identity"."""
    links: dict[str, Function] = {"exp": np.exp, "expm1": np.expm1, "expit": expit, "logit": _logit, "identity": lambda x: x}
    return links[step.text("link")]


def expit(x: Floats) -> Floats:
    """1 / (1 + exp(−x)) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


def _logit(x: Floats) -> Floats:
    return np.log(x / (1.0 - x))


def two_sided(step: Step) -> Function:
    """Scores (rows,) → probabilities (rows, 2): the second is expit(score · factor)."""
    factor = step.number("factor", 1.0)

    def apply(x: Floats) -> Floats:
        second = expit(x if factor == 1.0 else x * factor)
        out = np.empty((len(x), 2))
        out[:, 0], out[:, 1] = 1.0 - second, second
        return out

    return apply


def softmax(step: Step) -> Function:
    """Scores (rows, k) → probabilities (rows, k)."""
    del step

    def apply(x: Floats) -> Floats:
        powers: Floats = np.exp(x - x.max(axis=1, keepdims=True))
        out: Floats = powers / powers.sum(axis=1, keepdims=True)
        return out

    return apply


def shares(step: Step) -> Function:
    """Numbers (rows, k) → divided by their sum; rows whose sum is zero become equal shares where ``is_even``, else stay."""
    is_even = bool(step.settings.get("is_even"))

    def apply(x: Floats) -> Floats:
        total = x.sum(axis=1, keepdims=True)
        if (total == 0.0).any():
            x = np.where(total == 0.0, 1.0, x) if is_even else x
            total = np.where(total == 0.0, float(x.shape[1]) if is_even else 1.0, total)
        out: Floats = x / total
        return out

    return apply


def labels(step: Step) -> Function:
    """Probabilities or scores → class labels.

    ``rule``: "largest" takes the first largest and "sign" the class of a positive score, exactly as the library does;
    "largest by margin" and "sign by margin" leave rows within ``margin`` of a tie to the original.
    """
    classes, margin = _classes(step), step.number("margin", MARGIN)
    choose: dict[str, Callable[[Floats], Places]] = {
        "largest": _largest,
        "largest by margin": lambda x: _clear_largest(x, margin),
        "sign": _sign,
        "sign by margin": lambda x: _clear_sign(x, margin),
    }
    place = choose[step.text("rule")]
    return lambda x: classes[place(x)]


def _classes(step: Step) -> Array:
    if "classes" in step.arrays:
        return step.arrays["classes"]
    texts = step.texts("classes")
    out = np.empty(len(texts), object)
    out[:] = texts
    return out


def _largest(x: Floats) -> Places:
    at: Places = x.argmax(axis=1)
    return at


def _clear_largest(x: Floats, margin: float) -> Places:
    if x.shape[1] == 2:
        margins = np.abs(x[:, 1] - x[:, 0])
    else:
        ordered = np.partition(x, -2, axis=1)
        margins = ordered[:, -1] - ordered[:, -2]
    if not (margins > margin).all():  # NaN is no margin either
        raise Undecided
    return _largest(x)


def _sign(x: Floats) -> Places:
    return (x > 0.0).astype(np.intp)


def _clear_sign(x: Floats, margin: float) -> Places:
    if not (np.abs(x) > margin).all():
        raise Undecided
    return _sign(x)


OPERATIONS: Mapping[str, Callable[[Step], Function]] = {
    "linear": linear,
    "first_column": first_column,
    "as_column": as_column,
    "link": link,
    "two_sided": two_sided,
    "softmax": softmax,
    "shares": shares,
    "labels": labels,
}
