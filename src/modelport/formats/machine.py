"""The pickle machine without its dangers: the opcodes that move, group and recall symbolic objects.

Source: the ``pickle`` and ``pickletools`` modules of the Python standard library. One function an opcode, in a table, because
a 200,000 word vocabulary is 600,000 opcodes. Plain values are in ``atoms``; what names, calls or fills things is in ``making``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from modelport.errors import RefusedFile, UnreadableFile
from modelport.formats.batches import LATER, Batch, Table, recall, skip
from modelport.formats.symbols import Block, Group, Judge, Node, Ref, Stream, Symbol

_MAX_KEY_LENGTH = 1024
MAX_STACK = 2_000_000  # picklers hand over the members of a container a thousand at a time
MAX_NESTING = 10_000
_UNSET = object()
_MEMO_SLACK = 1024  # picklers number their memo without gaps


class Machine:
    """The state of one walk over one pickle within ``data``."""

    __slots__ = (
        "batches",
        "blocks",
        "budget",
        "built",
        "cuts",
        "data",
        "found",
        "frame_stop",
        "is_nested",
        "judge",
        "marks",
        "memo",
        "pos",
        "stack",
        "start",
        "stored",
    )

    def __init__(self, data: bytes, judge: Judge, outer: Machine | None = None, start: int = 0) -> None:
        self.data = data
        self.judge = judge
        self.start = self.pos = start
        self.frame_stop = 0
        self.budget: int = outer.budget if outer else len(data)
        self.stack: list[Symbol] = []
        self.marks: list[list[Symbol]] = []
        self.memo: list[Symbol] = []  # a list: a dictionary takes ten times the memory, and a vocabulary fills it
        self.stored = 0
        self.batches: list[Batch] = []
        self.cuts: list[tuple[int, int, bytes]] = []
        self.is_nested = outer is not None
        self.found: dict[tuple[str, str], Ref] = outer.found if outer else {}
        self.blocks: list[Block] = outer.blocks if outer else []
        self.built: list[Node] = outer.built if outer else []

    def take(self, count: int) -> bytes:
        """Return the next bytes. Raises: UnreadableFile at the end of the data."""
        stop = self.pos + count
        if stop > len(self.data):
            raise UnreadableFile(f"the pickle is cut off: byte {self.pos} announces {count} bytes, {len(self.data) - self.pos} are left")
        part = self.data[self.pos : stop]
        self.pos = stop
        return part

    def line(self) -> bytes:
        """Return the bytes up to the next line feed. Raises: UnreadableFile if there is none."""
        stop = self.data.find(b"\n", self.pos)
        if stop < 0:
            raise UnreadableFile(f"the pickle is cut off: the line that begins at byte {self.pos} does not end")
        part = self.data[self.pos : stop]
        self.pos = stop + 1
        return part

    def count(self, size: int) -> int:
        """Return the next ``size`` bytes as an unsigned little-endian number."""
        return int.from_bytes(self.take(size), "little")

    def pop_mark(self) -> list[Symbol]:
        """Return what lies above the topmost mark, and drop both."""
        above = self.stack
        self.stack = self.marks.pop()
        return above

    def stream(self) -> Stream:
        """Return where this pickle lies, once it is walked."""
        return Stream(self.start, self.pos, tuple(self.cuts))


Handler: TypeAlias = Callable[[Machine], None]


def _constant(value: Symbol) -> Handler:
    def push(m: Machine) -> None:
        m.stack.append(value)

    return push


def _fresh(make: Callable[[], Symbol]) -> Handler:
    def push(m: Machine) -> None:
        m.stack.append(make())

    return push


def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.pop_mark()


def _dup(m: Machine) -> None:
    m.stack.append(m.stack[-1])


def _mark(m: Machine) -> None:
    if skip(m):
        return
    if len(m.marks) > MAX_NESTING:
        raise RefusedFile(f"the pickle opens more than {MAX_NESTING} containers within each other; models nest a few deep")
    m.marks.append(m.stack)
    m.stack = []


def _pop_mark(m: Machine) -> None:
    m.pop_mark()


def _memo_get(m: Machine, index: int) -> None:
    found = m.memo[index] if 0 <= index < len(m.memo) else _UNSET
    if found is _UNSET:
        raise UnreadableFile(f"the pickle recalls its memo number {index} at byte {m.pos}, which it never stored; it is damaged")
    m.stack.append(recall(m, index) if found is LATER else found)


def _memo_put(m: Machine, index: int) -> None:
    if index > m.stored + _MEMO_SLACK or index < 0:
        raise RefusedFile(f"the pickle stores memo number {index} after {m.stored} others; picklers number them without gaps")
    if index >= len(m.memo):
        m.memo.extend([_UNSET] * (index + 1 - len(m.memo)))
    m.stored += m.memo[index] is _UNSET
    m.memo[index] = m.stack[-1]


def _memoize(m: Machine) -> None:
    """Store under the count of what is stored, as the C unpickler does: in a file with gaps that may be taken already."""
    if m.stored == len(m.memo):
        m.memo.append(m.stack[-1])
        m.stored += 1
    else:
        _memo_put(m, m.stored)


def _binput(m: Machine) -> None:
    _memo_put(m, m.data[m.pos])
    m.pos += 1


def _binget(m: Machine) -> None:
    _memo_get(m, m.data[m.pos])
    m.pos += 1


def _tuple(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(tuple(items))


def _last(size: int) -> Handler:
    def push(m: Machine) -> None:
        if len(m.stack) < size:
            raise IndexError
        m.stack[-size:] = [tuple(m.stack[-size:])]

    return push


def _list(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(items)


def _frozenset(m: Machine) -> None:
    items = m.pop_mark()
    for item in items:
        check_key(item)
    m.stack.append(Group(items))


def check_key(symbol: Symbol, depth: int = 0) -> None:
    """Raise RefusedFile unless the key hashes cheaply: tuples shared within tuples take exponential time."""
    if isinstance(symbol, list | dict | Group):
        raise UnreadableFile("the pickle uses a list, dictionary or set as a key, which Python cannot; it is damaged")
    if isinstance(symbol, tuple):
        if depth > 2 or len(symbol) > _MAX_KEY_LENGTH:
            raise RefusedFile("the pickle uses deeply nested tuples as a key; hashing them would not end")
        for item in symbol:
            check_key(item, depth + 1)


CONTAINERS: dict[int, Handler] = {
    ord("N"): _constant(None),
    ord("\x88"): _constant(True),
    ord("\x89"): _constant(False),
    ord(")"): _constant(()),
    ord("]"): _fresh(list),
    ord("}"): _fresh(Table),
    ord("\x8f"): _fresh(lambda: Group([])),
    ord("0"): _pop,
    ord("1"): _pop_mark,
    ord("2"): _dup,
    ord("("): _mark,
    ord("t"): _tuple,
    ord("\x85"): _last(1),
    ord("\x86"): _last(2),
    ord("\x87"): _last(3),
    ord("l"): _list,
    ord("\x91"): _frozenset,
    ord("\x94"): _memoize,
    ord("p"): lambda m: _memo_put(m, int(m.line())),
    ord("q"): _binput,
    ord("r"): lambda m: _memo_put(m, m.count(4)),
    ord("g"): lambda m: _memo_get(m, int(m.line())),
    ord("h"): _binget,
    ord("j"): lambda m: _memo_get(m, m.count(4)),
}
