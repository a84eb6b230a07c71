"""Keras networks as ONNX files that stand alone: our own graph, with the weights in it."""

from __future__ import annotations

from pathlib import Path

from modelport.convert.graph import Candidate
from modelport.errors import LoadError, NotConvertible
from modelport.formats.base import Options
from modelport.formats.keras import schema_of
from modelport.formats.keras_file import read
from modelport.formats.onnx_facts import Facts
from modelport.formats.runtime import GraphPredictor
from modelport.forms.keras_onnx.convert import convert
from modelport.forms.keras_onnx.fields import NotConverted

_LARGEST_BYTES = (1 << 31) - (1 << 20)


def network(path: Path, options: Options, predictor: object) -> Candidate:
    """Return a Keras file as a graph of float32 with rows of any number.

    Raises: NotConvertible naming the layer that no graph expresses.
    """
    try:
        content = read(path, options)
        converted = convert(content.network, content.weights)
    except NotConverted as error:
        raise NotConvertible(f"{path.name}: {error.message.rpartition('; ')[0]}; serve the file itself, which Keras answers") from error
    except LoadError as error:
        raise type(error)(f"{path.name}: {error.message}") from error
    if converted.prepared or not isinstance(predictor, GraphPredictor):
        texts = sorted({item.source for item in converted.prepared})
        raise NotConvertible(
            f'{path.name}: the texts of "{", ".join(texts)}" become numbers by rules of Keras that no ONNX operator has; '
            "serve the file itself, or convert the part of the network behind them"
        )
    if len(converted.model) > _LARGEST_BYTES:
        raise NotConvertible(
            f"{path.name}: the graph takes {len(converted.model) >> 20} MB, and an ONNX file holds at most 2047; serve the file itself"
        )
    inputs = {port.name: (port.name,) for port in converted.inputs}
    return Candidate(
        converted.model,
        "float32",
        Facts(schema_of(converted), inputs, dict(predictor.names), dict(predictor.runner.words), predictor.runner.cut),
    )
