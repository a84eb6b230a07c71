"""The graph under construction: nodes, constants, the weights they are taken from, and tensors with their shape and mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from modelport.columns import Array
from modelport.errors import UnreadableFile
from modelport.forms.keras_onnx.network import Layer, Network, Path
from modelport.forms.keras_onnx.proto import ELEMENT_TYPES, Attribute, Body, Node, Port, serialize

Shape: TypeAlias = tuple[int | None, ...]
Floats: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value in the graph. ``shape`` starts with the row axis, None is an axis known only when it runs.

    ``mask``: a boolean tensor, True where a step counts, as Keras carries it beside the value.
    """

    name: str
    shape: Shape
    dtype: str = "float32"
    mask: Tensor | None = None

    @property
    def rank(self) -> int:
        """Number of axes, rows included."""
        return len(self.shape)

    def but(self, name: str, shape: Shape | None = None) -> Tensor:
        """Return a tensor of this dtype and mask under another name."""
        return replace(self, name=name, shape=self.shape if shape is None else shape)


@dataclass(frozen=True, slots=True)
class Given:
    """What a call hands a layer: tensors by position and by name, and the arguments that are true."""

    inputs: Sequence[Tensor]
    named: Mapping[str, tuple[Tensor, ...]] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Prepared:
    """An input of the graph that a function makes from one of the network's, as the graph itself holds no texts.

    ``is_by_batch``: how long its rows are depends on the longest row computed with them. ``known``: the words or numbers that the
    layer knows, where each value is one; with ``is_closed`` it takes no others.
    """

    source: str
    port: Port
    run: Callable[[Array], Array]
    is_by_batch: bool = False
    known: tuple[str | int, ...] = ()
    is_closed: bool = False


@dataclass(slots=True)
class Graph:
    """Collects nodes and constants; ``weights`` are the file's arrays by layer and role; ``memo`` keeps what several layers share.

    ``raw``: the names of the network's own inputs, which functions can prepare for it.
    """

    weights: Mapping[Path, Mapping[str, Array]]
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    memo: dict[tuple[object, ...], object] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    raw: frozenset[str] = frozenset()
    prepared: list[Prepared] = field(default_factory=list)
    scope: str = ""

    def op(self, kind: str, *inputs: str, **attributes: Attribute) -> str:
        """Add an operation with one output and return the output's name."""
        return self.ops(kind, inputs, 1, **attributes)[0]

    def ops(self, kind: str, inputs: Sequence[str], outputs: int, **attributes: Attribute) -> list[str]:
        """Add an operation with several outputs and return their names."""
        names = [self._fresh(kind) for _ in range(outputs)]
        self.nodes.append(Node(kind, tuple(inputs), tuple(names), attributes))
        return names

    def _fresh(self, kind: str) -> str:
        name = f"{self.scope}/{kind}_{len(self.nodes) + len(self.constants)}"
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def constant(self, value: Array) -> str:
        """Add an array and return its name; an array of the same bytes is added once."""
        key = ("constant", value.dtype.str, value.shape, value.tobytes() if value.size < 64 else id(value))
        if key not in self.memo:
            name = self._fresh("constant")
            self.constants[name] = value  # kept alive here, so that its id stays its own
            self.memo[key] = name
        return str(self.memo[key])

    def prepare(self, source: Tensor, run: Callable[[Array], Array], made: tuple[str, Shape], *, is_by_batch: bool = False) -> Tensor:
        """Add an input of the type and shape ``made`` that ``run`` makes from the network's input ``source``."""
        dtype, shape = made
        port = Port(self._fresh("prepared"), dtype, shape)
        self.prepared.append(Prepared(source.name, port, run, is_by_batch))
        return Tensor(port.name, shape, dtype)

    def number(self, value: float) -> str:
        """Add a float32 scalar."""
        return self.constant(np.asarray(value, np.float32))

    def ints(self, *values: int) -> str:
        """Add a vector of int64, as axes and shapes are given."""
        return self.constant(np.asarray(values, np.int64))

    def weight(self, layer: Layer | Network, role: str, shape: Shape) -> Floats:
        """Return a layer's weight as float32. Raises: UnreadableFile if it is missing or of another shape (None fits any length)."""
        array = self.weights.get(layer.path, {}).get(role)
        if array is None:
            raise UnreadableFile(f'{layer.title}: the weight "{role}" is not in the file; the file is damaged or holds another network')
        if len(array.shape) != len(shape) or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
            wanted = tuple("any" if length is None else length for length in shape)
            raise UnreadableFile(f'{layer.title}: the weight "{role}" has shape {array.shape}, expected {wanted}; the file is damaged')
        return array.astype(np.float32, copy=False)

    def cast(self, tensor: Tensor, dtype: str) -> Tensor:
        """Return the tensor in another dtype."""
        if tensor.dtype == dtype:
            return tensor
        return replace(tensor, name=self.op("Cast", tensor.name, to=ELEMENT_TYPES[dtype]), dtype=dtype)

    def reshape(self, tensor: Tensor, shape: Shape) -> Tensor:
        """Return the tensor with other axes after the rows; at most one of them may be None. The mask is dropped."""
        name = self.op("Reshape", tensor.name, self.ints(0, *(-1 if length is None else length for length in shape[1:])))
        return Tensor(name, shape, tensor.dtype)

    def transpose(self, tensor: Tensor, order: Sequence[int]) -> Tensor:
        """Return the tensor with its axes in another order. The mask is dropped."""
        name = self.op("Transpose", tensor.name, perm=list(order))
        return Tensor(name, tuple(tensor.shape[axis] for axis in order), tensor.dtype)

    def finish(self, inputs: Sequence[Port], outputs: Sequence[Port], *, apart_bytes: int) -> tuple[bytes, dict[str, Array]]:
        """Return the bytes of the model file, and by name the constants from ``apart_bytes`` on that are left out of it."""
        apart = {name: np.ascontiguousarray(array) for name, array in self.constants.items() if array.nbytes >= apart_bytes}
        return serialize(Body(self.nodes, self.constants, inputs, outputs, frozenset(apart))), apart
