"""The symbolic objects that the static pickle reader puts on its stack instead of real ones.

Numbers, short strings, lists, dictionaries and tuples stand for themselves. Everything that a pickle would *make* is one of
the inert classes here, so nothing a file says can run anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from modelport.formats.base import GlobalClass

Symbol: TypeAlias = object
Use: TypeAlias = Literal["class", "reconstruct", "type", "value"]


@dataclass(frozen=True, slots=True)
class Ref:
    """A global that the file names, in its present spelling.

    ``uses`` are those allowed: a "class" may be made by NEWOBJ and filled by BUILD, "reconstruct" may be called by REDUCE, a
    "type" is a class that is only held or passed on, a "value" a function that is only held. Any may appear as a value.
    """

    module: str
    name: str
    kind: GlobalClass
    uses: frozenset[Use] = frozenset()

    @property
    def dotted(self) -> str:
        """The name as people write it."""
        return f"{self.module}.{self.name}"


Judge: TypeAlias = Callable[[str, str], Ref]


@dataclass(slots=True, eq=False)
class Node:
    """An object that loading would make: by which global, from which arguments, filled with which state and items."""

    maker: Ref
    args: tuple[Symbol, ...]
    state: Symbol = None
    is_built: bool = False
    items: dict[Symbol, Symbol] = field(default_factory=dict)
    dtype: np.dtype[np.generic] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A long string or byte string, left where it is: bytes start..stop of the stream."""

    start: int
    stop: int
    is_bytes: bool


@dataclass(slots=True, eq=False)
class Group:
    """A set or frozenset."""

    members: list[Symbol]


def kind_of(symbol: Symbol) -> str:
    """Return the type of a symbol as people call it."""
    return "dict" if isinstance(symbol, dict) else type(symbol).__name__


@dataclass(frozen=True, slots=True)
class Stream:
    """One pickle within the data: bytes start..stop, and what to replace in it (start, stop, replacement) before it is loaded."""

    start: int
    stop: int
    cuts: tuple[tuple[int, int, bytes], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """An array that joblib wrote raw into the stream: its bytes begin at ``start``.

    An array of objects is a pickle of its own there: ``nested``, with the symbolic ``root`` read from it.
    """

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    is_fortran: bool
    start: int
    nested: Stream | None = None
    root: Symbol = None
