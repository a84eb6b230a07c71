"""What predictors of XGBoost and LightGBM files share: columns to the one matrix that both libraries take, and answers to columns.

Categories become the numbers they had when the model was fitted, so that no data frame is made for a request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from modelport.columns import Array, Columns
from modelport.errors import ModelError, public_text
from modelport.formats.lowering.draft import NotLowered
from modelport.forms.program.steps import Program
from modelport.schema import Field, Scalar, Schema

Matrix: TypeAlias = npt.NDArray[np.float64]
Compute: TypeAlias = Callable[[Matrix, Sequence[str]], Mapping[str, Array]]
"""Rows of numbers to the outputs asked for."""


@dataclass(frozen=True, slots=True)
class BoostedPredictor:
    """Trees of a native file, answered by their library. ``notes`` say what was repaired in the file of an older version.

    ``form_of``: makes the same trees as a program.
    """

    schema: Schema
    native: object
    compute: Compute
    failures: tuple[type[Exception], ...]
    form: str = "native"
    is_row_wise: bool = True
    notes: tuple[str, ...] = ()
    form_of: Callable[[], Program] | None = None
    feed: Callable[[Columns], Matrix] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "feed", make_feed(self.schema))

    def lower(self) -> Program:
        """Return the same trees as a program. Raises: NotLowered with the reason where they have none."""
        if self.form_of is None:
            raise NotLowered("its trees have no other form")
        return self.form_of()

    def predict(self, columns: Columns, outputs: Sequence[str] | None) -> Columns:
        """Answer one row for each row.

        Shapes: ``columns`` are the physical ones of ``schema.layout``; the result has the schema's outputs, or those asked for.
        Raises: ModelError where the library fails on these rows, or there is no such output.
        Cost: the library's own prediction and about 10 microseconds; a dictionary look-up for each category.
        """
        names = [item.name for item in self.schema.outputs]
        wanted = names if outputs is None else list(outputs)
        if unknown := [name for name in wanted if name not in names]:
            raise ModelError(f'the model has no output "{unknown[0]}"; it has {", ".join(names)}')
        if columns.rows == 0:
            return Columns({item.name: _none(item) for item in self.schema.outputs if item.name in wanted})
        try:
            answers = self.compute(self.feed(columns), wanted)
        except self.failures as error:
            said = public_text(str(error).split("\n", 1)[0]).rstrip(" .:;,")
            raise ModelError(f"the model failed on these rows: {said}; check the values against the schema") from error
        return Columns({name: answers[name] for name in wanted})


def _none(item: Field) -> Array:
    return np.empty((0, *(1 if length is None else length for length in item.shape)), item.dtype)


class BoostedModel:
    """What a hook gets: ``predict`` and, for a classifier, ``predict_proba`` over a data frame, a matrix, or a list of rows."""

    def __init__(self, schema: Schema, compute: Compute, booster: object) -> None:
        self._schema = schema
        self._compute = compute
        self._feed = make_feed(schema)
        self.booster = booster

    def predict(self, x: object, **settings: object) -> Array:
        """Return labels or predictions; settings such as ``batch_size`` are accepted and ignored."""
        del settings
        name = self._schema.outputs[0].name
        return self._compute(self._rows(x), [name])[name]

    def predict_proba(self, x: object, **settings: object) -> Array:
        """Return the probabilities of a classifier's classes. Raises: ModelError where it has none."""
        del settings
        if "probabilities" not in [item.name for item in self._schema.outputs]:
            raise ModelError("this model answers no probabilities; use predict")
        return self._compute(self._rows(x), ["probabilities"])["probabilities"]

    def _rows(self, x: object) -> Matrix:
        if not hasattr(x, "columns"):
            return np.ascontiguousarray(x, np.float64)
        names = [item.name for item in self._schema.features]
        return self._feed(
            self._schema.pack({name: _column(x, name, item) for name, item in zip(names, self._schema.features, strict=True)})
        )


def _column(frame: object, name: str, item: Field) -> Array:
    try:
        values = np.asarray(frame[name], object if item.type == "string" else item.dtype)  # type: ignore[index]  # a data frame
    except KeyError as error:
        raise ModelError(f'the rows have no column "{name}"; the model takes it') from error
    if item.type == "string":
        values[np.array([value != value for value in values], bool)] = None
    return values


def label_field(classes: Sequence[Scalar]) -> Field:
    """Return the field of a classifier's labels, of their own type."""
    if all(isinstance(value, bool) for value in classes):
        return Field("label", "bool")
    if all(isinstance(value, int) for value in classes):
        return Field("label", "int64")
    return Field("label", "float64" if all(isinstance(value, int | float) for value in classes) else "string")


def labels_of(classes: Sequence[Scalar]) -> Callable[[npt.NDArray[np.intp]], Array]:
    """Return what makes labels of the places of classes."""
    known = np.asarray(classes, label_field(classes).dtype)
    return known.take


def make_feed(schema: Schema) -> Callable[[Columns], Matrix]:
    """Return the function that makes one call's matrix: features in order, categories as their numbers, missing ones NaN."""
    blocks = schema.layout
    codes = {item.name: _codes(item) for item in schema.features if item.categories}
    if len(blocks) == 1 and not codes:
        name, is_packed = blocks[0].name, blocks[0].is_packed
        return lambda columns: np.ascontiguousarray(columns[name] if is_packed else columns[name][:, None], np.float64)
    order = {item.name: at for at, item in enumerate(schema.features)}
    places = [(block, [order[item.name] for item in block.fields]) for block in blocks if block.fields[0].role == "feature"]

    def feed(columns: Columns) -> Matrix:
        out = np.empty((columns.rows, len(order)), np.float64)
        for block, at in places:
            array = columns[block.name]
            if block.fields[0].type != "string":
                out[:, at] = array if block.is_packed else array[:, None]
            for position, item in zip(at, block.fields, strict=True):
                if item.name in codes:
                    known = codes[item.name]
                    values = array if item.type == "string" else out[:, position]
                    out[:, position] = [known(value) for value in values.tolist()]
        return out

    return feed


def _codes(item: Field) -> Callable[[object], float]:
    numbers = {value: float(at) for at, value in enumerate(item.categories)}

    def code(value: object) -> float:
        found = numbers.get(value)  # type: ignore[call-overload]  # anything may be asked for
        if found is None and item.closed and value is not None and value == value:
            raise ModelError(f'column "{item.name}": {str(value)[:40]!r} is not one of its categories; send one of those in the schema')
        return float("nan") if found is None else found

    return code


def inputs_of(names: Sequence[str], categories: Sequence[tuple[Scalar, ...] | None], *, closed: bool) -> tuple[Field, ...]:
    """Return the fields of features: numbers that may be missing, or the values of a category.

    ``closed``: whether the library refuses other categories, rather than taking them for missing ones.
    """
    return tuple(_field(name, values, closed=closed) for name, values in zip(names, categories, strict=True))


def _field(name: str, values: tuple[Scalar, ...] | None, *, closed: bool) -> Field:
    if not values:
        return Field(name, "float64", nullable=True)
    is_text = all(isinstance(value, str) for value in values)
    return Field(name, "string" if is_text else "float64", nullable=True, categories=values, closed=closed)
