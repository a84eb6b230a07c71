"""Layers that take several tensors: sums, products, extremes, concatenation, and what becomes of the masks.

How masks merge changed in Keras 3.4: before, a step counts if it counts in every masked input; since, if it counts in any, and
an elementwise merge with an unmasked input has no mask; and products and extremes leave masked values out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from modelport.forms.keras_onnx.fields import Settings, as_list, damaged, not_converted
from modelport.forms.keras_onnx.graph import Graph, Shape, Tensor
from modelport.forms.keras_onnx.network import Layer

_OPS = {"Add": "Add", "Average": "Add", "Subtract": "Sub", "Multiply": "Mul", "Maximum": "Max", "Minimum": "Min"}
_MINDS_MASKS = ("Multiply", "Maximum", "Minimum")


def _is_since_3_4(layer: Layer) -> bool:
    return (layer.version.major, layer.version.minor) >= (3, 4)


def elementwise(graph: Graph, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """Combine tensors value by value; one of fewer axes is widened after the rows."""
    if len(inputs) < 2 or (layer.kind == "Subtract" and len(inputs) != 2):
        damaged(layer.title, "two or more inputs", len(inputs))
    rank = max(item.rank for item in inputs)
    wide = [_widen(graph, item, rank) for item in inputs]
    mask = _mask(graph, layer, inputs)
    if layer.kind in _MINDS_MASKS and _is_since_3_4(layer) and any(item.mask is not None for item in wide):
        return Tensor((_product if layer.kind == "Multiply" else _extreme)(graph, layer, wide), _joined(layer, wide), "float32", mask)
    name = wide[0].name
    for item in wide[1:]:
        name = graph.op(_OPS[layer.kind], name, item.name)
    if layer.kind == "Average":
        name = graph.op("Div", name, graph.number(len(inputs)))
    return Tensor(name, _joined(layer, wide), "float32", mask)


def _wide_mask(graph: Graph, x: Tensor) -> str | None:
    return None if x.mask is None else graph.op("Unsqueeze", x.mask.name, graph.ints(-1))


def _extreme(graph: Graph, layer: Layer, inputs: Sequence[Tensor]) -> str:
    """Take the maximum or minimum of the unmasked values only; a masked value gives way to the other one."""
    out, kept = inputs[0].name, _wide_mask(graph, inputs[0])
    for item in inputs[1:]:
        value, mask = item.name, _wide_mask(graph, item)
        if mask is not None:
            value = graph.op("Where", mask, value, out)
        if kept is not None:
            out = graph.op("Where", kept, out, value)
        kept = graph.op("Or", kept, mask) if kept is not None and mask is not None else None
        out = graph.op(_OPS[layer.kind], out, value)
    return out


def _product(graph: Graph, layer: Layer, inputs: Sequence[Tensor]) -> str:
    """Multiply with 1 in the place of masked values, and give 0 where all are masked."""
    out, masks = "", [_wide_mask(graph, item) for item in inputs]
    for item, mask in zip(inputs, masks, strict=True):
        value = item.name if mask is None else graph.op("Where", mask, item.name, graph.number(1.0))
        out = graph.op(_OPS[layer.kind], out, value) if out else value
    known = [mask for mask in masks if mask is not None]
    if len(known) < len(masks):
        return out
    kept = known[0]
    for mask in known[1:]:
        kept = graph.op("Or", kept, mask)
    return graph.op("Where", kept, out, graph.number(0.0))


def _widen(graph: Graph, x: Tensor, rank: int) -> Tensor:
    if x.rank == rank:
        return x
    ones = (1,) * (rank - x.rank)
    name = graph.op("Unsqueeze", x.name, graph.ints(*range(1, 1 + len(ones))))
    return Tensor(name, (x.shape[0], *ones, *x.shape[1:]))


def _joined(layer: Layer, inputs: Sequence[Tensor]) -> Shape:
    out: list[int | None] = []
    for lengths in zip(*(item.shape for item in inputs), strict=True):
        known = {length for length in lengths if length not in (1, None)}
        if len(known) > 1:
            damaged(layer.title, "inputs whose shapes fit together", [item.shape for item in inputs])
        out.append(known.pop() if known else None if None in lengths else 1)
    return tuple(out)


def _mask(graph: Graph, layer: Layer, inputs: Sequence[Tensor]) -> Tensor | None:
    masks = [item.mask for item in inputs if item.mask is not None]
    if not masks or (_is_since_3_4(layer) and len(masks) < len(inputs)):
        return None
    if len({mask.rank for mask in masks}) > 1:
        not_converted(f"{layer.title} over masks of different axes")
    name = masks[0].name
    for mask in masks[1:]:
        if mask.name != name:
            name = graph.op("Or" if _is_since_3_4(layer) else "And", name, mask.name)
    return replace(masks[0], name=name)


def concatenate(graph: Graph, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """Join tensors along one axis."""
    rank = inputs[0].rank if inputs else 0
    if not inputs or any(item.rank != rank for item in inputs):
        damaged(layer.title, "inputs of equally many axes", [item.shape for item in inputs])
    axis = layer.settings.axis(rank)
    lengths = [item.shape[axis] for item in inputs]
    total = None if None in lengths else sum(length for length in lengths if length is not None)
    shape = tuple(total if at == axis else length for at, length in enumerate(inputs[0].shape))
    if any(item.mask is not None for item in inputs):
        return Tensor(
            graph.op("Concat", *(item.name for item in inputs), axis=axis), shape, "float32", _joined_mask(graph, layer, inputs, axis)
        )
    return Tensor(graph.op("Concat", *(item.name for item in inputs), axis=axis), shape)


def _joined_mask(graph: Graph, layer: Layer, inputs: Sequence[Tensor], axis: int) -> Tensor:
    rank = inputs[0].rank
    if any(item.mask is not None and item.mask.rank != rank - 1 for item in inputs):
        not_converted(f"{layer.title} with masks that do not leave out the last axis only")
    if axis < rank - 1:  # along the steps: masks are joined, an unmasked input counts everywhere
        masks = [item.mask or _all_true(graph, item) for item in inputs]
        lengths = [mask.shape[axis] for mask in masks]
        total = None if None in lengths else sum(length for length in lengths if length is not None)
        shape = tuple(total if at == axis else length for at, length in enumerate(masks[0].shape))
        return Tensor(graph.op("Concat", *(mask.name for mask in masks), axis=axis), shape, "bool")
    if _is_since_3_4(layer):
        present = [item.mask or _all_true(graph, item) for item in inputs]
    else:
        present = [item.mask for item in inputs if item.mask is not None]
    name = present[0].name
    for mask in present[1:]:
        name = graph.op("Or" if _is_since_3_4(layer) else "And", name, mask.name)
    return Tensor(name, inputs[0].shape[:-1], "bool")


def _all_true(graph: Graph, x: Tensor) -> Tensor:
    """Return a mask for an unmasked tensor: True at every step."""
    lengths = graph.op("Shape", x.name, start=0, end=-1)
    return Tensor(graph.op("Expand", graph.constant(np.asarray(True)), lengths), x.shape[:-1], "bool")


def dot(graph: Graph, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """Multiply two tensors over one axis of each, row by row, after scaling to length one with ``normalize``."""
    if len(inputs) != 2 or any(item.rank not in (2, 3) for item in inputs):
        not_converted(f"{layer.title} of other than two tensors of two or three axes")
    value = layer.settings.get("axes")
    axes = [value, value] if isinstance(value, int) else as_list(value, layer.title)
    if len(axes) != 2:
        damaged(f'{layer.title}, "axes"', "an axis or a pair of them", value)
    places = [Settings({"axis": given}, layer.title).axis(item.rank) for item, given in zip(inputs, axes, strict=True)]
    if 0 in places:
        not_converted(f"{layer.title} over the rows")
    sides = [_as_matrix(graph, layer, item, (axis, at == 1)) for at, (item, axis) in enumerate(zip(inputs, places, strict=True))]
    left, right = ([item.shape[at] for at in range(1, item.rank) if at != axis] for item, axis in zip(inputs, places, strict=True))
    product = graph.op("MatMul", *sides)
    gone = ([] if left or not right else [1]) + ([] if right else [2])
    shape = (inputs[0].shape[0], *((*left, *right) or (1,)))
    return Tensor(graph.op("Squeeze", product, graph.ints(*gone)) if gone else product, shape)


def _as_matrix(graph: Graph, layer: Layer, x: Tensor, how: tuple[int, bool]) -> str:
    """Return a matrix for each row, with the axis that is summed over last, or first if it is the second operand."""
    axis, is_second = how
    name = x.name
    if layer.settings.flag("normalize"):
        square = graph.op("ReduceSum", graph.op("Mul", name, name), graph.ints(axis), keepdims=1)
        name = graph.op("Div", name, graph.op("Sqrt", graph.op("Max", square, graph.number(1e-12))))
    if x.rank == 2:
        return graph.op("Unsqueeze", name, graph.ints(2 if is_second else 1))
    return name if axis == (1 if is_second else 2) else graph.op("Transpose", name, perm=[0, 2, 1])
