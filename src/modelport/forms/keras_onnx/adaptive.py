"""Adaptive pooling: as many windows along each axis as the layer is to give, of about equal size, which may overlap."""

from __future__ import annotations

import numpy as np

from modelport.forms.keras_onnx.fields import damaged, not_converted
from modelport.forms.keras_onnx.graph import Graph, Tensor
from modelport.forms.keras_onnx.network import Layer
from modelport.forms.keras_onnx.windows import is_channels_first


def adaptive_pooling(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Take the mean or maximum of every window, one axis after the other."""
    rank = int(layer.kind[-2])
    if x.rank != rank + 2:
        damaged(layer.title, f"an input of {rank + 2} axes", x.shape)
    first = 2 if is_channels_first(layer) else 1
    for axis, size in zip(range(first, first + rank), layer.settings.integers("output_size", rank), strict=True):
        length = x.shape[axis]
        if length is None:
            not_converted(f"{layer.title} over an axis of any length")
        x = _pooled(graph, x, (axis, length, size), is_maximum=layer.kind.startswith("AdaptiveMax"))
    return x


def _pooled(graph: Graph, x: Tensor, over: tuple[int, int, int], *, is_maximum: bool) -> Tensor:
    axis, length, size = over
    windows = [range(at * length // size, -(-(at + 1) * length // size)) for at in range(size)]
    width = max(len(window) for window in windows)
    # Shorter windows repeat their last place, which a maximum does not mind and a weight of zero takes out of a mean.
    places = np.asarray([[window[min(at, len(window) - 1)] for at in range(width)] for window in windows], np.int64)
    gathered = graph.op("Gather", x.name, graph.constant(places), axis=axis)  # (…, size, width, …)
    if not is_maximum:
        shares = np.asarray([[(at < len(window)) / len(window) for at in range(width)] for window in windows], np.float32)
        gathered = graph.op("Mul", gathered, graph.constant(shares.reshape(size, width, *[1] * (x.rank - axis - 1))))
    name = graph.op("ReduceMax" if is_maximum else "ReduceSum", gathered, graph.ints(axis + 1), keepdims=0)
    return Tensor(name, tuple(size if at == axis else known for at, known in enumerate(x.shape)))
