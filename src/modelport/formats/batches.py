"""Full batches of words within a pickle, stepped over at the speed of a regular expression and read only when somebody asks.

A vocabulary of millions of words is what large text models consist of. Picklers write dictionaries and sets in batches of a
thousand; a whole batch of words (with whole numbers, fractions or numpy's scalars) is recognized here at once, in protocol 4 and
later. Nothing in it names, calls or fills anything. A dictionary that becomes an object's state is read in full.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelport.formats.symbols import Group, Node, Ref, Symbol

if TYPE_CHECKING:
    from modelport.formats.machine import Machine

SIZE = 1000  # of a batch, in every version of Python's pickler
LATER = object()
"""Stands in the memo for what was stepped over."""

_FRAME = 0x95
_WORD = 0x8C
_FRAME_BYTES = 9
_SCALAR = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
_BY_LENGTH = b"|".join(re.escape(bytes([size])) + b".{%d}" % size for size in sorted(range(256), key=lambda size: abs(size - 9)))
_FRAMED = rb"(?:\x95.{8})?"
_KEY = _FRAMED + rb"\x8c(?:" + _BY_LENGTH + rb")\x94"
_PLAIN = _FRAMED + rb"(?:K.|M..|J.{4}|G.{8}|N|\x88|\x89)"
_RECALL = rb"(?:h.|j.{4})"
_CONTENT = rb"C\x08.{8}\x94\x86\x94R\x94"
_FOLLOWING = rb"(?:" + _KEY + _FRAMED + rb"(?P=maker)" + _FRAMED + rb"(?P=dtype)" + _FRAMED + _CONTENT + rb"){999}+u"
_NUMBERED = re.compile(rb"(?:" + _KEY + _PLAIN + rb"){1000}+u", re.DOTALL)
_SCALED = re.compile(
    _KEY + _FRAMED + rb"(?P<maker>" + _RECALL + rb")" + _FRAMED + rb"(?P<dtype>" + _RECALL + rb")" + _FRAMED + _CONTENT + _FOLLOWING,
    re.DOTALL,
)
_LISTED = re.compile(rb"(?:" + _KEY + rb"){1000}+\x90", re.DOTALL)
_CONSTANTS = {ord("N"): None, 0x88: True, 0x89: False}
_LENGTHS = {ord("K"): 1, ord("M"): 2, ord("J"): 4, ord("G"): 8, ord("N"): 0, 0x88: 0, 0x89: 0}


@dataclass(frozen=True, slots=True)
class Batch:
    """A thousand words that were stepped over: where their bytes begin, their first number in the memo, how many each takes there."""

    start: int
    first: int
    each: int


class Table(dict[Symbol, Symbol]):
    """A dictionary of a pickle; ``later`` are the batches of its items that were stepped over."""

    __slots__ = ("later",)

    def __init__(self) -> None:
        super().__init__()
        self.later: list[Batch] = []

    @property
    def total(self) -> int:
        """How many items it has, if no key comes twice."""
        return len(self) + SIZE * len(self.later)


def skip(m: Machine) -> bool:
    """Step over a batch that begins at the machine's position, after its mark; False where there is none."""
    data, at = m.data, m.pos
    if data[at : at + 1] not in (b"\x8c", b"\x95") or not m.stack or m.stored != len(m.memo):
        return False
    target = m.stack[-1]
    if type(target) is Table:
        found, each = _NUMBERED.match(data, at), 1
        if found is None and (found := _SCALED.match(data, at)) is not None:
            each = 4
            if not _is_scalar(m, found["maker"], found["dtype"]):
                return False
    elif type(target) is Group:
        found, each = _LISTED.match(data, at), 1
    else:
        return False
    if found is None or not _cut_frames(m, found.end()):
        return False
    batch = Batch(at, len(m.memo), each)
    if isinstance(target, Table):
        target.later.append(batch)
    m.batches.append(batch)
    m.memo.extend([LATER] * (SIZE * each))
    m.stored += SIZE * each
    m.pos = found.end()
    return True


