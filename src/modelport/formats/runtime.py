"""ONNX Runtime as the engine of predictors: one predictor for converted and given graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from modelport.columns import Array, Columns
from modelport.errors import ModelError
from modelport.forms.session import failures, sentence
from modelport.schema import Schema

if TYPE_CHECKING:
    import onnxruntime


@dataclass(frozen=True, slots=True)
class Cut:
    """How many rows are computed at once, which bounds memory and keeps it in the processor's cache.

    ``lengths`` gives each row's own length where shorter rows are less work: rows of like length are then computed together.
    For a bidirectional LSTM of 128 over texts of 3 to 40 words, 16 rows by length take 0.09 ms a row, 64 as they come 0.14.
    """

    rows: int = 256
    lengths: Callable[[Mapping[str, Array]], npt.NDArray[np.int64]] | None = None


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is done to a feed before the graph runs: ``run`` makes the graph's feed from ours, ``rows`` at a time."""

    run: Callable[[Mapping[str, Array]], Mapping[str, Array]]
    rows: int = 4096


@dataclass(frozen=True, slots=True)
class GraphPredictor:
    """A predictor over a session. ``names`` maps our output names to the graph's; ``check`` looks at a feed before it runs.

    ``finish`` turns one of the graph's outputs (by its name in the graph) into the array of the schema. ``preparation`` comes first.
    """

    schema: Schema
    session: onnxruntime.InferenceSession
    names: Mapping[str, str]
    form: str = "onnx"
    native: object = None
    check: Callable[[Mapping[str, Array]], None] | None = None
    finish: Mapping[str, Callable[[object], Array]] = field(default_factory=dict)
    cut: Cut = field(default_factory=Cut)
    is_row_wise: bool = True
    preparation: Preparation | None = None

    def predict(self, columns: Columns, outputs: Sequence[str] | None) -> Columns:
        """Answer one row for each row.

        Shapes: ``columns`` are the physical ones of ``schema.layout``; the result has the schema's outputs, or those asked for.
        Raises: ModelError where the graph fails on these rows or has no such output.
        Cost: the graph's own time and about 10 microseconds for every piece of ``cut``.
        """
        wanted = tuple(self.names) if outputs is None else tuple(outputs)
        if unknown := [name for name in wanted if name not in self.names]:
            raise ModelError(f'the model has no output "{unknown[0]}"; it has {", ".join(self.names)}')
        found = self.compute(self._feed(columns), [self.names[name] for name in wanted])
        for name, array in zip(wanted, found, strict=True):
            if array.shape[:1] != (columns.rows,):
                raise ModelError(f'the output "{name}" has shape {array.shape} for {columns.rows} rows, expected one row for each')
        return Columns(dict(zip(wanted, found, strict=True)))

    def _feed(self, columns: Columns) -> dict[str, Array]:
        if any(block.is_packed for block in self.schema.layout):
            columns = self.schema.unpack(columns)
        return {item.name: np.ascontiguousarray(columns[item.name], item.dtype) for item in self.schema.features}

    def compute(self, feed: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Run the graph on arrays by the graph's own names, cut into pieces of rows.

        Raises: ModelError where it fails.
        """
        if self.check is not None:
            self.check(feed)
        if self.preparation is None:
            return self._compute(feed, outputs)
        rows, size = _rows_of(feed), self.preparation.rows
        pieces = [
            self._compute(self.preparation.run({name: array[at : at + size] for name, array in feed.items()}), outputs)
            for at in range(0, max(rows, 1), size)
        ]
        return pieces[0] if len(pieces) == 1 else [np.concatenate([piece[at] for piece in pieces]) for at in range(len(outputs))]

    def _compute(self, feed: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        rows, size = _rows_of(feed), self.cut.rows
        if 0 < rows <= size:
            return self._run(feed, outputs)
        order = np.argsort(self.cut.lengths(feed), kind="stable") if self.cut.lengths and rows else None
        if order is not None:
            feed = {name: array[order] for name, array in feed.items()}
        pieces = [self._run({name: _rows(array, at, size) for name, array in feed.items()}, outputs) for at in range(0, max(rows, 1), size)]
        found = [np.concatenate([piece[at] for piece in pieces])[:rows] for at in range(len(outputs))]
        return found if order is None else [_restore(array, order) for array in found]

    def _run(self, feed: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        try:
            raw = self.session.run(list(outputs), dict(feed))
        except failures() as error:
            raise ModelError(
                f"the network fails on these rows ({sentence(error)}); compare their values with those it was trained on"
            ) from error
        return [self.finish[name](value) if name in self.finish else value for name, value in zip(outputs, raw, strict=True)]


def _rows_of(feed: Mapping[str, Array]) -> int:
    return min((array.shape[0] for array in feed.values()), default=0)


def _rows(array: Array, start: int, size: int) -> Array:
    """Return a piece of an array; where it has no rows, one of zeros, so that the graph tells the shapes of its answers."""
    if array.shape[0] == 0:
        return np.zeros((1, *array.shape[1:]), array.dtype)
    return array[start : start + size]


def _restore(array: Array, order: npt.NDArray[np.int64]) -> Array:
    """Put rows that were computed in another order back to where they came from."""
    out = np.empty_like(array)
    out[order] = array
    return out
