"""Rarer layers: their arithmetic where no recorded file has it, and what of them is damage or not converted."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from modelport.columns import Array
from modelport.errors import LoadError, UnreadableFile
from modelport.forms.keras_onnx.convert import Converted, convert
from modelport.forms.keras_onnx.network import Version
from modelport.forms.keras_onnx.parse import parse

KERAS_3, KERAS_2, TENSORFLOW_1 = Version(3, 15), Version(2, 15, is_tf=True), Version(2, 3)
Spec = dict[str, object]


def layer(kind: str, shape: tuple[int | None, ...], version: Version = KERAS_3, **settings: object) -> Converted:
    """Convert a network of one layer without weights."""
    specs = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, *shape], "dtype": "float32", "name": "x"}},
        {"class_name": kind, "config": {"name": "layer", "trainable": True, **settings}},
    ]
    return convert(parse({"class_name": "Sequential", "config": {"layers": specs}}, version), {})


def run(converted: Converted, x: Array) -> Array:
    return np.asarray(onnxruntime.InferenceSession(converted.model).run(None, {"x": x})[0])


def test_softmax_over_several_axes_sums_to_one_over_all_of_them() -> None:
    x = np.random.default_rng(1).normal(0, 2, (3, 4, 5)).astype(np.float32)
    found = run(layer("Softmax", (4, 5), axis=[1, -1]), x)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), 1, atol=1e-6)
    np.testing.assert_allclose(found, np.exp(x) / np.exp(x).sum(axis=(1, 2), keepdims=True), atol=1e-6)


def test_adaptive_pooling_over_channels_first_and_windows_that_overlap() -> None:
    x = np.arange(14, dtype=np.float32).reshape(1, 2, 7)
    mean = run(layer("AdaptiveAveragePooling1D", (2, 7), output_size=[3], data_format="channels_first"), x)
    np.testing.assert_allclose(mean, [[[1, 3, 5], [8, 10, 12]]], atol=1e-6)
    longest = run(layer("AdaptiveMaxPooling1D", (2, 7), output_size=[3], data_format="channels_first"), x)
    np.testing.assert_array_equal(longest, [[[2, 4, 6], [9, 11, 13]]])


STACK = {"class_name": "StackedRNNCells", "config": {"cells": [{"class_name": "GRUCell", "config": {"units": 2}}]}}
OTHER = {"class_name": "MyCell", "config": {"units": 2}}
FILM = {"filters": 2, "kernel_size": [2, 2]}


@pytest.mark.parametrize(
    ("kind", "shape", "settings", "message"),
    [
        ("RNN", (4, 3), {"cell": OTHER}, "over the cell MyCell"),
        ("RNN", (4, 3), {"cell": {**STACK, "config": {"cells": [OTHER]}}}, "over the cell MyCell"),
        ("RNN", (4, 3), {"cell": STACK, "return_state": True, "version": TENSORFLOW_1}, "return_state"),
        ("RNN", (4, 3), {"cell": {"class_name": "LSTMCell", "config": {"units": 2}}, "stateful": True}, "stateful"),
        ("ConvLSTM2D", (3, 4, 4, 1), {**FILM, "stateful": True}, "stateful"),
        ("ConvLSTM2D", (None, 4, 4, 1), FILM, "of any length"),
        ("ConvLSTM2D", (300, 4, 4, 1), FILM, "more than 256 steps"),
        ("AdaptiveMaxPooling1D", (None, 2), {"output_size": [3]}, "of any length"),
        ("UpSampling2D", (4, 4, 1), {"interpolation": "bicubic"}, "bicubic"),
        ("UpSampling2D", (4, 4, 1), {"interpolation": "bilinear", "version": TENSORFLOW_1}, "bilinear"),
    ],
)
def test_what_is_not_converted_is_named(kind: str, shape: tuple[int | None, ...], settings: Spec, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        layer(kind, shape, **settings)


@pytest.mark.parametrize(
    ("kind", "shape", "settings"),
    [
        ("RNN", (3,), {"cell": STACK}),
        ("RNN", (4, 3), {"cell": {**STACK, "config": {"cells": []}}}),
        ("RNN", (4, 3), {"cell": None}),
        ("ConvLSTM2D", (4, 4, 1), FILM),
        ("AdaptiveMaxPooling1D", (2,), {"output_size": [3]}),
        ("GroupQueryAttention", (4, 3), {"num_query_heads": 3, "num_key_value_heads": 2, "head_dim": 2}),
    ],
)
def test_settings_that_fit_no_input_are_called_damage(kind: str, shape: tuple[int | None, ...], settings: Spec) -> None:
    with pytest.raises(UnreadableFile, match="damaged"):
        layer(kind, shape, **settings)


def graph(*specs: Spec, version: Version = KERAS_3) -> Converted:
    """Convert a functional network whose layers are given with what each of them is called with."""
    layers = [
        {**spec, "name": spec["config"]["name"]}  # type: ignore[index]  # every spec has a configuration
        for spec in (
            {"class_name": "InputLayer", "config": {"batch_shape": [None, 4], "dtype": "int32", "name": "x"}, "inbound_nodes": []},
            *specs,
        )
    ]
    document = {
        "class_name": "Functional",
        "config": {"layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [[specs[-1]["config"]["name"], 0, 0]]},  # type: ignore[index]
    }
    table = {("embedding",): {"embeddings": np.ones((5, 3), np.float32)}}
    return convert(parse(document, version), table)


def called(kind: str, name: str, *inputs: str, arguments: Spec | None = None, **settings: object) -> Spec:
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"shape": [None], "dtype": "float32", "keras_history": [item, 0, 0]}}
        for item in inputs
    ]
    return {
        "class_name": kind,
        "config": {"name": name, "trainable": True, **settings},
        "inbound_nodes": [{"args": tensors, "kwargs": arguments or {}}],
    }


EMBEDDING = called("Embedding", "embedding", "x", input_dim=5, output_dim=3, mask_zero=True)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (called("Softmax", "last", "embedding", axis=-1), "mask of other axes"),
        (
            called("GroupQueryAttention", "last", "embedding", "embedding", num_query_heads=2, num_key_value_heads=2, head_dim=2),
            "behind a mask",
        ),
        (called("RNN", "last", "embedding", "embedding", cell=STACK), "more than one tensor"),
    ],
)
def test_masks_and_states_that_are_not_converted_are_named(spec: Spec, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        graph(EMBEDDING, spec)


def test_conv_lstm_from_given_states_is_not_converted() -> None:
    reshaped = called("Reshape", "film", "embedding", target_shape=[4, 3, 1, 1])
    with pytest.raises(LoadError, match="a state to begin with"):
        graph(EMBEDDING, reshaped, called("ConvLSTM2D", "last", "film", "film", **FILM))
    with pytest.raises(LoadError, match="softmax"):
        graph(EMBEDDING, reshaped, called("ConvLSTM2D", "last", "film", filters=1, kernel_size=1, activation="softmax"))
