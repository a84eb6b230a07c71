"""A file is read once, hashed, and its compression undone within bounds."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.errors import MissingExtra, RefusedFile, UnreadableFile
from modelport.formats import streams

TEXT = bytes(range(256)) * 40
CODECS = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}


@pytest.mark.parametrize("kind", CODECS)
def test_each_compression_is_found_and_undone(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(CODECS[kind](TEXT))
    content = streams.read(path)
    assert (content.data, content.compression, content.size_bytes) == (TEXT, kind, path.stat().st_size)
    assert content.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert streams.digest(path) == (content.size_bytes, content.sha256)
    assert streams.head(path)[1] == TEXT[: len(streams.head(path)[1])]


@pytest.mark.parametrize("level", range(10))
def test_zlib_is_recognised_at_every_level(level: int) -> None:
    assert streams.compression(zlib.compress(TEXT, level)) == "zlib"


def test_plain_bytes_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(TEXT)
    assert streams.read(path).data == TEXT


@pytest.mark.parametrize("kind", CODECS)
def test_a_bomb_is_refused_before_it_is_unpacked(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(CODECS[kind](bytes(streams.ALWAYS_ALLOWED_BYTES + (24 << 20))))
    with pytest.raises(RefusedFile, match="bomb"):
        streams.read(path)


@pytest.mark.parametrize("kind", CODECS)
def test_bytes_after_the_compression_are_an_error(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(CODECS[kind](TEXT) + b"more")
    with pytest.raises(UnreadableFile):
        streams.read(path)


@given(kind=st.sampled_from(sorted(CODECS)), data=st.data())
def test_a_cut_compression_is_an_error_and_never_half_a_model(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packed = CODECS[kind](TEXT)
    cut = data.draw(st.integers(20, len(packed) - 1))
    path = tmp_path_factory.mktemp("cut") / "f"
    path.write_bytes(packed[:cut])
    with pytest.raises(UnreadableFile):
        streams.read(path)


@given(kind=st.sampled_from(sorted(CODECS)), at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_ends_in_one_of_our_errors_or_in_bytes(
    kind: str, at: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packed = bytearray(CODECS[kind](TEXT))
    packed[at % len(packed)] ^= 1 << bit
    path = tmp_path_factory.mktemp("flip") / "f"
    path.write_bytes(packed)
    try:
        streams.read(path)
    except (UnreadableFile, RefusedFile) as error:
        assert "\n" not in error.message


def test_lz4_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lz4", None)
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    path = tmp_path / "f"
    path.write_bytes(b"\x04\x22\x4d\x18" + bytes(20))
    with pytest.raises(MissingExtra, match="pip install lz4"):
        streams.read(path)


def test_lz4_is_undone_where_its_library_is(tmp_path: Path) -> None:
    frame = pytest.importorskip("lz4.frame")
    path = tmp_path / "f"
    path.write_bytes(frame.compress(TEXT))
    assert streams.read(path).data == TEXT


def test_the_last_byte_of_nothing_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"")
    assert streams.tail(path) == b""
    path.write_bytes(b"ab")
    assert streams.tail(path) == b"b"
