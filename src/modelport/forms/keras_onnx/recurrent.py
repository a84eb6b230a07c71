"""LSTM, GRU and SimpleRNN as the ONNX operations of the same arithmetic.

Gates: Keras's LSTM keeps input, forget, cell, output; ONNX input, output, forget, cell. GRU has update, reset, hidden in both.
Dropout inside a cell is nothing when nobody trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelport.forms.keras_onnx.activations import Activation, hard_sigmoid_slope, read_activation, slope
from modelport.forms.keras_onnx.fields import Settings, damaged, not_converted
from modelport.forms.keras_onnx.graph import Floats, Given, Graph, Tensor
from modelport.forms.keras_onnx.mask import to_front, to_steps
from modelport.forms.keras_onnx.network import Layer, Version
from modelport.forms.keras_onnx.proto import Attribute

_GATES = {"LSTM": (0, 3, 1, 2), "GRU": (0, 1, 2), "SimpleRNN": (0,)}
_OPS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}
_FUNCTIONS = {
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "relu": "Relu",
    "softsign": "Softsign",
    "softplus": "Softplus",
    "hard_sigmoid": "HardSigmoid",
    "linear": "Affine",
    "elu": "Elu",
    "leaky_relu": "LeakyRelu",
    "LeakyReLU": "LeakyRelu",
    "ELU": "Elu",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One direction: operation, sizes, activation functions, and weights in ONNX's gate order.

    Shapes: kernel (gates*units, width), recurrent (gates*units, units), bias (2*gates*units,).
    """

    op: str
    units: int
    functions: tuple[Activation, ...]
    kernel: Floats
    recurrent: Floats
    bias: Floats
    resets_after: bool
    version: Version


@dataclass(frozen=True, slots=True)
class Run:
    """What a recurrent operation gave: ``sequence`` (time, directions, rows, units) and ``states`` (directions, rows, units).

    The first state is the last output, the second an LSTM's cell.

    Behind a mask, time counts the unmasked steps only.
    """

    sequence: str
    states: tuple[str, ...]


def read_cell(graph: Graph, layer: Layer, width: int | None) -> Cell:
    """Return a layer's cell. Raises: LoadError for what is not converted, UnreadableFile for weights that do not fit."""
    if layer.kind.startswith("CuDNN"):
        return _cudnn_cell(graph, layer, width)
    settings, kind = layer.settings, layer.kind
    if kind not in _OPS:
        not_converted(layer.title)
    for flag in ("stateful", "time_major"):
        if settings.flag(flag):
            not_converted(f'{layer.title} with "{flag}"')
    units, gates = settings.integer("units"), len(_GATES[kind])
    functions = [read_activation(layer, "activation", "tanh")]
    if kind != "SimpleRNN":
        functions.insert(0, read_activation(layer, "recurrent_activation", "hard_sigmoid"))
    if kind == "LSTM":
        functions.append(functions[1])
    for function in functions:
        if function.name not in _FUNCTIONS:
            not_converted(f'{layer.title} with the activation "{function.name}"')
    resets_after = kind == "GRU" and settings.flag("reset_after", layer.version.major >= 3)
    kernel = _by_gate(graph.weight(layer, "kernel", (width, gates * units)), kind, units).T
    recurrent = _by_gate(graph.weight(layer, "recurrent_kernel", (units, gates * units)), kind, units).T
    bias = np.zeros((2, gates * units), np.float32)
    if settings.flag("use_bias", True):
        shape = (2, gates * units) if resets_after else (gates * units,)
        bias[: 2 if resets_after else 1] = _by_gate(graph.weight(layer, "bias", shape), kind, units)
    return Cell(_OPS[kind], units, tuple(functions), kernel, recurrent, bias.reshape(-1), resets_after, layer.version)


def _cudnn_cell(graph: Graph, layer: Layer, width: int | None) -> Cell:
    """Return the cell of a layer written for NVIDIA's library, which lays out every gate's matrix the other way round."""
    kind, units = layer.kind.removeprefix("CuDNN"), layer.settings.integer("units")
    gates = len(_GATES.get(kind) or not_converted(layer.title))
    kernel = graph.weight(layer, "kernel", (width, gates * units))
    recurrent = graph.weight(layer, "recurrent_kernel", (units, gates * units))
    biases = graph.weight(layer, "bias", (2 * gates * units,)).reshape(2, -1)
    roles = {
        "kernel": np.hstack([gate.T.reshape(gate.shape, order="F") for gate in np.hsplit(kernel, gates)]),
        "recurrent_kernel": np.hstack([gate.T for gate in np.hsplit(recurrent, gates)]),
        "bias": biases.sum(axis=0) if kind == "LSTM" else biases,
    }
    fixed = {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True, "use_bias": True}
    values = {**layer.settings.values, **fixed}
    plain = Layer(layer.path, kind, Settings(values, layer.settings.where), layer.version)
    return read_cell(Graph({layer.path: roles}), plain, width)


def _by_gate(array: npt.NDArray[np.generic], kind: str, units: int) -> Floats:
    """Put the gates along the last axis into ONNX's order."""
    parts = [array[..., gate * units : (gate + 1) * units] for gate in _GATES[kind]]
    return np.concatenate(parts, axis=-1).astype(np.float32, copy=False)