def _is_scalar(m: Machine, maker: bytes, dtype: bytes) -> bool:
    """Say whether the two recalled objects are numpy's maker of scalars and a checked type of eight bytes."""
    function, kind = (_recalled(m, part) for part in (maker, dtype))
    is_maker = isinstance(function, Ref) and function.kind == "known" and function.dotted in _SCALAR
    return is_maker and isinstance(kind, Node) and kind.dtype is not None and not kind.dtype.hasobject and kind.dtype.itemsize == 8


def _recalled(m: Machine, opcode: bytes) -> Symbol:
    index = int.from_bytes(opcode[1:], "little")
    return m.memo[index] if index < len(m.memo) else None


def _cut_frames(m: Machine, stop: int) -> bool:
    """Note the frames that begin within the batch, which follow each other without gaps; False where they do not."""
    cuts, frame_stop = list[tuple[int, int, bytes]](), m.frame_stop
    while m.pos <= frame_stop < stop:
        if m.data[frame_stop] != _FRAME:
            return False
        begin = frame_stop
        frame_stop = begin + _FRAME_BYTES + int.from_bytes(m.data[begin + 1 : begin + _FRAME_BYTES], "little")
        cuts.append((begin, begin + _FRAME_BYTES, b""))
        if frame_stop > len(m.data):
            return False
    m.cuts += cuts
    m.frame_stop = frame_stop
    return True


def recall(m: Machine, index: int) -> Symbol:
    """Return what a pickle stored in its memo under a number that lies within a batch."""
    batch = m.batches[bisect_right(m.batches, index, key=lambda item: item.first) - 1]
    _read(m, batch, None)
    return m.memo[index]


def fill(m: Machine, table: Table) -> None:
    """Read the items of a dictionary that were stepped over."""
    for batch in table.later:
        _read(m, batch, table)
    table.later.clear()


def _read(m: Machine, batch: Batch, into: dict[Symbol, Symbol] | None) -> None:
    """Read a batch: its words into the memo, and with their values into a dictionary."""
    data, at = m.data, batch.start
    for number in range(SIZE):
        at = _past_frame(data, at)
        size = data[at + 1]
        word = str(data[at + 2 : at + 2 + size], "utf-8", "surrogatepass")
        place = batch.first + number * batch.each
        m.memo[place] = word
        at = _past_frame(data, at + 3 + size)
        value: Symbol = None
        if batch.each > 1:
            value, at = _scalar(m, at, place + 1)
        elif data[at] in _LENGTHS:
            value, at = _number(data, at)
        if into is not None:
            into[word] = value


def _number(data: bytes, at: int) -> tuple[Symbol, int]:
    code, stop = data[at], at + 1 + _LENGTHS[data[at]]
    if code in _CONSTANTS:
        return _CONSTANTS[code], stop
    raw = data[at + 1 : stop]
    value: Symbol = struct.unpack(">d", raw)[0] if code == ord("G") else int.from_bytes(raw, "little", signed=code == ord("J"))
    return value, stop


def _scalar(m: Machine, at: int, place: int) -> tuple[Symbol, int]:
    data, parts = m.data, list[Symbol]()
    for _ in range(2):
        size = 2 if data[at] == ord("h") else 5
        parts.append(_recalled(m, data[at : at + size]))
        at = _past_frame(data, at + size)
    content = data[at + 2 : at + 10]
    maker, kind = parts
    if not isinstance(maker, Ref):  # it was looked at when the batch was stepped over
        raise IndexError
    made = Node(maker, (kind, content))
    m.memo[place : place + 3] = [content, (kind, content), made]
    return made, at + 15


def _past_frame(data: bytes, at: int) -> int:
    return at + _FRAME_BYTES if data[at] == _FRAME else at
