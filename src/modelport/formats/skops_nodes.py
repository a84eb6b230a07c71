"""Nodes of a skops file that make containers and objects, read into the same symbols as a pickle's, under the same allow-list."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import orjson

from modelport.errors import RefusedFile, UnreadableFile
from modelport.formats.making import check_state
from modelport.formats.rules import fault
from modelport.formats.skops_reader import Json, Kind, Reader, items, mapping, part
from modelport.formats.symbols import Block, Group, Node, Symbol

SCALARS = frozenset(
    f"numpy.{name}"
    for name in (
        *("ndarray", "matrix", "bool", "bool_", "str_", "bytes_", "float16", "float32", "float64", "longdouble", "complex64", "complex128"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "datetime64", "timedelta64"),
    )
)
"""What skops calls on an array, besides plain arrays themselves."""
_KEY_TYPES = frozenset(f"builtins.{name}" for name in ("str", "int", "float", "bool"))
_FACTORIES = frozenset(f"builtins.{name}" for name in ("int", "float", "str", "bool", "list", "dict", "set", "tuple")) | {
    "collections.OrderedDict"
}
# Classes that a pickle makes by a function of theirs, which does what skops does too: an empty object, then its state.
_NEW = ("sklearn.neighbors._kd_tree", "sklearn.neighbors._ball_tree", "sklearn.metrics._dist_metrics")
_LOSSES = ("_loss", "sklearn._loss._loss", "sklearn.linear_model._sgd_fast")
_TREE = "sklearn.tree._tree.Tree"


def plain_value(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    """Return a number, a text, a truth value or None."""
    reader.plain(node, frozenset({"builtins.str"}))
    text = part(node, "content")
    try:
        value = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        value = _constant(str(text))
    if isinstance(value, dict | list) or not isinstance(text, str):
        raise UnreadableFile("a plain value of the skops file is none; the file is damaged")
    return value


def _constant(text: str) -> float | int:
    """Read what Python's JSON writes beyond the standard: NaN, the infinities, and whole numbers of any size."""
    named = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
    if text in named:
        return named[text]
    if len(text) < 4300 and text.lstrip("-").isdecimal():
        return int(text)
    raise UnreadableFile("a plain value of the skops file does not parse; the file is damaged")


def _dict(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    ref = reader.name(node)
    reader.plain(node, frozenset({"builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"}))
    listed = mapping(part(node, "key_types"))
    if listed.get("__loader__") != "ListNode":
        raise RefusedFile("a dictionary of the skops file has no list of the types of its keys; skops does not write that")
    types = items(listed)
    reader.read(listed)  # what is called on the keys may be a node that was met before
    content = mapping(part(node, "content"))
    if len(types) != len(content):
        raise RefusedFile("a dictionary of the skops file has another number of keys than of their types; skops does not write that")
    made: dict[Symbol, Symbol] = {}
    for kind, (key, value) in zip(types, content.items(), strict=True):
        made[_key(reader, mapping(kind), key)] = reader.read(value)
    if ref.dotted == "builtins.dict":
        return made
    out = Node(ref, ())
    out.items.update(made)
    return out


def _key(reader: Reader, kind: Mapping[str, Json], key: str) -> Symbol:
    """Return a key of the type that stands beside it; skops calls that type, so only plain ones may stand there."""
    if kind.get("__loader__") != "TypeNode":
        raise RefusedFile("a key of the skops file has something else than a type; skops does not write that")
    name = reader.plain(kind, _KEY_TYPES | SCALARS)
    try:
        return int(key) if "int" in name else float(key) if "float" in name else key
    except ValueError as error:
        raise UnreadableFile(f"a key of the skops file is no {name}; the file is damaged") from error


def _defaults(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    reader.plain(node, frozenset({"collections.defaultdict"}))
    content = mapping(part(node, "content"))
    factory = mapping(part(content, "default_factory"))
    reader.read(factory)
    if factory.get("__loader__") == "TypeNode":
        reader.plain(factory, _FACTORIES)
    elif factory.get("__loader__") != "JsonNode" or plain_value(reader, factory) is not None:
        raise RefusedFile("a defaultdict of the skops file calls something else than a built-in type; save the model with joblib")
    return reader.read(part(content, "main"))


def _list(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    reader.plain(node, frozenset({"builtins.list"}))
    return [reader.read(item) for item in items(node)]


def _set(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    reader.plain(node, frozenset({"builtins.set"}))
    return Group([reader.read(item) for item in items(node)])


def _tuple(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    ref = reader.name(node, "class", "type")
    made = tuple(reader.read(item) for item in items(node))
    return made if ref.dotted == "builtins.tuple" else Node(ref, made)


def _held(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    return reader.name(node, "value")


def _type(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    return reader.name(node, "type", "class", "reconstruct")


def _object(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    is_index = str(node.get("__module__")).startswith(_NEW)
    made = Node(reader.name(node, *(("class", "type") if is_index else ("class",))), ())
    if node.get("content") is not None:
        made.state = reader.read(node["content"])
        made.is_built = True
        if made.maker.kind == "known":
            check_state(made, made.state)
        reader.built.append(made)
    return made


def _constructed(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    ref = reader.name(node, "reconstruct")
    args = reader.read(part(node, "content"))
    if not isinstance(args, tuple):
        raise RefusedFile(f"the skops file calls {ref.dotted} with arguments that are no tuple")
    if ref.kind == "known" and (problem := fault(ref.dotted, args)):
        raise RefusedFile(f"the skops file calls {ref.dotted} {problem}")
    return Node(ref, args)


def _tree(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    reader.plain(node, frozenset({_TREE}))
    return _reduced(reader, node)


def _loss(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    if node.get("__module__") not in _LOSSES:
        raise RefusedFile(f"the skops file has a loss of the module {str(node.get('__module__'))[:60]}, expected one of scikit-learn's")
    return _reduced(reader, node)


def _reduced(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    ref = reader.name(node, "reconstruct", "class", "type")
    args = reader.read(part(mapping(part(node, "__reduce__")), "args"))
    if not isinstance(args, tuple) or not all(item is None or isinstance(item, int | float | Block) for item in args):
        raise RefusedFile(f"the skops file makes a {ref.dotted} from something else than numbers; skops does not write that")
    made = Node(ref, args, reader.read(part(node, "content")), is_built=True)
    check_state(made, made.state)
    return made


OBJECTS: Mapping[str, Kind] = MappingProxyType(
    {
        "JsonNode": plain_value,
        "DictNode": _dict,
        "DefaultDictNode": _defaults,
        "ListNode": _list,
        "SetNode": _set,
        "TupleNode": _tuple,
        "FunctionNode": _held,
        "TypeNode": _type,
        "ObjectNode": _object,
        "ConstructorFromReduceNode": _constructed,
        "TreeNode": _tree,
        "LossNode": _loss,
    }
)
"""The kind of a node to what it makes."""
