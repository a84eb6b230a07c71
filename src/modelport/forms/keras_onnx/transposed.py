"""Transposed convolution over one, two or three axes, and the layers of Keras 2 whose kernel differs from place to place."""

from __future__ import annotations

import math

import numpy as np

from modelport.forms.keras_onnx.activations import activate, read_activation
from modelport.forms.keras_onnx.fields import damaged, not_converted
from modelport.forms.keras_onnx.graph import Graph, Tensor
from modelport.forms.keras_onnx.network import Layer
from modelport.forms.keras_onnx.windows import as_before, channels_first, channels_of, is_channels_first


def transposed(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply Conv1DTranspose, Conv2DTranspose or Conv3DTranspose."""
    rank, settings = int(layer.kind[4]), layer.settings
    if x.rank != rank + 2:
        damaged(layer.title, f"an input of {rank + 2} axes", x.shape)
    filters, sizes = settings.integer("filters"), settings.integers("kernel_size", rank)
    strides, dilations = settings.integers("strides", rank, 1), settings.integers("dilation_rate", rank, 1)
    if settings.integer("groups", 1) != 1:
        not_converted(f"{layer.title} with groups")
    kernel = graph.weight(layer, "kernel", (*sizes, filters, channels_of(layer, x)))
    first = channels_first(graph, layer, x)
    inputs = [first.name, graph.constant(np.ascontiguousarray(kernel.transpose(rank + 1, rank, *range(rank))))]
    if settings.flag("use_bias", True):
        inputs.append(graph.constant(graph.weight(layer, "bias", (filters,))))
    reach = [(size - 1) * dilation + 1 for size, dilation in zip(sizes, dilations, strict=True)]
    ends = _ends(layer, reach, strides)
    name = graph.op(
        "ConvTranspose",
        *inputs,
        kernel_shape=list(sizes),
        strides=list(strides),
        dilations=list(dilations),
        pads=[before for before, _ in ends] + [max(after, 0) for _, after in ends],
        output_padding=[max(-after, 0) for _, after in ends],
    )
    space = [
        None if length is None else (length - 1) * stride + size - before - after
        for length, stride, size, (before, after) in zip(first.shape[2:], strides, reach, ends, strict=True)
    ]
    y = as_before(graph, layer, Tensor(name, (x.shape[0], filters, *space)))
    return y.but(activate(graph, read_activation(layer), y.name, layer.version))


def _ends(layer: Layer, reach: list[int], strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return for each axis what is cut off before and after; after is negative where zeros are added.

    TensorFlow takes the transpose of the convolution that would have given the input, with its "same" padding split so that
    the smaller half comes first.
    """
    padding = layer.settings.text("padding", "valid")
    if padding not in ("valid", "same"):
        damaged(f'{layer.title}, "padding"', "valid or same", padding)
    given = layer.settings.get("output_padding")
    extra = None if given is None else layer.settings.integers("output_padding", len(reach), minimum=0)
    ends: list[tuple[int, int]] = []
    for axis, (size, stride) in enumerate(zip(reach, strides, strict=True)):
        if extra is not None:
            total = 2 * (size // 2 if padding == "same" else 0) - extra[axis]
        else:
            total = size - stride if padding == "same" else min(size - stride, 0)
        before = max(total, 0) // 2
        ends.append((before, total - before))
    return ends


def locally_connected(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply LocallyConnected1D or LocallyConnected2D: every place has a kernel of its own."""
    rank, settings = int(layer.kind[-2]), layer.settings
    space, channels = x.shape[1:-1], x.shape[-1]
    if x.rank != rank + 2 or channels is None or None in space:
        damaged(layer.title, f"an input of {rank + 2} axes of known lengths", x.shape)
    if is_channels_first(layer) or settings.text("padding", "valid") != "valid" or settings.integer("implementation", 1) != 1:
        not_converted(f'{layer.title} with channels first, padding or another "implementation" than 1')
    sizes, strides = settings.integers("kernel_size", rank), settings.integers("strides", rank, 1)
    known = [length for length in space if length is not None]
    steps = [(length - size) // stride + 1 for length, size, stride in zip(known, sizes, strides, strict=True)]
    if min(steps) < 1:
        damaged(layer.title, f"an input at least as large as the window {sizes}", x.shape)
    places, filters, values = math.prod(steps), settings.integer("filters"), math.prod(sizes) * channels
    kernel = graph.weight(layer, "kernel", (places, values, filters))
    flat = graph.op("Reshape", x.name, graph.ints(0, math.prod(known), channels))
    picked = graph.op("Gather", flat, graph.constant(_window_indices(known, sizes, strides)), axis=1)
    y = graph.op("MatMul", graph.op("Reshape", picked, graph.ints(0, places, 1, values)), graph.constant(kernel))
    name = graph.op("Reshape", y, graph.ints(0, *steps, filters))
    if settings.flag("use_bias", True):
        name = graph.op("Add", name, graph.constant(graph.weight(layer, "bias", (*steps, filters))))
    return Tensor(activate(graph, read_activation(layer), name, layer.version), (x.shape[0], *steps, filters))


def _window_indices(space: list[int], sizes: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return for every place, in order, the flat numbers of the inputs under its window."""
    grid = np.arange(math.prod(space), dtype=np.int64).reshape(space)
    windows = np.lib.stride_tricks.sliding_window_view(grid, sizes)[tuple(slice(None, None, stride) for stride in strides)]
    return np.ascontiguousarray(windows).reshape(-1, math.prod(sizes))


def thresholded(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply ThresholdedReLU: zero up to and at the threshold."""
    return x.but(
        graph.op("Where", graph.op("Greater", x.name, graph.number(layer.settings.number("theta", 1.0))), x.name, graph.number(0.0))
    )
