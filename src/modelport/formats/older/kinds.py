"""Classes of the installed scikit-learn that answer as an older version did, without anyone noticing the difference."""

from __future__ import annotations

from typing import TypeVar

Kind = TypeVar("Kind", bound=type)
Version = tuple[int, ...]


def like_parent(kind: Kind) -> Kind:
    """Give a class the name and module of the class that it changes, so that it is shown and recognized as that one."""
    parent = kind.__mro__[1]
    kind.__name__, kind.__qualname__, kind.__module__ = parent.__name__, parent.__qualname__, parent.__module__
    return kind


def become(model: object, kind: type) -> None:
    """Make an unpickled object one of a class that answers as an older version did."""
    object.__setattr__(model, "__class__", kind)
