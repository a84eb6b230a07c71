"""Normalising layers, with the statistics that training left in the file."""

from __future__ import annotations

import numpy as np

from modelport.forms.keras_onnx.fields import as_list, damaged, not_converted
from modelport.forms.keras_onnx.graph import Floats, Graph, Tensor
from modelport.forms.keras_onnx.network import Layer

_EPSILON = 1e-7
"""Keras's own smallest deviation in Normalization."""


def batch_normalization(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Scale and shift each channel by the moving statistics, folded into one product and one sum."""
    settings = layer.settings
    axis = settings.axis(x.rank)
    length = x.shape[axis]
    mean, variance = (graph.weight(layer, role, (length,)) for role in ("moving_mean", "moving_variance"))
    scale = (1 / np.sqrt(variance + np.float32(settings.number("epsilon", 1e-3)))).astype(np.float32)
    if settings.flag("scale", True):
        scale = scale * graph.weight(layer, "gamma", (length,))
    shift = -mean * scale
    if settings.flag("center", True):
        shift = shift + graph.weight(layer, "beta", (length,))
    shape = [1] * (x.rank - axis)
    shape[0] = -1
    scaled = graph.op("Mul", x.name, graph.constant(scale.reshape(shape)))
    return x.but(graph.op("Add", scaled, graph.constant(shift.reshape(shape))))


def _axes(layer: Layer, x: Tensor) -> tuple[int, ...]:
    value = layer.settings.values.get("axis", -1)
    items = as_list(value, layer.title) if isinstance(value, list | tuple) else [value]
    axes: list[int] = []
    for item in items:
        if not isinstance(item, int) or isinstance(item, bool) or not -x.rank <= item < x.rank:
            damaged(f'{layer.title}, "axis"', f"axes of {x.rank}", value)
        axes.append(item % x.rank)
    if axes != sorted(set(axes)):
        not_converted(f"{layer.title} over axes in another order than the input's")
    return tuple(axes)


def layer_normalization(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Subtract each row's mean and divide by its deviation over the axes, then scale and shift."""
    settings = layer.settings
    if settings.flag("rms_scaling"):
        not_converted(f'{layer.title} with "rms_scaling"')
    axes = _axes(layer, x)
    lengths = tuple(x.shape[axis] for axis in axes)
    if None in lengths:
        not_converted(f"{layer.title} over an axis of any length")
    shape = [x.shape[axis] if axis in axes else 1 for axis in range(axes[0], x.rank)]
    known = [1 if length is None else length for length in shape]
    gamma = graph.weight(layer, "gamma", lengths).reshape(known) if settings.flag("scale", True) else np.ones(known, np.float32)
    beta = graph.weight(layer, "beta", lengths).reshape(known) if settings.flag("center", True) else None
    epsilon = settings.number("epsilon", 1e-3)
    if axes == tuple(range(axes[0], x.rank)):
        shift = [graph.constant(beta)] if beta is not None else []
        return x.but(graph.op("LayerNormalization", x.name, graph.constant(gamma), *shift, axis=axes[0], epsilon=epsilon))
    over = graph.ints(*axes)
    centred = graph.op("Sub", x.name, graph.op("ReduceMean", x.name, over, keepdims=1))
    variance = graph.op("ReduceMean", graph.op("Mul", centred, centred), over, keepdims=1)
    deviation = graph.op("Sqrt", graph.op("Add", variance, graph.number(epsilon)))
    out = graph.op("Mul", graph.op("Div", centred, deviation), graph.constant(gamma))
    return x.but(out if beta is None else graph.op("Add", out, graph.constant(beta)))


def group_normalization(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Subtract the mean and divide by the deviation of each group of channels, then scale and shift each channel."""
    settings, channels = layer.settings, x.shape[-1]
    if settings.axis(x.rank) != x.rank - 1 or channels is None:
        not_converted(f"{layer.title} over another axis than the last")
    groups = channels if settings.get("groups") == -1 else settings.integer("groups", 32)
    if channels % groups:
        damaged(f'{layer.title}, "groups"', f"a divisor of {channels}", groups)
    apart = graph.op("Reshape", x.name, graph.ints(0, -1, groups, channels // groups))
    centred = graph.op("Sub", apart, graph.op("ReduceMean", apart, graph.ints(1, 3), keepdims=1))
    variance = graph.op("ReduceMean", graph.op("Mul", centred, centred), graph.ints(1, 3), keepdims=1)
    deviation = graph.op("Sqrt", graph.op("Add", variance, graph.number(settings.number("epsilon", 1e-3))))
    out = graph.op("Reshape", graph.op("Div", centred, deviation), graph.op("Shape", x.name))
    if settings.flag("scale", True):
        out = graph.op("Mul", out, graph.constant(graph.weight(layer, "gamma", (channels,))))
    if settings.flag("center", True):
        out = graph.op("Add", out, graph.constant(graph.weight(layer, "beta", (channels,))))
    return x.but(out)


def rms_normalization(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Divide by the root of the mean square over the last axis, then scale."""
    if _axes(layer, x) != (x.rank - 1,):
        not_converted(f"{layer.title} over another axis than the last")
    square = graph.op("ReduceMean", graph.op("Mul", x.name, x.name), graph.ints(-1), keepdims=1)
    root = graph.op("Sqrt", graph.op("Add", square, graph.number(layer.settings.number("epsilon", 1e-6))))
    return x.but(graph.op("Mul", graph.op("Div", x.name, root), graph.constant(graph.weight(layer, "scale", (x.shape[-1],)))))


def normalization(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Subtract the mean and divide by the deviation seen by ``adapt`` or given by hand; the other way round with ``invert``."""
    value = layer.settings.values.get("axis", -1)
    axes = () if value is None else _axes(layer, x)
    shape = tuple(x.shape[axis] for axis in axes)
    broadcast = [x.shape[axis] if axis in axes else 1 for axis in range(x.rank)]
    mean, variance = (_statistic(graph, layer, role, shape) for role in ("mean", "variance"))
    if None in broadcast:
        not_converted(f"{layer.title} over an axis of any length")
    known = [1 if length is None else length for length in broadcast]
    lengths = [known[axis] for axis in axes]
    deviation = np.maximum(np.sqrt(variance), np.float32(_EPSILON))
    centre, spread = (graph.constant(np.broadcast_to(item, lengths).reshape(known).astype(np.float32)) for item in (mean, deviation))
    if layer.settings.flag("invert"):
        return x.but(graph.op("Add", graph.op("Mul", x.name, spread), centre))
    return x.but(graph.op("Div", graph.op("Sub", x.name, centre), spread))


def _statistic(graph: Graph, layer: Layer, role: str, shape: tuple[int | None, ...]) -> Floats:
    given = layer.settings.get(role)
    if given is None:
        return graph.weight(layer, role, shape)
    try:
        array = np.asarray(given, np.float32)
        np.broadcast_to(array, [1 if length is None else length for length in shape])
    except (ValueError, TypeError):
        damaged(f'{layer.title}, "{role}"', f"numbers of shape {shape}", given)
    return array


def unit_normalization(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Divide by the length of the vector over the axes."""
    over = graph.ints(*_axes(layer, x))
    square = graph.op("ReduceSum", graph.op("Mul", x.name, x.name), over, keepdims=1)
    return x.but(graph.op("Div", x.name, graph.op("Sqrt", graph.op("Max", square, graph.number(1e-12)))))
