"""Operations for the trees of XGBoost and LightGBM: sums in float32 as the first makes them, rows as the second reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from modelport.forms.program.scores import expit
from modelport.forms.program.steps import Floats, Places, Step

Function = Callable[..., object]
Singles = npt.NDArray[np.float32]


def single_sums(step: Step) -> Function:
    """Leaves (rows, trees) → float32 sums (rows, k) that begin with ``start`` (k,): tree i belongs to column i mod k.

    ``values`` (nodes,): what every node holds.
    """
    values, start = step.arrays["values"].astype(np.float32), step.arrays["start"].astype(np.float32)
    groups = len(start)
    if values.ndim != 1 or start.ndim != 1 or not groups:
        raise ValueError("values and start must be one number for each node and each group")

    def add(found: Places) -> Singles:
        held = np.empty((len(found), found.shape[1] // groups + 1, groups), np.float32)
        held[:, 0], held[:, 1:] = start, values[found].reshape(len(found), -1, groups)
        total: Singles = np.cumsum(held, axis=1)[:, -1]
        return total

    return add


def single_link(step: Step) -> Function:
    """Apply an inverse link in float32: "exp", "expit", or "step" (1 for what is above 0)."""
    links: dict[str, Function] = {"exp": np.exp, "expit": expit, "step": lambda x: (x > 0).astype(np.float32)}
    return links[step.text("link")]


def single_sides(step: Step) -> Function:
    """Chances (rows, 1) of the second class → those of both (rows, 2)."""
    del step
    return lambda x: np.concatenate([np.float32(1) - x, x], axis=1)


def settle(step: Step) -> Function:
    """Make numbers no further from zero than ``small`` zero, and cut the columns ``whole`` to whole numbers, towards zero."""
    small, whole = step.number("small"), step.places("whole")

    def apply(x: Floats) -> Floats:
        out: Floats = np.where(np.abs(x) <= small, 0.0, x)
        out[:, whole] = np.trunc(out[:, whole])
        return out

    return apply


OPERATIONS: Mapping[str, Callable[[Step], Function]] = {
    "settle": settle,
    "single_sums": single_sums,
    "single_link": single_link,
    "single_sides": single_sides,
}
