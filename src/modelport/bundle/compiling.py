"""A loaded model turned into a form that needs neither its library nor a worker, if it is proven to answer the same.

A worker may answer from a form, too: then the library is only loaded for rows that the form leaves to the original.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from modelport.bundle.model import Model
from modelport.columns import Columns, concat
from modelport.errors import LoadError, ModelportError
from modelport.formats.lowering.draft import NotLowered
from modelport.forms.parity import prove
from modelport.forms.program.compiled import make_ready
from modelport.forms.program.form import COMPILED, ROW_MS, Form, Predict, bind, open_form
from modelport.forms.program.network import is_network, with_threads
from modelport.forms.program.steps import Program
from modelport.forms.program.undecided import Undecided
from modelport.forms.trials import trials

_LARGEST_BYTES = 1 << 30
_TRIAL_ROWS, _TRIAL_ROWS_OF_NETWORKS = 64, 8  # of what is computed at every start


def compile_model(model: Model) -> Form:
    """Return the model's form, proven against the model itself.

    Raises: NotLowered with the reason where it has none. Cost: some hundred predictions, with the original's.
    """
    predictor = model.predictor
    if predictor is None:
        raise NotLowered("hooks of its own have a part in the answer")
    if not model.is_row_wise:
        raise NotLowered("its rows are not independent of each other")
    lower = getattr(predictor, "lower", None)
    if lower is None:
        raise NotLowered("files of its format have no other form")
    program, ready = _program(cast("Callable[[], Program]", lower))
    own = predictor.schema
    evidence = prove(predictor.predict, ready, own, program)
    if evidence.problem:
        raise NotLowered(f"its form was not proven: {evidence.problem}")
    form = bind(ready, model.schema, own)
    trial, expected = _trial(model, program, form)
    facts = {"rows_compared": evidence.rows, "largest_difference": evidence.difference, ROW_MS: _row_ms(form, trial)}
    return Form(model.schema, own, program, trial, expected, facts)


def formed(form: Form, load: Callable[[], Model], threads: int | None = None) -> Model:
    """Return a model that answers from a form; ``load`` brings the original where the form leaves rows to it.

    ``threads``: of networks.
    Raises: LoadError where the form does not hold.
    """
    predict, original = open_form(replace(form, program=with_threads(form.program, threads or 1))), list[Model]()

    def answer(columns: Columns, outputs: Sequence[str] | None) -> Columns:
        try:
            return predict(columns, outputs)
        except Undecided:
            if not original:
                original.append(load())
            return original[0].predict(columns, outputs)

    warm_up = (form.trial.slice(0, 1),)
    return Model(form.schema, COMPILED, True, answer, warm_up, dict(form.facts))


def adopt(model: Model, threads: int | None = None) -> Model:
    """Return the model answering from its own form, or as it is where it has none. ``threads``: of networks."""
    try:
        made = formed(compile_model(model), lambda: model, threads)
    except (NotLowered, LoadError) as reason:
        return replace(model, details={**model.details, "no_form": str(reason)})
    return replace(made, details={**model.details, **made.details}, warm_up=model.warm_up)


def _program(lower: Callable[[], Program]) -> tuple[Program, Predict]:
    """Return the model's program, and the same ready to run."""
    try:
        program = lower()
        ready = make_ready(program)
    except (NotLowered, LoadError) as error:
        raise NotLowered(str(error)) from error
    except Exception as error:  # attributes of other versions and of users' own classes may be anything
        raise NotLowered(f"its form could not be read ({type(error).__name__})") from error
    if program.nbytes > _LARGEST_BYTES:
        raise NotLowered(f"its form would take {program.nbytes >> 20} MB")
    return program, ready


def _trial(model: Model, program: Program, form: Predict) -> tuple[Columns, Columns]:
    """Return rows of the model's own layout with the original's answers, which the form must give again whenever it is opened."""
    most = _TRIAL_ROWS_OF_NETWORKS if is_network(program) else _TRIAL_ROWS
    rows: list[Columns] = []
    for columns in trials(model.schema, program):
        for at in range(min(columns.rows, most)):
            row = columns.slice(at, at + 1)
            if rows and _shapes(row) != _shapes(rows[0]):
                break
            try:
                form(row, None)
                model.predict(row, None)
            except (Undecided, ModelportError):
                continue
            rows.append(row)
            if len(rows) == most:
                break
        if len(rows) == most:
            break
    if not rows:
        raise NotLowered("no rows were found that both answer")
    together = concat(rows)
    return together, concat([model.predict(together, None)])


def _row_ms(form: Predict, trial: Columns) -> float:
    """Return what a row costs, as time of the processor, which other load on the machine does not change."""
    times = []
    for _ in range(3):
        began_ns = time.thread_time_ns()
        form(trial, None)
        times.append(time.thread_time_ns() - began_ns)
    return round(min(times) / trial.rows / 1e6, 4)


def _shapes(columns: Columns) -> list[tuple[int, ...]]:
    return [array.shape[1:] for array in columns.values()]
