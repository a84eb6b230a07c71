"""CategoryEncoding and Discretization: numbers to categories, inside the graph."""

from __future__ import annotations

import numpy as np

from modelport.forms.keras_onnx.fields import as_float, as_list, damaged, not_converted
from modelport.forms.keras_onnx.graph import Given, Graph, Tensor
from modelport.forms.keras_onnx.lookup import read_mode
from modelport.forms.keras_onnx.network import Layer


def category_encoding(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Mark the place of each number from 0 on, or count how often it is in the row."""
    if len(given.inputs) != 1 or given.named or given.flags:
        not_converted(f"{layer.title} called with weights")
    x = given.inputs[0]
    if x.dtype == "string":
        damaged(layer.title, "an input of numbers", x.dtype)
    depth = layer.settings.integer("num_tokens", None)
    return [_encoded(graph, layer, graph.cast(x, "int64"), (read_mode(layer.settings, "multi_hot"), depth))]


def _encoded(graph: Graph, layer: Layer, numbers: Tensor, how: tuple[str, int]) -> Tensor:
    """Encode whole numbers (rows, values), or one a row; those that are not below the depth count nowhere."""
    mode, depth = how
    is_single = numbers.rank == 1 or numbers.shape[1] == 1
    if numbers.rank > 2 or (numbers.rank == 1 and mode != "one_hot") or (mode == "one_hot" and not is_single):
        not_converted(f'{layer.title} with "{mode}" over an input of the shape {numbers.shape}')
    flat = graph.op("Reshape", numbers.name, graph.ints(0, 1)) if numbers.rank == 1 else numbers.name
    places = graph.constant(np.arange(depth, dtype=np.int64))
    hits = graph.cast(Tensor(graph.op("Equal", graph.op("Unsqueeze", flat, graph.ints(2)), places), (), "bool"), "float32").name
    name = graph.op("ReduceSum" if mode == "count" else "ReduceMax", hits, graph.ints(1), keepdims=0)
    return Tensor(name, (numbers.shape[0], depth))


def discretization(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Give the number of the bin that each value falls into; a value on a bound falls into the bin above it."""
    if len(given.inputs) != 1 or given.named or given.flags:
        not_converted(f"{layer.title} called with more than one tensor")
    x, bounds = given.inputs[0], _bounds(layer)
    mode = read_mode(layer.settings, "int")
    # Whole numbers may be too large for float32, and the bounds are held as float32 by Keras.
    wide = graph.op("Unsqueeze", graph.cast(x, "float64").name, graph.ints(x.rank))
    is_below = graph.op("Less", wide, graph.constant(bounds.astype(np.float64)))
    above = graph.cast(Tensor(graph.op("Not", is_below), (), "bool"), "int64").name
    found = Tensor(graph.op("ReduceSum", above, graph.ints(x.rank), keepdims=0), x.shape, "int64")
    return [found if mode == "int" else _encoded(graph, layer, found, (mode, len(bounds) + 1))]


def _bounds(layer: Layer) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    given = layer.settings.get("bin_boundaries")
    if given is None:
        not_converted(f"{layer.title} whose bounds were learnt and are not in the configuration")
    bounds = np.asarray([as_float(item, layer.title) for item in as_list(given, layer.title)], np.float32)
    if bounds.size == 0 or np.any(np.diff(bounds) < 0):
        damaged(f'{layer.title}, "bin_boundaries"', "numbers in rising order", given)
    return bounds
