"""Pickle opcodes that push one plain value: numbers and strings of every protocol, and the two that only frame the rest.

Source: the ``pickle`` and ``pickletools`` modules of the Python standard library.
"""

from __future__ import annotations

import struct
from typing import cast

from modelport.errors import RefusedFile, UnreadableFile
from modelport.formats.machine import Handler, Machine
from modelport.formats.symbols import Text

LONG_TEXT = 2048
LONG_BYTES = 256
_MAX_DIGITS = 4300


def _proto(m: Machine) -> None:
    version = m.data[m.pos]
    if m.pos != m.start + 1:
        raise RefusedFile(f"a second pickle protocol is declared at byte {m.pos}; it belongs at the start only")
    if version > 5:
        raise UnreadableFile(f"pickle protocol {version} was found; 0 to 5 are known, so the file is damaged")
    m.pos += 1


def _frame(m: Machine) -> None:
    begin = m.pos - 1
    size = m.count(8)
    if begin < m.frame_stop or m.pos + size > len(m.data):
        raise UnreadableFile(f"the pickle frame at byte {begin} does not fit; the file is damaged or cut off")
    m.frame_stop = m.pos + size
    m.cuts.append((begin, m.pos, b""))


def _binint1(m: Machine) -> None:
    m.stack.append(m.data[m.pos])
    m.pos += 1


def _binint2(m: Machine) -> None:
    m.stack.append(m.count(2))


def _binint(m: Machine) -> None:
    m.stack.append(int.from_bytes(m.take(4), "little", signed=True))


def _long1(m: Machine) -> None:
    m.stack.append(int.from_bytes(m.take(m.count(1)), "little", signed=True))


def _long4(m: Machine) -> None:
    m.stack.append(int.from_bytes(m.take(m.count(4)), "little", signed=True))


def _number_line(m: Machine) -> int:
    text = m.line()
    if len(text) > _MAX_DIGITS:
        raise RefusedFile("the pickle writes a number with more than 4300 digits")
    return int(text.rstrip(b"L"), 0)


def _int(m: Machine) -> None:
    if m.data[m.pos : m.pos + 3] in {b"00\n", b"01\n"}:
        m.stack.append(m.line() == b"01")
    else:
        m.stack.append(_number_line(m))


def _long(m: Machine) -> None:
    m.stack.append(_number_line(m))


def _float(m: Machine) -> None:
    m.stack.append(float(m.line()))


def _binfloat(m: Machine) -> None:
    m.stack.append(cast("float", struct.unpack(">d", m.take(8))[0]))


def _string(m: Machine) -> None:
    text = m.line()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in {b"'", b'"'}:
        raise UnreadableFile(f"the string that ends at byte {m.pos} has no quotes; the file is damaged")
    plain = b"\\" not in text and len(text) <= LONG_TEXT
    m.stack.append(text[1:-1].decode("latin1") if plain else Text(0, 0, is_bytes=True))


def _unicode(m: Machine) -> None:
    start = m.pos
    text = m.line()
    m.stack.append(str(text, "raw-unicode-escape") if len(text) <= LONG_TEXT else Text(start, m.pos - 1, is_bytes=False))


def _text(m: Machine, size: int) -> None:
    if size > LONG_TEXT:
        start = m.pos
        m.pos += size
        _check_end(m)
        m.stack.append(Text(start, m.pos, is_bytes=False))
    else:
        m.stack.append(str(m.take(size), "utf-8", "surrogatepass"))


def _bytes(m: Machine, size: int) -> None:
    if size > LONG_BYTES:
        start = m.pos
        m.pos += size
        _check_end(m)
        m.stack.append(Text(start, m.pos, is_bytes=True))
    else:
        m.stack.append(m.take(size))


def _check_end(m: Machine) -> None:
    if m.pos > len(m.data):
        raise UnreadableFile(f"the pickle is cut off: a value ends at byte {m.pos}, the data at {len(m.data)}")


def _short_binunicode(m: Machine) -> None:
    start = m.pos + 1
    m.pos = stop = start + m.data[m.pos]
    if stop > len(m.data):
        _check_end(m)
    m.stack.append(str(m.data[start:stop], "utf-8", "surrogatepass"))


def _old_string(m: Machine, size: int) -> None:
    _bytes(m, size)
    if isinstance(raw := m.stack[-1], bytes):
        m.stack[-1] = raw.decode("latin1")  # Python 2 text, as the unpickler will read it


ATOMS: dict[int, Handler] = {
    ord("\x80"): _proto,
    ord("\x95"): _frame,
    ord("I"): _int,
    ord("J"): _binint,
    ord("K"): _binint1,
    ord("M"): _binint2,
    ord("L"): _long,
    ord("\x8a"): _long1,
    ord("\x8b"): _long4,
    ord("F"): _float,
    ord("G"): _binfloat,
    ord("S"): _string,
    ord("T"): lambda m: _old_string(m, m.count(4)),
    ord("U"): lambda m: _old_string(m, m.count(1)),
    ord("V"): _unicode,
    ord("\x8c"): _short_binunicode,
    ord("X"): lambda m: _text(m, m.count(4)),
    ord("\x8d"): lambda m: _text(m, m.count(8)),
    ord("C"): lambda m: _bytes(m, m.count(1)),
    ord("B"): lambda m: _bytes(m, m.count(4)),
    ord("\x8e"): lambda m: _bytes(m, m.count(8)),
    ord("\x96"): lambda m: _bytes(m, m.count(8)),
}
