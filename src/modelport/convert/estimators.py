"""scikit-learn estimators as ONNX files, written by skl2onnx: in float64 where its operators have it, else in float32."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

from modelport.convert.graph import Candidate
from modelport.convert.trees import cast_before, with_sides
from modelport.errors import MissingExtra, NotConvertible
from modelport.formats.estimator import EstimatorPredictor
from modelport.formats.estimator_feed import Form, read_inputs
from modelport.formats.estimator_tree import VECTORIZERS, class_name, reads, steps
from modelport.formats.onnx_facts import Facts
from modelport.formats.onnx_outside import DTYPES
from modelport.forms.onnx_proto import Port, outline
from modelport.schema import Field, Schema, Type

_OPSETS = {"": 18, "ai.onnx.ml": 3}
_MATRIX = "X"
_PRECISIONS = ("float64", "float32")


@dataclass(frozen=True, slots=True)
class _Model:
    """What is converted: an estimator, and how it takes its rows."""

    estimator: object
    schema: Schema
    form: Form


def estimator_graphs(name: str, predictor: EstimatorPredictor) -> Iterator[Candidate]:
    """Yield the graphs of an estimator, the most precise first.

    ``name``: of the file, for messages.
    Raises: NotConvertible naming the step for which there is no graph, MissingExtra without skl2onnx.
    """
    estimator = _chosen(predictor.native)
    _, _, form = read_inputs(estimator)
    if form == "texts" or reads(estimator, VECTORIZERS):
        raise NotConvertible(
            f"{name}: {_first_reader(estimator)} cuts texts into words by a pattern of Python's, which ONNX's tokenizer does not know; "
            "serve the file itself, or use --to skops"
        )
    if any(class_name(item).startswith("HistGradientBoosting") for item in (steps(estimator) or [estimator])):
        raise NotConvertible(
            f"{name}: HistGradientBoosting compares in float64, and ONNX's trees in float32, so that rows at a threshold would differ; "
            "serve the file itself, or use --to skops"
        )
    model, first = _Model(estimator, predictor.schema, form), ""
    is_any = False
    for precision in _PRECISIONS:
        try:
            yield _graph(name, model, precision)
            is_any = True
        except NotConvertible as error:
            first = first or error.message
    if not is_any:
        raise NotConvertible(first)


def _chosen(estimator: object) -> object:
    """Return what a search has found; the search itself computes nothing."""
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    return estimator


def _first_reader(estimator: object) -> str:
    inside = steps(estimator) or [estimator]
    return class_name(inside[0])


def _graph(name: str, model: _Model, precision: str) -> Candidate:
    library = _library(name)
    types, inputs = _inputs(name, model, precision)
    estimator = cast_before(model.estimator) if precision == "float64" else model.estimator
    options = {"zipmap": False} if model.schema.task == "classifier" else None
    data = _written(name, library, estimator, {"initial_types": types, "options": options, "target_opset": _OPSETS})
    data = with_sides(data, model.estimator)
    ports = outline(data).outputs
    if len(ports) < len(model.schema.outputs):
        raise NotConvertible(
            f"{name}: the graph of {class_name(model.estimator)} has no {model.schema.outputs[len(ports)].name}; "
            "serve the file itself, or use --to skops"
        )
    pairs = list(zip(model.schema.outputs, ports, strict=False))
    schema = replace(
        model.schema,
        inputs=tuple(replace(item, nullable=item.nullable and item.type != "string") for item in model.schema.inputs),
        outputs=tuple(_output(item, port) for item, port in pairs),
    )
    told = {item.type for item in schema.outputs} & set(_PRECISIONS)
    return Candidate(data, min(told, default=precision), Facts(schema, inputs, {item.name: port.name for item, port in pairs}))


def _output(item: Field, port: Port) -> Field:
    """Return an output in the graph's precision; labels keep the original's type."""
    given = DTYPES.get(port.type) if isinstance(port.type, int) else None
    is_number = item.type.startswith("float") and given in _PRECISIONS
    return replace(item, type=cast("Type", given)) if is_number and item.name != "label" else item


def _library(name: str) -> object:
    try:
        return importlib.import_module("skl2onnx")
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{name}: graphs of scikit-learn models need {error.name}, which is not installed; run: pip install 'modelport[convert]'"
        ) from error


def _inputs(name: str, model: _Model, precision: str) -> tuple[list[tuple[str, object]], dict[str, tuple[str, ...]]]:
    """Return the ports of the graph, as skl2onnx takes them, and the features in each."""
    kinds = importlib.import_module("skl2onnx.common.data_types")
    numbers = kinds.DoubleTensorType if precision == "float64" else kinds.FloatTensorType
    fields = model.schema.inputs

    def kind(item: Field) -> object:
        if item.type == "string":
            return kinds.StringTensorType
        return kinds.Int64TensorType if item.type.startswith(("int", "uint")) else numbers

    if model.form == "frame":
        return [(item.name, kind(item)([None, 1])) for item in fields], {item.name: (item.name,) for item in fields}  # type: ignore[operator]  # a class of a library without types
    if len(chosen := {kind(item) for item in fields}) > 1:
        raise NotConvertible(
            f"{name}: takes numbers and texts in one matrix, and a graph's matrix has one type; "
            "fit the model on a data frame, or use --to skops"
        )
    return [(_MATRIX, chosen.pop()([None, len(fields)]))], {_MATRIX: tuple(item.name for item in fields)}  # type: ignore[operator]  # as above


def _written(name: str, library: object, estimator: object, settings: dict[str, object]) -> bytes:
    """Return what skl2onnx writes. Raises: NotConvertible naming the step that it cannot."""
    try:
        try:
            return _to_onnx(library, estimator, settings)
        except NameError:  # a classifier without probabilities, which has no such option
            return _to_onnx(library, estimator, {**settings, "options": None})
    except Exception as error:  # a library of converters by many hands raises anything
        step = _culprit(library, estimator, settings)
        raise NotConvertible(
            f"{name}: {step} has no graph that skl2onnx {getattr(library, '__version__', '')} can write "
            f"({type(error).__name__}: {str(error).strip().splitlines()[0][:120] if str(error).strip() else 'no reason given'}); "
            "serve the file itself, or use --to skops"
        ) from error


def _to_onnx(library: object, estimator: object, settings: dict[str, object]) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions it was not tried with: every graph is compared
        data: bytes = library.to_onnx(estimator, **settings).SerializeToString()  # type: ignore[attr-defined]  # a library without types
    return data


def _culprit(library: object, estimator: object, settings: dict[str, object]) -> str:
    """Return the first step of a pipeline with which no graph can be written, the model itself where it is none."""
    found = list(getattr(estimator, "steps", [])) if steps(estimator) else []
    pipeline = importlib.import_module("sklearn.pipeline").Pipeline
    for end in range(1, len(found)):
        try:
            _to_onnx(library, pipeline(found[:end]), {**settings, "options": None})
        except Exception:  # noqa: BLE001  # as in _written: that it raises is what is looked for
            return f'the step "{found[end - 1][0]}" ({class_name(found[end - 1][1])})'
    return f'the step "{found[-1][0]}" ({class_name(found[-1][1])})' if found else class_name(estimator)


def unsupported(name: str, predictor: object) -> NotConvertible:
    """Return the error for a model of which there is neither a graph of ours nor a converter."""
    what = class_name(getattr(predictor, "native", predictor))
    return NotConvertible(f"{name}: there is no graph for {what}; serve the file itself, which holds data only")
