"""Likenesses: inert objects that show the attributes a pickle gives its estimators, so that they can be asked without being made.

What asks a loaded estimator for its columns, categories and classes (``estimator_inputs``, ``estimator_tree``) asks a likeness
in the same words. It has the class's name and module and nothing of its code: what a method would answer is in ``foretold``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType, SimpleNamespace
from typing import cast

import numpy as np

from modelport.formats import likeness_rules as rules
from modelport.formats.likeness_older import former
from modelport.formats.older.missing import split_on_missing_since
from modelport.formats.pictures import Untold, held, is_array, picture
from modelport.formats.symbols import Block, Group, Node, Ref, Symbol, Text

_INDEX = "pandas.core.indexes.base._new_Index"
_LISTS = ("_RemainderColsList", "UserList")
_MAPPINGS = ("OrderedDict", "defaultdict", "Counter", "Bunch")
_MISSING = ("NA", "NaT")
# Attributes whose values matter, however large the array is; of the others the shape is enough.
_VALUES = frozenset({"feature_names_in_", "_df_columns", "classes_", "categories_", "statistics_", "is_categorical_", "variances_"})


_MOST_QUESTIONS = 200_000  # half a second; a model of a hundred parts takes some thousands
_MOST_COLUMNS = 1_000_000  # a number in a file costs nothing, a field for each of them does
_WIDTHS = ("n_features_in_", "n_features_", "_n_features")


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a class: what it is for, whether it takes missing values with its parameters at their defaults, its methods."""

    kind: str | None
    takes_missing: bool
    methods: frozenset[str]


@cache
def kinds() -> Mapping[str, Kind]:
    """Return what ``tools/collect_kinds.py`` found: the full name of each class of scikit-learn to what is known of it."""
    text = resources.files("modelport.formats").joinpath("kinds", "scikit-learn.json").read_text("utf-8")
    return MappingProxyType({name: Kind(kind, missing, frozenset(methods)) for name, (kind, missing, methods) in json.loads(text).items()})


@dataclass(slots=True)
class _File:
    """Where the symbols come from: the bytes, the version that wrote them where that is an older one, what was made of them.

    ``budget``: how often attributes may still be asked for. An estimator made of itself, or of parts that share parts, has no end.
    """

    data: bytes
    made: tuple[int, ...] | None
    seen: dict[tuple[int, bool], object]
    budget: int = _MOST_QUESTIONS


def likeness(data: bytes, root: Symbol, made: tuple[int, ...] | None) -> object:
    """Return what stands for a scanned object; ``made`` is the older version of scikit-learn that wrote it, or None.

    Cost: attributes are looked at when they are asked for.
    """
    return _show(_File(data, made, {}), root, values=True)


class Likeness:
    """Stands for one object of a file. Its attributes are those of the state in the file, and what is known of its class.

    Raises: Untold for what only the real object can tell.
    """

    __slots__ = ("_file", "_node")

    def __init__(self, file: _File, node: Node) -> None:
        self._file = file
        self._node = node

    @property
    def is_known(self) -> bool:
        """Whether it is of a class of scikit-learn's that the rules are for."""
        return self._node.maker.dotted in kinds() or self._node.maker.dotted in rules.NO_ESTIMATORS

    @property
    def made(self) -> tuple[int, ...] | None:
        """The older version that wrote the file, or None."""
        return self._file.made

    def __getattr__(self, name: str) -> object:
        self._file.budget -= 1
        if self._file.budget < 0:
            raise Untold("it has too many parts")
        state = _state(self._node)
        if name == "__dict__":
            return {key: _show(self._file, value, values=False) for key, value in state.items() if isinstance(key, str)}
        if name in state:
            return self._stated(name, state[name])
        if name in rules.METHODS:
            if name in self._known().methods and rules.is_available(self, name):
                return _silent
            raise AttributeError(name)
        return self._told(name)

    def _stated(self, name: str, value: Symbol) -> object:
        if name == "missing_values" and value == "NaN":  # as the Imputer of before 0.22 wrote it
            return float("nan")
        found = _show(self._file, value, values=name in _VALUES)
        return _columns(found) if name in _WIDTHS else found

    def _told(self, name: str) -> object:
        """Return what the state does not hold: what the class's own code would compute, and what an older version called otherwise."""
        if name == "__sklearn_tags__":
            return lambda: _tags(self, self._known())
        if name == "n_features" and self._node.maker.dotted == "sklearn.tree._tree.Tree":
            return _columns(self._node.args[0])
        try:
            return rules.derived(self, name)
        except AttributeError:
            if self.made is None and name != "classes_":
                raise
            return former(self, name)

    def _known(self) -> Kind:
        found = kinds().get(self._node.maker.dotted)
        if found is None:
            raise Untold(f"{self._node.maker.dotted} is known to its own library only")
        return found


