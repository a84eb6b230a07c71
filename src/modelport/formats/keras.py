"""Keras files (``.hdf5``, ``.h5``, ``.keras``): converted to an ONNX graph, else run by Keras itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from modelport.columns import Array
from modelport.errors import LoadError, MissingExtra, RefusedFile
from modelport.formats.base import Options, Plan, Report, Step
from modelport.formats.keras_file import Content, configuration, read
from modelport.formats.keras_native import NetworkModel
from modelport.formats.keras_predictor import KerasPredictor
from modelport.formats.keras_real import choose, is_archive, is_by_batch, private_copy
from modelport.formats.keras_real import load as load_real
from modelport.formats.runtime import GraphPredictor, Preparation
from modelport.forms.keras_onnx.convert import Converted, convert
from modelport.forms.keras_onnx.fields import NotConverted
from modelport.forms.keras_onnx.network import Layer, leaves
from modelport.forms.keras_onnx.proto import Port
from modelport.forms.program.network import program_of
from modelport.forms.program.steps import Program
from modelport.forms.runner import Cut, Runner
from modelport.forms.session import open_session
from modelport.schema import Field, Scalar, Schema, Type

_SHOWN = (
    "units", "activation", "recurrent_activation", "input_dim", "output_dim", "mask_zero", "filters", "kernel_size", "strides", "padding",
    "pool_size", "rate", "return_sequences", "go_backwards", "merge_mode", "axis",
)  # fmt: skip
_APART_BYTES = 1 << 16
_CATEGORIES = 100
_KERAS_BATCH = 32
"""Rows that Keras's ``predict`` computes at once unless told otherwise."""
_CURE = "rebuild the model from layers that are data only and save it again"


def inspect(path: Path, options: Options) -> Report:
    """Report what a Keras file holds, from its bytes alone.

    Raises: UnreadableFile for a damaged file, MissingExtra without h5py. A file that is refused is reported so.
    """
    try:
        content = read(path, options)
    except RefusedFile as error:
        return Report("keras", "keras", None, "unknown", verdict="refused", plan="none", problem=error.message, cure=_CURE)
    except LoadError as error:
        return _unconverted(path, error, "unknown", None)
    network = content.network
    model = f"{network.kind} network of {len(network.members)} layers"
    if content.architecture:
        model += f", architecture from {content.architecture}"
    try:
        converted = convert(network, content.weights)
    except LoadError as error:
        return _unconverted(path, error, model, content)
    return Report(
        "keras",
        "keras",
        content.version,
        model,
        steps=_steps(content),
        features=tuple(port.name for port in converted.inputs),
        schema=schema_of(converted),
        plan="converted",
        companions=(content.architecture,) if content.architecture else (),
    )


def _unconverted(path: Path, error: LoadError, model: str, content: Content | None) -> Report:
    problem, _, cure = error.message.rpartition("; ")
    steps = _steps(content) if content else ()
    version = content.version if content else None
    plan: Plan = "none"
    if isinstance(error, NotConverted):
        document, version = configuration(path)
        library, why = choose(document, version, is_archive=is_archive(path))
        problem = _because(problem, why)
        if library is not None:
            plan = library.plan if library.is_installed else "none"
            cure = "" if library.is_installed else f"run: pip install 'modelport[tensorflow]', and {library.plan} itself answers"
    return Report("keras", "keras", version, model, steps=steps, plan=plan, problem=problem, cure=cure)


def _because(problem: str, why: str) -> str:
    return f"{problem}, and {why}" if why else problem


def _steps(content: Content) -> tuple[Step, ...]:
    return tuple(_step(layer) for layer in leaves(content.network) if not layer.kind.startswith("ops."))


def _step(layer: Layer) -> Step:
    shown: dict[str, Scalar] = {}
    for key in _SHOWN:
        value = layer.settings.get(key)
        if isinstance(value, str | int | float | bool):
            shown[key] = value
        elif isinstance(value, list) and value:
            shown[key] = " x ".join(str(item) for item in value)[:40]
    return Step("/".join(layer.path), layer.kind, shown)


def schema_of(converted: Converted) -> Schema:
    """Return what a converted network takes and answers; a single output is called "prediction"."""
    is_single = len(converted.outputs) == 1
    inputs = tuple(_field(converted, port) for port in converted.inputs)
    outputs = tuple(Field("prediction" if is_single else port.name, "float32", port.shape[1:]) for port in converted.outputs)
    return Schema(inputs, outputs, "network")


