"""ONNX files: looked at without ONNX Runtime, answered by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from modelport.columns import Array
from modelport.errors import LoadError, MissingExtra, RefusedFile, UnreadableFile
from modelport.formats import onnx_facts, onnx_outside
from modelport.formats.base import Options, Report, Step
from modelport.formats.runtime import GraphPredictor
from modelport.forms.onnx_proto import Outline, Port, outline
from modelport.forms.runner import Cut, Runner
from modelport.forms.session import open_session
from modelport.schema import Field, Scalar, Schema, Type

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "com.microsoft", "com.microsoft.nchwc"})
_STRING = 8
_LABELS = ("label", "output_label")
_PROBABILITIES = ("probabilities", "output_probability", "output_probabilities", "probability")
_CURE = "export the model again with standard operators and its data within the file"


def inspect(path: Path, options: Options) -> Report:
    """Report what an ONNX file holds, from its bytes alone.

    Raises: UnreadableFile for a damaged file, and for data beside it that is missing or short. A file that is refused is reported so.
    """
    del options
    found = outline(_bytes(path))
    version = str(max(found.opsets.values(), default=0))
    library = " ".join(item for item in (found.producer, found.producer_version) if item) or "onnx"
    model = f"graph of {len(found.operators)} kinds of operators, opset {found.opsets.get('', version)}"
    steps = tuple(Step(operator, f"{domain}.{operator}" if domain else operator) for domain, operator in sorted(found.operators))
    try:
        _check(found)
        onnx_outside.verify(path, found.outside)
        told = onnx_facts.read(found)
        schema = _schema(found)[0] if told is None else told.schema
    except UnreadableFile as error:
        raise UnreadableFile(f"{path.name}: {error.message}") from error
    except RefusedFile as error:
        return Report("onnx", library, version, model, steps=steps, verdict="refused", plan="none", problem=error.message, cure=_CURE)
    except LoadError as error:
        problem, _, cure = error.message.rpartition("; ")
        return Report("onnx", library, version, model, steps=steps, plan="none", problem=problem, cure=cure)
    names = tuple(item.name for item in schema.inputs)
    if told is not None:
        model += f", {told.quantized or 'converted'} from the file of sha256 {told.source}"
    companions = tuple(sorted({item.location for item in found.outside}))
    facts = Report("onnx", library, version, model, steps=steps, features=names, classes=schema.classes, schema=schema)
    return replace(facts, companions=companions)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"{path.name}: cannot be opened ({error.strerror or error}); check the path and its permissions") from error


def _check(found: Outline) -> None:
    """Raise RefusedFile for operators that need a library of their own, and for data outside the model's folder."""
    for domain, operator in sorted(found.operators):
        if domain not in _DOMAINS and domain not in found.functions:
            raise RefusedFile(f'the operator "{operator}" of "{domain}" needs a library of its own, which is never loaded; {_CURE}')
    onnx_outside.check(found.outside)


def _schema(found: Outline) -> tuple[Schema, dict[str, Port]]:
    """Return the schema and the graph's port behind each of our outputs. Raises: LoadError for types that have no column."""
    inputs = tuple(_field(port) for port in found.inputs if port.name not in found.constants)
    if not inputs:
        raise LoadError("the graph has no inputs, expected at least one with rows; export the model, not a constant")
    for port in found.inputs:
        if port.name not in found.constants and (not port.shape or (port.shape[0] or 1) > 1):
            raise LoadError(
                f'the input "{port.name}" has shape {port.shape}, expected a first axis of any length; export it with dynamic rows'
            )
    by_name = {port.name: port for port in found.outputs}
    label = next((by_name[name] for name in _LABELS if name in by_name), None)
    chances = next((by_name[name] for name in _PROBABILITIES if name in by_name), None)
    if label and chances and len(found.outputs) == 2 and found.labels and len(set(found.labels)) == len(found.labels):
        columns = (Field("label", _type(label)), Field("probabilities", "float32", (len(found.labels),)))
        classes = cast("tuple[Scalar, ...]", found.labels)
        return Schema(inputs, columns, "classifier", classes), {"label": label, "probabilities": chances}
    if maps := [port for port in found.outputs if port.type == "map"]:
        raise LoadError(f'the output "{maps[0].name}" is a list of maps whose classes are not in the file; export it with zipmap=False')
    if len(found.outputs) == 1:
        return Schema(inputs, (_field(found.outputs[0], name="prediction"),)), {"prediction": found.outputs[0]}
    return Schema(inputs, tuple(_field(port) for port in found.outputs)), by_name


def _type(port: Port) -> Type:
    if port.type == _STRING:
        return "string"
    name = onnx_outside.DTYPES.get(port.type) if isinstance(port.type, int) else None
    if name is None:
        raise LoadError(f'"{port.name}" has ONNX element type {port.type}, which has no column type; export it as float32')
    return cast("Type", name)


def _field(port: Port, name: str | None = None) -> Field:
    return Field(name or port.name, _type(port), port.shape[1:])


def load(path: Path, options: Options) -> GraphPredictor:
    """Return a predictor for an ONNX file.

    Raises: UnreadableFile, RefusedFile, MissingExtra, LoadError.
    """
    data = _bytes(path)
    try:
        found = outline(data)
        _check(found)
        told = onnx_facts.read(found)
        schema, ports = _schema(found) if told is None else (told.schema, {})
        session = open_session(data, threads=options.threads, given=onnx_outside.read(path, found.outside))
    except ModuleNotFoundError as error:
        raise MissingExtra(f"ONNX files need {error.name}, which is not installed; run: pip install 'modelport[onnx]'") from error
    except (UnreadableFile, RefusedFile, LoadError) as error:
        raise type(error)(f"{path.name}: {error.message}") from error
    if told is not None:
        return _told(found, told, session)
    finish = {port.name: _finish(item, port, schema.classes) for item, port in zip(schema.outputs, ports.values(), strict=True)}
    names = {name: port.name for name, port in ports.items()}
    cut = Cut(1) if any(port.shape[0] == 1 for port in found.inputs if port.name not in found.constants) else Cut()
    return GraphPredictor(schema, Runner(session, cut, finish=finish), names, form="native", native=session)


def _told(found: Outline, facts: onnx_facts.Facts, session: InferenceSession) -> GraphPredictor:
    """Return a predictor that answers as the original of a converted file did, by its columns."""
    finish = {facts.outputs[item.name]: onnx_facts.finish(item) for item in facts.schema.outputs}
    runner = Runner(session, facts.cut, facts.words, finish)
    feed = onnx_facts.feed(found, facts)
    return GraphPredictor(facts.schema, runner, facts.outputs, form=facts.quantized or "native", native=session, feed=feed)


def _finish(item: Field, port: Port, classes: Sequence[Scalar]) -> Callable[[object], Array]:
    """Return what makes a column of what the graph gives: maps to a matrix by class, a column of width one to labels."""
    if port.type == "map":
        return lambda value: np.asarray([[row[name] for name in classes] for row in cast("list[dict[Scalar, float]]", value)], np.float32)
    if item.name == "label":
        return lambda value: np.asarray(value, item.dtype).reshape(-1)
    return lambda value: np.asarray(value, item.dtype)
