"""Attention, AdditiveAttention, MultiHeadAttention and GroupQueryAttention, with the masks that tensors carry and those given by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelport.forms.keras_onnx.fields import Settings, damaged, not_converted
from modelport.forms.keras_onnx.graph import Given, Graph, Tensor
from modelport.forms.keras_onnx.network import Layer, Network

_MASKS_IGNORED_TO, _MASKS_TAKEN_SINCE = (2, 8), (2, 12)
"""The versions between which TensorFlow's MultiHeadAttention began to mind the masks of its inputs, as far as it was compared."""
_FAR_BELOW = -1e9
"""What Keras puts in place of a masked score; where all are masked, all count the same."""


@dataclass(frozen=True, slots=True)
class _Triple:
    query: Tensor
    value: Tensor
    key: Tensor


def _triple(layer: Layer, given: Given, order: tuple[str, ...]) -> _Triple:
    found = dict(zip(order, given.inputs, strict=False))
    found |= {name: tensors[0] for name, tensors in given.named.items() if name in order}
    if len(given.inputs) > len(order) or "query" not in found or "value" not in found:
        damaged(layer.title, "a query, a value and perhaps a key", sorted(found))
    triple = _Triple(found["query"], found["value"], found.get("key", found["value"]))
    if any(item.rank != 3 for item in (triple.query, triple.value, triple.key)):
        not_converted(f"{layer.title} over tensors of other than three axes")
    return triple


def _causal(graph: Graph, query: Tensor, key: Tensor) -> str:
    """Return (queries, keys), True where the key is not after the query."""
    lengths = [graph.op("Shape", item.name, start=1, end=2) for item in (query, key)]
    square = graph.op("Expand", graph.constant(np.asarray(1, np.int64)), graph.op("Concat", *lengths, axis=0))
    return graph.op("Equal", graph.op("Trilu", square, upper=0), graph.constant(np.asarray(1, np.int64)))


def _weights(graph: Graph, scores: str, masks: Sequence[str], *, is_zero_where_masked: bool = False) -> str:
    """Return the softmax of the unmasked scores; where all are masked, equal weights, or zeros if asked for."""
    if not masks:
        return graph.op("Softmax", scores, axis=-1)
    joined = masks[0]
    for mask in masks[1:]:
        joined = graph.op("And", joined, mask)
    weights = graph.op("Softmax", graph.op("Where", joined, scores, graph.number(_FAR_BELOW)), axis=-1)
    return graph.op("Where", joined, weights, graph.number(0.0)) if is_zero_where_masked else weights


