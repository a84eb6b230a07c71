"""RNN over a stack of cells: every step goes through all of them, which is the same as one whole layer after the other.

That holds behind a mask as well: a masked step leaves all states as they were.
"""

from __future__ import annotations

from dataclasses import replace

from modelport.forms.keras_onnx.fields import Settings, damaged, not_converted
from modelport.forms.keras_onnx.graph import Given, Graph, Tensor
from modelport.forms.keras_onnx.network import Layer
from modelport.forms.keras_onnx.recurrent import reverse, run_layer, states_of


def stacked_cells(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Run the cells of a stack, and answer with the states of all where the layer returns them."""
    if len(given.inputs) != 1 or given.named or given.flags:
        not_converted(f"{layer.title} called with more than one tensor, such as a state to begin with,")
    x, settings = given.inputs[0], layer.settings
    if x.rank != 3 or not layer.inner:
        damaged(layer.title, "an input of 3 axes (rows, steps, values) and one cell or more", x.shape)
    gives_states, mask = settings.flag("return_state"), x.mask
    if (gives_states or mask is not None) and layer.version.major < 3 and not layer.version.is_tf:
        not_converted(f'{layer.title} behind a mask or with "return_state", which were others before TensorFlow had Keras,')
    if settings.flag("go_backwards"):
        x = _backwards(graph, x)
    states: list[Tensor] = []
    for at, (_, cell) in enumerate(layer.inner):
        x, found = _run(graph, cell, x, is_sequence=at < len(layer.inner) - 1 or settings.flag("return_sequences"))
        states += found
    out = replace(x, mask=mask if settings.flag("return_sequences") else None)
    return [out, *states] if gives_states else [out]


def _run(graph: Graph, cell: object, x: Tensor, *, is_sequence: bool) -> tuple[Tensor, list[Tensor]]:
    if not isinstance(cell, Layer):
        damaged("a stack of cells", "cells", cell)
    settings = Settings({**cell.settings.values, "return_sequences": is_sequence}, cell.settings.where)
    out, ran = run_layer(graph, replace(cell, kind=cell.kind.removesuffix("Cell"), settings=settings), x)
    return out, states_of(graph, x, ran, out.shape[-1])


def _backwards(graph: Graph, x: Tensor) -> Tensor:
    mask = None if x.mask is None else x.mask.but(reverse(graph, x.mask.name))
    return replace(x, name=reverse(graph, x.name), mask=mask)
