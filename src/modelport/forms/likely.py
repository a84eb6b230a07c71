"""Rows like those that a model was fitted on, as far as its program tells: around what it centres columns at, and its own examples.

Far from them a kernel is zero and one density is the largest, so that any two programs agree there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np

from modelport.columns import Array, Columns
from modelport.forms.program.steps import Floats, Program, Step

_KNOWN = ("examples", "centers", "mean")
_MOST = 256


def likely(program: Program, like: Columns, random: np.random.Generator) -> Iterator[Columns]:
    """Yield rows for each matrix of columns that the program reads; the other columns are those of ``like``."""
    for at, step in enumerate(program.steps):
        if step.op != "numbers":
            continue
        for values in _values(program, at + 1, int(step.number("width")), random):
            yield _replaced(step, like, values[np.arange(like.rows) % len(values)])


def _values(program: Program, register: int, width: int, random: np.random.Generator) -> Iterator[Floats]:
    """Yield matrices for a register: what a scaler makes usual numbers of, and what is compared with, at it and beside it."""
    middle, spread, readers = np.zeros(width), np.ones(width), {register}
    for at, step in enumerate(program.steps):
        if step.op == "scale" and step.inputs == (register,) and {"before", "divisor"} <= step.arrays.keys():
            middle, spread = step.floats("before"), step.floats("divisor")
            readers = {at + 1}
            yield middle + spread * random.normal(size=(_MOST, width))
    for step in program.steps:
        known = next((step.floats(name) for name in _KNOWN if name in step.arrays), None)
        if known is not None and known.shape[1:] == (width,) and readers.intersection(step.inputs):
            chosen = known[random.permutation(len(known))[:_MOST]]
            for noise in (0.0, 0.01, 0.3):
                scale = known.std(axis=0) + 1e-3
                yield middle + spread * (chosen + noise * scale * random.normal(size=chosen.shape))


def _replaced(step: Step, like: Columns, values: Floats) -> Columns:
    out: dict[str, Array] = {name: array.copy() for name, array in like.items()}
    for name, within, at in cast("list[tuple[str, list[int] | None, list[int]]]", step.settings["sources"]):
        array = out[name]
        whole = np.rint(values[:, at]) if array.dtype.kind in "iu" else values[:, at]
        with np.errstate(over="ignore", invalid="ignore"):
            if within is None:
                array[:] = whole[:, 0]
            else:
                array[:, within] = whole
    return Columns(out)