def _columns(found: object) -> object:
    if isinstance(found, int) and found > _MOST_COLUMNS:
        raise Untold(f"{found} columns")
    return found


def _silent(*_: object) -> object:
    raise Untold("a likeness computes nothing")


def _tags(model: Likeness, known: Kind) -> object:
    """Answer as scikit-learn's own tags would, so far as they are asked for."""
    kind, takes_missing = rules.tags(model, known.kind, is_default=known.takes_missing)
    since = split_on_missing_since(type(model).__name__)
    if model.made is not None and since is not None and model.made < since:
        takes_missing = False
    return SimpleNamespace(estimator_type=kind, no_validation=False, input_tags=SimpleNamespace(allow_nan=takes_missing))


def _state(node: Node) -> Mapping[Symbol, Symbol]:
    state = node.state
    if isinstance(state, tuple) and len(state) == 2:  # (dictionary, slots)
        state = state[0]
    return state if isinstance(state, dict) else {}


def _show(file: _File, symbol: Symbol, *, values: bool) -> object:
    """Return what stands for a symbol; of large arrays only type and shape unless ``values`` is set."""
    if symbol is None or isinstance(symbol, str | int | float | bytes):
        return symbol
    if isinstance(symbol, dict):
        return symbol
    if isinstance(symbol, Ref):
        return _held(symbol)
    if isinstance(symbol, Text | Group):
        raise Untold("a long text or a set")
    key = (id(symbol), values)
    if key not in file.seen:
        file.seen[key] = [] if isinstance(symbol, list) else None  # a list may hold itself
        shown = _made(file, symbol, values=values)
        if isinstance(shown, list) and isinstance(symbol, list):
            cast("list[object]", file.seen[key]).extend(shown)
        else:
            file.seen[key] = shown
    return file.seen[key]


def _made(file: _File, symbol: Symbol, *, values: bool) -> object:
    if isinstance(symbol, list):
        return [_show(file, item, values=values) for item in symbol]
    if isinstance(symbol, tuple):
        return tuple(_show(file, item, values=values) for item in symbol)
    if isinstance(symbol, Block) or is_array(symbol):
        members, shape = held(symbol) or ([], ())
        if any(isinstance(item, Node) and not is_array(item) for item in members):
            out = np.empty(len(members), object)  # such as the trees of boosting
            out[:] = [_show(file, item, values=False) for item in members]
            return out.reshape(shape)
        return picture(file.data, symbol, values=values)
    if not isinstance(symbol, Node):
        raise Untold(f"a {type(symbol).__name__}")
    return _object(file, symbol, values=values)


def _object(file: _File, node: Node, *, values: bool) -> object:
    name = node.maker.name
    if node.dtype is not None:
        return node.dtype
    if node.maker.dotted == "builtins.slice":
        return slice(*node.args)
    if node.maker.dotted == _INDEX and isinstance(node.args[1], dict):
        return _show(file, node.args[1].get("data"), values=values)
    if name in _LISTS:
        return _show(file, _state(node).get("data"), values=values)
    if name in _MAPPINGS:
        return node.items
    return _class(node.maker.module, name)(file, node)


def _held(ref: Ref) -> object:
    """A class or function that an object only holds: numpy's types as what they are, whatever else as its name."""
    if ref.module == "numpy" and ref.name in rules.NUMBERS:
        return np.dtype(ref.name).type
    return None if ref.name in _MISSING else rules.Named(ref.dotted)


@cache
def _class(module: str, name: str) -> Callable[[_File, Node], Likeness]:
    return type(name, (Likeness,), {"__module__": module, "__slots__": ()})
