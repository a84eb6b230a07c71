"""Universal Binary JSON: what is written is read back, and what is damaged is said to be."""

from __future__ import annotations

import numpy as np
import pytest

from modelport.formats import ubjson


def _length(count: int) -> bytes:
    return b"L" + count.to_bytes(8, "big", signed=True)


def test_what_is_written_is_read_back() -> None:
    value = {
        "text": "größe",
        "none": None,
        "flags": [True, False],
        "number": -(2**40),
        "real": 0.1,
        "empty": [],
        "nested": {"more": [{"a": 1}]},
    }
    assert ubjson.read(ubjson.write(value)) == value


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "i4", "i8", "f4", "f8"])
def test_typed_arrays_keep_their_type(kind: str) -> None:
    array = np.array([0, 1, 100], kind)
    found = ubjson.read(ubjson.write({"x": array}))["x"]
    assert found.dtype.newbyteorder("=") == array.dtype
    assert found.tolist() == array.tolist()


def test_arrays_without_a_length_and_small_numbers_are_read() -> None:
    data = b"[" + b"i\xff" + b"U\xff" + b"I\x01\x00" + b"l\x00\x00\x00\x05" + b"d\x3f\x80\x00\x00" + b"]"
    assert ubjson.read(data) == [-1, 255, 256, 5, 1.0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "middle"),
        (b"{", "middle"),
        (b"{" + _length(3) + b"abc", "middle"),
        (b"l\x00", "middle"),
        (b"X", "begins no value"),
        (b"{X}", "is not 'L'"),
        (b"{" + _length(-1), "more than the rest"),
        (b"S" + _length(2**62), "more than the rest"),
        (b"[$d#" + _length(2**61), "more than the rest"),
        (b"[$x#" + _length(0), "no type of number"),
        (b"[$dX", "is not '#'"),
        (b"[#" + _length(5) + b"Z", "more than the rest"),
        (b"{" + (_length(1) + b"aZ") * 2 + b"}", "twice"),
        (b"[" * 30, "deeper"),
        (b"Z more", "bytes follow"),
        (b"S" + _length(1) + b"\xff", "decode"),
    ],
)
def test_what_is_damaged_is_said_to_be(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ubjson.read(data)