def _field(converted: Converted, port: Port) -> Field:
    """Return an input as people see it, with the words that a lookup layer knows."""
    made = Field(port.name, cast("Type", port.dtype), _shape(port), description=_words(converted.words.get(port.name)))
    lookups = sorted((item for item in converted.prepared if item.source == port.name and item.known), key=lambda item: not item.is_closed)
    if not lookups or (len(lookups[0].known) > _CATEGORIES and not lookups[0].is_closed):
        return made
    return replace(made, categories=lookups[0].known, closed=lookups[0].is_closed and made.type == "string" and not made.shape)


def _shape(port: Port) -> tuple[int | None, ...]:
    """Return what a row holds; Keras has its texts in an axis of one, which nobody means."""
    return () if port.dtype == "string" and port.shape[1:] == (1,) else port.shape[1:]


def _words(words: int | None) -> str:
    return "" if words is None else f"whole numbers from 0 to {words - 1}"


def load(path: Path, options: Options) -> GraphPredictor | KerasPredictor:
    """Return a predictor for a Keras file: the same answers as Keras's within 1e-6, without Keras where the converter covers it.

    Raises: UnreadableFile, RefusedFile, MissingExtra, LoadError.
    """
    try:
        return _load_converted(path, options)
    except NotConverted as error:
        with private_copy(path) as folder:
            copy = next(Path(folder).iterdir())
            document, version = configuration(copy)
            library, why = choose(document, version, is_archive=is_archive(copy))
            problem, _, cure = error.message.rpartition("; ")
            if library is None:
                raise NotConverted(f"{_because(problem, why)}; {cure}") from error
            return load_real(copy, library, problem, threads=options.threads, is_by_batch=is_by_batch(document))


def _load_converted(path: Path, options: Options) -> GraphPredictor:
    converted = _convert(path, options)
    try:
        session = open_session(converted.model, threads=options.threads, given=converted.apart)
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    except LoadError as error:
        raise type(error)(f"{path.name}: {error.message}") from error
    schema, names = schema_of(converted), _names(converted)
    is_row_wise = not any(item.is_by_batch for item in converted.prepared)
    runner = GraphPredictor(
        schema,
        Runner(session, _cut(converted), _words_of(converted)),
        names,
        is_row_wise=is_row_wise,
        preparation=_preparation(converted, is_row_wise=is_row_wise),
        lowered=lambda: _program(path, options),
    )
    return replace(runner, native=NetworkModel(converted.inputs, converted.outputs, runner.compute))


def _convert(path: Path, options: Options) -> Converted:
    try:
        content = read(path, options)
        return convert(content.network, content.weights, apart_bytes=_APART_BYTES)
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    except LoadError as error:
        raise type(error)(f"{path.name}: {error.message}") from error


def _missing(error: ModuleNotFoundError) -> MissingExtra:
    return MissingExtra(f"Keras files need {error.name}, which is not installed; run: pip install 'modelport[keras]'")


def _program(path: Path, options: Options) -> Program:
    """Return the network as a program, from the file again: nobody else needs its weights once the session has them."""
    converted = _convert(path, options)
    return program_of(converted, schema_of(converted), _names(converted), _cut(converted))


def _names(converted: Converted) -> Mapping[str, str]:
    """Return the graph's output behind each of the schema's."""
    return {item.name: port.name for item, port in zip(schema_of(converted).outputs, converted.outputs, strict=True)}


def _words_of(converted: Converted) -> Mapping[str, int]:
    return {port.name: converted.words[port.name] for port in converted.inputs if port.name in converted.words}


def _cut(converted: Converted) -> Cut:
    return Cut(16, _sequences(converted) if converted.is_masked else ()) if converted.is_recurrent else Cut()


def _sequences(converted: Converted) -> tuple[str, ...]:
    given = tuple(port.name for port in converted.inputs if port.name in converted.words and len(port.shape) > 1)
    return given + tuple(item.port.name for item in converted.prepared if item.port.dtype == "int64" and len(item.port.shape) > 1)


def _preparation(converted: Converted, *, is_row_wise: bool) -> Preparation | None:
    """Return what makes numbers of texts; where the longest text of a batch counts, as many rows at once as Keras's predict takes."""
    if not converted.prepared:
        return None
    kept = [port.name for port in converted.inputs if port.dtype != "string"]

    def run(feed: Mapping[str, Array]) -> Mapping[str, Array]:
        return {name: feed[name] for name in kept} | {item.port.name: item.run(feed[item.source]) for item in converted.prepared}

    return Preparation(run) if is_row_wise else Preparation(run, _KERAS_BATCH)
