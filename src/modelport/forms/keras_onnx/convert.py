"""The conversion itself: walk a network from its outputs back to its inputs and add each call of each layer to the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelport.columns import Array
from modelport.errors import UnreadableFile
from modelport.forms.keras_onnx.fields import damaged, not_converted
from modelport.forms.keras_onnx.graph import Given, Graph, Prepared, Tensor
from modelport.forms.keras_onnx.network import Call, Input, Layer, Network, Path, Ref, leaves
from modelport.forms.keras_onnx.operations import OPERATIONS
from modelport.forms.keras_onnx.proto import ELEMENT_TYPES, Node, Port
from modelport.forms.keras_onnx.strip import has_lost_mask
from modelport.forms.keras_onnx.table import LAYERS, Kind

_RECURRENT = ("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU", "RNN")
_TAKE_TEXTS = ("TextVectorization", "StringLookup", "IntegerLookup", "Hashing", "CategoryEncoding")
_ANY_TYPE = (*_TAKE_TEXTS, "Discretization", "InputLayer", "Embedding", "Bidirectional", "TimeDistributed")
_MASKED_INSIDE = (*_RECURRENT, "Bidirectional", "Softmax", "GlobalAveragePooling1D")


@dataclass(frozen=True, slots=True)
class Converted:
    """An ONNX model file and its ports.

    ``apart``: large weights by their name in the graph, which the file declares and does not hold, so that they are not copied.
    ``is_recurrent``: it computes step by step, ``is_masked``: padding is left out of that. ``words``: for an input that goes into an
    Embedding, how many rows the smallest one has: numbers from 0 to one less are valid. ``inputs`` are the network's; those of strings
    are not the graph's, which takes what is ``prepared`` from them instead.
    """

    model: bytes
    apart: Mapping[str, Array]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    words: Mapping[str, int]
    is_recurrent: bool
    prepared: tuple[Prepared, ...] = ()
    is_masked: bool = False


def convert(network: Network, weights: Mapping[Path, Mapping[str, Array]], *, apart_bytes: int = 1 << 62) -> Converted:
    """Return the network as an ONNX model that gives Keras's predictions (float32).

    Weights of ``apart_bytes`` or more stay out of the file.
    Raises: LoadError naming the layer that is not converted; UnreadableFile where configuration and weights do not fit.
    Cost: one copy of the weights in the file.
    """
    graph = Graph(weights)
    words, numbers = _words(network)
    inputs = [_port(item, is_number=item.name in numbers) for item in network.inputs]
    names = _output_names(network, {port.name for port in inputs})
    graph.taken |= {port.name for port in inputs} | set(names)
    graph.raw = frozenset(port.name for port in inputs)
    fed = [Tensor(port.name, port.shape, port.dtype) for port in inputs]
    outputs: list[Port] = []
    for name, tensor in zip(names, evaluate(graph, network, fed), strict=True):
        graph.scope = ""
        if tensor.dtype == "string":
            not_converted("an output of strings")
        graph.nodes.append(_named(graph.cast(tensor, "float32"), name))
        outputs.append(Port(name, "float32", tensor.shape))
    taken = [*(port for port in inputs if port.dtype != "string"), *(item.port for item in graph.prepared)]
    model, apart = graph.finish(taken, outputs, apart_bytes=apart_bytes)
    return Converted(model, apart, tuple(inputs), tuple(outputs), words, _is_recurrent(network), tuple(graph.prepared), _is_masked(network))


def _is_recurrent(network: Network) -> bool:
    return any(layer.kind in _RECURRENT for layer in leaves(network))


def _is_masked(network: Network) -> bool:
    return any(layer.kind == "Embedding" and layer.settings.flag("mask_zero") for layer in leaves(network))


def _named(tensor: Tensor, name: str) -> Node:
    return Node("Identity", (tensor.name,), (name,), {})


def _port(item: Input, *, is_number: bool) -> Port:
    dtype = "int32" if is_number and item.dtype.startswith("float") else item.dtype
    if dtype not in ELEMENT_TYPES and dtype != "string":
        not_converted(f'the input "{item.name}" of {dtype}')
    if len(item.shape) < 1:
        damaged(f'the input "{item.name}"', "a shape with a row axis", item.shape)
    return Port(item.name, dtype, (None, *item.shape[1:]))


def _output_names(network: Network, taken: set[str]) -> list[str]:
    names: list[str] = []
    for ref in network.outputs:
        name, number = ref.layer, 1
        while name in taken:
            name, number = f"{ref.layer}_{number}", number + 1
        taken.add(name)
        names.append(name)
    return names


def _words(network: Network) -> tuple[dict[str, int], set[str]]:
    """Return the inputs that embeddings take, with the number of words, and those that nothing else takes but comparisons for masks."""
    out: dict[str, int] = {}
    numbers: set[str] = set()
    for at, item in enumerate(network.inputs):
        sizes = _embeddings(network, at)
        if known := [size for size in sizes if size]:
            out[item.name] = min(known)
            numbers |= {item.name} if None not in sizes else set()
    return out, numbers


def _embeddings(network: Network, at: int) -> list[int | None]:
    """Return what takes the input ``at``: the size of an embedding, 0 for a comparison, None for anything else."""
    name = network.inputs[at].name
    found: list[int | None] = [None for ref in network.outputs if ref.layer == name]
    for member, calls in network.calls.items():
        node = network.members[member]
        for call in calls:
            for position, ref in enumerate(call.inputs):
                if ref.layer != name:
                    continue
                if isinstance(node, Network):
                    found += _embeddings(node, position) if position < len(node.inputs) else [None]
                elif node.kind == "Embedding":
                    found.append(node.settings.integer("input_dim"))
                elif node.kind == "CategoryEncoding" and node.version.major < 3:  # it raises, where Keras 3 counts them nowhere
                    found.append(node.settings.integer("num_tokens"))
                else:
                    found.append(0 if node.kind in ("ops.NotEqual", "ops.Equal") else None)
    return found


def evaluate(graph: Graph, network: Network, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Add a network to the graph for these inputs and return its outputs. Layers that no output needs are left out."""
    if len(inputs) != len(network.inputs):
        raise UnreadableFile(
            f'network "{network.name}" takes {len(network.inputs)} inputs, found a call with {len(inputs)}; the file is damaged'
        )
    done: dict[tuple[str, int], list[Tensor]] = {(item.name, 0): [tensor] for item, tensor in zip(network.inputs, inputs, strict=True)}
    stack = [(ref.layer, ref.call) for ref in reversed(network.outputs)]
    open_calls: set[tuple[str, int]] = set()
    while stack:
        key = stack[-1]
        if key in done:
            stack.pop()
            continue
        call = _call(network, key)
        missing = [(ref.layer, ref.call) for ref in call.needed if (ref.layer, ref.call) not in done]
        if missing:
            if key in open_calls:
                raise UnreadableFile(f'layer "{key[0]}" feeds itself, found in the configuration; the file is damaged')
            open_calls.add(key)
            stack += missing
            continue
        done[key] = _apply(graph, network.members[key[0]], _given(network, key, done), call)
    return [_pick(done, ref) for ref in network.outputs]


