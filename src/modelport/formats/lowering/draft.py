"""Draft: a program in the making, and what the estimators hand to each other on the way.

A transformer gets ``Rows`` (columns of the request, untouched) or ``Parts`` (what earlier steps made) and returns Parts. Parts
that are categories stay codes until something needs them as zeros and ones; a linear model never does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from modelport.columns import Array
from modelport.formats.estimator_inputs import Use
from modelport.forms.program.steps import Plain, Program, Step
from modelport.schema import Schema

_WIDEST = 10_000


class NotLowered(Exception):
    """The estimator has no program; the message says which part and why, for ``GET /models``."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns as they were sent: positions among the schema's inputs. ``fills``: what null texts stand for, where that is known."""

    positions: tuple[int, ...]
    fills: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What a register holds: numbers (rows, width); codes (rows, len(lengths)) of one-hot columns, ``lengths`` wide each; or Sparse."""

    register: int
    width: int
    lengths: tuple[int, ...] = ()
    is_sparse: bool = False

    @property
    def is_codes(self) -> bool:
        """Whether it stands for zeros and ones that are not written out."""
        return bool(self.lengths)


Parts: TypeAlias = tuple[Part, ...]
Input: TypeAlias = Rows | Parts


class Draft:
    """The steps so far. ``uses``: what the model makes of each of the schema's inputs."""

    def __init__(self, schema: Schema, uses: Sequence[Use]) -> None:
        self.schema = schema
        self.uses = uses
        self._steps: list[Step] = []

    def add(self, op: str, inputs: Sequence[int], settings: Mapping[str, Plain] | None = None, /, **arrays: Array | None) -> int:
        """Append a step and return the register that it fills; arrays that are None are left out."""
        kept = {name: np.asarray(array) for name, array in arrays.items() if array is not None}
        self._steps.append(Step(op, tuple(inputs), settings or {}, kept))
        return len(self._steps)

    def program(self, outputs: Mapping[str, int]) -> Program:
        """Return what was drafted, without the steps that no output needs: a member's labels where its chances are averaged, say."""
        needed = set(outputs.values())
        for at in range(len(self._steps), 0, -1):
            if at in needed:
                needed |= set(self._steps[at - 1].inputs)
        kept = [at for at in range(1, len(self._steps) + 1) if at in needed]
        place = {0: 0, **{at: new for new, at in enumerate(kept, 1)}}
        steps = [replace(self._steps[at - 1], inputs=tuple(place[one] for one in self._steps[at - 1].inputs)) for at in kept]
        return Program(tuple(steps), {name: place[register] for name, register in outputs.items()})

    def matrix(self, given: Input) -> Part:
        """Return all of the input as one matrix of numbers. Raises: NotLowered where a column is text."""
        if isinstance(given, Rows):
            return self._numbers(given)
        dense = [self._written_out(part) for part in given]
        if len(dense) == 1:
            return dense[0]
        return Part(self.add("join", [part.register for part in dense]), sum(part.width for part in dense))

    def _written_out(self, part: Part) -> Part:
        if part.is_sparse:
            if part.width > _WIDEST:
                raise NotLowered(f"a matrix of {part.width} terms, mostly zeros, that something reads in full")
            return Part(self.add("write_out", [part.register], {"width": part.width}), part.width)
        if not part.is_codes:
            return part
        return Part(self.add("one_hot", [part.register], lengths=np.array(part.lengths)), part.width)

    def _numbers(self, rows: Rows) -> Part:
        fields = [self.schema.inputs[at] for at in rows.positions]
        if texts := [item.name for item in fields if item.type == "string"]:
            raise NotLowered(f'the column "{texts[0]}" is text where numbers are read')
        if shaped := [item.name for item in fields if item.shape]:
            raise NotLowered(f'the column "{shaped[0]}" is a tensor')
        sources: list[Plain] = []
        is_whole = False
        for block in self.schema.layout:
            names = [item.name for item in block.fields]
            pairs = [(names.index(item.name), at) for at, item in enumerate(fields) if item.name in names]
            if pairs:
                within: Plain = [pair[0] for pair in pairs] if block.is_packed else None
                sources.append([block.name, within, [pair[1] for pair in pairs]])
                is_whole = len(names) == len(fields)
        settings: dict[str, Plain] = {"width": len(fields), "sources": sources}
        return Part(self.add("numbers", [0], {**settings, "is_whole": is_whole and len(sources) == 1}), len(fields))
