"""A network as one step: the bytes of its ONNX graph and the large weights apart, and what is needed to feed it.

The bytes may come from a process that read a foreign file. So before a session is opened, the graph is held to what our
converter writes: operators of the runtime's own set, no loops and branches, no functions, no data but the arrays beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from modelport.columns import Array, Columns
from modelport.errors import LoadError, UnreadableFile
from modelport.forms.keras_onnx.proto import ELEMENT_TYPES, GIVEN
from modelport.forms.onnx_proto import Outline, outline
from modelport.forms.program.steps import Plain, Program, Step
from modelport.forms.runner import Cut, Runner, expect_rows
from modelport.forms.session import open_session
from modelport.schema import Schema

if TYPE_CHECKING:
    from modelport.forms.keras_onnx.convert import Converted

Function = Callable[..., object]
_OP, _OUTPUT = "network", "network_output"
_DTYPES = {number: name for name, number in ELEMENT_TYPES.items()}
_CONTROL_FLOW = frozenset(["If", "Loop", "Scan", "SequenceMap"])


@dataclass(frozen=True, slots=True)
class _Source:
    """Where an input of the graph comes from: a physical column, or one column of a matrix."""

    name: str
    block: str
    at: int | None
    dtype: str

    def array(self, columns: Columns) -> Array:
        """Return the input's array."""
        whole = columns[self.block]
        return np.ascontiguousarray(whole if self.at is None else whole[:, self.at], self.dtype)


def program_of(converted: Converted, schema: Schema, names: Mapping[str, str], cut: Cut) -> Program:
    """Return a converted network as a program. ``names``: the graph's output behind each of the schema's."""
    sources: list[Plain] = [
        [item.name, block.name, at if block.is_packed else None, item.type]
        for block in schema.layout
        for at, item in enumerate(block.fields)
    ]
    settings: dict[str, Plain] = {
        "sources": sources,
        "outputs": list(names.values()),
        "weights": list(converted.apart),
        "words": {port.name: converted.words[port.name] for port in converted.inputs if port.name in converted.words},
        "rows": cut.rows,
        "by": list(cut.by),
    }
    weights = {f"weight{at}": array for at, array in enumerate(converted.apart.values())}
    first = Step(_OP, (0,), settings, {"model": np.frombuffer(converted.model, np.uint8), **weights})
    picks = tuple(Step(_OUTPUT, (1,), {"at": at}) for at in range(len(names)))
    return Program((first, *picks), {name: 2 + at for at, name in enumerate(names)})


def with_threads(program: Program, threads: int) -> Program:
    """Return the program with that many threads for its networks."""
    made = (replace(step, settings={**step.settings, "threads": threads}) if step.op == _OP else step for step in program.steps)
    return replace(program, steps=tuple(made))


def is_network(program: Program) -> bool:
    """Whether a network has a part in it, whose numbers are float32."""
    return any(step.op == _OP for step in program.steps)


def known_words(program: Program) -> Mapping[str, int]:
    """Return the inputs that are numbers of words, and how many there are."""
    return {name: limit for step in program.steps if step.op == _OP for name, limit in _words(step).items()}


def network(step: Step) -> Function:
    """Physical columns → the arrays of all outputs."""
    sources = [_source(item) for item in cast("list[list[Plain]]", step.settings["sources"])]
    outputs, words = step.texts("outputs"), _words(step)
    weights = {name: step.arrays[f"weight{at}"] for at, name in enumerate(step.texts("weights"))}
    cut = Cut(int(step.number("rows")), tuple(step.texts("by")))
    feedable = {item.name for item in sources}
    if cut.rows < 1 or not set(cut.by) | set(words) <= feedable:
        raise ValueError("its pieces or limits are not those of its inputs")
    model = step.arrays["model"].astype(np.uint8, copy=False).tobytes()
    try:
        _check(outline(model), weights, {item.name: item.dtype for item in sources}, outputs)
        session = open_session(model, threads=int(step.number("threads", 1)), given=weights)
    except ImportError as error:
        raise LoadError("networks are computed by ONNX Runtime, which is not installed; run: pip install onnxruntime") from error
    except UnreadableFile as error:
        raise ValueError(error.message) from error
    runner = Runner(session, cut, words)

    def run(columns: Columns) -> Sequence[Array]:
        feed = {item.name: item.array(columns) for item in sources}
        runner.check(feed)
        found = runner.compute(feed, outputs)
        for name, array in zip(outputs, found, strict=True):
            expect_rows(name, array, columns.rows)
        return found

    return run


def network_output(step: Step) -> Function:
    """The arrays of all outputs → one of them."""
    at = int(step.number("at"))
    return lambda arrays: arrays[at]


def _source(item: list[Plain]) -> _Source:
    name, block, at, dtype = item
    if not (isinstance(name, str) and isinstance(block, str) and isinstance(dtype, str) and (at is None or isinstance(at, int))):
        raise ValueError("a source is no name of a column")
    return _Source(name, block, at, dtype)


def _words(step: Step) -> dict[str, int]:
    words = step.settings["words"]
    if not isinstance(words, dict):
        raise ValueError("words is no table")
    return {name: int(cast("int", limit)) for name, limit in words.items()}


def _check(found: Outline, weights: Mapping[str, Array], sources: Mapping[str, str], outputs: Sequence[str]) -> None:
    """Raise ValueError unless the graph is one of those that the converter writes."""
    if strange := sorted((domain, op) for domain, op in found.operators if domain or op in _CONTROL_FLOW):
        raise ValueError(f"the graph asks for {'.'.join(filter(None, strange[0]))!r:.60}, which no conversion writes")
    if found.functions or set(found.opsets) != {""}:
        raise ValueError("the graph has functions or operator sets of its own, which no conversion writes")
    declared = {item.name: (item.is_top, item.location, _DTYPES.get(item.type), item.shape) for item in found.outside}
    given = {name: (True, GIVEN, array.dtype.name, array.shape) for name, array in weights.items()}
    if declared != given or len(found.outside) != len(given):
        raise ValueError("the graph's weights are not the arrays beside it")
    inputs = {port.name: _DTYPES.get(port.type) if isinstance(port.type, int) else None for port in found.inputs}
    if inputs != dict(sources) or len(inputs) != len(found.inputs):
        raise ValueError("the graph's inputs are not the columns")
    if not outputs or not set(outputs) <= {port.name for port in found.outputs}:
        raise ValueError("the graph has no such outputs")


OPERATIONS: Mapping[str, Callable[[Step], Function]] = {_OP: network, _OUTPUT: network_output}