def _call(network: Network, key: tuple[str, int]) -> Call:
    name, number = key
    calls = network.calls.get(name, ())
    if number >= len(calls):
        raise UnreadableFile(f'call {number} of layer "{name}" is used but not described; the file is damaged')
    return calls[number]


def _pick(done: Mapping[tuple[str, int], list[Tensor]], ref: Ref) -> Tensor:
    outputs = done[(ref.layer, ref.call)]
    if ref.output >= len(outputs):
        not_converted(f'output {ref.output} of layer "{ref.layer}"')
    return outputs[ref.output]


def _given(network: Network, key: tuple[str, int], done: Mapping[tuple[str, int], list[Tensor]]) -> Given:
    """Return what a call gets; a mask passed by hand stands in for the one that came with the tensor."""
    call = _call(network, key)

    def take(ref: Ref) -> Tensor:
        tensor = _pick(done, ref)
        is_bare = tensor.mask is None or not has_lost_mask(network, key, ref)
        return tensor if is_bare else replace(tensor, mask=None)

    tensors = [take(ref) for ref in call.inputs]
    for at, mask in enumerate(call.masks[: len(tensors)]):
        if mask is not None:
            tensors[at] = replace(tensors[at], mask=_pick(done, mask))
    named = {name: tuple(take(ref) for ref in refs) for name, refs in call.named}
    return Given(tensors, named, call.flags)


