"""What the functions that pickles call may be called with: several of them are harmless with some arguments only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from modelport.formats.symbols import Node, Ref, Symbol, Text

PARTIAL = "functools.partial"  # histogram gradient boosting with categories holds one of check_array; no other is let through
_PARTIAL_FAULT = "of anything but scikit-learn's check_array with plain values; write a function of your own instead"
DTYPE = "numpy.dtype"
RECONSTRUCTOR = "copyreg._reconstructor"
_CONSTANTS = {"NA"}  # of pandas; held by name like a function, but an object that cannot be called
_PLAIN_BASES = {"object", "dict", "list", "tuple", "set", "frozenset", "int", "float", "str", "bytes"}
_BIT_GENERATOR_CTORS = {"numpy.random._pickle.__bit_generator_ctor", "numpy.random._pickle.__randomstate_ctor"}

_TAKES_CLASS = re.compile(r"\.(__pyx_unpickle_\w+|newObj)\Z")  # what Cython writes; they make an object of the class given

Args: TypeAlias = tuple[Symbol, ...]
Rule: TypeAlias = Callable[[Args], str]


def fault(name: str, args: Args) -> str:
    """Say what is wrong with calling a listed function with these symbolic arguments; "" if nothing is."""
    if name == PARTIAL:
        return "" if _is_check(args[0] if len(args) == 1 else None) else _PARTIAL_FAULT
    if any(isinstance(item, Ref) and item.kind == "known" and item.uses == {"value"} and item.name not in _CONSTANTS for item in args):
        return "with a function as an argument, which it might call"
    rule = _classes_first if _TAKES_CLASS.search(name) else RULES.get(name)
    return rule(args) if rule else ""


def state_fault(name: str, args: Args, state: Symbol) -> str:
    """Say what is wrong with filling the object that a listed function made with this state; "" if nothing is."""
    if name != PARTIAL:
        return ""
    is_shaped = isinstance(state, tuple) and len(state) == 4 and state[1] == () and isinstance(state[2], dict) and not state[3]
    if not is_shaped or not isinstance(state, tuple) or state[0] is not args[0] or not isinstance(state[2], dict):
        return _PARTIAL_FAULT
    values = [item for value in state[2].values() for item in (value if isinstance(value, list) else [value])]
    return "" if all(item is None or isinstance(item, str | int | float | Ref) for item in values) else _PARTIAL_FAULT


def _is_check(symbol: Symbol) -> bool:
    return isinstance(symbol, Ref) and symbol.dotted == "sklearn.utils.validation.check_array"


def _codec(args: Args) -> str:
    is_text = len(args) == 2 and isinstance(args[0], str | Text)
    return "" if is_text and args[1] in ("latin1", "latin-1") else "with a codec other than latin1"


def _reconstructor(args: Args) -> str:
    if len(args) != 3 or not isinstance(args[0], Ref) or not isinstance(args[1], Ref):
        return "with something else than a class"
    if args[0].kind == "known" and "class" not in args[0].uses:
        return f"for {args[0].dotted}, which is not made in this way"
    is_plain = args[1].module == "builtins" and args[1].name in _PLAIN_BASES
    return "" if is_plain else f"with the base {args[1].dotted}; a plain built-in type was expected"


def _empty_array(args: Args) -> str:
    is_known = len(args) == 3 and isinstance(args[0], Ref) and args[1] == (0,)
    return "" if is_known else "with a shape other than (0,), as numpy never does"


def _empty_masked(args: Args) -> str:
    is_known = len(args) == 4 and isinstance(args[0], Ref) and isinstance(args[1], Ref) and args[2] == (0,)
    return "" if is_known else "with a shape other than (0,), as numpy never does"


def _typed(position: int) -> Rule:
    """The argument must be a checked dtype that holds no objects: raw bytes would become pointers."""

    def rule(args: Args) -> str:
        node = args[position] if len(args) > position else None
        is_checked = isinstance(node, Node) and node.dtype is not None and not node.dtype.hasobject
        return "" if is_checked else "with a data type of objects for raw bytes"

    return rule


def _no_number(args: Args) -> str:
    return "with a number, which only reserves memory" if args and isinstance(args[0], int) else ""


def _classes_first(args: Args) -> str:
    return "" if args and isinstance(args[0], Ref) else "with something else than a class"


def _random(args: Args) -> str:
    strange = [item for item in args[1:] if not (isinstance(item, Ref) and item.dotted in _BIT_GENERATOR_CTORS)]
    first = args[0] if args else ""
    is_named = isinstance(first, str | Node) or (isinstance(first, Ref) and first.module.startswith("numpy.random."))
    return "" if is_named and not strange else "with a constructor that numpy does not name"


def _factory(args: Args) -> str:
    is_plain = not args or args[0] is None or (isinstance(args[0], Ref) and args[0].module in {"builtins", "collections"})
    return "" if is_plain else "with a factory that is no built-in type"


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "_codecs.encode": _codec,
        RECONSTRUCTOR: _reconstructor,
        "numpy.core.multiarray._reconstruct": _empty_array,
        "numpy._core.multiarray._reconstruct": _empty_array,
        "numpy.core.multiarray.scalar": _typed(0),
        "numpy._core.multiarray.scalar": _typed(0),
        "numpy.core.numeric._frombuffer": _typed(1),
        "numpy._core.numeric._frombuffer": _typed(1),
        "numpy.ma.core._mareconstruct": _empty_masked,
        "numpy.random.__RandomState_ctor": _random,
        "numpy.random._pickle.__bit_generator_ctor": _random,
        "numpy.random._pickle.__generator_ctor": _random,
        "numpy.random._pickle.__randomstate_ctor": _random,
        "pandas.core.indexes.base._new_Index": _classes_first,
        "builtins.bytearray": _no_number,
        "builtins.bytes": _no_number,
        "collections.defaultdict": _factory,
    }
)
