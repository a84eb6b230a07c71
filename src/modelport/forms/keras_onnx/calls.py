"""Which tensor goes into which call of a layer: the ``inbound_nodes`` of both generations of the format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelport.errors import UnreadableFile
from modelport.forms.keras_onnx.fields import as_dict, as_int, as_list, as_text, damaged, not_converted
from modelport.forms.keras_onnx.network import Call, Layer, Network, Ref, Version

_DEPTH = 16
_TENSORS = ("query", "value", "key", "attention_mask", "initial_state")
_FLAGS = ("use_causal_mask", "return_attention_scores")


def parse_calls(nodes: object, where: str) -> tuple[Call, ...]:
    """Return one Call for each use of a layer. Raises: UnreadableFile, LoadError."""
    return tuple(_new_call(node, where) if isinstance(node, dict) else _old_call(node, where) for node in as_list(nodes, where))


def parse_refs(value: object, where: str) -> tuple[Ref, ...]:
    """Return the tensors named in a list of inputs or outputs, which may be one triple, a list or a dict of them."""
    return tuple(_refs(value, where, 0))


def _refs(value: object, where: str, depth: int) -> Iterator[Ref]:
    if depth > _DEPTH:
        damaged(where, "layer names", value)
    if isinstance(value, dict):
        for key in sorted(value):  # the order in which Keras flattens a dict
            yield from _refs(value[key], where, depth + 1)
        return
    items = as_list(value, where)
    if items and isinstance(items[0], str):
        yield _ref(items, where)
        return
    for item in items:
        yield from _refs(item, where, depth + 1)


def _ref(items: list[object], where: str) -> Ref:
    if len(items) < 3:
        damaged(where, "a layer name, a call and an output", items)
    if items[0] == "_CONSTANT_VALUE":
        not_converted(f"{where} takes a constant, which")
    return Ref(as_text(items[0], where), as_int(items[1], where), as_int(items[2], where))


def _tensor(value: object, where: str) -> Ref | None:
    """Return the tensor that a Keras 3 argument stands for, None if it is none."""
    if not isinstance(value, dict) or value.get("class_name") != "__keras_tensor__":
        return None
    return _ref(as_list(as_dict(value.get("config"), where).get("keras_history"), where), where)


def _new_call(node: dict[str, object], where: str) -> Call:
    inputs: list[Ref] = []
    numbers: list[float] = []
    for argument in as_list(node.get("args", []), where):
        for item in argument if isinstance(argument, list) else [argument]:
            if tensor := _tensor(item, where):
                inputs.append(tensor)
            elif isinstance(item, int | float) and not isinstance(item, bool):
                numbers.append(float(item))
            else:
                not_converted(f"{where} is called with {str(item)[:40]!r}, which")
    arguments = as_dict(node.get("kwargs", {}), where)
    return Call(tuple(inputs), _masks(arguments), tuple(numbers), *_named(arguments, where))


def _named(arguments: Mapping[str, object], where: str) -> tuple[tuple[tuple[str, tuple[Ref, ...]], ...], frozenset[str]]:
    """Return the tensors and the true flags among a call's named arguments; any other argument that says something is refused."""
    named: list[tuple[str, tuple[Ref, ...]]] = []
    flags: set[str] = set()
    for name, value in arguments.items():
        if name in ("mask", "training") or value in (None, [], {}, False):
            continue
        if value is True and name in _FLAGS:
            flags.add(name)
        elif name in _TENSORS and (refs := _some_tensors(value, where)):
            named.append((name, refs))
        else:
            not_converted(f'{where} is called with the argument "{name}", which')
    return tuple(named), frozenset(flags)


def _some_tensors(value: object, where: str) -> tuple[Ref, ...]:
    """Return the tensors of an argument that is one or a list of them, none if it is anything else."""
    if isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str):
        return (_ref(value, where),)  # Keras 2 names a tensor by a bare triple
    found = [_tensor(item, where) for item in (value if isinstance(value, list) else [value])]
    if found and all(found):
        return tuple(ref for ref in found if ref)
    if isinstance(value, list) and all(isinstance(item, list) and len(item) >= 3 for item in value):
        return tuple(_ref(as_list(item, where), where) for item in value)
    return ()


def _masks(arguments: Mapping[str, object], where: str = "a mask") -> tuple[Ref | None, ...]:
    """Return the masks passed by name."""
    mask = arguments.get("mask")
    if isinstance(mask, list) and mask and isinstance(mask[0], str):
        return (_ref(mask, where),)  # Keras 2 names a tensor by a bare triple
    items = mask if isinstance(mask, list) else [mask]
    masks = tuple(_tensor(item, where) for item in items)
    return masks if any(masks) else ()


def _old_call(node: object, where: str) -> Call:
    items = as_list(node, where)
    if items and isinstance(items[0], str):
        items = [items]
    inputs: list[Ref] = []
    arguments: dict[str, object] = {}
    for item in items:
        entry = as_list(item, where)
        inputs.append(_ref(entry, where))
        if len(entry) > 3:
            arguments |= as_dict(entry[3], where)
    return Call(tuple(inputs), _masks(arguments), (), *_named(arguments, where))


def settle_calls(
    members: Mapping[str, Layer | Network], calls: dict[str, tuple[Call, ...]], outputs: tuple[Ref, ...], version: Version
) -> tuple[dict[str, tuple[Call, ...]], tuple[Ref, ...]]:
    """Number the calls of nested networks from 0, as those of layers are.

    A nested network counts the call that defined it, which is not in the file. Keras 2 counts it everywhere, Keras 3 only in
    the list of outputs and only for functional networks. Raises: UnreadableFile for a reference to nothing.
    """
    shift = {name: _shift(name, node, calls, outputs, version) for name, node in members.items() if isinstance(node, Network)}

    def settle(ref: Ref, *, is_output: bool) -> Ref:
        back = shift.get(ref.layer, 0) if is_output or version.major < 3 else 0
        settled = Ref(ref.layer, max(ref.call - back, 0), ref.output)
        if ref.layer in members and settled.call >= len(calls[ref.layer]):
            raise UnreadableFile(f'call {ref.call} of layer "{ref.layer}" is used but not described; the file is damaged')
        return settled

    def settle_call(call: Call) -> Call:
        masks = tuple(None if mask is None else settle(mask, is_output=False) for mask in call.masks)
        named = tuple((name, tuple(settle(ref, is_output=False) for ref in refs)) for name, refs in call.named)
        return Call(tuple(settle(ref, is_output=False) for ref in call.inputs), masks, call.numbers, named, call.flags)

    settled = {name: tuple(settle_call(call) for call in group) for name, group in calls.items()}
    return settled, tuple(settle(ref, is_output=True) for ref in outputs)


def _shift(name: str, node: Network, calls: Mapping[str, tuple[Call, ...]], outputs: tuple[Ref, ...], version: Version) -> int:
    if version.major >= 3:
        return 1 if node.kind == "Functional" else 0
    used = [ref.call for group in calls.values() for call in group for ref in call.needed if ref.layer == name]
    used += [ref.call for ref in outputs if ref.layer == name]
    return min(used, default=0)  # every call in the file is used by something, so the lowest number is the first call
