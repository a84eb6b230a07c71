"""Layers that take texts, words or categories: computed by functions of ours before the graph runs, which holds numbers only.

Each gives the graph a further input; what feeds it is one of the network's own inputs, as it came.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from modelport.columns import Array
from modelport.forms.keras_onnx.fields import Settings, damaged, not_converted
from modelport.forms.keras_onnx.graph import Given, Graph, Shape, Tensor
from modelport.forms.keras_onnx.hashes import bucket
from modelport.forms.keras_onnx.lookup import Lookup, Word, counted, numbers_of, read_lookup, read_mode, read_salt
from modelport.forms.keras_onnx.network import Layer
from modelport.forms.keras_onnx.texts import as_bytes, read_splitter

Run: TypeAlias = Callable[[Array], Array]


def _input(graph: Graph, layer: Layer, given: Given) -> Tensor:
    if len(given.inputs) != 1 or given.named or given.flags:
        not_converted(f"{layer.title} called with more than one tensor")
    x = given.inputs[0]
    if x.name not in graph.raw:
        not_converted(f"{layer.title} over something else than an input of the network")
    return x


def text_vectorization(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Cut texts into words and give their indices, or how often each is in the text."""
    x, settings = _input(graph, layer, given), layer.settings
    if x.dtype != "string":
        damaged(layer.title, "an input of strings", x.dtype)
    splitter, is_split = read_splitter(layer), settings.values.get("split", "whitespace") is not None
    if x.rank > 2 or (is_split and x.rank == 2 and x.shape[1] != 1) or (not is_split and x.rank != 2):
        not_converted(f"{layer.title} over an input of the shape {x.shape}")
    own = {"num_oov_indices": 1, "mask_token": "", "oov_token": "[UNK]", "invert": False}
    lookup = read_lookup(graph, layer, own)
    if lookup.mode == "one_hot":
        not_converted(f'{layer.title} with "one_hot"')
    length = None if settings.get("output_sequence_length") is None else settings.integer("output_sequence_length")
    if lookup.mode == "int" and length is None and not is_split:
        length = x.shape[1]

    def run(texts: Array) -> Array:
        found = [lookup.indices([word for text in row for word in splitter(as_bytes(text))]) for row in _flat(texts).tolist()]
        return _padded(found, length) if lookup.mode == "int" else lookup.encode(found)

    if lookup.mode != "int":
        return [graph.prepare(x, run, ("float32", (x.shape[0], lookup.depth)))]
    return [graph.prepare(x, run, ("int64", (x.shape[0], length)), is_by_batch=length is None)]


def _rows(array: Array) -> Sequence[Sequence[int]]:
    """Return the indices of each row."""
    found: list[list[int]] = numbers_of(_flat(array)).tolist()
    return found


def _flat(array: Array) -> Array:
    """Return (rows, values); an array without rows has no length to be guessed."""
    return array.reshape(len(array), math.prod(array.shape[1:]))


def _padded(rows: Sequence[Sequence[int]], length: int | None) -> Array:
    """Return (rows, length) with zeros after the last index; without a length, that of the longest row."""
    width = length or max((len(row) for row in rows), default=1)
    out = np.zeros((len(rows), width), np.int64)
    for at, row in enumerate(rows):
        out[at, : len(row)] = row[:width]
    return out


def string_lookup(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Give the index of each word."""
    x = _input(graph, layer, given)
    if x.dtype != "string":
        damaged(layer.title, "an input of strings", x.dtype)
    lookup = read_lookup(graph, layer, {} if "oov_token" in layer.settings.values else {"oov_token": "[UNK]"})
    return [_looked_up(graph, layer, x, lookup)]


def integer_lookup(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Give the index of each whole number."""
    x = _input(graph, layer, given)
    if x.dtype == "string":
        damaged(layer.title, "an input of numbers", x.dtype)
    if layer.settings.get("vocabulary_dtype") not in (None, "int64", "int32"):
        not_converted(f"{layer.title} of {layer.settings.get('vocabulary_dtype')}")
    lookup = read_lookup(graph, layer, {} if "oov_token" in layer.settings.values else {"oov_token": -1})
    return [_looked_up(graph, layer, x, lookup)]


def _words(array: Array) -> list[Word]:
    flat = array.reshape(-1)
    if flat.dtype.kind in "OUS":
        return [as_bytes(word) for word in flat.tolist()]
    return list(numbers_of(flat).tolist())


def _looked_up(graph: Graph, layer: Layer, x: Tensor, lookup: Lookup) -> Tensor:
    def index(array: Array) -> Array:
        return np.asarray(lookup.indices(_words(array)), np.int64).reshape(array.shape)

    def count(array: Array) -> Array:
        return lookup.encode(_rows(index(array)))

    made = _encoded(graph, layer, x, Coding(lookup.mode, lookup.depth, index, count))
    graph.prepared[-1] = replace(graph.prepared[-1], known=lookup.known, is_closed=lookup.is_closed)
    return made


@dataclass(frozen=True, slots=True)
class Coding:
    """How indices are given out: ``index`` answers the indices themselves, ``count`` how often each is in a row."""

    mode: str
    depth: int
    index: Run
    count: Run


def _encoded(graph: Graph, layer: Layer, x: Tensor, coding: Coding) -> Tensor:
    if coding.mode == "int":
        return graph.prepare(x, _shaped(coding.index, x.shape), ("int64", x.shape))
    is_single = x.rank == 1 or (x.rank == 2 and x.shape[1] == 1)
    if x.rank > 2 or (x.rank == 1 and coding.mode != "one_hot") or (coding.mode == "one_hot" and not is_single):
        not_converted(f'{layer.title} with "{coding.mode}" over an input of the shape {x.shape}')
    return graph.prepare(x, _shaped(coding.count, x.shape), ("float32", (x.shape[0], coding.depth)))


def _shaped(run: Run, shape: Shape) -> Run:
    """Return a function that takes what people send for a shape (rows, 1) as well: one value a row."""

    def shaped(array: Array) -> Array:
        return run(array.reshape(len(array), 1) if len(shape) == 2 and array.ndim == 1 else array)

    return shaped


def hashing(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Give the number of the bucket that each value's hash falls into; the first is for the masked value if there is one."""
    x, settings = _input(graph, layer, given), layer.settings
    mode, buckets, salt = read_mode(settings, "int"), settings.integer("num_bins"), read_salt(settings)
    mask = _mask(settings, x)
    shift = int(mask is not None and buckets > 1)

    def index(array: Array) -> Array:
        found = [
            0 if shift and word == mask else shift + bucket(word if isinstance(word, bytes) else b"%d" % word, buckets - shift, salt)
            for word in _words(array)
        ]
        return np.asarray(found, np.int64).reshape(array.shape)

    def count(array: Array) -> Array:
        return counted(_rows(index(array)), buckets, mode)

    return [_encoded(graph, layer, x, Coding(mode, buckets, index, count))]


def _mask(settings: Settings, x: Tensor) -> Word | None:
    value = settings.get("mask_value")
    if value is None:
        return None
    if x.dtype == "string" and isinstance(value, str):
        return as_bytes(value)
    if x.dtype.startswith(("int", "uint")) and isinstance(value, int):
        return value
    return not_converted(f'{settings.where} with the "mask_value" {str(value)[:40]!r} for an input of {x.dtype}')
