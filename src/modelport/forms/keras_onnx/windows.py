"""Convolution and pooling over one, two or three axes, channels last (Keras's default) or first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelport.columns import Array
from modelport.forms.keras_onnx.activations import activate, read_activation
from modelport.forms.keras_onnx.fields import damaged, not_converted
from modelport.forms.keras_onnx.graph import Graph, Shape, Tensor
from modelport.forms.keras_onnx.network import Layer
from modelport.forms.keras_onnx.proto import Attribute


def is_channels_first(layer: Layer) -> bool:
    """Whether the channels come before the space in this layer."""
    return layer.settings.get("data_format") == "channels_first"


def channels_first(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Return the tensor with its channels before the space."""
    return x if is_channels_first(layer) else graph.transpose(x, (0, x.rank - 1, *range(1, x.rank - 1)))


def as_before(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Return a tensor whose channels come first with its axes as the layer's settings have them."""
    return x if is_channels_first(layer) else graph.transpose(x, (0, *range(2, x.rank), 1))


def _rank(layer: Layer, x: Tensor) -> int:
    """Return the number of space axes, which the class name ends with. Raises: UnreadableFile if the input has another number."""
    rank = int(layer.kind[-2])
    if x.rank != rank + 2:
        damaged(layer.title, f"an input of {rank + 2} axes", x.shape)
    return rank


@dataclass(frozen=True, slots=True)
class _Window:
    """What passes over the space: sizes, steps, gaps, and "valid", "same" or "causal" at the ends."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    padding: str

    def attributes(self) -> dict[str, Attribute]:
        """Return ONNX's attributes, without the dilations, which average pooling has not."""
        out: dict[str, Attribute] = {"kernel_shape": list(self.sizes), "strides": list(self.strides)}
        if self.padding == "same" and max(self.dilations) > 1:  # where Keras has no strides, so the length does not matter
            reach = [(size - 1) * dilation for size, dilation in zip(self.sizes, self.dilations, strict=True)]
            out["pads"] = [*(length // 2 for length in reach), *(length - length // 2 for length in reach)]
        elif self.padding == "same":
            out["auto_pad"] = "SAME_UPPER"
        elif self.padding == "causal":
            out["pads"] = [self.dilations[0] * (self.sizes[0] - 1), 0]
        return out

    def over(self, layer: Layer, space: Shape) -> Shape:
        """Return the space that remains. Raises: UnreadableFile if the window does not fit."""
        out: list[int | None] = []
        for length, size, stride, dilation in zip(space, self.sizes, self.strides, self.dilations, strict=True):
            reach = (size - 1) * dilation if self.padding == "valid" else 0
            out.append(None if length is None else (length - reach - 1) // stride + 1)
        if any(length is not None and length < 1 for length in out):
            damaged(layer.title, f"an input at least as large as the window {self.sizes}", space)
        return tuple(out)


def _window(layer: Layer, sizes: tuple[int, ...], *, strides: object, dilations: tuple[int, ...]) -> _Window:
    """Return the layer's window; ``strides`` where the settings name none."""
    padding = layer.settings.text("padding", "valid")
    if padding not in ("valid", "same") and not (padding == "causal" and len(sizes) == 1):
        damaged(f'{layer.title}, "padding"', "valid, same, or causal along one axis", padding)
    steps = layer.settings.integers("strides", len(sizes), strides)
    if max(steps) > 1 and max(dilations) > 1:
        not_converted(f"{layer.title} with strides and dilation at once")
    return _Window(sizes, steps, dilations, padding)


def convolve(graph: Graph, layer: Layer, x: Tensor, kernel: Array, groups: int) -> Tensor:
    """Convolve ``x`` (channels first) with ``kernel`` (out, in / groups, space…); the layer gives strides and padding."""
    rank = kernel.ndim - 2
    dilations = layer.settings.integers("dilation_rate", rank, 1)
    window = _window(layer, kernel.shape[2:], strides=1, dilations=dilations)
    inputs = [x.name, graph.constant(np.ascontiguousarray(kernel))]
    if layer.settings.flag("use_bias", True):
        inputs.append(graph.constant(graph.weight(layer, "bias", (kernel.shape[0],))))
    name = graph.op("Conv", *inputs, group=groups, dilations=list(dilations), **window.attributes())
    return Tensor(name, (x.shape[0], kernel.shape[0], *window.over(layer, x.shape[2:])))


def channels_of(layer: Layer, x: Tensor) -> int:
    """Return the number of channels. Raises: LoadError where it is not known."""
    channels = x.shape[1 if is_channels_first(layer) else -1]
    if channels is None:
        not_converted(f"{layer.title} over an unknown number of channels")
    return channels


def convolution(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply Conv1D, Conv2D or Conv3D."""
    rank = _rank(layer, x)
    filters, groups = layer.settings.integer("filters"), layer.settings.integer("groups", 1)
    sizes = layer.settings.integers("kernel_size", rank)
    kernel = graph.weight(layer, "kernel", (*sizes, channels_of(layer, x) // groups, filters))
    turned = kernel.transpose(rank + 1, rank, *range(rank))
    y = as_before(graph, layer, convolve(graph, layer, channels_first(graph, layer, x), turned, groups))
    return y.but(activate(graph, read_activation(layer), y.name, layer.version))


def depthwise(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply DepthwiseConv1D or DepthwiseConv2D: every channel on its own."""
    y = as_before(graph, layer, _depthwise(graph, layer, x, "kernel"))
    return y.but(activate(graph, read_activation(layer), y.name, layer.version))


def _depthwise(graph: Graph, layer: Layer, x: Tensor, role: str) -> Tensor:
    rank, channels, times = _rank(layer, x), channels_of(layer, x), layer.settings.integer("depth_multiplier", 1)
    sizes = layer.settings.integers("kernel_size", rank)
    kernel = graph.weight(layer, role, (*sizes, channels, times))
    turned = kernel.transpose(rank, rank + 1, *range(rank)).reshape(channels * times, 1, *sizes)
    return convolve(graph, layer, channels_first(graph, layer, x), turned, channels)


def separable(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply SeparableConv1D or SeparableConv2D: depthwise, then a mix of the channels at each place, which has the bias."""
    rank, filters = _rank(layer, x), layer.settings.integer("filters")
    values = {**layer.settings.values, "use_bias": False}
    bare = Layer(layer.path, layer.kind, type(layer.settings)(values, layer.settings.where), layer.version)
    deep = _depthwise(graph, bare, x, "depthwise_kernel")
    mix = graph.weight(layer, "pointwise_kernel", (*[1] * rank, deep.shape[1], filters))
    values = {"use_bias": layer.settings.flag("use_bias", True)}
    point = Layer(layer.path, layer.kind, type(layer.settings)(values, layer.settings.where), layer.version)
    y = as_before(graph, layer, convolve(graph, point, deep, mix.transpose(rank + 1, rank, *range(rank)), 1))
    return y.but(activate(graph, read_activation(layer), y.name, layer.version))


def pooling(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Apply max or average pooling; an average counts no padding."""
    rank = _rank(layer, x)
    sizes = layer.settings.integers("pool_size", rank, 2)
    window = _window(layer, sizes, strides=list(sizes), dilations=(1,) * rank)
    first = channels_first(graph, layer, x)
    kind = "MaxPool" if layer.kind.startswith("Max") else "AveragePool"
    y = Tensor(graph.op(kind, first.name, **window.attributes()), (*first.shape[:2], *window.over(layer, first.shape[2:])))
    return as_before(graph, layer, y)


def global_pooling(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Take the maximum or mean over all space; GlobalAveragePooling1D leaves masked steps out."""
    rank = _rank(layer, x)
    start = 2 if is_channels_first(layer) else 1
    axes, keeps = range(start, start + rank), layer.settings.flag("keepdims")
    shape = tuple(1 if axis in axes else length for axis, length in enumerate(x.shape) if keeps or axis not in axes)
    if layer.kind == "GlobalAveragePooling1D" and x.mask is not None:
        return Tensor(_masked_mean(graph, x, x.mask, (start, keeps)), shape)
    kind = "ReduceMax" if layer.kind.startswith("GlobalMax") else "ReduceMean"
    return Tensor(graph.op(kind, x.name, graph.ints(*axes), keepdims=int(keeps)), shape)


def _masked_mean(graph: Graph, x: Tensor, mask: Tensor, how: tuple[int, bool]) -> str:
    """Divide the sum of the unmasked steps by their number, which is 0 / 0 where all are masked, as in Keras."""
    axis, keeps = how
    wide = graph.op("Unsqueeze", mask.name, graph.ints(3 - axis))
    kept = graph.op("Where", wide, x.name, graph.number(0.0))
    count = graph.cast(Tensor(wide, mask.shape, "bool"), "float32").name
    sums = [graph.op("ReduceSum", item, graph.ints(axis), keepdims=int(keeps)) for item in (kept, count)]
    return graph.op("Div", *sums)
