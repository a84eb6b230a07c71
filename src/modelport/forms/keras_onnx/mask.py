"""Masks in recurrent layers, exactly as Keras has them: a masked step leaves state and output as they were, zero at the start.

ONNX knows lengths, not masks. So the unmasked steps are moved to the front in their order (which for padding on the right
changes nothing), the recurrent operation runs over their count, and where a whole sequence is asked for, each step
looks its value up by the number of unmasked steps up to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelport.forms.keras_onnx.graph import Graph, Tensor


@dataclass(frozen=True, slots=True)
class Order:
    """How unmasked steps are moved to the front.

    ``steps``: int64 (rows, longest, 1), the step to take from; ``lengths``: int32 (rows,), the unmasked steps of each row;
    ``counts``: int64 (rows, 1), the same.
    """

    steps: str
    lengths: str
    counts: str


def order(graph: Graph, mask: Tensor) -> Order:
    """Return the order for a mask (rows, time); every layer behind one mask shares it."""
    key = ("order", mask.name)
    found = graph.memo.get(key)
    if isinstance(found, Order):
        return found
    steps = _steps(graph, mask)
    as_numbers = _numbers(graph, mask)
    counts = graph.op("ReduceSum", as_numbers, graph.ints(1), keepdims=1)
    # An unmasked step counts from time down, a masked one is negative: largest first keeps the unmasked in their order.
    rank = graph.op("Where", mask.name, graph.op("Sub", _time(graph, mask), steps), graph.op("Sub", graph.ints(-1), steps))
    longest = graph.op("Max", graph.op("ReduceMax", counts, graph.ints(0, 1), keepdims=0), graph.ints(1))
    taken = graph.ops("TopK", (rank, longest), 2, axis=1, largest=1, sorted=1)[1]
    lengths = graph.cast(Tensor(graph.op("Squeeze", counts, graph.ints(1)), (None,), "int64"), "int32").name
    made = Order(graph.op("Unsqueeze", taken, graph.ints(2)), lengths, counts)
    graph.memo[key] = made
    return made


def to_front(graph: Graph, x: Tensor, mask: Tensor) -> tuple[Tensor, str]:
    """Return the sequence (rows, longest, …) of unmasked steps, filled up with any others, and each row's length (int32)."""
    found = order(graph, mask)
    moved = graph.op("GatherND", x.name, found.steps, batch_dims=1)
    return Tensor(moved, (x.shape[0], None, *x.shape[2:])), found.lengths


def to_steps(graph: Graph, y: Tensor, mask: Tensor, *, is_backward: bool, is_zero_at_masked: bool) -> str:
    """Spread the outputs (rows, longest, width) of the unmasked steps over all steps (rows, time, width).

    A masked step repeats the output of the unmasked one computed before it, or is zero if ``is_zero_at_masked``.
    """
    counts = order(graph, mask).counts
    as_numbers = _numbers(graph, mask)
    seen = graph.op("CumSum", as_numbers, graph.constant(np.asarray(1, np.int64)))  # unmasked steps up to and with each
    if is_backward and not is_zero_at_masked:
        index = graph.op("Sub", seen, as_numbers)
        is_known = graph.op("Less", index, counts)
        index = graph.op("Max", graph.op("Min", index, graph.op("Sub", counts, graph.ints(1))), graph.ints(0))
    else:
        index = graph.op("Sub", seen, graph.ints(1))
        is_known = graph.op("Not", graph.op("Less", index, graph.ints(0)))
        index = graph.op("Max", index, graph.ints(0))
    known = mask.name if is_zero_at_masked else is_known
    spread = graph.op("GatherND", y.name, graph.op("Unsqueeze", index, graph.ints(2)), batch_dims=1)
    return graph.op("Where", graph.op("Unsqueeze", known, graph.ints(2)), spread, graph.number(0.0))


def _numbers(graph: Graph, mask: Tensor) -> str:
    key = ("mask as int64", mask.name)
    if key not in graph.memo:
        graph.memo[key] = graph.cast(mask, "int64").name
    return str(graph.memo[key])


def _time(graph: Graph, mask: Tensor) -> str:
    if mask.shape[1] is not None:
        return graph.ints(mask.shape[1])
    return graph.op("Shape", mask.name, start=1, end=2)


def _steps(graph: Graph, mask: Tensor) -> str:
    """Return 0 … time-1 as int64."""
    if mask.shape[1] is not None:
        return graph.constant(np.arange(mask.shape[1], dtype=np.int64))
    time = graph.op("Squeeze", _time(graph, mask), graph.ints(0))
    return graph.op("Range", graph.constant(np.asarray(0, np.int64)), time, graph.constant(np.asarray(1, np.int64)))