def _apply(graph: Graph, node: Layer | Network, given: Given, call: Call) -> list[Tensor]:
    inputs = list(given.inputs)
    if isinstance(node, Layer) and (kind := LAYERS.get(node.kind)) and kind.take:
        graph.scope = "/".join(node.path)
        _check(node, inputs)
        return kind.take(graph, node, Given(_cast(graph, kind, inputs), given.named, given.flags))
    if given.named or given.flags:
        name = min([*given.named, *given.flags])
        not_converted(f'{node.title} is called with the argument "{name}", which')
    if isinstance(node, Network):
        return evaluate(graph, node, inputs)
    graph.scope = "/".join(node.path)
    if node.kind.startswith("ops."):
        if any(item.dtype == "string" for item in inputs):
            not_converted(f"{node.title} over strings")
        operation = OPERATIONS.get(node.kind.removeprefix("ops."))
        return [operation(graph, node, inputs, call) if operation else not_converted(f"{node.title}, an operation between layers,")]
    kind = LAYERS.get(node.kind)
    if kind is None:
        not_converted(node.title)
    _check(node, inputs)
    inputs = _cast(graph, kind, inputs)
    if kind.merge is not None:
        return [kind.merge(graph, node, inputs)]
    return [_one(graph, node, kind, inputs)]


def _cast(graph: Graph, kind: Kind, inputs: Sequence[Tensor]) -> list[Tensor]:
    return list(inputs) if kind.is_raw else [graph.cast(item, "float32") for item in inputs]


def _check(node: Layer, inputs: Sequence[Tensor]) -> None:
    dtype = node.settings.get("dtype")
    if isinstance(dtype, dict):
        inner = dtype.get("config")
        dtype = inner.get("name") if isinstance(inner, dict) else None
    if dtype not in (None, "float32") and node.kind not in _ANY_TYPE:
        not_converted(f"{node.title} in {dtype} instead of float32")
    if node.settings.get("quantization_config") is not None:
        not_converted(f"{node.title} with quantised weights")
    if any(item.dtype == "string" for item in inputs) and node.kind not in _TAKE_TEXTS:
        not_converted(f"{node.title} over strings")
    if not inputs:
        raise UnreadableFile(f"{node.title} is called without an input; the file is damaged")


def _one(graph: Graph, node: Layer, kind: Kind, inputs: Sequence[Tensor]) -> Tensor:
    if len(inputs) != 1:
        not_converted(f"{node.title} called with {len(inputs)} tensors, such as a state to begin with,")
    x = inputs[0]
    if node.kind == "SpectralNormalization":  # what training made of the kernel is in the wrapped layer
        return _apply(graph, node.inner[0][1], Given([replace(x, mask=None)]), Call(()))[0]
    if node.kind == "TimeDistributed":
        y = _each_step(graph, node, x)
    else:
        _check_rank(node, x)
        y = kind.build(graph, node, x) if kind.build else not_converted(node.title)
    if kind.masks == "own":
        return y
    return replace(y, mask=x.mask if kind.masks == "pass" else None)


def _check_rank(node: Layer, x: Tensor) -> None:
    if node.kind in (*_RECURRENT, "Bidirectional") and x.rank != 3:
        damaged(node.title, "an input of 3 axes (rows, steps, values)", x.shape)
    if x.rank < 2 and node.kind not in (
        "Reshape",
        "Embedding",
        "Activation",
        "Rescaling",
        "Normalization",
        "Flatten",
        "Identity",
        "Dropout",
    ):
        damaged(node.title, "an input of at least 2 axes", x.shape)


def _each_step(graph: Graph, node: Layer, x: Tensor) -> Tensor:
    """Apply the wrapped layer to every step by itself: steps become rows, and rows become steps again."""
    inner = node.inner[0][1]
    if x.rank < 3:
        damaged(node.title, "an input of at least 3 axes (rows, steps, values)", x.shape)
    if isinstance(inner, Layer) and inner.kind == "Dense":
        return _apply(graph, inner, Given([x]), Call(()))[0]  # works on the last axis anyway
    if x.mask is not None and (isinstance(inner, Network) or inner.kind in _MASKED_INSIDE):
        not_converted(f"{node.title} over {inner.kind} behind a mask")
    lengths = graph.op("Shape", x.name)
    rest = graph.op("Slice", lengths, graph.ints(2), graph.ints(2**62), graph.ints(0))
    merged = graph.op("Reshape", x.name, graph.op("Concat", graph.ints(-1), rest, axis=0))
    y = _apply(graph, inner, Given([Tensor(merged, (None, *x.shape[2:]), x.dtype)]), Call(()))[0]
    first = graph.op("Slice", lengths, graph.ints(0), graph.ints(2), graph.ints(0))
    after = graph.op("Slice", graph.op("Shape", y.name), graph.ints(1), graph.ints(2**62), graph.ints(0))
    name = graph.op("Reshape", y.name, graph.op("Concat", first, after, axis=0))
    return Tensor(name, (*x.shape[:2], *y.shape[1:]))
