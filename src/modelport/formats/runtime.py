"""ONNX Runtime as the engine of predictors: one predictor for converted and given graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelport.columns import Array, Columns
from modelport.errors import ModelError
from modelport.formats.lowering.draft import NotLowered
from modelport.forms.program.steps import Program
from modelport.forms.runner import Runner, expect_rows, rows_of
from modelport.schema import Schema


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is done to a feed before the graph runs: ``run`` makes the graph's feed from ours, ``rows`` at a time."""

    run: Callable[[Mapping[str, Array]], Mapping[str, Array]]
    rows: int = 4096


@dataclass(frozen=True, slots=True)
class GraphPredictor:
    """A predictor over a graph. ``names`` maps our output names to the graph's; ``preparation`` comes before it runs.

    ``feed`` makes the graph's arrays of physical columns where they are not the columns themselves. ``lowered`` reads the file
    once more and returns the graph as a program; None for graphs that were not made here.
    """

    schema: Schema
    runner: Runner
    names: Mapping[str, str]
    form: str = "onnx"
    native: object = None
    is_row_wise: bool = True
    preparation: Preparation | None = None
    lowered: Callable[[], Program] | None = None
    feed: Callable[[Columns], dict[str, Array]] | None = None

    def lower(self) -> Program:
        """Return the graph as data. Raises: NotLowered with the reason where it has no such form."""
        if self.lowered is None:
            raise NotLowered("an ONNX graph that was not made here is only run in a worker process")
        if self.preparation is not None:
            raise NotLowered("its texts become numbers before the graph runs, which only a worker process does")
        return self.lowered()

    def predict(self, columns: Columns, outputs: Sequence[str] | None) -> Columns:
        """Answer one row for each row.

        Shapes: ``columns`` are the physical ones of ``schema.layout``; the result has the schema's outputs, or those asked for.
        Raises: ModelError where the graph fails on these rows or has no such output.
        Cost: the graph's own time and about 10 microseconds for every piece of the runner's cut.
        """
        wanted = tuple(self.names) if outputs is None else tuple(outputs)
        if unknown := [name for name in wanted if name not in self.names]:
            raise ModelError(f'the model has no output "{unknown[0]}"; it has {", ".join(self.names)}')
        found = self.compute(self._feed(columns), [self.names[name] for name in wanted])
        for name, array in zip(wanted, found, strict=True):
            expect_rows(name, array, columns.rows)
        return Columns(dict(zip(wanted, found, strict=True)))

    def _feed(self, columns: Columns) -> dict[str, Array]:
        if self.feed is not None:
            return self.feed(columns)
        if any(block.is_packed for block in self.schema.layout):
            columns = self.schema.unpack(columns)
        return {item.name: np.ascontiguousarray(columns[item.name], item.dtype) for item in self.schema.features}

    def compute(self, feed: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Run the graph on arrays by our own names, prepared for it where they have to be.

        Raises: ModelError where it fails.
        """
        self.runner.check(feed)
        if self.preparation is None:
            return self.runner.compute(feed, outputs)
        rows, size = rows_of(feed), self.preparation.rows
        pieces = [
            self.runner.compute(self.preparation.run({name: array[at : at + size] for name, array in feed.items()}), outputs)
            for at in range(0, max(rows, 1), size)
        ]
        return pieces[0] if len(pieces) == 1 else [np.concatenate([piece[at] for piece in pieces]) for at in range(len(outputs))]
