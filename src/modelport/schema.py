"""Field and Schema: what a model takes and answers, readable without running anything.

A schema comes from the artifact (feature names, categories, classes, shapes) or from a bundle's manifest. Everything that
faces people derives from it: decoding and its error messages, OpenAPI, the page, the curl line, the warm-up rows.

Logical and physical columns. ``inputs`` are *logical*: one Field for each column that a person sees. ``layout`` gives the
*physical* ones, the arrays that travel: scalar numeric features of one type are packed into one matrix, because joining 64
requests of 30 columns each costs 1,920 small arrays, and of one matrix each 64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Literal, TypeAlias, cast, get_args

import numpy as np

from modelport.columns import Array, Columns
from modelport.errors import ManifestError

Type: TypeAlias = Literal[
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "string"
]
Task: TypeAlias = Literal["classifier", "regressor", "clusterer", "transformer", "outlier_detector", "network", "frame"]
Role: TypeAlias = Literal["feature", "key"]
Scalar: TypeAlias = str | int | float | bool | None

TYPES: tuple[str, ...] = get_args(Type)
TASKS: tuple[str, ...] = get_args(Task)
ROLES: tuple[str, ...] = get_args(Role)


_KINDS: tuple[tuple[str, tuple[type, ...], str], ...] = (
    ("nullable", (bool,), "true or false"),
    ("closed", (bool,), "true or false"),
    ("max_length", (int, type(None)), "a whole number"),
    ("description", (str,), "a string"),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One column.

    ``shape`` is what each row holds: ``()`` a scalar, ``(56,)`` a vector, None for an axis of any length.
    ``role`` "key": not a feature, returned unchanged beside the prediction, optional in a request.
    ``nullable``: the model takes missing values here (null becomes NaN, or None in a string column).
    ``categories`` with ``closed``: the only values the model takes. Without: known values, shown to people, not enforced.
    ``max_length``: characters of a string.
    """

    name: str
    type: Type
    shape: tuple[int | None, ...] = ()
    role: Role = "feature"
    nullable: bool = False
    max_length: int | None = None
    categories: tuple[Scalar, ...] = ()
    closed: bool = False
    description: str = ""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The numpy dtype of the column's array; strings are object arrays of str or None."""
        return np.dtype(object) if self.type == "string" else np.dtype(self.type)

    def to_dict(self) -> dict[str, object]:
        """Return plain data, without what is at its default."""
        out: dict[str, object] = {"name": self.name, "type": self.type}
        for item in fields(self)[2:]:
            value = getattr(self, item.name)
            if value != item.default:
                out[item.name] = list(value) if isinstance(value, tuple) else value
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, object], *, where: str = "input") -> Field:
        """Read plain data, as a manifest or a worker gives it. Raises: ManifestError naming the key and what it may be."""
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise ManifestError(f'{where}: unknown key "{unknown[0]}"; known are {", ".join(sorted(known))}')
        name, type_ = data.get("name"), data.get("type")
        if not isinstance(name, str) or not name:
            raise ManifestError(f'{where}: "name" must be a non-empty string, found {name!r}')
        if type_ not in TYPES:
            raise ManifestError(f'{where} "{name}": "type" must be one of {", ".join(TYPES)}, found {type_!r}')
        if data.get("role", "feature") not in ROLES:
            raise ManifestError(f'{where} "{name}": "role" must be one of {", ".join(ROLES)}, found {data.get("role")!r}')
        shape = data.get("shape", ())
        if not isinstance(shape, list | tuple) or any(not (n is None or (type(n) is int and n >= -1)) for n in shape):
            raise ManifestError(f'{where} "{name}": "shape" must be a list of lengths (-1 for any), found {shape!r}')
        values = dict(data)
        values["shape"] = tuple(None if n in (None, -1) else n for n in shape)
        categories = values.get("categories", ())
        if not isinstance(categories, list | tuple) or not all(isinstance(n, str | int | float | None) for n in categories):
            raise ManifestError(f'{where} "{name}": "categories" must be a list of plain values, found {categories!r}')
        values["categories"] = tuple(categories)
        for key, kind, expected in _KINDS:
            if key in data and type(data[key]) not in kind:
                raise ManifestError(f'{where} "{name}": "{key}" must be {expected}, found {data[key]!r}')
        return cls(**values)  # type: ignore[arg-type]  # each key was checked against the fields above


@dataclass(frozen=True, slots=True)
class Block:
    """One physical column: a logical one as it is, or several scalar ones packed into a matrix (rows, len(fields))."""

    name: str
    fields: tuple[Field, ...]
    is_packed: bool

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The dtype of the array that travels."""
        return self.fields[0].dtype

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The trailing shape of the array that travels."""
        return (len(self.fields),) if self.is_packed else self.fields[0].shape


