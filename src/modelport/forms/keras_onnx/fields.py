"""Values of a Keras configuration, read with their types checked: the JSON comes from a file that anybody may have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn, cast

from modelport.errors import LoadError, UnreadableFile

_HOW = 'serve it through a "load" hook in model.toml that opens the file with Keras itself'


class NotConverted(LoadError):
    """Keras has it and the converter has not; Keras itself may still answer."""


def not_converted(what: str) -> NoReturn:
    """Raise the error for something that Keras has and the converter has not; ``what`` is the first half of the sentence."""
    raise NotConverted(f"{what} is not converted; {_HOW}")


def damaged(where: str, expected: str, found: object) -> NoReturn:
    """Raise the error for a value that Keras would not have written."""
    shown = repr(found)
    raise UnreadableFile(f"{where}: expected {expected}, found {shown if len(shown) < 60 else shown[:57] + '...'}; the file is damaged")


def as_dict(value: object, where: str) -> dict[str, object]:
    """Return a JSON object. Raises: UnreadableFile."""
    if not isinstance(value, dict):
        damaged(where, "an object", value)
    return cast("dict[str, object]", value)


def as_list(value: object, where: str) -> list[object]:
    """Return a JSON array. Raises: UnreadableFile."""
    if not isinstance(value, list | tuple):
        damaged(where, "a list", value)
    return list(value)


def as_text(value: object, where: str) -> str:
    """Return a JSON string. Raises: UnreadableFile."""
    if not isinstance(value, str):
        damaged(where, "a string", value)
    return value


def as_int(value: object, where: str, *, minimum: int = 0) -> int:
    """Return a whole number of at least ``minimum`` and less than 2**31. Raises: UnreadableFile."""
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value < 2**31:
        damaged(where, f"a whole number from {minimum} on", value)
    return value


def as_float(value: object, where: str) -> float:
    """Return a finite number. Raises: UnreadableFile."""
    if isinstance(value, dict) and value.get("class_name") == "__numpy__":
        value = as_dict(value.get("config"), where).get("value")
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e300:
        damaged(where, "a number", value)
    return float(value)


def as_shape(value: object, where: str) -> tuple[int | None, ...]:
    """Return a shape in which None is an axis of any length. Raises: UnreadableFile."""
    return tuple(None if item is None else as_int(item, where) for item in as_list(value, where))


class Settings:
    """A layer's configuration with checked getters; ``where`` names the layer in messages."""

    __slots__ = ("values", "where")

    def __init__(self, values: Mapping[str, object], where: str) -> None:
        self.values = values
        self.where = where

    def get(self, key: str) -> object:
        """Return the raw value, None if there is none."""
        return self.values.get(key)

    def _name(self, key: str) -> str:
        return f'{self.where}, "{key}"'

    def flag(self, key: str, default: bool = False) -> bool:  # noqa: FBT001, FBT002  # reads as dict.get
        """Return a boolean."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            damaged(self._name(key), "true or false", value)
        return value

    def integer(self, key: str, default: int | None = None, *, minimum: int = 1) -> int:
        """Return a whole number of at least ``minimum``."""
        return as_int(self.values.get(key, default), self._name(key), minimum=minimum)

    def number(self, key: str, default: float | None = None) -> float:
        """Return a number."""
        return as_float(self.values.get(key, default), self._name(key))

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string."""
        return as_text(self.values.get(key, default), self._name(key))

    def integers(self, key: str, rank: int, default: object = None, *, minimum: int = 1) -> tuple[int, ...]:
        """Return ``rank`` whole numbers; one number stands for all of them, as in Keras."""
        value = self.values.get(key)
        value = default if value is None else value
        items = [value] * rank if isinstance(value, int) else as_list(value, self._name(key))
        if len(items) != rank:
            damaged(self._name(key), f"{rank} whole numbers", value)
        return tuple(as_int(item, self._name(key), minimum=minimum) for item in items)

    def pairs(self, key: str, rank: int, default: int = 1) -> tuple[tuple[int, int], ...]:
        """Return ``rank`` pairs (before, after) of a padding or cropping: a number, a number an axis, or a pair an axis."""
        value = self.values.get(key, default)
        if rank == 1 and isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(item, int) for item in value):
            value = [value]
        items = [value] * rank if isinstance(value, int) else as_list(value, self._name(key))
        if len(items) != rank:
            damaged(self._name(key), f"{rank} pairs of whole numbers", value)
        out: list[tuple[int, int]] = []
        for item in items:
            pair = [item, item] if isinstance(item, int) else as_list(item, self._name(key))
            if len(pair) != 2:
                damaged(self._name(key), f"{rank} pairs of whole numbers", value)
            out.append((as_int(pair[0], self._name(key)), as_int(pair[1], self._name(key))))
        return tuple(out)

    def axis(self, rank: int, key: str = "axis", default: int = -1) -> int:
        """Return an axis counted from the front."""
        value = self.values.get(key, default)
        if isinstance(value, list | tuple) and len(value) == 1:  # how Keras 2 wrote one axis
            value = value[0]
        if not isinstance(value, int) or isinstance(value, bool) or not -rank <= value < rank:
            damaged(self._name(key), f"an axis of {rank}", value)
        return value % rank
