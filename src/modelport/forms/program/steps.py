"""Step and Program: what is computed, as plain data that can be written to a file, and how that file is read again.

Register 0 holds the physical columns of a call; step *i* reads earlier registers and fills register *i* + 1. What each
operation does is in ``operations``; nothing in here can name code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from modelport.columns import Array
from modelport.errors import LoadError

Plain: TypeAlias = str | int | float | bool | list["Plain"] | dict[str, "Plain"] | None
"""What JSON holds."""
Floats: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.intp]

_HEAD = b"modelport program 2\n"
_LENGTH_BYTES = 8
_ALIGNMENT = 64
_COPIED_BYTES = 1 << 20
_DTYPES = frozenset(["bool", "uint8", "int32", "int64", "float32", "float64"])


@dataclass(frozen=True, slots=True)
class Step:
    """One operation: which, on which registers, with which settings and arrays."""

    op: str
    inputs: tuple[int, ...]
    settings: Mapping[str, Plain] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)

    def floats(self, name: str) -> Floats:
        """Return an array of numbers. Raises: KeyError if it is not there."""
        return self.arrays[name].astype(np.float64, copy=False)

    def some_floats(self, name: str) -> Floats | None:
        """Return an array of numbers, None if the step has none of that name."""
        return self.floats(name) if name in self.arrays else None

    def places(self, name: str) -> Places:
        """Return an array of positions. Raises: KeyError if it is not there, ValueError if it holds no whole numbers."""
        array = self.arrays[name]
        if array.dtype.kind not in "iu":
            raise ValueError(f"{name} holds no whole numbers")
        return array.astype(np.intp)

    def text(self, name: str) -> str:
        """Return a setting that is a text. Raises: KeyError, ValueError."""
        value = self.settings[name]
        if not isinstance(value, str):
            raise ValueError(f"{name} is no text")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Return a setting that is a number. Raises: KeyError if it is not there and has no default, ValueError."""
        value = self.settings[name] if default is None else self.settings.get(name, default)
        if not isinstance(value, int | float):
            raise ValueError(f"{name} is no number")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a setting that is a list of texts. Raises: KeyError, ValueError."""
        value = self.settings[name]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{name} is no list of texts")
        return cast("list[str]", value)


@dataclass(frozen=True, slots=True)
class Program:
    """A whole model. ``outputs``: the register of each output of the schema."""

    steps: tuple[Step, ...]
    outputs: Mapping[str, int]

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return sum(array.nbytes for step in self.steps for array in step.arrays.values())


def dump(program: Program) -> bytes:
    """Return the program as bytes: one JSON document, and the arrays as they lie in memory. Cost: one copy of the arrays."""
    buffers: list[memoryview | bytes] = []
    listed: list[Plain] = []
    at = 0
    for step in program.steps:
        arrays: list[Plain] = []
        for name, array in step.arrays.items():
            whole = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
            arrays.append([name, whole.dtype.name, list(whole.shape), at])
            padding = -whole.nbytes % _ALIGNMENT
            buffers += [whole.reshape(-1).view(np.uint8).data if whole.size else b"", bytes(padding)]
            at += whole.nbytes + padding
        listed.append({"op": step.op, "inputs": list(step.inputs), "settings": dict(step.settings), "arrays": arrays})
    document = json.dumps({"steps": listed, "outputs": dict(program.outputs)}).encode("utf-8")
    start = len(_HEAD) + 2 * _LENGTH_BYTES + len(document)
    lengths = len(document).to_bytes(_LENGTH_BYTES, "little") + at.to_bytes(_LENGTH_BYTES, "little")
    return b"".join([_HEAD, lengths, document, bytes(-start % _ALIGNMENT), *buffers])


def load(data: bytes | memoryview) -> Program:
    """Read what ``dump`` wrote; nothing in it is unpickled or looked up. Raises: LoadError for anything else.

    Cost: a copy of small arrays; those of a megabyte or more are views of ``data``, which may be a mapped file.
    """
    whole = memoryview(data)
    try:
        document, body = _parts(whole)
        steps = tuple(_step(at, item, body) for at, item in enumerate(cast("list[Mapping[str, object]]", document["steps"])))
        outputs = {str(name): int(register) for name, register in cast("dict[str, int]", document["outputs"]).items()}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise LoadError(f"the converted form is damaged ({str(error)[:100]}); delete it, and it is made again") from error
    if not all(0 <= register <= len(steps) for register in outputs.values()):
        raise LoadError("the converted form is damaged (an output of no step); delete it, and it is made again")
    return Program(steps, outputs)


def _parts(whole: memoryview) -> tuple[Mapping[str, object], memoryview]:
    """Return the document and the bytes of all arrays. Raises: ValueError."""
    at = len(_HEAD) + _LENGTH_BYTES
    start = at + _LENGTH_BYTES
    if bytes(whole[: len(_HEAD)]) != _HEAD:
        raise ValueError("written by another version")
    length, size = (int.from_bytes(whole[end - _LENGTH_BYTES : end], "little") for end in (at, start))
    body = start + length + (-(start + length) % _ALIGNMENT)
    if body + size != len(whole):
        raise ValueError(f"{len(whole)} bytes instead of {body + size}")
    return json.loads(bytes(whole[start : start + length])), whole[body:]


def _step(at: int, item: Mapping[str, object], body: memoryview) -> Step:
    inputs = tuple(int(register) for register in cast("list[int]", item["inputs"]))
    if any(not 0 <= register <= at for register in inputs):
        raise ValueError(f"step {at} reads a register that is not filled yet")
    arrays = {name: _array(at, name, rest, body) for name, *rest in cast("list[tuple[str, str, list[int], int]]", item["arrays"])}
    return Step(str(item["op"]), inputs, cast("Mapping[str, Plain]", item["settings"]), arrays)


def _array(at: int, name: str, rest: Sequence[object], body: memoryview) -> Array:
    dtype, shape, start = rest
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"step {at} has an array {name} of {dtype}")
    numbers = [start, *cast("list[object]", shape)]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError(f"step {at} has an array {name} without a place or a shape")
    first, *lengths = cast("list[int]", numbers)
    count = math.prod(lengths)
    kind = np.dtype(dtype)
    if first % _ALIGNMENT or first + count * kind.itemsize > len(body):
        raise ValueError(f"step {at} has an array {name} outside of the file")
    if not count:
        return np.empty(lengths, kind)
    array: Array = np.frombuffer(body, kind, count, first).reshape(lengths)
    return array if array.nbytes >= _COPIED_BYTES else array.copy()
