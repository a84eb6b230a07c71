"""From a fitted estimator to a program, with the schema's outputs; whether the two agree is for ``forms.parity`` to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from modelport.formats.estimator_inputs import Use
from modelport.formats.estimator_labels import Method
from modelport.formats.estimator_outputs import Answer
from modelport.formats.estimator_tree import class_name, flatten, is_from_sklearn
from modelport.formats.lowering.boosted_classes import BOOSTED
from modelport.formats.lowering.classic import CLASSIC
from modelport.formats.lowering.draft import Draft, Input, NotLowered, Rows
from modelport.formats.lowering.ensembles import ENSEMBLES
from modelport.formats.lowering.groups import GROUPS
from modelport.formats.lowering.linear import LINEAR, Answers
from modelport.formats.lowering.transformers import TRANSFORMERS, transform
from modelport.formats.lowering.trees import TREES
from modelport.forms.program.steps import Program
from modelport.schema import Schema

_ESTIMATORS = {**LINEAR, **TREES, **CLASSIC, **ENSEMBLES}


def lower(estimator: object, schema: Schema, uses: Sequence[Use], answers: Sequence[Answer]) -> Program:
    """Return the program of a fitted estimator that answers the schema's outputs.

    Raises: NotLowered naming the part that has no other form.
    """
    draft = Draft(schema, uses)
    found = whole(estimator, Rows(tuple(range(len(schema.inputs)))), draft)
    return draft.program({item.field.name: _shaped(item, found, draft) for item in answers})


def whole(estimator: object, given: Input, draft: Draft) -> Answers:
    """Add the steps of an estimator with all that comes before it in its pipelines. Raises: NotLowered."""
    transformers, final = flatten(estimator)
    for step in transformers:
        given = transform(step, given, draft)
    return answer(final, given, draft)


def answer(estimator: object, given: Input, draft: Draft) -> Answers:
    """Add the steps of the estimator that answers. Raises: NotLowered."""
    name = class_name(estimator)
    if (boosted := BOOSTED.get(f"{type(estimator).__module__}.{name}")) is not None:
        return boosted(estimator, given, draft)
    if not is_from_sklearn(estimator):
        raise NotLowered(f"{name} is no class of scikit-learn")
    if name in GROUPS:
        return GROUPS[name](estimator, given, draft, whole)
    if name in _ESTIMATORS:
        return _ESTIMATORS[name](estimator, given, draft)
    if name in TRANSFORMERS:
        return {"transform": draft.matrix(transform(estimator, given, draft)).register}
    raise NotLowered(f"{name} has no other form")


def _shaped(item: Answer, found: Mapping[Method, int], draft: Draft) -> int:
    """Return the register of an output, brought to its shape."""
    if item.at is not None or item.method not in found:
        raise NotLowered(f"the output {item.field.name} has no other form")
    register = found[item.method]
    if item.field.shape == (1,) and item.method == "decision_function":
        return draft.add("as_column", [register])
    if item.field.type not in ("float64", "float32", "string", "int64", "bool") or np.dtype(item.field.dtype).kind == "u":
        raise NotLowered(f"the output {item.field.name} is {item.field.type}")
    return register
