"""One reading of a skops file's schema: which kinds of nodes there are, which names they show, which of them are one object.

skops itself decides by the name that a node shows; three of its releases made something else than that (CVE-2025-54412, -54413,
-54886). So what a node shows and what its kind makes of it are held together here, before skops sees the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from modelport.errors import RefusedFile, UnreadableFile
from modelport.formats.skops_archive import Archive
from modelport.formats.symbols import Judge, Node, Ref, Symbol, Use

Json: TypeAlias = object
Kind: TypeAlias = "Callable[[Reader, Mapping[str, Json]], Symbol]"
_MOST_NODES = 5_000_000


@dataclass(slots=True)
class Reader:
    """One reading: what it asks about names, what it found. ``trusted`` are the names to tell skops, as the file spells them."""

    archive: Archive
    judge: Judge
    kinds: Mapping[str, Kind]
    found: dict[tuple[str, str], Ref] = field(default_factory=dict)
    trusted: set[str] = field(default_factory=set)
    built: list[Node] = field(default_factory=list)
    seen: dict[int, tuple[Json, Symbol]] = field(default_factory=dict)
    count: int = 0

    def read(self, state: Json) -> Symbol:
        """Return what a node would make. Raises: RefusedFile, UnreadableFile."""
        node = mapping(state)
        loader = node.get("__loader__")
        kind = self.kinds.get(loader) if isinstance(loader, str) else None
        if kind is None:
            raise RefusedFile(f"the skops file has a node of the kind {str(loader)[:60]!r}, which no model needs; save it with joblib")
        number = node.get("__id__")
        if number is None:
            return kind(self, node)
        if type(number) is not int:
            raise RefusedFile("a node of the skops file has no number for its name; skops does not write that")
        if number in self.seen:
            return self._again(number, node, kind)
        self.seen[number] = (node, None)
        made = kind(self, node)
        self.seen[number] = (node, made)
        return made

    def _again(self, number: int, node: Mapping[str, Json], kind: Kind) -> Symbol:
        """Read a node that says of itself to be one that was met before.

        skops makes the object of whichever node of a number it meets first and never looks at the others. So each is held to the
        rules, and all have to say the same.
        """
        first, made = self.seen[number]
        if not self._is_same(first, node):
            raise RefusedFile(f"two nodes of the skops file have the number {number} and say different things; skops does not write that")
        kind(self, node)
        return made

    def _is_same(self, one: Json, other: Json) -> bool:
        """Compare two nodes, but for the numbers and members of the archive that passing objects get anew each time."""
        self.count += 1
        if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
            return all(self._is_same(one[key], other[key]) for key in one if key not in ("__id__", "file"))
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            return all(self._is_same(left, right) for left, right in zip(one, other, strict=True))
        return type(one) is type(other) and one == other

    def name(self, node: Mapping[str, Json], *uses: Use) -> Ref:
        """Return the global that a node shows, if it may be used in one of these ways. Raises: RefusedFile."""
        module, name = node.get("__module__"), node.get("__class__")
        if not isinstance(module, str) or not isinstance(name, str) or not all(part.isidentifier() for part in (*module.split("."), name)):
            raise RefusedFile(f"the skops file names {str(module)[:60]}.{str(name)[:60]}, which no Python module can have")
        self.count += 1
        if self.count > _MOST_NODES:
            raise RefusedFile(f"the skops file has more than {_MOST_NODES} nodes; save the model with joblib")
        ref = self.found.get((module, name))
        if ref is None:
            ref = self.judge(module, name)
            self.found[module, name] = ref
        if ref.kind == "known" and uses and not ref.uses & set(uses):
            raise RefusedFile(f"the skops file makes {ref.dotted} in another way than any model does")
        self.trusted.add(f"{module}.{name}")
        return ref

    def plain(self, node: Mapping[str, Json], allowed: frozenset[str]) -> str:
        """Return the name that a node shows, which must be one of a few. Raises: RefusedFile."""
        ref = f"{node.get('__module__')}.{node.get('__class__')}"
        if ref not in allowed:
            expected = ", ".join(sorted(allowed))[:120]
            raise RefusedFile(f"the skops file has a {node.get('__loader__')} of {ref[:120]}, expected {expected}")
        self.trusted.add(ref)
        return ref


def mapping(value: Json) -> Mapping[str, Json]:
    """Return a JSON object. Raises: UnreadableFile if it is none."""
    if not isinstance(value, dict):
        raise UnreadableFile("a node of the skops file is no JSON object; the file is damaged")
    return value


def part(node: Mapping[str, Json], name: str) -> Json:
    """Return a member of a node. Raises: UnreadableFile if it has none of that name."""
    if name not in node:
        raise UnreadableFile(f"a node of the skops file lacks its {name!r}; the file is damaged")
    return node[name]


def items(node: Mapping[str, Json]) -> list[Json]:
    """Return the nodes that a node lists. Raises: UnreadableFile if it lists none."""
    found = part(node, "content")
    if not isinstance(found, list):
        raise UnreadableFile("a list of the skops file is no JSON array; the file is damaged")
    return found
