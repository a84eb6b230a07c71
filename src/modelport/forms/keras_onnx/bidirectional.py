"""Bidirectional: two recurrent layers over one sequence, in one ONNX operation where they are alike."""

from __future__ import annotations

from dataclasses import replace

from modelport.forms.keras_onnx.fields import Settings, damaged, not_converted
from modelport.forms.keras_onnx.graph import Given, Graph, Tensor
from modelport.forms.keras_onnx.mask import to_steps
from modelport.forms.keras_onnx.network import Layer, Version
from modelport.forms.keras_onnx.recurrent import Cell, read_cell, recurrent, reverse, run

_REDUCTIONS = {"sum": "ReduceSum", "mul": "ReduceProd", "ave": "ReduceMean"}


def bidirectional(graph: Graph, layer: Layer, given: Given) -> list[Tensor]:
    """Run both directions and merge them as ``merge_mode`` says; None gives the two of them."""
    mode = layer.settings.get("merge_mode") if "merge_mode" in layer.settings.values else "concat"
    x = given.inputs[0]
    if len(given.inputs) > 1 or given.named or given.flags:
        not_converted(f"{layer.title} called with more than one tensor, such as a state to begin with,")
    if x.rank != 3:
        damaged(layer.title, "an input of 3 axes (rows, steps, values)", x.shape)
    if mode is not None:
        return [_merged(graph, layer, x, mode)]
    one, two = (recurrent(graph, _direction(layer, child), x) for _, child in layer.inner)
    return [one, two if two.rank == 2 else two.but(reverse(graph, two.name))]


def _merged(graph: Graph, layer: Layer, x: Tensor, mode: object) -> Tensor:
    if mode != "concat" and mode not in _REDUCTIONS:
        damaged(f'{layer.title}, "merge_mode"', "concat, sum, mul or ave", mode)
    forward, backward = (_direction(layer, child) for _, child in layer.inner)
    turns = forward.settings.flag("go_backwards"), backward.settings.flag("go_backwards")
    cells = read_cell(graph, forward, x.shape[-1]), read_cell(graph, backward, x.shape[-1])
    are_alike = cells[0].op == cells[1].op and cells[0].units == cells[1].units and cells[0].resets_after == cells[1].resets_after
    gives_sequence = forward.settings.flag("return_sequences")
    if gives_sequence != backward.settings.flag("return_sequences"):
        damaged(layer.title, "both directions to return sequences or neither", "one of them")
    if are_alike and turns == (False, True) and _is_joined(forward, backward, x):
        merged, units = _together(graph, cells, x, (str(mode), gives_sequence))
    else:
        merged, units = _apart(graph, (forward, backward), x, str(mode))
    shape = (x.shape[0], x.shape[1], units) if gives_sequence else (x.shape[0], units)
    return Tensor(merged, shape, "float32", x.mask if gives_sequence else None)


def _direction(layer: Layer, child: object) -> Layer:
    """Return a direction's layer, with the zeros at masked steps that Bidirectional forces on sequences since TensorFlow 2.2."""
    if not isinstance(child, Layer):
        not_converted(f"{layer.title} over a network")
    if child.settings.flag("return_state"):
        not_converted(f'{child.title} with "return_state"')
    if not forces_zeros(layer.version):
        return child
    values = {**child.settings.values, "zero_output_for_mask": child.settings.flag("return_sequences")}
    return replace(child, settings=Settings(values, child.settings.where))


def forces_zeros(version: Version) -> bool:
    """Whether Bidirectional returns zeros at masked steps instead of repeating the step before."""
    return version.major >= 3 or version.minor >= 4 or (version.is_tf and version.minor >= 3)


def _is_joined(forward: Layer, backward: Layer, x: Tensor) -> bool:
    """Whether both directions can share the way back to steps: no mask, no sequence, or zeros at masked steps in both."""
    layers = (forward, backward)
    gives_sequence = forward.settings.flag("return_sequences")
    is_zero = all(item.settings.flag("zero_output_for_mask") and not item.settings.flag("unroll") for item in layers)
    return x.mask is None or not gives_sequence or is_zero


def _together(graph: Graph, cells: tuple[Cell, Cell], x: Tensor, how: tuple[str, bool]) -> tuple[str, int]:
    mode, gives_sequence = how
    ran = run(graph, cells, "bidirectional", x)
    units = cells[0].units * (2 if mode == "concat" else 1)
    if gives_sequence:  # (time, directions, rows, units)
        merged = _merge(graph, ran.sequence, mode, directions_axis=1)
        sequence = graph.op("Transpose", merged, perm=[2, 0, 1, 3] if mode == "concat" else [1, 0, 2])
        if mode == "concat":
            sequence = graph.op("Reshape", sequence, graph.ints(0, 0, units))
        if x.mask is not None:
            shape = (x.shape[0], None, units)
            sequence = to_steps(graph, Tensor(sequence, shape), x.mask, is_backward=False, is_zero_at_masked=True)
        return sequence, units
    merged = _merge(graph, ran.states[0], mode, directions_axis=0)
    if mode != "concat":
        return merged, units
    return graph.op("Reshape", graph.op("Transpose", merged, perm=[1, 0, 2]), graph.ints(0, units)), units


def _merge(graph: Graph, y: str, mode: str, *, directions_axis: int) -> str:
    return y if mode == "concat" else graph.op(_REDUCTIONS[mode], y, graph.ints(directions_axis), keepdims=0)


def _apart(graph: Graph, layers: tuple[Layer, Layer], x: Tensor, mode: str) -> tuple[str, int]:
    one, two = (recurrent(graph, layer, x) for layer in layers)
    last = two.name if two.rank == 2 else reverse(graph, two.name)
    if mode == "concat":
        width = (one.shape[-1] or 0) + (two.shape[-1] or 0)
        return graph.op("Concat", one.name, last, axis=-1), width
    merged = graph.op("Mul" if mode == "mul" else "Add", one.name, last)
    return (graph.op("Mul", merged, graph.number(0.5)) if mode == "ave" else merged), one.shape[-1] or 0