@dataclass(frozen=True)
class Schema:
    """What a model takes and answers.

    ``task`` decides the shape of a record in our own JSON. ``classes`` are a classifier's labels in the order of its
    probabilities, as JSON would show them. ``is_named``: the artifact itself names its features (else they are x0 … xn).
    """

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...] = ()
    task: Task = "network"
    classes: tuple[Scalar, ...] = ()
    is_named: bool = True
    description: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for what, group in (("input", self.inputs), ("output", self.outputs)):
            names = [item.name for item in group]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ManifestError(f'{what} "{twice[0]}" is declared twice; column names must be unique')

    @cached_property
    def keys(self) -> tuple[Field, ...]:
        """The columns that are returned beside the prediction instead of being predicted from."""
        return tuple(item for item in self.inputs if item.role == "key")

    @cached_property
    def features(self) -> tuple[Field, ...]:
        """The columns that the model predicts from, in its order."""
        return tuple(item for item in self.inputs if item.role == "feature")

    @cached_property
    def layout(self) -> tuple[Block, ...]:
        """The physical columns, in order of their first logical one; two or more scalar numeric features of a type share one."""
        return _layout(self.inputs)

    @cached_property
    def is_uniform(self) -> bool:
        """Whether it fixes names, types and shapes, so that all calls have columns of one signature."""
        return all(None not in block.shape for block in self.layout)

    @cached_property
    def row_bytes(self) -> int | None:
        """How many bytes a row of physical columns has; None where that differs from call to call."""
        if not self.is_uniform or any(block.dtype.hasobject for block in self.layout):
            return None
        return sum(block.dtype.itemsize * math.prod(length or 0 for length in block.shape) for block in self.layout)

    def unpack(self, columns: Columns) -> Columns:
        """Turn physical columns into logical ones, in schema order; absent ones (optional keys) stay absent. Cost: views."""
        found: dict[str, Array] = {}
        for block in self.layout:
            if block.name not in columns:
                continue
            array = columns[block.name]
            if block.is_packed:
                found.update((item.name, array[:, at]) for at, item in enumerate(block.fields))
            else:
                found[block.fields[0].name] = array
        return Columns({item.name: found[item.name] for item in self.inputs if item.name in found})

    def pack(self, columns: Mapping[str, Array]) -> Columns:
        """Turn logical columns into physical ones. Raises: KeyError if a feature is missing."""
        out: dict[str, Array] = {}
        for block in self.layout:
            if block.is_packed:
                out[block.name] = np.stack([np.asarray(columns[item.name], block.dtype) for item in block.fields], axis=1)
            elif block.fields[0].role == "feature" or block.name in columns:
                out[block.name] = columns[block.name]
        return Columns(out)

    def sample(self, rows: int = 1) -> Columns:
        """Return physical columns of plausible values, for warm-up and the example in the documentation."""
        return self.pack({item.name: _sample(item, rows) for item in self.inputs})

    def to_dict(self) -> dict[str, object]:
        """Return plain data (JSON and TOML), without what is at its default."""
        out: dict[str, object] = {
            "task": self.task,
            "inputs": [item.to_dict() for item in self.inputs],
            "outputs": [item.to_dict() for item in self.outputs],
        }
        if self.classes:
            out["classes"] = list(self.classes)
        if not self.is_named:
            out["is_named"] = False
        if self.description:
            out["description"] = self.description
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Schema:
        """Read what ``to_dict`` wrote. Raises: ManifestError."""
        task = data.get("task", "network")
        if task not in TASKS:
            raise ManifestError(f'"task" must be one of {", ".join(TASKS)}, found {task!r}')
        return cls(
            inputs=tuple(Field.from_dict(item) for item in cast("list[dict[str, object]]", data.get("inputs", []))),
            outputs=tuple(Field.from_dict(item, where="output") for item in cast("list[dict[str, object]]", data.get("outputs", []))),
            task=cast("Task", task),
            classes=tuple(cast("list[Scalar]", data.get("classes", []))),
            is_named=bool(data.get("is_named", True)),
            description=str(data.get("description", "")),
        )


def _layout(inputs: tuple[Field, ...]) -> tuple[Block, ...]:
    groups: dict[str, list[Field]] = {}
    for item in inputs:
        if item.role == "feature" and item.shape == () and item.type != "string":
            groups.setdefault(item.type, []).append(item)
    names = {item.name for item in inputs}
    blocks: list[Block] = []
    done: set[str] = set()
    for item in inputs:
        group = groups.get(item.type, []) if item.role == "feature" and item.shape == () else []
        if len(group) < 2:
            blocks.append(Block(item.name, (item,), is_packed=False))
        elif item.type not in done:
            done.add(item.type)
            name = f"#{item.type}"
            while name in names:  # a column of the user's may have any name
                name = "#" + name
            blocks.append(Block(name, tuple(group), is_packed=True))
    return tuple(blocks)


def _fits(value: Scalar, item: Field) -> bool:
    """Whether a value of that column can be this one; what a manifest lists is not checked elsewhere."""
    if item.type == "string" or isinstance(value, str | None):
        return item.type == "string" and isinstance(value, str)
    try:
        return bool(np.asarray(value, item.dtype) == value)
    except OverflowError:
        return False


def _sample(item: Field, rows: int) -> Array:
    shape = (rows, *(1 if n is None else n for n in item.shape))
    value: Scalar = "I am well" if item.type == "string" else 0
    if item.role == "key":
        return np.asarray([str(i + 1) for i in range(rows)], object) if item.type == "string" else np.arange(1, rows + 1).astype(item.dtype)
    known = [category for category in item.categories if _fits(category, item)]
    if known:
        value = known[0]
    return np.full(shape, value, item.dtype)
