"""Operations that bend or multiply columns: powers, products, intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelport.forms.program.steps import Floats, Places, Step

Function = Callable[..., object]
_EXACT = float(np.finfo(np.float64).eps)


def products(step: Step) -> Function:
    """A matrix → products of its columns: ``factors`` (outputs, degree) are positions, the width stands for 1."""
    factors = step.places("factors")
    if factors.ndim != 2 or (factors.size and factors.min() < 0):
        raise ValueError("factors must be positions of columns")

    def apply(x: Floats) -> Floats:
        whole = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        out = np.ones((len(x), len(factors)))
        for column in factors.T:
            out *= whole[:, column]
        return out

    return apply


def intervals(step: Step) -> Function:
    """A matrix → the number of each column's interval: how many of its edges (``threshold`` joined, ``lengths``) are at most x."""
    edges = np.split(step.floats("threshold"), np.cumsum(step.places("lengths"))[:-1])
    if any((np.diff(own) < 0).any() for own in edges):
        raise ValueError("edges are out of order")

    def apply(x: Floats) -> Places:
        out = np.empty(x.shape, np.intp)
        for at, own in enumerate(edges):
            out[:, at] = np.searchsorted(own, x[:, at], side="right")
        return out

    return apply


def bend(step: Step) -> Function:
    """Yeo and Johnson's power of each column, by its ``power`` (Biometrika 87, 2000)."""
    powers = step.floats("power")

    def apply(x: Floats) -> Floats:
        is_high = x >= 0
        logs = np.log1p(np.abs(x))
        up, down = np.where(np.abs(powers) < _EXACT, 1.0, powers), np.where(np.abs(powers - 2) <= _EXACT, 1.0, 2 - powers)
        high = np.where(np.abs(powers) < _EXACT, logs, np.expm1(np.where(is_high, powers * logs, 0.0)) / up)
        low = np.where(np.abs(powers - 2) <= _EXACT, -logs, -np.expm1(np.where(is_high, 0.0, (2 - powers) * logs)) / down)
        out: Floats = np.where(is_high, high, low)
        return out

    return apply


OPERATIONS: Mapping[str, Callable[[Step], Function]] = {"products": products, "intervals": intervals, "bend": bend}
