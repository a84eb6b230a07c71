"""What a converted ONNX file says of itself in its metadata: the columns behind the graph's ports, as the original named them.

A graph knows matrices; people know features, categories and classes. So a conversion writes the schema of the original into the
file, under one key, and whoever opens the file with modelport answers the same records. Other programs ignore it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from modelport.columns import Array, Columns
from modelport.errors import ManifestError, UnreadableFile
from modelport.formats.onnx_outside import DTYPES
from modelport.forms.onnx_proto import Outline, Port, entry
from modelport.forms.runner import Cut
from modelport.schema import Field, Schema

KEY = "modelport"
_FORMAT = 1
_STRING = 8


@dataclass(frozen=True, slots=True)
class Facts:
    """The original's schema, and how it lies over the graph.

    ``inputs``: the features that each input of the graph holds, side by side. ``outputs``: the graph's output behind each of the
    schema's. ``words``: of inputs that embeddings take, how many words these have. ``quantized``: "int8", or "" for full numbers.
    ``source``: SHA-256 of the file that was converted.
    """

    schema: Schema
    inputs: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, str]
    words: Mapping[str, int] = field(default_factory=dict)
    cut: Cut = field(default_factory=Cut)
    quantized: str = ""
    source: str = ""


def add(model: bytes, facts: Facts) -> bytes:
    """Return the bytes of a model file with its facts; a message may say its fields in any order, so they come last."""
    document = {
        "format": _FORMAT,
        "schema": facts.schema.to_dict(),
        "inputs": {name: list(features) for name, features in facts.inputs.items()},
        "outputs": dict(facts.outputs),
        "words": dict(facts.words),
        "rows": facts.cut.rows,
        "by": list(facts.cut.by),
        "quantized": facts.quantized,
        "source": facts.source,
    }
    return model + entry(KEY, json.dumps(document, ensure_ascii=False))


def read(found: Outline) -> Facts | None:
    """Return what a file says of itself, None where it says nothing.

    Raises: UnreadableFile where that is damaged or does not fit the graph.
    """
    text = found.metadata.get(KEY)
    if text is None:
        return None
    try:
        facts = _parsed(json.loads(text))
        _fit(found, facts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ManifestError) as error:
        said = str(error.args[0] if error.args else error)[:120]
        raise UnreadableFile(f"the columns in its metadata do not fit the graph ({said}); convert the model again") from error
    return facts


def _parsed(document: Mapping[str, object]) -> Facts:
    if document["format"] != _FORMAT:
        raise ValueError(f"written as format {document['format']!r:.20}")
    rows, words = cast("int", document["rows"]), cast("Mapping[str, int]", document["words"])
    if type(rows) is not int or not 1 <= rows <= 1 << 20 or any(type(count) is not int for count in words.values()):
        raise ValueError("its limits are no numbers")
    return Facts(
        Schema.from_dict(cast("Mapping[str, object]", document["schema"])),
        {name: tuple(features) for name, features in cast("Mapping[str, list[str]]", document["inputs"]).items()},
        {str(name): str(port) for name, port in cast("Mapping[str, str]", document["outputs"]).items()},
        dict(words),
        Cut(rows, tuple(cast("list[str]", document["by"]))),
        str(document["quantized"]),
        str(document["source"]),
    )


def _fit(found: Outline, facts: Facts) -> None:
    """Raise ValueError where ports and columns are not of each other."""
    ports = {port.name: port for port in found.inputs if port.name not in found.constants}
    listed = [name for features in facts.inputs.values() for name in features]
    names = [item.name for item in facts.schema.inputs]
    if set(facts.inputs) != set(ports) or sorted(listed) != sorted(names):
        raise ValueError("inputs")
    fields = {item.name: item for item in facts.schema.inputs}
    for name, features in facts.inputs.items():
        _fit_input(ports[name], [fields[feature] for feature in features])
    if list(facts.outputs) != [item.name for item in facts.schema.outputs]:
        raise ValueError("outputs")
    given = {port.name: port for port in found.outputs}
    for item in facts.schema.outputs:
        _fit_output(given[facts.outputs[item.name]], item)
    if not {*facts.words, *facts.cut.by} <= set(ports):
        raise ValueError("words")
    classes = len(facts.schema.classes)
    if classes and any(item.name == "probabilities" and item.shape != (classes,) for item in facts.schema.outputs):
        raise ValueError("classes")


def _fit_input(port: Port, features: Sequence[Field]) -> None:
    is_text = port.type == _STRING
    if any(item.role == "key" or (item.type == "string") != is_text for item in features):
        raise ValueError(f'input "{port.name}"')
    if not is_text and (not isinstance(port.type, int) or port.type not in DTYPES):
        raise ValueError(f'input "{port.name}"')
    width = (len(features),) if port.shape[1:] else ()
    shape = features[0].shape or width if len(features) == 1 else width
    if len(features) > 1 and (not width or any(item.shape for item in features)):
        raise ValueError(f'input "{port.name}"')
    if port.shape[1:] != shape or port.shape[0] not in (None, 1):
        raise ValueError(f'input "{port.name}"')


def _fit_output(port: Port, item: Field) -> None:
    is_text = port.type == _STRING
    if port.type == "map" or is_text != (item.type == "string") or (not is_text and port.type not in DTYPES):
        raise ValueError(f'output "{item.name}"')


def feed(found: Outline, facts: Facts) -> Callable[[Columns], dict[str, Array]]:
    """Return what makes the graph's arrays of physical columns. Cost: a view where a matrix travels as the graph takes it."""
    ports = [port for port in found.inputs if port.name in facts.inputs]
    made = [(port.name, _taker(port, facts.inputs[port.name], facts.schema)) for port in ports]
    return lambda columns: {name: take(columns) for name, take in made}


def _taker(port: Port, features: Sequence[str], schema: Schema) -> Callable[[Columns], Array]:
    dtype = np.dtype(object) if port.type == _STRING else np.dtype(DTYPES[cast("int", port.type)])
    places = {item.name: (block.name, at) for block in schema.layout for at, item in enumerate(block.fields)}
    blocks = {block.name: block for block in schema.layout}
    first = blocks[places[features[0]][0]]
    if [item.name for item in first.fields] == list(features) and first.is_packed:
        return lambda columns: np.ascontiguousarray(columns[first.name], dtype)
    parts = [(blocks[name], at) for name, at in (places[feature] for feature in features)]
    is_flat = bool(port.shape[1:]) and not parts[0][0].fields[parts[0][1]].shape

    def take(columns: Columns) -> Array:
        arrays = [columns[block.name][:, at] if block.is_packed else columns[block.name] for block, at in parts]
        return np.ascontiguousarray(np.stack(arrays, axis=1) if is_flat else arrays[0], dtype)

    return take


def finish(item: Field) -> Callable[[object], Array]:
    """Return what makes a column of an output of the graph: labels and scalars have no axis of one.

    Of a decision between two classes graphs give both sides, of which scikit-learn gives the second.
    """
    lengths = tuple(-1 if length is None else length for length in item.shape)

    def make(value: object) -> Array:
        array = np.asarray(value, item.dtype)
        if lengths in ((), (1,)) and array.shape[1:] == (2,):
            array = array[:, 1]
        return array.reshape(len(array), *lengths) if array.ndim != 1 + len(lengths) else array

    return make
