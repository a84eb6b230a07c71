"""A fitted scikit-learn estimator as a Predictor: the schema read from it, and its own methods called as rarely as possible.

The transformers of a pipeline run once a call, whatever is asked for; a label that follows from the probabilities is not
computed again. Everything that can be decided beforehand is decided when the estimator is loaded.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from modelport.columns import Array, Columns
from modelport.errors import ModelError, public_text
from modelport.formats.base import Options
from modelport.formats.estimator_feed import Feed, make_feed, read_inputs, without_names
from modelport.formats.estimator_inputs import Use
from modelport.formats.estimator_labels import Method, Rule, label_rule
from modelport.formats.estimator_outputs import FOREIGN, Answer, answers_of, classes_of, shaped, task_of
from modelport.formats.estimator_tree import contains, feature_names, flatten, is_any
from modelport.formats.lowering.lower import lower
from modelport.formats.structure import check_structure
from modelport.forms.program.steps import Program
from modelport.schema import Schema

_BATCHWISE = frozenset({"NMF", "MiniBatchNMF"})  # they fit all the rows of a call together, to a tolerance over all of them


@dataclass(frozen=True, slots=True)
class EstimatorPredictor:
    """A loaded estimator; build it with ``from_estimator``.

    ``native`` is the estimator as it was saved; ``notes`` say what was repaired in it, if an older version saved it.
    The private fields are what was prepared from it: how columns become its
    input, the transformers to run, the final estimator's methods, and the rule by which labels follow from another answer.
    """

    schema: Schema
    native: object
    form: str
    is_row_wise: bool
    _feed: Feed
    _transforms: tuple[Callable[[object], object], ...]
    _methods: Mapping[Method, Callable[[object], object]]
    _answers: Mapping[str, Answer]
    _rule: Rule | None
    _classes: Array
    _uses: tuple[Use, ...]
    notes: tuple[str, ...] = ()

    def lower(self) -> Program:
        """Return the same arithmetic as a program. Raises: NotLowered naming the part that has none."""
        return lower(self.native, self.schema, self._uses, list(self._answers.values()))

    def predict(self, columns: Columns, outputs: Sequence[str] | None) -> Columns:
        """Answer one row for each row.

        Shapes: ``columns`` are the physical ones of ``schema.layout``; the result has the schema's outputs, or those asked for.
        Raises: ModelError where the estimator fails on these rows, answers another number of them, or has no such output.
        Cost: the estimator's own methods and about 7 microseconds.
        """
        try:
            wanted = list(self._answers.values()) if outputs is None else [self._answers[name] for name in outputs]
        except KeyError as cause:
            raise ModelError(f'the model has no output "{cause.args[0]}"; it has {", ".join(self._answers)}') from cause
        try:
            rows: object = self._feed(columns)
            for transform in self._transforms:
                rows = transform(rows)
            raw = self._call(rows, {answer.method for answer in wanted})
        except FOREIGN as cause:
            raise ModelError(_sentence(cause)) from cause
        out: dict[str, Array] = {}
        for answer in wanted:
            value = raw[answer.method]
            part = value if answer.at is None else cast("list[object]", value)[answer.at]
            out[answer.field.name] = shaped(part, answer.field, columns.rows)
        return Columns(out)

    def _call(self, rows: object, needed: set[Method]) -> dict[Method, object]:
        raw: dict[Method, object] = {}
        derive = self._rule is not None and len(needed) > 1 and "predict" in needed
        for method in needed:
            if not (derive and method == "predict"):
                raw[method] = self._methods[method](rows)
        if self._rule is not None and derive:
            (other,) = (method for method in needed if method != "predict")
            chosen = self._rule(np.asarray(raw[other]))
            raw["predict"] = self._methods["predict"](rows) if chosen is None else self._classes.take(chosen)
        return raw


def infer_schema(estimator: object) -> Schema:
    """Read from a fitted estimator what it takes and answers.

    Raises: LoadError where it is not fitted, reads no rows of columns, or can answer nothing for new rows.
    Cost: a call or two of the estimator on two made-up rows, which tell the width of its answers.
    """
    return _prepare(estimator).schema


def from_estimator(estimator: object, options: Options) -> EstimatorPredictor:  # noqa: ARG001  # the one signature of all formats
    """Make a fitted estimator answer columns with columns.

    Raises: RefusedFile where its arrays would lead compiled code astray, LoadError where it cannot be served, MissingExtra where it
        takes pandas and that is not installed.
    """
    return _prepare(estimator)


def _prepare(estimator: object) -> EstimatorPredictor:
    check_structure(estimator)
    inputs, uses, form = read_inputs(estimator)
    transformers, final = flatten(without_names(estimator) if form in ("matrix", "objects") else estimator)
    transforms = tuple(cast("Callable[[object], object]", getattr(step, "transform")) for step in transformers)  # noqa: B009  # as above
    is_named = form == "texts" or feature_names(estimator) is not None
    schema = Schema(inputs, task=task_of(final), classes=classes_of(final), is_named=is_named)
    feed = make_feed(schema, uses, form)

    def answer(columns: Columns, method: Method) -> object:
        rows: object = feed(columns)
        for transform in transforms:
            rows = transform(rows)
        return getattr(final, method)(rows)

    with warnings.catch_warnings():  # made-up rows may well divide by zero
        warnings.simplefilter("ignore")
        sample = schema.sample(2)
        answers = answers_of(final, schema.task, lambda method: answer(sample, method))
        if not _takes_missing(schema, lambda columns: answer(columns, answers[0].method)):
            schema = replace(schema, inputs=tuple(replace(item, nullable=False) for item in schema.inputs))
    methods: dict[Method, Callable[[object], object]] = {item.method: getattr(final, item.method) for item in answers}
    other = next((item.method for item in answers if item.method != "predict"), None)
    follows = bool(schema.classes) and schema.task == "classifier" and answers[0].field.shape == () and other is not None
    return EstimatorPredictor(
        schema=replace(schema, outputs=tuple(item.field for item in answers)),
        native=estimator,
        form="native",
        is_row_wise=not contains(estimator, _BATCHWISE) and not is_any(estimator, "is_batchwise"),
        _feed=make_feed(schema, uses, form),
        _transforms=transforms,
        _methods=methods,
        _answers={item.field.name: item for item in answers},
        _rule=label_rule(final, other) if follows and other is not None else None,
        _classes=np.asarray(getattr(final, "classes_", ()) if follows else ()),
        _uses=uses,
    )


def _takes_missing(schema: Schema, answer: Callable[[Columns], object]) -> bool:
    """Try whether the estimator answers where every column that seems nullable is missing; what it refuses is not nullable."""
    if not any(item.nullable for item in schema.inputs):
        return True
    logical = dict(schema.unpack(schema.sample(2)))
    for item in schema.inputs:
        if item.nullable:
            logical[item.name] = np.full(2, None if item.type == "string" else np.nan, item.dtype)
    try:
        answer(schema.pack(logical))
    except FOREIGN:
        return False
    return True


def _sentence(cause: BaseException) -> str:
    """Say in one sentence why the estimator failed, without paths or module names."""
    said = public_text(str(cause)).rstrip(" .:;,")
    return f"the model failed on these rows: {said or type(cause).__name__}; check the values against the schema"
