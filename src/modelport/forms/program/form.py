"""Form: a proven program with all that serving it takes, as one file: schemas, rows with the original's answers, the evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from modelport.columns import Array, Columns
from modelport.errors import LoadError, ManifestError
from modelport.forms.facts import ROW_MS
from modelport.forms.parity import compare, tolerance_of
from modelport.forms.program import steps
from modelport.forms.program.compiled import make_ready
from modelport.forms.program.steps import Plain, Program, Step
from modelport.schema import Schema

Predict = Callable[[Columns, Sequence[str] | None], Columns]
_SLOW_MS = 1.0
_TRIAL, _EXPECTED = "trial", "expected"


@dataclass(frozen=True, slots=True)
class Form:
    """A program and what was proven of it.

    ``schema`` is the model's, ``own`` the artifact's, whose layout the program reads. ``trial``: rows by ``schema.layout``,
    ``expected``: what the original answers to them. ``facts``: for ``GET /models``. ``is_part``: it stands for the artifact alone,
    and hooks work around it, so that only a worker can answer with it; ``schema`` is the artifact's then.
    """

    schema: Schema
    own: Schema
    program: Program
    trial: Columns
    expected: Columns
    facts: Mapping[str, Plain] = field(default_factory=dict)
    is_part: bool = False

    @property
    def is_slow(self) -> bool:
        """Whether rows take so long that several processes answer more than one does: a millisecond and more each."""
        row_ms = self.facts.get(ROW_MS)
        return isinstance(row_ms, int | float) and row_ms >= _SLOW_MS


def dump(form: Form) -> bytes:
    """Return the form as bytes."""
    arrays: dict[str, Array] = {}
    texts: dict[str, Plain] = {}
    for title, columns in ((_TRIAL, form.trial), (_EXPECTED, form.expected)):
        for name, array in columns.items():
            if array.dtype == object:
                texts[f"{title} {name}"] = {"shape": list(array.shape), "values": array.reshape(-1).tolist()}
            else:
                arrays[f"{title} {name}"] = array
    names: dict[str, Plain] = {_TRIAL: list(form.trial), _EXPECTED: list(form.expected)}
    settings: dict[str, Plain] = {
        "schema": cast("Plain", form.schema.to_dict()),
        "own": cast("Plain", form.own.to_dict()),
        "facts": dict(form.facts),
        "is_part": form.is_part,
        "texts": texts,
        "names": names,
    }
    # The rows travel as one more step, which is never run, so that there is one reader of arrays to get right.
    rows = Step("rows", (), settings, arrays)
    return steps.dump(Program((*form.program.steps, rows), form.program.outputs))


def load(data: bytes | memoryview) -> Form:
    """Read what ``dump`` wrote; large arrays are views of ``data``. Raises: LoadError for anything else."""
    whole = steps.load(data)
    try:
        rows = whole.steps[-1]
        settings = cast("dict[str, dict[str, object]]", rows.settings)
        return Form(
            Schema.from_dict(settings["schema"]),
            Schema.from_dict(settings["own"]),
            Program(whole.steps[:-1], whole.outputs),
            _columns(rows, settings, _TRIAL),
            _columns(rows, settings, _EXPECTED),
            cast("dict[str, Plain]", settings["facts"]),
            bool(settings["is_part"]),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ManifestError) as error:
        raise LoadError(f"the converted form is damaged ({str(error)[:100]}); delete it, and it is made again") from error


def _columns(rows: Step, settings: Mapping[str, dict[str, object]], title: str) -> Columns:
    out: dict[str, Array] = {}
    for name in cast("list[str]", settings["names"][title]):
        key = f"{title} {name}"
        if key in settings["texts"]:
            text = cast("dict[str, list[object]]", settings["texts"][key])
            array = np.empty(len(text["values"]), object)
            array[:] = text["values"]
            out[name] = array.reshape(cast("list[int]", text["shape"]))
        else:
            out[name] = rows.arrays[key]
    return Columns(out)


def bind(compiled: Predict, schema: Schema, own: Schema) -> Predict:
    """Return a program that is ready as a function of the model's physical columns, which its own may differ from."""
    if schema.layout == own.layout:
        return compiled
    return lambda columns, outputs: compiled(own.pack(schema.unpack(columns)), outputs)


def open_form(form: Form) -> Predict:
    """Make the form ready and try it on its rows.

    Raises: LoadError where it does not fit together or no longer gives the original's answers.
    """
    predict = bind(make_ready(form.program), form.schema, form.own)
    try:
        problem, _ = compare(form.expected, predict(form.trial, None), tolerance_of(form.program))
    except Exception as error:  # what an earlier modelport wrote, or somebody edited, may fail in any way
        raise LoadError(f"the converted form fails on its own rows ({error!s:.100}); delete it, and it is made again") from error
    if problem:
        raise LoadError(f"the converted form no longer answers as the model did ({problem}); delete it, and it is made again")
    return predict
