"""What programs of XGBoost and LightGBM models share: their columns as one matrix, and what becomes of their sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from modelport.columns import Array
from modelport.formats.estimator_labels import Method
from modelport.formats.lowering.draft import Draft, Input, NotLowered, Part, Rows
from modelport.forms.program.steps import Program
from modelport.schema import Scalar, Schema

Answers = Mapping[Method, int]
Sets = npt.NDArray[np.uint8]
MOST_CATEGORIES = 256
_METHODS: Mapping[str, Method] = {"label": "predict", "prediction": "predict", "probabilities": "predict_proba"}


def program(schema: Schema, lower: Callable[[Input, Draft], Answers]) -> Program:
    """Return the program of a native file. ``lower`` adds its trees. Raises: NotLowered."""
    draft = Draft(schema, ())
    found = lower((_features(draft),), draft)
    names = [item.name for item in schema.outputs]
    if missing := [name for name in names if _METHODS.get(name) not in found]:
        raise NotLowered(f"the output {missing[0]} has no other form")
    return draft.program({name: found[_METHODS[name]] for name in names})


def labels_of(classes: Sequence[Scalar]) -> Array:
    """Return class labels as an array. Texts stay objects."""
    is_text = all(isinstance(value, str) for value in classes)
    return np.asarray(classes, object if is_text else None)


def flags(members: Sequence[npt.NDArray[np.int64]]) -> Sets:
    """Return sets of categories as rows of flags. Raises: NotLowered where a category is too high."""
    out = np.zeros((len(members), MOST_CATEGORIES), np.uint8)
    for row, found in zip(out, members, strict=True):
        if len(found) and found.max() >= MOST_CATEGORIES:
            raise NotLowered(f"trees that ask for categories above {MOST_CATEGORIES - 1}")
        row[found] = 1
    return out


def _features(draft: Draft) -> Part:
    """Add the features in order: numbers, and categories as the numbers they had when the model was fitted."""
    fields = draft.schema.features
    if len(fields) != len(draft.schema.inputs):
        raise NotLowered("columns that are no features")
    plain = [at for at, item in enumerate(fields) if not item.categories]
    coded = [at for at, item in enumerate(fields) if item.categories]
    if not coded:
        return draft.matrix(Rows(tuple(plain)))
    registers = [draft.matrix(Rows(tuple(plain))).register] if plain else []
    registers += [_codes(at, draft) for at in coded]
    joined = draft.add("join", registers)
    return Part(draft.add("take", [joined], at=np.argsort([*plain, *coded])), len(fields))


def _codes(at: int, draft: Draft) -> int:
    """Add one column's places among its categories; missing ones, and unknown ones where they are let in, are NaN."""
    item = draft.schema.features[at]
    count = len(item.categories)
    gap = np.array([count])
    if item.type == "string":
        register = draft.add(
            "text_codes", [0], {"columns": [item.name], "categories": [[*cast("tuple[str, ...]", item.categories)]]}, missing=gap
        )
        order = np.arange(count)
    else:
        values = np.array(item.categories, np.float64)
        order = np.argsort(values)
        numbers = draft.matrix(Rows((at,))).register
        register = draft.add("number_codes", [numbers], categories=values[order], lengths=gap, missing=gap)
    if item.closed:
        register = draft.add("refuse_unknown", [register])
    table = np.append(order.astype(np.float64), np.nan)
    return draft.add("look_up", [register], table=table, starts=np.zeros(1, np.intp), unknown=np.array([np.nan]))
