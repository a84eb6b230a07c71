"""A conversion from the loaded original to the file: candidates are made, opened as they would be served, and compared."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from modelport.bundle.folder import Bundle
from modelport.bundle.model import Model
from modelport.columns import Array, Columns, concat
from modelport.convert.agreement import agreement
from modelport.convert.graph import Candidate, opened
from modelport.convert.order import KNOWN, TARGETS, Order
from modelport.convert.parity import Comparison, compare
from modelport.convert.speed import speeds
from modelport.errors import LoadError, NeedsTrust, NotConvertible, RefusedFile
from modelport.formats import identify
from modelport.formats.base import Options, Predictor
from modelport.forms.program.steps import Program
from modelport.forms.trials import trials
from modelport.schema import Schema

_CHUNK = 1024
_BUDGET_S = 20.0


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a conversion: the report, and the file where it may be handed over."""

    report: dict[str, object]
    data: bytes


@dataclass(frozen=True, slots=True)
class Converted:
    """A candidate, and the same opened."""

    candidate: Candidate
    predictor: Predictor


@dataclass(frozen=True, slots=True)
class _Source:
    """The original, and how files are opened."""

    path: Path
    predictor: Predictor
    options: Options
    order: Order


def work(bundle: Bundle, model: Model, options: Options, order: Order, given: Columns | None) -> Made:
    """Convert a loaded model and compare both on the given rows, or on rows made for the model.

    ``given``: physical columns of the model's schema, and the known labels where there are some.
    Raises: NotConvertible naming the step that the target cannot express, MissingExtra, and what opening the conversion raises.
    """
    path, predictor = bundle.artifact, model.predictor
    if path is None or predictor is None:
        raise NotConvertible("hooks have a part in the answer, and no file format holds those; convert the model file itself")
    source = _Source(path, predictor, options, order)
    rows, known = _split(given)
    made, seen = _exact(source, rows)
    if order.quantize and not seen.where:
        from modelport.convert.quantize import quantized

        made = _opened(source, quantized(path.name, made.candidate))
        seen = compare(predictor.predict, made.predictor.predict, _batches(source, made.predictor.schema, rows), order)
    report = _report(source, made, seen, _batches(source, made.predictor.schema, rows))
    if known is not None and rows is not None:
        pair = (("original", predictor), ("converted", made.predictor))
        report["agreement"] = {name: agreement(_all(answers, rows), known) for name, answers in pair}
    return Made(report, b"" if seen.where else made.candidate.data)


def _exact(source: _Source, rows: Columns | None) -> tuple[Converted, Comparison]:
    """Return the first candidate in full numbers that answers the same; if none does, the first."""
    order, first, reason = source.order, list[tuple[Converted, Comparison]](), ""
    plain = replace(order, quantize="", tolerance=None if order.quantize else order.tolerance)
    for candidate in _candidates(source):
        try:
            made = _opened(source, candidate)
        except (LoadError, RefusedFile, NeedsTrust) as error:
            reason = reason or error.message.removeprefix(f"converted{TARGETS[order.target]}: ").rpartition("; ")[0]
            continue
        seen = compare(source.predictor.predict, made.predictor.predict, _batches(source, made.predictor.schema, rows), plain)
        if not seen.where:
            return made, seen
        first.append((made, seen))
    if not first:
        raise NotConvertible(f"{source.path.name}: the file that was made of it would not be loaded ({reason}); serve the file itself")
    return first[0]


def _opened(source: _Source, candidate: Candidate) -> Converted:
    return Converted(candidate, opened(candidate, TARGETS[source.order.target], source.options))


def _split(given: Columns | None) -> tuple[Columns | None, Array | None]:
    if given is None or KNOWN not in given:
        return given, None
    return Columns({name: array for name, array in given.items() if name != KNOWN}), given[KNOWN]


def _candidates(source: _Source) -> Iterator[Candidate]:
    kind, order = identify(source.path).name, source.order
    if order.target == "skops":
        from modelport.convert.skops import skops_file

        if kind != "pickle":
            raise NotConvertible(f"{source.path.name}: is a {kind} file, and only pickles become skops files; keep it as it is")
        yield skops_file(source.path.name, source.predictor.native)
        return
    for candidate in _graphs(source, kind):
        if not order.quantize or candidate.precision == "float32":
            facts = candidate.facts
            yield candidate if facts is None else replace(candidate, facts=replace(facts, source=order.source))


def _graphs(source: _Source, kind: str) -> Iterator[Candidate]:
    from modelport.convert.estimators import estimator_graphs, unsupported
    from modelport.formats.estimator import EstimatorPredictor

    if kind == "onnx":
        raise NotConvertible(f"{source.path.name}: is an ONNX file already; serve it as it is")
    if kind == "keras":
        from modelport.convert.networks import network

        yield network(source.path, source.options, source.predictor)
    elif isinstance(source.predictor, EstimatorPredictor):
        yield from estimator_graphs(source.path.name, source.predictor)
    else:
        raise unsupported(source.path.name, source.predictor)


def _batches(source: _Source, schema: Schema, rows: Columns | None) -> Iterator[Columns]:
    """Yield the rows to compare on; of those made for a slow model fewer, at least one of each kind."""
    if rows is not None:
        yield from (rows.slice(at, min(at + _CHUNK, rows.rows)) for at in range(0, rows.rows, _CHUNK))
        return
    began_s = time.monotonic()
    for batch in trials(schema, _program(source.predictor)):
        yield batch if time.monotonic() - began_s < _BUDGET_S else batch.slice(0, 1)


def _program(predictor: Predictor) -> Program:
    """Return the model as a program, which tells the thresholds and words that rows are made of; an empty one where it has none."""
    try:
        lower = getattr(predictor, "lower", None)
        return Program((), {}) if lower is None else lower()
    except Exception:  # noqa: BLE001  # NotLowered, or anything, as attributes of other versions may be anything; random rows are left
        return Program((), {})


def _report(source: _Source, made: Converted, seen: Comparison, batches: Iterator[Columns]) -> dict[str, object]:
    order, first = source.order, next(batches)
    predicts = {"original": source.predictor.predict, "converted": made.predictor.predict}
    return {
        "holds": not seen.where,
        "problem": seen.where,
        "precision": made.candidate.precision,
        "compared_on": "the given rows" if order.has_data else "rows made for the model",
        "tolerance": order.limit,
        **seen.to_dict(),
        "size_bytes": len(made.candidate.data),
        "speed": speeds(predicts, first),
    }


def _all(predictor: Predictor, rows: Columns) -> Columns:
    return concat([predictor.predict(rows.slice(at, min(at + _CHUNK, rows.rows)), None) for at in range(0, rows.rows, _CHUNK)])
