"""Operations between layers that Keras 3 records in functional models: those that make masks, as in ``tokens != 0``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from modelport.forms.keras_onnx.fields import damaged
from modelport.forms.keras_onnx.graph import Graph, Shape, Tensor
from modelport.forms.keras_onnx.network import Call, Layer
from modelport.forms.keras_onnx.proto import ELEMENT_TYPES

Operation: TypeAlias = Callable[[Graph, Layer, Sequence[Tensor], Call], Tensor]


def _operands(graph: Graph, layer: Layer, inputs: Sequence[Tensor], call: Call) -> tuple[str, str, Shape]:
    names = [item.name for item in inputs]
    if len(inputs) == 1 and len(call.numbers) == 1:
        names.append(graph.constant(np.asarray(call.numbers[0], inputs[0].dtype)))
    if len(names) != 2:
        damaged(layer.title, "two operands", len(names))
    shapes = [item.shape for item in inputs]
    return names[0], names[1], max(shapes, key=lambda shape: sum(length != 1 for length in shape))


def _equal(graph: Graph, layer: Layer, inputs: Sequence[Tensor], call: Call) -> Tensor:
    first, second, shape = _operands(graph, layer, inputs, call)
    return Tensor(graph.op("Equal", first, second), shape, "bool")


def _not_equal(graph: Graph, layer: Layer, inputs: Sequence[Tensor], call: Call) -> Tensor:
    same = _equal(graph, layer, inputs, call)
    return same.but(graph.op("Not", same.name))


def _logical(kind: str) -> Operation:
    def apply(graph: Graph, layer: Layer, inputs: Sequence[Tensor], call: Call) -> Tensor:
        inputs = [graph.cast(item, "bool") for item in inputs]
        first, second, shape = _operands(graph, layer, inputs, call)
        return Tensor(graph.op(kind, first, second), shape, "bool")

    return apply


def _logical_not(graph: Graph, layer: Layer, inputs: Sequence[Tensor], call: Call) -> Tensor:
    del call
    x = graph.cast(_one(layer, inputs), "bool")
    return x.but(graph.op("Not", x.name))


def _one(layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    if len(inputs) != 1:
        damaged(layer.title, "one operand", len(inputs))
    return inputs[0]


def _reduce(kind: str) -> Operation:
    def apply(graph: Graph, layer: Layer, inputs: Sequence[Tensor], call: Call) -> Tensor:
        del call
        x = graph.cast(_one(layer, inputs), "int32")
        axis, keeps = layer.settings.axis(x.rank), layer.settings.flag("keepdims")
        shape = tuple(1 if at == axis else length for at, length in enumerate(x.shape) if keeps or at != axis)
        found = Tensor(graph.op(kind, x.name, graph.ints(axis), keepdims=int(keeps)), shape, "int32")
        return graph.cast(found, "bool")

    return apply


def _convert(graph: Graph, layer: Layer, inputs: Sequence[Tensor], call: Call) -> Tensor:
    del call
    x, dtype = _one(layer, inputs), layer.settings.get("dtype")
    if dtype is None:
        return x
    return graph.cast(x, dtype) if isinstance(dtype, str) and dtype in ELEMENT_TYPES else damaged(layer.title, "a type of numbers", dtype)


def _expand_dims(graph: Graph, layer: Layer, inputs: Sequence[Tensor], call: Call) -> Tensor:
    del call
    x = _one(layer, inputs)
    axis = layer.settings.axis(x.rank + 1)
    return Tensor(graph.op("Unsqueeze", x.name, graph.ints(axis)), (*x.shape[:axis], 1, *x.shape[axis:]), x.dtype)


def _like(value: int) -> Operation:
    def apply(graph: Graph, layer: Layer, inputs: Sequence[Tensor], call: Call) -> Tensor:
        del call
        x = _one(layer, inputs)
        dtype = layer.settings.text("dtype", "bool")
        if dtype not in ("bool", "float32", "int32", "int64"):
            damaged(layer.title, "bool, float32, int32 or int64", dtype)
        one = graph.constant(np.asarray(value, dtype))
        return Tensor(graph.op("Expand", one, graph.op("Shape", x.name)), x.shape, dtype)

    return apply


def _concatenate(graph: Graph, layer: Layer, inputs: Sequence[Tensor], call: Call) -> Tensor:
    del call
    axis = layer.settings.axis(inputs[0].rank) if inputs else damaged(layer.title, "operands", "none")
    lengths = [item.shape[axis] for item in inputs]
    total = None if None in lengths else sum(length for length in lengths if length is not None)
    shape = tuple(total if at == axis else length for at, length in enumerate(inputs[0].shape))
    return Tensor(graph.op("Concat", *(item.name for item in inputs), axis=axis), shape, inputs[0].dtype)


OPERATIONS: dict[str, Operation] = {
    "Equal": _equal,
    "NotEqual": _not_equal,
    "LogicalOr": _logical("Or"),
    "LogicalAnd": _logical("And"),
    "LogicalNot": _logical_not,
    "Any": _reduce("ReduceMax"),
    "All": _reduce("ReduceMin"),
    "ConvertToTensor": _convert,
    "ExpandDims": _expand_dims,
    "ZerosLike": _like(0),
    "OnesLike": _like(1),
    "Concatenate": _concatenate,
}
