"""Nodes of a skops file that hold arrays, bytes, random states and other values; and the table of all kinds of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from modelport.errors import RefusedFile, UnreadableFile
from modelport.formats import arrays
from modelport.formats.rules import DTYPE, PARTIAL, fault, state_fault
from modelport.formats.skops_archive import array_of, sparse_shape
from modelport.formats.skops_nodes import OBJECTS, SCALARS
from modelport.formats.skops_reader import Json, Kind, Reader, mapping, part
from modelport.formats.symbols import Block, Node, Ref, Symbol

_GENERATORS = frozenset({"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"})
_ARRAYS = ("numpy.ndarray", "numpy.matrix")
_RECONSTRUCT = Ref("numpy._core.multiarray", "_reconstruct", "known")
_DTYPE = Ref("numpy", "dtype", "known")
_DEPTH = 32


def _array(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    name = reader.plain(node, SCALARS)
    kind = part(node, "type")
    if kind == "json":
        return _objects(reader, node)
    if kind != "numpy":
        raise RefusedFile(f"the skops file has an array of the kind {str(kind)[:60]!r}, expected numpy or json")
    block = array_of(reader.archive, part(node, "file"))
    if name in _ARRAYS or block.shape or block.dtype.kind not in "biufUS":
        return block
    single = Block(block.dtype, (1,), is_fortran=False, start=0)
    value: Symbol = arrays.realize(bytes(reader.archive.kept[block.start :]), single).tolist()[0]
    return value


def _objects(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    """An array of objects, as the pickle of one would look."""
    shape = reader.read(part(node, "shape"))
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise RefusedFile("an array of objects of the skops file has no proper shape; skops does not write that")
    content = part(node, "content")
    if not isinstance(content, list):
        raise UnreadableFile("an array of objects of the skops file is no JSON array; the file is damaged")
    flat = _flat([reader.read(item) for item in content], len(shape) - 1)
    if len(flat) != arrays.count(shape):
        raise RefusedFile(f"an array of objects of the skops file has {len(flat)} members for the shape {shape}; skops does not write that")
    kind = Node(_DTYPE, ("O",), dtype=np.dtype("O"))
    return Node(_RECONSTRUCT, (), (1, shape, kind, False, flat), is_built=True)


def _flat(members: list[Symbol], depth: int) -> list[Symbol]:
    if depth <= 0 or depth > _DEPTH:
        return members
    return [item for member in members for item in _flat(member if isinstance(member, list) else [member], depth - 1)]


def _masked(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    reader.plain(node, frozenset({"numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"}))
    content = mapping(part(node, "content"))
    reader.read(part(content, "mask"))
    return reader.read(part(content, "data"))


def _sparse(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    if part(node, "type") != "scipy":
        raise RefusedFile("a sparse matrix of the skops file is none of scipy's; skops does not write that")
    shape = sparse_shape(reader.archive, part(node, "file"))
    return Node(reader.name(node, "class"), (), {"_shape": shape}, is_built=True)


def _dtype(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    reader.plain(node, frozenset({DTYPE}))
    found = reader.read(part(node, "content"))
    layout = arrays.layout(found)
    if layout is None:
        raise RefusedFile("a data type of the skops file is told by something else than an array; skops does not write that")
    return Node(_DTYPE, (), dtype=layout[0])


def _bytes(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    reader.plain(node, frozenset({"builtins.bytes", "builtins.bytearray"}))
    return reader.archive.read(part(node, "file"))


def _slice(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    reader.plain(node, frozenset({"builtins.slice"}))
    ends = [mapping(part(node, "content")).get(name) for name in ("start", "stop", "step")]
    if not all(end is None or isinstance(end, int | str) for end in ends):
        raise RefusedFile("a slice of the skops file has ends that are neither numbers nor names; skops does not write that")
    return Node(Ref("builtins", "slice", "known"), tuple(ends))


def _state(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    reader.plain(node, frozenset({"numpy.random.mtrand.RandomState"}))
    reader.read(part(node, "content"))
    return Node(Ref("numpy.random.mtrand", "RandomState", "known"), ())


def _generator(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    """Numpy's generator, made by the class that its state names as a mere text: only the five that numpy has."""
    reader.plain(node, frozenset({"numpy.random._generator.Generator"}))
    content = mapping(part(node, "content"))
    state = reader.read(part(content, "bit_generator"))
    if not isinstance(state, dict) or state.get("bit_generator") not in _GENERATORS:
        raise RefusedFile(f"the skops file has a random generator that is not one of numpy's {', '.join(sorted(_GENERATORS))}")
    if "seed_seq" in content:
        reader.read(content["seed_seq"])
    return Node(Ref("numpy.random._generator", "Generator", "known"), ())


def _partial(reader: Reader, node: Mapping[str, Json]) -> Symbol:
    reader.plain(node, frozenset({PARTIAL}))
    content = mapping(part(node, "content"))
    function, args, keywords, space = (reader.read(part(content, name)) for name in ("func", "args", "kwds", "namespace"))
    problem = fault(PARTIAL, (function,)) or state_fault(PARTIAL, (function,), (function, args, keywords, space or None))
    if problem:
        raise RefusedFile(f"the skops file makes a {PARTIAL} {problem}")
    return Node(Ref("functools", "partial", "known"), (function,))


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **OBJECTS,
        "NdArrayNode": _array,
        "MaskedArrayNode": _masked,
        "SparseMatrixNode": _sparse,
        "DTypeNode": _dtype,
        "BytesNode": _bytes,
        "BytearrayNode": _bytes,
        "SliceNode": _slice,
        "RandomStateNode": _state,
        "RandomGeneratorNode": _generator,
        "PartialNode": _partial,
    }
)
"""Every kind of node that is let in. Not among them: methods of objects, operator's getters, and what no skops writes."""
