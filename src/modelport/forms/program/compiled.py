"""A program made ready to run: each step becomes one function of its inputs, checked when it is made, not when it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from modelport.columns import Array, Columns
from modelport.errors import LoadError, ModelError
from modelport.forms.program import boosting, curves, distances, features, groups, hashing, network, numbers, scores, texts, trees
from modelport.forms.program.steps import Program, Step

Function = Callable[..., object]
Make = Callable[[Step], Function]

OPERATIONS: Mapping[str, Make] = {
    **boosting.OPERATIONS,
    **curves.OPERATIONS,
    **distances.OPERATIONS,
    **features.OPERATIONS,
    **groups.OPERATIONS,
    **hashing.OPERATIONS,
    **network.OPERATIONS,
    **numbers.OPERATIONS,
    **scores.OPERATIONS,
    **texts.OPERATIONS,
    **trees.OPERATIONS,
}
"""Every operation: what makes its function from a step. Each raises LoadError where the step does not fit together."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A program that answers columns with columns."""

    calls: tuple[tuple[Function, tuple[int, ...]], ...]
    outputs: Mapping[str, int]

    def __call__(self, columns: Columns, outputs: Sequence[str] | None) -> Columns:
        """Answer one row for each row.

        Raises: Undecided where the original has to answer, ModelError for an output that there is not.
        Cost: the arithmetic and about a microsecond a step.
        """
        values: list[object] = [columns]
        for function, inputs in self.calls:
            values.append(function(*[values[at] for at in inputs]))
        names = self.outputs if outputs is None else outputs
        try:
            return Columns({name: _array(values[self.outputs[name]]) for name in names})
        except KeyError as error:
            raise ModelError(f'the model has no output "{error.args[0]}"; it has {", ".join(self.outputs)}') from error


def make_ready(program: Program) -> Compiled:
    """Make the functions of all steps. Raises: LoadError where a step is unknown or its arrays do not fit."""
    calls = []
    for step in program.steps:
        make = OPERATIONS.get(step.op)
        if make is None:
            raise LoadError(f"the converted form asks for the operation {step.op!r:.40}, which this version does not have")
        try:
            calls.append((make(step), step.inputs))
        except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
            raise LoadError(
                f"the converted form's step {step.op} does not fit together ({error}); delete it, and it is made again"
            ) from error
    return Compiled(tuple(calls), program.outputs)


def _array(value: object) -> Array:
    assert hasattr(value, "dtype")  # noqa: S101  # outputs are arrays: the proof has looked at every one of them
    return value  # type: ignore[return-value]  # as above
