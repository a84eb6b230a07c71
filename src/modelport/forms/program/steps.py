"""Step and Program: what is computed, as plain data that can be written to a file, and how that file is read again.

Register 0 holds the physical columns of a call; step *i* reads earlier registers and fills register *i* + 1. What each
operation does is in ``operations``; nothing in here can name code.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
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

_DOCUMENT = "program"
_FORMAT = 1
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
    """Return the program as bytes: a zip of plain arrays and one JSON document. Cost: two copies of the arrays."""
    arrays: dict[str, Array] = {}
    listed: list[Plain] = []
    for at, step in enumerate(program.steps):
        for name, array in step.arrays.items():
            arrays[f"{at}.{name}"] = array
        listed.append({"op": step.op, "inputs": list(step.inputs), "settings": dict(step.settings), "arrays": list(step.arrays)})
    document = {"format": _FORMAT, "steps": listed, "outputs": dict(program.outputs)}
    arrays[_DOCUMENT] = np.frombuffer(json.dumps(document).encode("utf-8"), np.uint8)
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **arrays)
    return out.getvalue()


def load(data: bytes) -> Program:
    """Read what ``dump`` wrote; nothing in it is unpickled or looked up. Raises: LoadError for anything else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            document = json.loads(archive[_DOCUMENT].tobytes())
            if document["format"] != _FORMAT:
                raise ValueError("written by another version")
            steps = tuple(_step(at, item, archive) for at, item in enumerate(document["steps"]))
            outputs = {str(name): int(register) for name, register in document["outputs"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, RecursionError) as error:
        raise LoadError(f"the converted form is damaged ({str(error)[:100]}); delete it, and it is made again") from error
    except Exception as error:  # zipfile and zlib have errors of their own for a damaged archive
        if type(error).__module__ not in ("zipfile", "zlib"):
            raise
        raise LoadError("the converted form is damaged (no archive); delete it, and it is made again") from error
    if not all(0 <= register <= len(steps) for register in outputs.values()):
        raise LoadError("the converted form is damaged (an output of no step); delete it, and it is made again")
    return Program(steps, outputs)


def _step(at: int, item: Mapping[str, object], archive: Mapping[str, Array]) -> Step:
    inputs = tuple(int(register) for register in cast("list[int]", item["inputs"]))
    if any(not 0 <= register <= at for register in inputs):
        raise ValueError(f"step {at} reads a register that is not filled yet")
    arrays = {name: archive[f"{at}.{name}"] for name in cast("list[str]", item["arrays"])}
    if strange := [name for name, array in arrays.items() if array.dtype.name not in _DTYPES]:
        raise ValueError(f"step {at} has an array {strange[0]} of {arrays[strange[0]].dtype}")
    return Step(str(item["op"]), inputs, cast("Mapping[str, Plain]", item["settings"]), arrays)
