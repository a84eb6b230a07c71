"""A loaded model turned into a form that needs neither its library nor a worker, if it is proven to answer the same.

A worker may answer from a form, too: then the library is only loaded for rows that the form leaves to the original.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import cast

from modelport.bundle.model import Model
from modelport.columns import Columns, concat
from modelport.errors import LoadError, ModelportError
from modelport.formats.base import Predictor
from modelport.formats.keras_native import Standing
from modelport.formats.lowering.draft import NotLowered
from modelport.forms.facts import COMPILED, PART, ROW_MS
from modelport.forms.parity import prove
from modelport.forms.program.compiled import make_ready
from modelport.forms.program.form import Form, Predict, bind, open_form
from modelport.forms.program.network import is_network, with_threads
from modelport.forms.program.steps import Program
from modelport.forms.program.undecided import Undecided
from modelport.forms.trials import trials

_LARGEST_BYTES = 1 << 30
_TRIAL_ROWS, _TRIAL_ROWS_OF_NETWORKS = 64, 8  # of what is computed at every start


def compile_model(model: Model) -> Form:
    """Return the model's form, proven against the model itself; of a model with hooks the form of their network.

    Raises: NotLowered with the reason where it has none. Cost: some hundred predictions, with the original's.
    """
    predictor = model.predictor or model.network
    if predictor is None:
        raise NotLowered(PART)
    if not model.is_row_wise:
        raise NotLowered("its rows are not independent of each other")
    lower = getattr(predictor, "lower", None)
    if lower is None:
        raise NotLowered("files of its format have no other form")
    program, ready = _program(cast("Callable[[], Program]", lower))
    own, is_part = predictor.schema, model.predictor is None
    schema, original = (own, predictor.predict) if is_part else (model.schema, model.predict)
    evidence = prove(predictor.predict, ready, own, program)
    if evidence.problem:
        raise NotLowered(f"its form was not proven: {evidence.problem}")
    form = bind(ready, schema, own)
    trial, expected = _trial(original, trials(schema, program), form, _rows_of_trials(program))
    facts = {"rows_compared": evidence.rows, "largest_difference": evidence.difference, ROW_MS: _row_ms(form, trial)}
    return Form(schema, own, program, trial, expected, facts, is_part)


def formed(form: Form, load: Callable[[Predictor | None], Model], threads: int | None = None) -> Model:
    """Return a model that answers from a form; ``load`` brings the original where the form leaves rows to it.

    Of a form that stands for the artifact alone, ``load`` makes the model with that in its place.
    ``threads``: of networks.
    Raises: LoadError where the form does not hold.
    """
    predict, original = open_form(replace(form, program=with_threads(form.program, threads or 1))), list[Model]()
    if form.is_part:
        return _with_reason(load(Standing(form.own, predict)), PART)

    def answer(columns: Columns, outputs: Sequence[str] | None) -> Columns:
        try:
            return predict(columns, outputs)
        except Undecided:
            if not original:
                original.append(load(None))
            return original[0].predict(columns, outputs)

    warm_up = (form.trial.slice(0, 1),)
    return Model(form.schema, COMPILED, True, answer, warm_up, dict(form.facts))


def adopt(model: Model, threads: int | None = None) -> Model:
    """Return the model answering from its own form, or as it is where it has none. ``threads``: of networks."""
    if model.predictor is None:
        return _with_reason(model, PART)
    try:
        made = formed(compile_model(model), lambda _: model, threads)
    except (NotLowered, LoadError) as reason:
        return _with_reason(model, str(reason))
    return replace(made, details={**model.details, **made.details}, warm_up=model.warm_up)


def _with_reason(model: Model, reason: str) -> Model:
    return replace(model, details={**model.details, "no_form": reason})


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


def _rows_of_trials(program: Program) -> int:
    return _TRIAL_ROWS_OF_NETWORKS if is_network(program) else _TRIAL_ROWS


def _trial(original: Predict, tried: Iterable[Columns], form: Predict, most: int) -> tuple[Columns, Columns]:
    """Return at most so many of the rows with the original's answers, which the form must give again whenever it is opened."""
    rows: list[Columns] = []
    for columns in tried:
        for at in range(min(columns.rows, most)):
            row = columns.slice(at, at + 1)
            if rows and _shapes(row) != _shapes(rows[0]):
                break
            try:
                form(row, None)
                original(row, None)
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
    return together, concat([original(together, None)])


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
