"""Which arrays a network needs, and where each layout of file keeps them.

Two layouts: by position (each top-level layer has a list of arrays, ``.hdf5`` of all generations) and by place
(``layers/dense_1/vars/0``, the newer ``.keras`` and ``.weights.h5``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelport.columns import Array
from modelport.errors import UnreadableFile
from modelport.forms.keras_onnx.network import Layer, Network, Path
from modelport.forms.keras_onnx.table import LAYERS, Slot


def _numbered(where: str, name: str, at: int) -> str:
    del where
    return f"{name}_{at}" if at else name


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file by place calls its groups: the one that holds layers, and in it the layer of a class that comes ``at``-th.

    ``named``: (the group, the class's name, at) to the layer's group.
    """

    container: str = "layers"
    named: Callable[[str, str, int], str] = _numbered


NEW = Layout()


@dataclass(frozen=True, slots=True)
class Need:
    """One array: whose, for what, and whether training changes it (the older layout keeps those first)."""

    path: Path
    slot: Slot
    is_trainable: bool


def slots_of(layer: Layer) -> Iterator[Slot]:
    """Yield the weights that a layer's settings give it."""
    kind = LAYERS.get(layer.kind)
    for slot in kind.slots if kind else ():
        if slot.flag is not None and not layer.settings.flag(*slot.flag):
            continue
        if slot.absent and layer.settings.get(slot.absent) is not None:
            continue
        if slot.present and layer.settings.get(slot.present) is None:
            continue
        if slot.value and layer.settings.get(slot.value[0]) != slot.value[1]:
            continue
        yield slot


def needs(node: Layer | Network, *, is_trainable: bool = True) -> Iterator[Need]:
    """Yield every array that a layer or network needs, in the order of its layers."""
    is_trainable = is_trainable and node.is_trainable
    if isinstance(node, Layer):
        for slot in slots_of(node):
            yield Need(node.path, slot, is_trainable and slot.is_trainable)
        children = [child for _, child in node.inner]
    else:
        children = list(node.members.values())
    for child in children:
        yield from needs(child, is_trainable=is_trainable)


_UNUSED = ("count", "seed_generator_state", "Variable", "vector_u", "sn_u")
"""Rows counted by Normalization, states of dropout, the weights of words, which the configuration holds as well, and what
SpectralNormalization goes on from when it trains."""
_IN_A_CELL = ("LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
_CLASSES = {"GroupQueryAttention": "GroupedQueryAttention"}


def by_position(node: Layer | Network, names: Sequence[str], arrays: Sequence[Array]) -> dict[Path, dict[str, Array]]:
    """Give a top-level layer's arrays to the layers inside it: what training changes first, then the rest.

    Raises: UnreadableFile where number or names do not fit the configuration.
    """
    wanted = sorted(needs(node), key=lambda need: not need.is_trainable)
    pairs = [(name, array) for name, array in zip(names, arrays, strict=True) if _role(name) not in _UNUSED]
    if len(pairs) != len(wanted):
        raise UnreadableFile(
            f'layer "{node.name}" has {len(pairs)} weights in the file, expected {len(wanted)} by its configuration; the file is damaged'
        )
    out: dict[Path, dict[str, Array]] = {}
    for need, (name, array) in zip(wanted, pairs, strict=True):
        if _role(name) not in (need.slot.names or (need.slot.role,)):
            where = "/".join(need.path)
            raise UnreadableFile(f'layer "{where}": expected the weight "{need.slot.role}", found "{name}"; the file is damaged')
        out.setdefault(need.path, {})[need.slot.role] = array
    return out


def _role(name: str) -> str:
    return re.sub(r"(:\d+|_\d+:\d+)$", "", name.rsplit("/", 1)[-1])


def places(node: Layer | Network, layout: Layout = NEW) -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    """Yield (group with the numbered arrays, layer, roles in their order) for every layer with weights."""
    for place, layer in homes(node, layout):
        roles = tuple(slot.role for slot in slots_of(layer))
        if roles:
            yield f"{place}{'/cell' if layer.kind in _IN_A_CELL else ''}/vars", layer.path, roles


def homes(node: Layer | Network, layout: Layout = NEW, place: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield the group of every layer, without a slash before it."""
    if isinstance(node, Layer):
        yield place, node
        for attribute, child in node.inner:
            yield from homes(child, layout, f"{place}/{attribute}")
        return
    used: dict[str, int] = {}
    where = f"{place}/{layout.container}".lstrip("/")
    for member in node.members.values():
        if isinstance(member, Layer) and member.kind.startswith("ops."):
            continue
        name = snake_case(_class_of(member))
        at = used[name] = used.get(name, -1) + 1
        yield from homes(member, layout, f"{where}/{layout.named(where, name, at)}")


def _class_of(member: Layer | Network) -> str:
    """Return the name of the class by which a file calls a layer's group."""
    if isinstance(member, Layer):
        return _CLASSES.get(member.kind, member.written_as or member.kind)
    return "Functional" if member.kind == "Model" else member.kind


def snake_case(name: str) -> str:
    """Return a class name as Keras writes it in file layouts: PReLU is p_re_lu, GlobalAveragePooling1D global_average_pooling1d."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def describe(weights: Mapping[Path, Mapping[str, Array]]) -> int:
    """Return the number of parameters in the arrays."""
    return sum(array.size for roles in weights.values() for array in roles.values())
