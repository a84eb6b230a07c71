"""Zero padding, cropping and upsampling around and within the space axes."""

from __future__ import annotations

import numpy as np

from modelport.forms.keras_onnx.fields import damaged, not_converted
from modelport.forms.keras_onnx.graph import Graph, Tensor
from modelport.forms.keras_onnx.network import Layer
from modelport.forms.keras_onnx.windows import is_channels_first


def _axes(layer: Layer, x: Tensor) -> list[int]:
    rank = int(layer.kind[-2])
    if x.rank != rank + 2:
        damaged(layer.title, f"an input of {rank + 2} axes", x.shape)
    return list(range(2, x.rank)) if is_channels_first(layer) else list(range(1, rank + 1))


def zero_padding(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Put zeros before and after."""
    axes = _axes(layer, x)
    pairs = dict(zip(axes, layer.settings.pairs("padding", len(axes)), strict=True))
    pads = [pairs.get(axis, (0, 0))[side] for side in (0, 1) for axis in range(x.rank)]
    shape = tuple(None if length is None else length + sum(pairs.get(axis, (0, 0))) for axis, length in enumerate(x.shape))
    return Tensor(graph.op("Pad", x.name, graph.ints(*pads), graph.number(0.0)), shape)


def cropping(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Cut steps off before and after."""
    axes = _axes(layer, x)
    pairs = dict(zip(axes, layer.settings.pairs("cropping", len(axes)), strict=True))
    starts = graph.ints(*(pairs[axis][0] for axis in axes))
    ends = graph.ints(*(-pairs[axis][1] if pairs[axis][1] else 2**62 for axis in axes))
    shape = tuple(None if length is None else length - sum(pairs.get(axis, (0, 0))) for axis, length in enumerate(x.shape))
    if any(length is not None and length < 1 for length in shape):
        damaged(f'{layer.title}, "cropping"', f"less than the input's {x.shape}", list(pairs.values()))
    return Tensor(graph.op("Slice", x.name, starts, ends, graph.ints(*axes)), shape)


def up_sampling(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Repeat each step or pixel, or go from one to the next in a straight line."""
    axes, mode = _axes(layer, x), layer.settings.text("interpolation", "nearest")
    is_linear = mode == "bilinear" and (layer.version.major >= 3 or layer.version.minor >= 4)  # TensorFlow 1 placed pixels otherwise
    if mode != "nearest" and not is_linear:
        not_converted(f'{layer.title} with the "interpolation" {mode}')
    times = dict(zip(axes, layer.settings.integers("size", len(axes), 2), strict=True))
    scales = graph.constant(np.asarray([times.get(axis, 1) for axis in range(x.rank)], np.float32))
    if is_linear:
        name = graph.op("Resize", x.name, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
    else:
        name = graph.op("Resize", x.name, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    return Tensor(name, tuple(None if length is None else length * times.get(axis, 1) for axis, length in enumerate(x.shape)))
