"""Vocabularies that layers learnt: text files inside a ``.keras`` archive, one word a line, in the group of their layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from modelport.columns import Array
from modelport.errors import UnreadableFile
from modelport.formats.keras_hdf5 import array, layout_of
from modelport.forms.keras_onnx.network import Layer, Network, Path
from modelport.forms.keras_onnx.weights import NEW, homes

if TYPE_CHECKING:
    import h5py

_KINDS = ("TextVectorization", "StringLookup", "IntegerLookup")

Weights = Mapping[Path, Mapping[str, Array]]


def with_words(weights: Weights, network: Network, file: h5py.File, vocabularies: Mapping[str, bytes]) -> Weights:
    """Return the weights with what lookup layers learnt: their "vocabulary" and "idf_weights".

    Raises: UnreadableFile for a vocabulary that can be read in two ways.
    """
    out = dict(weights)
    for place, layer in homes(network, layout_of(file) or NEW):
        if layer.kind not in _KINDS:
            continue
        found = {"vocabulary": _words(layer, vocabularies[place])} if place in vocabularies else {}
        where = f"{place}/vars"
        if where in file and "idf_weights" in file[where]:
            found["idf_weights"] = array(file[where], "idf_weights")
        out[layer.path] = found
    return out


def _words(layer: Layer, data: bytes) -> Array:
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
        # Keras cut at "\n" alone before it cut at everything that ends a line.
        lines, others = _cut(text.split("\n")), _cut(text.splitlines())
        words = [int(line) for line in lines] if layer.kind == "IntegerLookup" else lines
    except ValueError as error:
        raise UnreadableFile(f"{layer.title}: its vocabulary cannot be read ({str(error)[:80]}); the file is damaged") from error
    if lines != others:
        raise UnreadableFile(
            f"{layer.title}: a word of its vocabulary holds the end of a line, so that the file does not say which words there are; "
            "give the layer its words by the argument vocabulary and save the model again"
        )
    out: Array = np.empty(len(words), object)
    out[:] = words
    return out


def _cut(lines: list[str]) -> list[str]:
    while lines and lines[-1] == "":
        lines.pop()
    return lines
