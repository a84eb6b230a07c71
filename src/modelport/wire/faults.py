"""Collecting what is wrong with a request, and saying it: one Fault for each thing, with a JSON Pointer, a stable code and a sentence.

The codes: ``form`` (no form that the schema takes), ``not_json`` (a string that holds no JSON), ``empty``, ``mixed`` (records
and rows in one list), ``unknown_column``, ``missing_column``, ``duplicate_column``, ``ragged`` (columns of unequal length),
``row_length``, ``wrong_type``, ``null``, ``out_of_range``, ``too_long``, ``category``, ``shape``, and ``more`` (the last one,
which says how many are not listed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from modelport.errors import Fault, SchemaError

LISTED = 50
"""Faults that an answer lists."""

COUNTED = 1_000
"""Faults after which nobody looks further: a body of millions of wrong cells must not hold up the others."""

_SUGGESTIONS = 5
_SUGGEST_AMONG = 200
_SHOWN_CHARS = 60
_SHOWN_CATEGORIES = 8


@dataclass(slots=True)
class Faults:
    """The faults found so far in one request."""

    found: list[Fault] = field(default_factory=list)
    count: int = 0

    def add(self, path: str, code: str, message: str) -> None:
        """Note a fault. Raises: SchemaError with what there is once COUNTED are found."""
        self.count += 1
        if self.count <= LISTED:
            self.found.append(Fault(path, code, message))
        if self.count >= COUNTED:
            raise self.error()

    def check(self) -> None:
        """Raise SchemaError if there is any fault."""
        if self.count:
            raise self.error()

    def error(self) -> SchemaError:
        """Return the error that lists every fault, or the first ones and how many more."""
        faults, hidden = tuple(self.found), self.count - len(self.found)
        atleast = "at least " if self.count >= COUNTED else ""
        if hidden:
            faults += (Fault("", "more", f"and {atleast}{hidden} more"),)
        others = self.count - 1
        tail = f" (and {atleast}{others} more fault{'s' if others > 1 else ''})" if others else ""
        return SchemaError(self.found[0].message + tail, faults=faults)


def fail(path: str, code: str, message: str) -> SchemaError:
    """Return the error for a request with this one fault."""
    return SchemaError(message, faults=(Fault(path, code, message),))


def pointer(*steps: str | int) -> str:
    """Return a JSON Pointer (RFC 6901). ``pointer(3, "a/b")`` is ``/3/a~1b``."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def kind(value: object) -> str:
    """Name a JSON value's type as people do."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    names = {float: "number", str: "string", list: "list"}
    return names.get(type(value), "object")


def short(text: str) -> str:
    """Return text that fits in a sentence."""
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def listed(values: Sequence[object]) -> str:
    """Return the first few values, quoted if strings, and how many there are if that is not all."""
    shown = ", ".join(f'"{short(value)}"' if isinstance(value, str) else str(value) for value in values[:_SHOWN_CATEGORIES])
    return shown if len(values) <= _SHOWN_CATEGORIES else f"{shown}, … ({len(values)} in all)"


def suggestion(name: str, names: Sequence[str], *, asked: int) -> str:
    """Return ``; did you mean "…"?`` or, where nothing comes close, the names there are.

    ``asked``: how many suggestions this request has had; comparing names is slow, so only the first few get one.
    """
    if asked >= LISTED:  # nobody will read it
        return ""
    folded = [known for known in names if known.casefold() == name.casefold()]
    if not folded and asked < _SUGGESTIONS and len(names) <= _SUGGEST_AMONG:
        folded = get_close_matches(name[:_SHOWN_CHARS], names, n=1, cutoff=0.6)
    return f'; did you mean "{short(folded[0])}"?' if folded else f"; known are {listed(names)}"
