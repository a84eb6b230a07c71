"""A model that Keras itself computes, as a predictor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import cast, get_args

import numpy as np

from modelport.columns import Array, Columns
from modelport.errors import LoadError, ModelError
from modelport.formats.lowering.draft import NotLowered
from modelport.forms.program.steps import Program
from modelport.schema import Field, Schema, Type

_ROWS = 256
_KERAS_BATCH = 32


@dataclass(frozen=True, slots=True)
class KerasPredictor:
    """A model that Keras itself computes. ``native`` is the Keras model; ``rows`` how many are computed at once."""

    schema: Schema
    native: object
    compute: Callable[[Mapping[str, Array]], list[Array]]
    form: str = "keras"
    is_row_wise: bool = True
    rows: int = _ROWS

    def lower(self) -> Program:
        """Raise NotLowered: what Keras computes has no form."""
        raise NotLowered("Keras itself computes it, which only a worker process does")

    def predict(self, columns: Columns, outputs: Sequence[str] | None) -> Columns:
        """Answer one row for each row.

        Raises: ModelError where Keras fails on these rows or there is no such output.
        """
        names = [item.name for item in self.schema.outputs]
        wanted = names if outputs is None else list(outputs)
        if unknown := [name for name in wanted if name not in names]:
            raise ModelError(f'the model has no output "{unknown[0]}"; it has {", ".join(names)}')
        if any(block.is_packed for block in self.schema.layout):
            columns = self.schema.unpack(columns)
        feed = {item.name: np.asarray(columns[item.name]) for item in self.schema.features}
        rows = range(0, max(columns.rows, 1), self.rows)
        pieces = [self._run({name: array[at : at + self.rows] for name, array in feed.items()}) for at in rows]
        found = {name: np.concatenate(parts) for name, parts in zip(names, zip(*pieces, strict=True), strict=True)}
        return Columns({name: found[name] for name in wanted})

    def _run(self, feed: Mapping[str, Array]) -> list[Array]:
        try:
            return self.compute(feed)
        except (ValueError, TypeError, RuntimeError, IndexError, ArithmeticError, LookupError) as error:
            raise ModelError(_sentence(error)) from error
        except Exception as error:
            if not type(error).__module__.startswith("tensorflow."):  # its errors have no class in common with any other
                raise
            raise ModelError(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    cause = str(error).strip().split("\n", 1)[0][:160]
    return f"the network fails on these rows ({cause}); compare their values with those it was trained on"


def predictor(model: object, form: str, *, is_by_batch: bool) -> KerasPredictor:
    """Return a predictor over a Keras model; with ``is_by_batch`` it computes as many rows at once as Keras's ``predict``.

    Raises: LoadError for a model whose inputs or outputs nobody could send or read.
    """
    schema = _schema(model)
    run = cast("Callable[[object], object]", model.predict_on_batch)  # type: ignore[attr-defined]  # Keras has no types

    def compute(feed: Mapping[str, Array]) -> list[Array]:
        given = [_fed(item, feed[item.name]) for item in schema.inputs]
        answer = run(given if len(given) > 1 else given[0])
        return [np.asarray(item) for item in (answer if isinstance(answer, list | tuple) else [answer])]

    return KerasPredictor(schema, model, compute, form, is_row_wise=not is_by_batch, rows=_KERAS_BATCH if is_by_batch else _ROWS)


def _fed(item: Field, array: Array) -> object:
    """Return what Keras takes for a column: texts as a tensor, with the axis of one that they have there."""
    if item.type != "string":
        return array
    texts = array.reshape(len(array), 1) if array.ndim == 1 and item.shape == () else array
    return import_module("tensorflow").constant(texts.tolist(), shape=texts.shape, dtype="string")


def _schema(model: object) -> Schema:
    inputs, outputs = (list(getattr(model, name)) for name in ("inputs", "outputs"))
    known = set(get_args(Type))
    for item, dtype in ((item, _dtype(item)) for item in (*inputs, *outputs)):
        if dtype not in known or (dtype == "string" and any(item is output for output in outputs)):
            raise LoadError(f'"{item.name}" is of {dtype}, expected one of {", ".join(sorted(known))}; export the model without it')
    names = [str(name) for name in getattr(model, "output_names", ())]  # a Sequential has none, and one output
    names = ["prediction"] if len(outputs) == 1 else [f"{name}_{at}" if name in names[:at] else name for at, name in enumerate(names)]
    called = [str(name) for name in getattr(model, "input_names", ())] or [str(item.name) for item in inputs]
    return Schema(
        tuple(Field(name, cast("Type", _dtype(item)), _shape(item)) for name, item in zip(called, inputs, strict=True)),
        tuple(Field(name, cast("Type", _dtype(item)), tuple(item.shape[1:])) for name, item in zip(names, outputs, strict=True)),
        "network",
    )


def _dtype(item: object) -> str:
    dtype = getattr(item, "dtype", None)
    return str(getattr(dtype, "name", dtype))  # TensorFlow's own type, or Keras 3's text


def _shape(item: object) -> tuple[int | None, ...]:
    shape = tuple(getattr(item, "shape", ()))[1:]
    return () if _dtype(item) == "string" and shape == (1,) else shape