def attention(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Apply Attention or AdditiveAttention: the values' mean, weighted by how well their keys fit the query."""
    triple = _triple(layer, given, ("query", "value", "key"))
    scores = _additive(graph, layer, triple) if layer.kind == "AdditiveAttention" else _luong(graph, layer, triple)
    masks = []
    if triple.value.mask is not None:
        masks.append(graph.op("Unsqueeze", triple.value.mask.name, graph.ints(1)))
    if "use_causal_mask" in given.flags or layer.settings.flag("causal"):
        masks.append(_causal(graph, triple.query, triple.key))
    weights = _weights(graph, scores, masks)
    name = graph.op("MatMul", weights, triple.value.name)
    if triple.query.mask is not None:
        kept = graph.cast(triple.query.mask, "float32").name
        name = graph.op("Mul", name, graph.op("Unsqueeze", kept, graph.ints(2)))
    shape = (*triple.query.shape[:2], triple.value.shape[2])
    out = [Tensor(name, shape, "float32", triple.query.mask)]
    if "return_attention_scores" in given.flags:
        out.append(Tensor(weights, (*triple.query.shape[:2], triple.key.shape[1])))
    return out


def _sums(graph: Graph, triple: _Triple) -> str:
    """Return every query plus every key (rows, queries, keys, width)."""
    wide = graph.op("Unsqueeze", triple.query.name, graph.ints(2))
    return graph.op("Add", wide, graph.op("Unsqueeze", triple.key.name, graph.ints(1)))


def _additive(graph: Graph, layer: Layer, triple: _Triple) -> str:
    fit = graph.op("Tanh", _sums(graph, triple))
    if layer.settings.flag("use_scale", True):
        fit = graph.op("Mul", fit, graph.constant(graph.weight(layer, "scale", (triple.query.shape[2],))))
    return graph.op("ReduceSum", fit, graph.ints(3), keepdims=0)


def _luong(graph: Graph, layer: Layer, triple: _Triple) -> str:
    mode = layer.settings.text("score_mode", "dot")
    scale = graph.constant(graph.weight(layer, "scale", ())) if layer.settings.flag("use_scale") else None
    if mode == "dot":
        turned = graph.op("Transpose", triple.key.name, perm=[0, 2, 1])
        scores = graph.op("MatMul", triple.query.name, turned)
        return graph.op("Mul", scores, scale) if scale else scores
    if mode != "concat":
        damaged(f'{layer.title}, "score_mode"', "dot or concat", mode)
    sums = _sums(graph, triple)
    fit = graph.op("ReduceSum", graph.op("Tanh", graph.op("Mul", sums, scale) if scale else sums), graph.ints(3), keepdims=0)
    return graph.op("Mul", fit, graph.constant(graph.weight(layer, "concat_score_weight", ())))


def multi_head_attention(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Apply MultiHeadAttention over sequences: project, attend in every head, and project back."""
    settings = layer.settings
    triple = _triple(layer, given, ("query", "value", "key"))
    if settings.get("attention_axes") not in (None, [1], 1) or settings.flag("use_gate") or settings.get("sliding_window") is not None:
        not_converted(f'{layer.title} with "attention_axes", "use_gate" or "sliding_window"')
    key_dim = settings.integer("key_dim")
    value_dim = key_dim if settings.get("value_dim") is None else settings.integer("value_dim")
    query, key, value = (
        _project(graph, layer, (role, item, size))
        for role, item, size in (("query", triple.query, key_dim), ("key", triple.key, key_dim), ("value", triple.value, value_dim))
    )
    scaled = graph.op("Mul", graph.op("Transpose", query, perm=[0, 2, 1, 3]), graph.number(1 / math.sqrt(key_dim)))
    scores = graph.op("MatMul", scaled, graph.op("Transpose", key, perm=[0, 2, 3, 1]))
    masks = _head_masks(graph, layer, triple, given)
    goes_by_softmax = "return_attention_scores" in given.flags or settings.number("dropout", 0.0) > 0
    weights = _weights(graph, scores, masks, is_zero_where_masked=goes_by_softmax and layer.version.major >= 3)
    mixed = graph.op("MatMul", weights, graph.op("Transpose", value, perm=[0, 2, 1, 3]))
    heads = settings.integer("num_heads")
    flat = graph.op("Reshape", graph.op("Transpose", mixed, perm=[0, 2, 1, 3]), graph.ints(0, -1, heads * value_dim))
    width = triple.query.shape[2] if settings.get("output_shape") is None else settings.integers("output_shape", 1)[0]
    inner = _inner(layer, "output")
    kernel = graph.weight(inner, "kernel", (heads, value_dim, width))
    name = graph.op("MatMul", flat, graph.constant(kernel.reshape(heads * value_dim, -1)))
    if settings.flag("use_bias", True):
        name = graph.op("Add", name, graph.constant(graph.weight(inner, "bias", (width,))))
    out = [Tensor(name, (*triple.query.shape[:2], kernel.shape[2]), "float32", triple.query.mask)]
    if "return_attention_scores" in given.flags:
        out.append(Tensor(weights, (triple.query.shape[0], heads, triple.query.shape[1], triple.key.shape[1])))
    return out


def grouped_query_attention(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Apply GroupQueryAttention: MultiHeadAttention in which several query heads share one of keys and values."""
    settings, tensors = layer.settings, [*given.inputs, *(tensor for group in given.named.values() for tensor in group)]
    if any(item.mask is not None for item in tensors):
        not_converted(f"{layer.title} behind a mask")
    heads, shared = settings.integer("num_query_heads"), settings.integer("num_key_value_heads")
    if heads % shared:
        damaged(f'{layer.title}, "num_key_value_heads"', f"a divisor of {heads}", shared)
    sizes = {"num_heads": heads, "key_dim": settings.integer("head_dim"), "num_shared_heads": shared}
    plain = replace(layer, settings=Settings({**settings.values, **sizes}, settings.where))
    return multi_head_attention(graph, plain, given)


def _inner(layer: Layer, role: str) -> Layer | Network:
    return next(child for attribute, child in layer.inner if attribute.strip("_") == f"{role}_dense")


def _project(graph: Graph, layer: Layer, what: tuple[str, Tensor, int]) -> str:
    """Return (rows, steps, heads, size)."""
    role, x, size = what
    heads, inner = layer.settings.integer("num_heads"), _inner(layer, role)
    own = heads if role == "query" else layer.settings.integer("num_shared_heads", heads)
    kernel = np.repeat(graph.weight(inner, "kernel", (x.shape[2], own, size)), heads // own, axis=1)
    name = graph.op("MatMul", x.name, graph.constant(kernel.reshape(-1, heads * size)))
    if layer.settings.flag("use_bias", True):
        bias = np.repeat(graph.weight(inner, "bias", (own, size)), heads // own, axis=0)
        name = graph.op("Add", name, graph.constant(bias.reshape(-1)))
    return graph.op("Reshape", name, graph.ints(0, -1, heads, size))


def _head_masks(graph: Graph, layer: Layer, triple: _Triple, given: Given) -> list[str]:
    """Return masks that fit (rows, heads, queries, keys)."""
    masks: list[str] = []
    carried = [triple.query.mask, triple.value.mask, triple.key.mask]
    is_masked = any(mask is not None for mask in carried)
    by_hand = bool(given.named.get("attention_mask"))
    version = (layer.version.major, layer.version.minor)
    if (is_masked and _MASKS_IGNORED_TO < version < _MASKS_TAKEN_SINCE) or ((is_masked or by_hand) and (3, 0) <= version < (3, 15)):
        not_converted(f"{layer.title} behind a mask, whose treatment changed from version to version,")
    if version <= _MASKS_IGNORED_TO:
        carried = [None, None, None]
    for mask, axes in zip(carried, ((1, 3), (1, 2), (1, 2)), strict=True):
        if mask is not None:
            masks.append(graph.op("Unsqueeze", mask.name, graph.ints(*axes)))
    if hand := given.named.get("attention_mask"):
        mask = graph.cast(hand[0], "bool")
        if mask.rank not in (3, 4):
            not_converted(f"{layer.title} with a mask of {mask.rank} axes")
        masks.append(graph.op("Unsqueeze", mask.name, graph.ints(1)) if mask.rank == 3 else mask.name)
    if "use_causal_mask" in given.flags:
        masks.append(_causal(graph, triple.query, triple.key))
    return masks