def run(graph: Graph, cells: Sequence[Cell], direction: str, x: Tensor, start: Sequence[str] = ()) -> Run:
    """Add the operation over ``x`` (rows, time, width), minding its mask; ``start`` are states (directions, rows, units)."""
    lengths = ""
    if x.mask is not None:
        if x.mask.rank != 2:
            not_converted(f"a mask of {x.mask.rank} axes before a recurrent layer")
        x, lengths = to_front(graph, x, x.mask)
    weights = [graph.constant(np.stack(parts)) for parts in zip(*((c.kernel, c.recurrent, c.bias) for c in cells), strict=True)]
    attributes: dict[str, Attribute] = {"direction": direction, "hidden_size": cells[0].units}
    attributes |= _functions(cells)
    if cells[0].op == "GRU":
        attributes["linear_before_reset"] = int(cells[0].resets_after)
    given = (graph.transpose(x, (1, 0, 2)).name, *weights, lengths, *start)
    sequence, *states = graph.ops(cells[0].op, given, 3 if cells[0].op == "LSTM" else 2, **attributes)
    return Run(sequence, tuple(states))


def _functions(cells: Sequence[Cell]) -> dict[str, Attribute]:
    """Return the activation attributes; a function takes its alpha and beta from lists that hold them in turn."""
    names: list[str] = []
    alphas: list[float] = []
    betas: list[float] = []
    for cell in cells:
        for function in cell.functions:
            name = _FUNCTIONS[function.name]
            names.append(name)
            if name in ("HardSigmoid", "Affine"):
                alphas.append(hard_sigmoid_slope(cell.version) if name == "HardSigmoid" else 1.0)
                betas.append(0.5 if name == "HardSigmoid" else 0.0)
            elif name == "Elu":
                alphas.append(function.settings.number("alpha", 1.0))
            elif name == "LeakyRelu":
                alphas.append(slope(function.settings) if function.name == "LeakyReLU" else 0.2)
    lists: dict[str, Attribute] = {"activations": names}
    return lists | ({"activation_alpha": alphas} if alphas else {}) | ({"activation_beta": betas} if betas else {})


def recurrent_call(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Run one recurrent layer, from given states if there are any, and answer with its states too where it returns them."""
    x, *start = given.inputs
    start += given.named.get("initial_state", ())
    if given.flags or (set(given.named) - {"initial_state"}):
        not_converted(f'{layer.title} called with "{min([*given.flags, *given.named])}"')
    wanted = 2 if layer.kind.endswith("LSTM") else 1
    if start and (len(start) != wanted or any(state.rank != 2 for state in start)):
        damaged(layer.title, f"{wanted} states of two axes to begin with", [state.shape for state in start])
    if start and x.mask is not None:
        not_converted(f"{layer.title} with a state to begin with, behind a mask,")
    if x.rank != 3:
        damaged(layer.title, "an input of 3 axes (rows, steps, values)", x.shape)
    out, ran = run_layer(graph, layer, x, [graph.op("Unsqueeze", state.name, graph.ints(0)) for state in start])
    if not layer.settings.flag("return_state"):
        return [out]
    return [out, *states_of(graph, x, ran, out.shape[-1])]


def states_of(graph: Graph, x: Tensor, ran: Run, units: int | None) -> list[Tensor]:
    """Return the states of a run in one direction, (rows, units)."""
    return [Tensor(graph.op("Squeeze", state, graph.ints(0)), (x.shape[0], units)) for state in ran.states]


def recurrent(graph: Graph, layer: Layer, x: Tensor) -> Tensor:
    """Run one recurrent layer; its sequence comes in the order of computation, as in Keras."""
    return run_layer(graph, layer, x, ())[0]


def run_layer(graph: Graph, layer: Layer, x: Tensor, start: Sequence[str] = ()) -> tuple[Tensor, Run]:
    """Return one recurrent layer's output and what its operation gave; ``start`` are states (1, rows, units)."""
    settings = layer.settings
    is_backward, gives_sequence = settings.flag("go_backwards"), settings.flag("return_sequences")
    is_zero = x.mask is not None and settings.flag("zero_output_for_mask") and not settings.flag("unroll")
    cell = read_cell(graph, layer, x.shape[-1])
    ran = run(graph, [cell], "reverse" if is_backward else "forward", x, start)
    if not gives_sequence:
        last = graph.op("Squeeze", ran.states[0], graph.ints(0))
        if is_zero and x.mask is not None:
            last = _zero_if_masked(graph, last, x.mask, 0 if is_backward else -1)
        return Tensor(last, (x.shape[0], cell.units)), ran
    flat = graph.op("Squeeze", ran.sequence, graph.ints(1))
    rows_first = graph.op("Transpose", flat, perm=[1, 0, 2])
    shape = (*x.shape[:2], cell.units)
    if x.mask is not None:
        rows_first = to_steps(graph, Tensor(rows_first, shape), x.mask, is_backward=is_backward, is_zero_at_masked=is_zero)
    if is_backward:
        rows_first = reverse(graph, rows_first)
    return Tensor(rows_first, shape, "float32", x.mask), ran


def _zero_if_masked(graph: Graph, last: str, mask: Tensor, step: int) -> str:
    """Return zeros where the last step computed was masked (``zero_output_for_mask`` without a sequence)."""
    is_kept = graph.op("Gather", mask.name, graph.ints(step), axis=1)
    return graph.op("Where", is_kept, last, graph.number(0.0))


def reverse(graph: Graph, sequence: str) -> str:
    """Turn a sequence (rows, time, width) around."""
    return graph.op("Slice", sequence, graph.ints(-1), graph.ints(-(2**62)), graph.ints(1), graph.ints(-1))
