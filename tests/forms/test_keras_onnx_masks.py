"""Masks in converted recurrent layers, against the recurrences written out step by step in numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelport.forms.keras_onnx.convert import convert
from modelport.forms.keras_onnx.network import Version
from modelport.forms.keras_onnx.parse import parse

Floats = npt.NDArray[np.float32]
Weights = dict[str, Floats]
State = tuple[npt.NDArray[np.float64], ...]
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
UNITS, WIDTH = 3, 2


def sigmoid(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def lstm(w: Weights, x: Floats, state: State) -> State:
    i, f, g, o = np.split(x @ w["kernel"] + state[0] @ w["recurrent_kernel"] + w["bias"], 4)
    cell = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell


def gru(w: Weights, x: Floats, state: State) -> State:
    inputs = np.split(x @ w["kernel"] + w["bias"][0], 3)
    inner = np.split(state[0] @ w["recurrent_kernel"] + w["bias"][1], 3)
    update, reset = sigmoid(inputs[0] + inner[0]), sigmoid(inputs[1] + inner[1])
    return (update * state[0] + (1 - update) * np.tanh(inputs[2] + reset * inner[2]), state[1])


def simple_rnn(w: Weights, x: Floats, state: State) -> State:
    return np.tanh(x @ w["kernel"] + state[0] @ w["recurrent_kernel"] + w["bias"]), state[1]


STEPS: dict[str, Callable[[Weights, Floats, State], State]] = {"LSTM": lstm, "GRU": gru, "SimpleRNN": simple_rnn}


def walk(kind: str, w: Weights, x: Floats, mask: npt.NDArray[np.bool_], *, is_backward: bool, is_zero: bool) -> Floats:
    """Return one row's outputs in the order of computation: a masked step keeps state and output, or gives zeros."""
    state: State = (np.zeros(UNITS), np.zeros(UNITS))
    out = []
    for at in range(len(x))[:: -1 if is_backward else 1]:
        if mask[at]:
            state = STEPS[kind](w, x[at], state)
        out.append(np.zeros(UNITS) if is_zero and not mask[at] else state[0])
    return np.asarray(out, np.float32)


def weights_of(kind: str, seed: int) -> Weights:
    rng = np.random.default_rng(seed)
    gates = GATES[kind] * UNITS
    bias = (2, gates) if kind == "GRU" else (gates,)
    shapes = {"kernel": (WIDTH, gates), "recurrent_kernel": (UNITS, gates), "bias": bias}
    return {name: rng.normal(0, 0.7, shape).astype(np.float32) for name, shape in shapes.items()}


def layer(kind: str, name: str, **settings: object) -> dict[str, object]:
    activations = {"activation": "tanh"} | ({} if kind == "SimpleRNN" else {"recurrent_activation": "sigmoid"})
    return {"class_name": kind, "config": {"name": name, "trainable": True, "units": UNITS, "reset_after": True, **activations, **settings}}


def session(spec: dict[str, object], weights: dict[tuple[str, ...], Weights]) -> onnxruntime.InferenceSession:
    """Return a session of Input -> Masking -> the layer, over sequences of any length."""
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, None, WIDTH], "dtype": "float32"}},
        {"class_name": "Masking", "config": {"name": "masking", "trainable": True, "mask_value": 0.0}},
        spec,
    ]
    network = parse({"class_name": "Sequential", "config": {"name": "net", "layers": layers}}, Version(3, 15))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(convert(network, weights).model, options, providers=["CPUExecutionProvider"])


MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 6)))
OPEN = {
    (kind, is_backward, is_zero): session(
        layer(kind, "rnn", return_sequences=True, go_backwards=is_backward, zero_output_for_mask=is_zero), {("rnn",): weights_of(kind, 1)}
    )
    for kind in GATES
    for is_backward in (False, True)
    for is_zero in (False, True)
}
LAST = {
    (kind, turn): session(layer(kind, "rnn", go_backwards=turn), {("rnn",): weights_of(kind, 1)})
    for kind in GATES
    for turn in (False, True)
}


def masked_input(mask: npt.NDArray[np.bool_]) -> Floats:
    x = np.random.default_rng(2).normal(0, 1, (*mask.shape, WIDTH)).astype(np.float32)
    x[~mask] = 0
    return x


@pytest.mark.parametrize("kind", GATES)
@given(mask=MASKS, is_backward=st.booleans(), is_zero=st.booleans())
@settings(max_examples=60)
def test_a_masked_step_keeps_the_output_of_the_step_before(
    kind: str, mask: npt.NDArray[np.bool_], is_backward: bool, is_zero: bool
) -> None:
    x = masked_input(mask)
    found = OPEN[kind, is_backward, is_zero].run(None, {"x": x})[0]
    weights = weights_of(kind, 1)
    wanted = [walk(kind, weights, row, kept, is_backward=is_backward, is_zero=is_zero) for row, kept in zip(x, mask, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("kind", GATES)
@given(mask=MASKS, is_backward=st.booleans())
@settings(max_examples=60)
def test_the_last_output_is_that_of_the_last_unmasked_step(kind: str, mask: npt.NDArray[np.bool_], is_backward: bool) -> None:
    """Where every step is masked it is zero, the state at the start."""
    x = masked_input(mask)
    found = LAST[kind, is_backward].run(None, {"x": x})[0]
    weights = weights_of(kind, 1)
    wanted = [walk(kind, weights, row, kept, is_backward=is_backward, is_zero=False)[-1] for row, kept in zip(x, mask, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("gives_sequence", [False, True])
def test_both_directions_pass_over_the_unmasked_steps(kind: str, mode: str, gives_sequence: bool) -> None:
    inner = layer(kind, "rnn", return_sequences=gives_sequence)
    spec = {"class_name": "Bidirectional", "config": {"name": "both", "trainable": True, "layer": inner, "merge_mode": mode}}
    ahead, back = weights_of(kind, 1), weights_of(kind, 2)
    opened = session(spec, {("both", "forward_layer"): ahead, ("both", "backward_layer"): back})
    masks = [np.asarray(row, bool) for row in ([1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0])]
    x = masked_input(np.asarray(masks))
    found = opened.run(None, {"x": x})[0]
    for row, mask, answer in zip(x, masks, found, strict=True):
        first = walk(kind, ahead, row, mask, is_backward=False, is_zero=gives_sequence)
        second = walk(kind, back, row, mask, is_backward=True, is_zero=gives_sequence)
        one, two = (first, second[::-1]) if gives_sequence else (first[-1], second[-1])
        merged = {"concat": np.concatenate([one, two], -1), "sum": one + two, "mul": one * two, "ave": (one + two) / 2}[mode]
        np.testing.assert_allclose(answer, merged, atol=1e-6)
