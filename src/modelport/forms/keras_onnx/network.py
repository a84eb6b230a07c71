"""A Keras network as data: layers, their settings, and which call of which layer feeds which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from modelport.forms.keras_onnx.fields import Settings

Path: TypeAlias = tuple[str, ...]
"""Names from the outermost network down to a layer; wrapped layers by the wrapper's attribute, as ("reader", "forward_layer")."""


@dataclass(frozen=True, slots=True)
class Version:
    """The Keras that wrote the file: several rules depend on it. ``is_tf``: the one inside TensorFlow, by its own mark."""

    major: int
    minor: int
    is_tf: bool = False


@dataclass(frozen=True, slots=True)
class Ref:
    """One output of one call of one layer."""

    layer: str
    call: int
    output: int


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a layer: the tensors it gets, the masks passed by hand, and plain numbers among the arguments.

    ``named``: tensors given by an argument's name; ``flags``: the arguments that are true.
    """

    inputs: tuple[Ref, ...]
    masks: tuple[Ref | None, ...] = ()
    numbers: tuple[float, ...] = ()
    named: tuple[tuple[str, tuple[Ref, ...]], ...] = ()
    flags: frozenset[str] = frozenset()

    @property
    def needed(self) -> tuple[Ref, ...]:
        """Every tensor that has to be there before the call."""
        return (*self.inputs, *(mask for mask in self.masks if mask is not None), *(ref for _, refs in self.named for ref in refs))


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. ``kind`` is Keras's class name; operations that are no layers are called "ops.Name".

    ``written_as``: the class by which the file names it where that is another.
    """

    path: Path
    kind: str
    settings: Settings
    version: Version
    inner: tuple[tuple[str, Layer | Network], ...] = ()
    is_trainable: bool = True
    written_as: str = ""

    @property
    def name(self) -> str:
        """The layer's own name."""
        return self.path[-1]

    @property
    def title(self) -> str:
        """How messages call it."""
        return f'layer "{"/".join(self.path)}" ({self.kind.removeprefix("ops.")})'


@dataclass(frozen=True, slots=True)
class Input:
    """What a network is fed: the layer's name, its dtype and its shape, rows first."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """A Sequential or functional model; ``members`` in the file's order."""

    path: Path
    kind: str
    members: dict[str, Layer | Network]
    calls: dict[str, tuple[Call, ...]]
    inputs: tuple[Input, ...]
    outputs: tuple[Ref, ...]
    version: Version
    is_trainable: bool = True

    @property
    def title(self) -> str:
        """How messages call it."""
        return f'network "{"/".join(self.path)}"'

    @property
    def name(self) -> str:
        """The network's own name, empty for the outermost."""
        return self.path[-1] if self.path else ""


def leaves(node: Layer | Network) -> Iterator[Layer]:
    """Yield every layer of a network in the file's order, wrapped ones after their wrapper."""
    if isinstance(node, Layer):
        yield node
        children: list[Layer | Network] = [child for _, child in node.inner]
    else:
        children = list(node.members.values())
    for child in children:
        yield from leaves(child)
