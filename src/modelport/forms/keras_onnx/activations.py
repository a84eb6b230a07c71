"""Keras's activation functions as ONNX operations.

hard_sigmoid is the one that changed: clip(0.2 x + 0.5, 0, 1) in Keras 2, relu6(x + 3) / 6 in Keras 3. The version that wrote
the file decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from modelport.forms.keras_onnx.fields import Settings, as_dict, not_converted
from modelport.forms.keras_onnx.graph import Graph
from modelport.forms.keras_onnx.network import Layer, Version


@dataclass(frozen=True, slots=True)
class Activation:
    """A function by Keras's name, with the settings of the layer class it was given as, if it was."""

    name: str
    settings: Settings


Function: TypeAlias = Callable[[Graph, str, Version], str]

_LAYERS = {"ReLU": "ReLU", "LeakyReLU": "LeakyReLU", "ELU": "ELU", "Softmax": "Softmax"}
_SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}


def read_activation(layer: Layer, key: str = "activation", default: str = "linear") -> Activation:
    """Return the activation that a layer's settings name, by string, function object or layer object."""
    value = layer.settings.get(key)
    kind: object = value
    settings: Mapping[str, object] = {}
    if value is None:
        kind = "linear" if key in layer.settings.values else default
    elif isinstance(value, dict):
        config = value.get("config")
        kind = config if isinstance(config, str) else value.get("class_name")
        settings = as_dict(config, layer.title) if isinstance(config, dict) else {}
    if not isinstance(kind, str) or (kind not in FUNCTIONS and kind not in _LAYERS):
        not_converted(f"{layer.title} with the activation {str(kind)[:60]!r}")
    return Activation(kind, Settings(settings, layer.title))


def activate(graph: Graph, activation: Activation, x: str, version: Version) -> str:
    """Apply an activation to the tensor named ``x`` over its last axis."""
    if activation.name in FUNCTIONS:
        return FUNCTIONS[activation.name](graph, x, version)
    settings = activation.settings
    if activation.name == "ReLU":
        return relu(graph, x, settings)
    if activation.name == "ELU":
        return graph.op("Elu", x, alpha=settings.number("alpha", 1.0))
    if activation.name == "Softmax":
        return graph.op("Softmax", x, axis=-1)
    return graph.op("LeakyRelu", x, alpha=slope(settings))


def slope(settings: Settings) -> float:
    """Return LeakyReLU's slope: ``negative_slope`` in Keras 3, ``alpha`` before."""
    return settings.number("negative_slope" if settings.get("negative_slope") is not None else "alpha", 0.3)


def relu(graph: Graph, x: str, settings: Settings) -> str:
    """Apply the ReLU layer: 0 up to and at the threshold, a slope below it, an optional ceiling."""
    threshold = _number(settings, "threshold")
    tilt = _number(settings, "negative_slope")
    out = graph.op("Relu", x) if threshold == 0 else _above(graph, x, threshold)
    if settings.get("max_value") is not None:
        out = graph.op("Min", out, graph.number(settings.number("max_value")))
    if tilt == 0:
        return out
    below = graph.op("Relu", graph.op("Sub", graph.number(threshold), x))
    return graph.op("Sub", out, graph.op("Mul", below, graph.number(tilt)))


def _number(settings: Settings, key: str) -> float:
    return 0.0 if settings.get(key) is None else settings.number(key)


def _above(graph: Graph, x: str, threshold: float) -> str:
    return graph.op("Where", graph.op("Greater", x, graph.number(threshold)), x, graph.number(0.0))


def hard_sigmoid_slope(version: Version) -> float:
    """Return the slope of hard_sigmoid in the version that wrote the file."""
    return 1 / 6 if version.major >= 3 else 0.2


def _plain(kind: str, **attributes: float) -> Function:
    def apply(graph: Graph, x: str, version: Version) -> str:
        del version
        return graph.op(kind, x, **attributes)

    return apply


def _last(kind: str) -> Function:
    def apply(graph: Graph, x: str, version: Version) -> str:
        del version
        return graph.op(kind, x, axis=-1)

    return apply


def _clip(low: float, high: float) -> Function:
    def apply(graph: Graph, x: str, version: Version) -> str:
        del version
        return graph.op("Clip", x, graph.number(low), graph.number(high))

    return apply


def _hard_sigmoid(graph: Graph, x: str, version: Version) -> str:
    return graph.op("HardSigmoid", x, alpha=hard_sigmoid_slope(version), beta=0.5)


def _gelu(graph: Graph, x: str, version: Version) -> str:
    del version
    erf = graph.op("Erf", graph.op("Mul", x, graph.number(math.sqrt(0.5))))
    return graph.op("Mul", graph.op("Mul", x, graph.op("Add", erf, graph.number(1.0))), graph.number(0.5))


def _times(gate: Function) -> Function:
    def apply(graph: Graph, x: str, version: Version) -> str:
        return graph.op("Mul", x, gate(graph, x, version))

    return apply


def _mish(graph: Graph, x: str, version: Version) -> str:
    del version
    return graph.op("Mul", x, graph.op("Tanh", graph.op("Softplus", x)))


def _log_sigmoid(graph: Graph, x: str, version: Version) -> str:
    del version
    return graph.op("Neg", graph.op("Softplus", graph.op("Neg", x)))


def _tanh_shrink(graph: Graph, x: str, version: Version) -> str:
    del version
    return graph.op("Sub", x, graph.op("Tanh", x))


def _squareplus(graph: Graph, x: str, version: Version) -> str:
    del version
    root = graph.op("Sqrt", graph.op("Add", graph.op("Mul", x, x), graph.number(4.0)))
    return graph.op("Mul", graph.op("Add", x, root), graph.number(0.5))


def _linear(graph: Graph, x: str, version: Version) -> str:
    del graph, version
    return x


_SILU = _times(_plain("Sigmoid"))
_HARD_SILU = _times(_hard_sigmoid)

FUNCTIONS: dict[str, Function] = {
    "linear": _linear,
    "relu": _plain("Relu"),
    "relu6": _clip(0.0, 6.0),
    "leaky_relu": _plain("LeakyRelu", alpha=0.2),
    "elu": _plain("Elu", alpha=1.0),
    "selu": _plain("Selu", **_SELU),
    "celu": _plain("Celu", alpha=1.0),
    "gelu": _gelu,
    "silu": _SILU,
    "swish": _SILU,
    "hard_silu": _HARD_SILU,
    "hard_swish": _HARD_SILU,
    "mish": _mish,
    "softplus": _plain("Softplus"),
    "softsign": _plain("Softsign"),
    "squareplus": _squareplus,
    "tanh": _plain("Tanh"),
    "hard_tanh": _clip(-1.0, 1.0),
    "tanh_shrink": _tanh_shrink,
    "soft_shrink": _plain("Shrink", lambd=0.5, bias=0.5),
    "hard_shrink": _plain("Shrink", lambd=0.5, bias=0.0),
    "sigmoid": _plain("Sigmoid"),
    "log_sigmoid": _log_sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "exponential": _plain("Exp"),
    "softmax": _last("Softmax"),
    "log_softmax": _last("LogSoftmax"),
}
