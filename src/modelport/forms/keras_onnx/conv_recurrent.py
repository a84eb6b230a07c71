"""ConvLSTM over one, two or three axes: an LSTM whose products are convolutions. ONNX has none, so each step is written out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelport.forms.keras_onnx.activations import Activation, activate, read_activation
from modelport.forms.keras_onnx.fields import damaged, not_converted
from modelport.forms.keras_onnx.graph import Floats, Given, Graph, Shape, Tensor
from modelport.forms.keras_onnx.network import Layer
from modelport.forms.keras_onnx.windows import channels_first, channels_of, convolve, is_channels_first

_STEPS = 256
"""Steps that are written out at most: each is about fifteen operations."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """What every step shares. ``recurrent``: (gates * filters, filters, space…)."""

    layer: Layer
    recurrent: Floats
    functions: tuple[Activation, Activation]

    def call(self, graph: Graph, which: int, x: str) -> str:
        """Apply the activation, or the one of the gates."""
        return activate(graph, self.functions[which], x, self.layer.version)


def conv_lstm(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Run ConvLSTM1D, ConvLSTM2D or ConvLSTM3D, and answer with its states too where it returns them."""
    x, settings, rank = given.inputs[0], layer.settings, int(layer.kind[-2])
    if len(given.inputs) > 1 or given.named or given.flags:
        not_converted(f"{layer.title} called with more than one tensor, such as a state to begin with,")
    if settings.flag("stateful"):
        not_converted(f'{layer.title} with "stateful"')
    if x.rank != rank + 3:
        damaged(layer.title, f"an input of {rank + 3} axes", x.shape)
    steps = x.shape[1]
    if steps is None or None in x.shape[2:] or steps > _STEPS or (x.mask is not None and x.mask.rank != 2):
        not_converted(f"{layer.title} over sequences or pictures of any length, over more than {_STEPS} steps or behind such a mask")
    functions = tuple(_pointwise(layer, key) for key in ("activation", "recurrent_activation"))
    before, space = _inputs(graph, layer, x, steps)
    kernel = graph.weight(layer, "recurrent_kernel", (*settings.integers("kernel_size", rank), space[1], 4 * (space[1] or 0)))
    turned = np.ascontiguousarray(kernel.transpose(rank + 1, rank, *range(rank)))
    cell = _Cell(layer, turned, (functions[0], functions[1]))
    order = range(steps - 1, -1, -1) if settings.flag("go_backwards") else range(steps)
    outputs, states = _walk(graph, cell, (before, x.mask), order)
    ends = [_as_before(graph, layer, Tensor(state, space)) for state in states]
    out = ends[0]
    if settings.flag("return_sequences"):
        joined = graph.op("Concat", *(graph.op("Unsqueeze", item, graph.ints(1)) for item in outputs), axis=1)
        out = _as_before(graph, layer, Tensor(joined, (space[0], steps, *space[1:]), "float32", x.mask), skipped=1)
    return [out, *ends] if settings.flag("return_state") else [out]


def _pointwise(layer: Layer, key: str) -> Activation:
    function = read_activation(layer, key, "tanh" if key == "activation" else "hard_sigmoid")
    if function.name.lower() in ("softmax", "log_softmax"):
        not_converted(f'{layer.title} with the activation "{function.name}"')
    return function


def _as_before(graph: Graph, layer: Layer, x: Tensor, *, skipped: int = 0) -> Tensor:
    """Return a tensor (rows, [steps,] channels, space…) with its axes as the layer has them."""
    if is_channels_first(layer):
        return x
    first = 1 + skipped
    return Tensor((turned := graph.transpose(x, (*range(first), *range(first + 1, x.rank), first))).name, turned.shape, x.dtype, x.mask)


def _inputs(graph: Graph, layer: Layer, x: Tensor, steps: int) -> tuple[str, Shape]:
    """Return the convolution of every step at once, (rows, steps, gates * filters, space…), and the shape of a state."""
    rank, filters = int(layer.kind[-2]), layer.settings.integer("filters")
    merged = Tensor(graph.op("Reshape", x.name, graph.ints(-1, *(length or 0 for length in x.shape[2:]))), (None, *x.shape[2:]))
    sizes = layer.settings.integers("kernel_size", rank)
    kernel = graph.weight(layer, "kernel", (*sizes, channels_of(layer, merged), 4 * filters))
    turned = kernel.transpose(rank + 1, rank, *range(rank))
    y = convolve(graph, layer, channels_first(graph, layer, merged), turned, 1)
    space = [length or 0 for length in y.shape[2:]]
    return graph.op("Reshape", y.name, graph.ints(-1, steps, 4 * filters, *space)), (x.shape[0], filters, *space)


def _walk(graph: Graph, cell: _Cell, fed: tuple[str, Tensor | None], order: Sequence[int]) -> tuple[list[str], tuple[str, str]]:
    before, mask = fed
    states: tuple[str, str] | None = None
    outputs: list[str] = []
    for step in order:
        at = graph.constant(np.asarray(step, np.int64))
        made = _step(graph, cell, graph.op("Gather", before, at, axis=1), states)
        if mask is not None:
            wide = graph.ints(*range(1, cell.recurrent.ndim))
            kept = graph.op("Unsqueeze", graph.op("Gather", mask.name, at, axis=1), wide)
            old = states or (graph.number(0.0), graph.number(0.0))
            made = (graph.op("Where", kept, made[0], old[0]), graph.op("Where", kept, made[1], old[1]))
        states = made
        outputs.append(made[0])
    if states is None:
        damaged(cell.layer.title, "one step or more", 0)
    return outputs, states


def _step(graph: Graph, cell: _Cell, before: str, states: tuple[str, str] | None) -> tuple[str, str]:
    """Return the output and the state after one step; without states before it, these are zero."""
    if states is not None:
        seen = graph.op(
            "Conv", states[0], graph.constant(cell.recurrent), kernel_shape=list(cell.recurrent.shape[2:]), auto_pad="SAME_UPPER"
        )
        before = graph.op("Add", before, seen)
    taken, kept, new, given = graph.ops("Split", (before,), 4, axis=1, num_outputs=4)
    memory = graph.op("Mul", cell.call(graph, 1, taken), cell.call(graph, 0, new))
    if states is not None:
        memory = graph.op("Add", graph.op("Mul", cell.call(graph, 1, kept), states[1]), memory)
    return graph.op("Mul", cell.call(graph, 1, given), cell.call(graph, 0, memory)), memory
