"""Dense, Embedding, Masking, activations, reshaping and rescaling: layers without a file of their own."""

from __future__ import annotations

import math
import re

import numpy as np

from modelport.forms.keras_onnx.activations import activate, read_activation, relu, slope
from modelport.forms.keras_onnx.fields import as_int, as_list, damaged, not_converted
from modelport.forms.keras_onnx.graph import Graph, Tensor
from modelport.forms.keras_onnx.network import Layer

_FAR_BELOW = -1e9
_MASKS_TO_ZERO = (3, 10)
"""Since when masked values are zero even where all are masked; before, all of these count the same."""


def dense(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Multiply the last axis by the kernel."""
    units = layer.settings.integer("units")
    kernel = graph.constant(graph.weight(layer, "kernel", (x.shape[-1], units)))
    if x.rank == 2 and layer.settings.flag("use_bias", True):
        name = graph.op("Gemm", x.name, kernel, graph.constant(graph.weight(layer, "bias", (units,))))
    else:
        name = add_bias(graph, layer, graph.op("MatMul", x.name, kernel), units)
    return x.but(activate(graph, read_activation(layer), name, layer.version), (*x.shape[:-1], units))


def einsum_dense(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply EinsumDense: the equation says which axes of input and kernel are multiplied and summed."""
    equation = layer.settings.text("equation").replace(" ", "")
    match = re.fullmatch(r"(\.\.\.)?([a-zA-Z]+),([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)", equation)
    if not match or (match[1] or "") != (match[4] or ""):
        not_converted(f'{layer.title} with the equation "{equation[:40]}"')
    taken, by, given = match[2], match[3], match[5]
    rest = x.shape[: x.rank - len(taken)]
    if (rest and not match[1]) or len(taken) > x.rank:
        damaged(f'{layer.title}, "equation"', f"one for {x.rank} axes", equation)
    lengths: dict[str, int | None] = dict.fromkeys(by)
    lengths |= dict(zip(taken, x.shape[len(rest) :], strict=True))
    kernel = graph.weight(layer, "kernel", tuple(lengths[axis] for axis in by))
    lengths |= dict(zip(by, kernel.shape, strict=True))
    if unknown := [axis for axis in given if axis not in lengths]:
        damaged(f'{layer.title}, "equation"', "axes of the input or the kernel", unknown[0])
    name = graph.op("Einsum", x.name, graph.constant(kernel), equation=equation)
    shape = (*rest, *(lengths[axis] for axis in given))
    axes = layer.settings.get("bias_axes")
    if isinstance(axes, str):
        places = range(min(given.find(axis) for axis in axes), len(given))
        known = tuple(lengths[given[at]] if given[at] in axes else 1 for at in places)
        name = graph.op("Add", name, graph.constant(graph.weight(layer, "bias", known)))
    return x.but(activate(graph, read_activation(layer), name, layer.version), shape)


def add_bias(graph: Graph, layer: Layer, x: str, units: int) -> str:
    """Add the bias to the last axis if the layer has one."""
    if not layer.settings.flag("use_bias", True):
        return x
    return graph.op("Add", x, graph.constant(graph.weight(layer, "bias", (units,))))


def embedding(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Look rows up by number; with ``mask_zero`` the number 0 is masked."""
    words, width = layer.settings.integer("input_dim"), layer.settings.integer("output_dim")
    table = graph.constant(graph.weight(layer, "embeddings", (words, width)))
    rows = x if x.dtype == "int64" else graph.cast(x, "int32")
    mask = None
    if layer.settings.flag("mask_zero"):
        key = ("mask_zero", rows.name)
        if key not in graph.memo:
            zero = graph.constant(np.asarray(0, rows.dtype))
            graph.memo[key] = graph.op("Not", graph.op("Equal", rows.name, zero))
        mask = Tensor(str(graph.memo[key]), x.shape, "bool")
    return Tensor(graph.op("Gather", table, rows.name, axis=0), (*x.shape, width), "float32", mask)


def masking(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Mask the steps whose every value is ``mask_value``, and set them to zero."""
    value = graph.number(layer.settings.number("mask_value", 0.0))
    differs = graph.cast(Tensor(graph.op("Not", graph.op("Equal", x.name, value)), x.shape, "bool"), "float32")
    kept = graph.op("ReduceMax", differs.name, graph.ints(-1), keepdims=1)
    flat = graph.op("Squeeze", kept, graph.ints(-1))
    mask = graph.cast(Tensor(flat, x.shape[:-1]), "bool")
    return Tensor(graph.op("Mul", x.name, kept), x.shape, "float32", mask)


def identity(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Return the input: what dropout and noise are when nobody trains."""
    del graph, layer
    return x


def activation(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply the named function."""
    return x.but(activate(graph, read_activation(layer), x.name, layer.version))


def relu_layer(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply the ReLU layer with its threshold, slope and ceiling."""
    return x.but(relu(graph, x.name, layer.settings))


def leaky_relu(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply the LeakyReLU layer."""
    return x.but(graph.op("LeakyRelu", x.name, alpha=slope(layer.settings)))


def elu(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply the ELU layer."""
    return x.but(graph.op("Elu", x.name, alpha=layer.settings.number("alpha", 1.0)))


def prelu(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply a learnt slope below zero; axes in ``shared_axes`` share it."""
    shared = {as_int(axis, layer.title, minimum=1) for axis in as_list(layer.settings.get("shared_axes") or [], layer.title)}
    shape = tuple(1 if axis in shared else length for axis, length in enumerate(x.shape))[1:]
    alpha = graph.weight(layer, "alpha", shape)
    return x.but(graph.op("PRelu", x.name, graph.constant(alpha)))


def softmax(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply softmax over one axis or several, to what a mask of the same axes lets through."""
    name = x.name if x.mask is None else _far_below(graph, layer, x, x.mask)
    axes = layer.settings.get("axis")
    if isinstance(axes, list) and len(axes) > 1:
        over = graph.ints(*(as_int(axis % x.rank if isinstance(axis, int) else axis, layer.title) for axis in axes))
        name = graph.op("Exp", graph.op("Sub", name, graph.op("ReduceLogSumExp", name, over, keepdims=1)))
    else:
        name = graph.op("Softmax", name, axis=layer.settings.axis(x.rank))
    if x.mask is not None and (layer.version.major, layer.version.minor) >= _MASKS_TO_ZERO:
        name = graph.op("Where", x.mask.name, name, graph.number(0.0))
    return x.but(name)


def _far_below(graph: Graph, layer: Layer, x: Tensor, mask: Tensor) -> str:
    """Return the values with those that are masked moved far below all others."""
    if mask.rank != x.rank:
        not_converted(f"{layer.title} behind a mask of other axes")
    masked = graph.cast(Tensor(graph.op("Not", mask.name), mask.shape, "bool"), "float32").name
    return graph.op("Add", x.name, graph.op("Mul", masked, graph.number(_FAR_BELOW)))


def flatten(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Join all axes after the rows."""
    if layer.settings.get("data_format") == "channels_first" and x.rank > 2:
        x = graph.transpose(x, (0, *range(2, x.rank), 1))
    return graph.reshape(x, (x.shape[0], size(x.shape[1:])))


def size(shape: tuple[int | None, ...]) -> int | None:
    """Return the number of values in a shape, None if an axis is of any length."""
    return None if None in shape else math.prod(length for length in shape if length is not None)


def reshape(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Give the axes after the rows another shape, -1 for the one that follows from the others."""
    target = as_list(layer.settings.get("target_shape"), layer.title)
    shape = [None if length in (-1, None) else as_int(length, layer.title, minimum=1) for length in target]
    total, known = size(x.shape[1:]), math.prod(length for length in shape if length is not None)
    if shape.count(None) > 1 or (total is not None and (total % known if None in shape else total != known)):
        damaged(f'{layer.title}, "target_shape"', f"a shape of {total} values", target)
    if None in shape and total is not None:
        shape[shape.index(None)] = total // known
    return graph.reshape(x, (x.shape[0], *shape))


def permute(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Exchange the axes after the rows."""
    order = layer.settings.integers("dims", x.rank - 1)
    if sorted(order) != list(range(1, x.rank)):
        damaged(f'{layer.title}, "dims"', f"the axes 1 to {x.rank - 1} in another order", order)
    return graph.transpose(x, (0, *order))


def repeat_vector(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Repeat each row's vector as a sequence."""
    times = layer.settings.integer("n")
    wide = graph.op("Unsqueeze", x.name, graph.ints(1))
    return Tensor(graph.op("Expand", wide, graph.ints(1, times, 1)), (x.shape[0], times, x.shape[-1]))


def rescaling(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Multiply by ``scale`` and add ``offset``, numbers or one an entry of the last axis."""
    scale, offset = (_numbers(layer, key, default) for key, default in (("scale", 1.0), ("offset", 0.0)))
    return x.but(graph.op("Add", graph.op("Mul", x.name, graph.constant(scale)), graph.constant(offset)))


def _numbers(layer: Layer, key: str, default: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    value = layer.settings.values.get(key, default)
    if isinstance(value, list):
        return np.asarray([float(item) for item in value if isinstance(item, int | float)], np.float32)
    return np.asarray(layer.settings.number(key, default), np.float32)
