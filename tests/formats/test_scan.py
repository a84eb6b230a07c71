"""The static reader: what it finds out without executing, and how it ends on bytes that are no pickle."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
from collections import OrderedDict
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelport.errors import RefusedFile, UnreadableFile
from modelport.formats import arrays, pickled
from modelport.formats.allow import judge
from modelport.formats.base import Options
from modelport.formats.scan import Scan, scan
from modelport.formats.symbols import Block, Group, Node, Ref, Text

linear_model = pytest.importorskip("sklearn.linear_model")


def read(data: bytes) -> Scan:
    return scan(data, judge(frozenset(), ()))


def plain(symbol: object) -> object:
    """Turn what the reader found back into Python values, for comparison."""
    if isinstance(symbol, Group):
        return {plain(item) for item in symbol.members}
    if isinstance(symbol, list | tuple):
        return type(symbol)(plain(item) for item in symbol)
    if isinstance(symbol, dict):
        return {plain(key): plain(value) for key, value in symbol.items()}
    if isinstance(symbol, Node) and symbol.maker.dotted == "_codecs.encode":
        return str(symbol.args[0]).encode("latin1")
    if isinstance(symbol, Node) and symbol.maker.name in ("set", "frozenset", "bytes", "bytearray"):
        return set(plain(symbol.args[0])) if symbol.maker.name.endswith("set") else bytes(*symbol.args)
    return symbol


ATOMS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=40) | st.binary(max_size=40)
)
KEYS = st.text(max_size=8) | st.integers(-5, 300)
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4) | st.tuples(inner, inner), max_leaves=20
)


@given(value=VALUES, protocol=st.integers(0, 5), is_optimized=st.booleans())
@example(value={1, 2}, protocol=4, is_optimized=False)
@example(value=frozenset([1]), protocol=2, is_optimized=False)
def test_plain_values_of_every_protocol_are_read_as_pickle_reads_them(value: object, protocol: int, is_optimized: bool) -> None:
    data = pickle.dumps(value, protocol)
    found = read(pickletools.optimize(data) if is_optimized else data)
    assert found.refusal == ""
    expected = set(value) if isinstance(value, frozenset) else value
    assert plain(found.root) == expected


def test_long_strings_stay_in_the_file() -> None:
    for value, protocol in (("x" * 5000, 4), (b"x" * 5000, 4), ("x" * 5000, 0), (bytearray(b"x" * 5000), 5), ("x" * 5000, 2)):
        data = pickle.dumps(value, protocol)
        found = read(data).root
        assert isinstance(found, Text)
        assert found.stop - found.start == 5000


def test_the_reader_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "noisy_module.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = read(b"\x80\x02cnoisy_module\nThing\n)\x81.")
    assert [(ref.dotted, ref.kind) for ref in found.refs] == [("noisy_module.Thing", "unknown")]


def test_each_global_is_named_once_with_its_class() -> None:
    model = OrderedDict(a=linear_model.LogisticRegression(), b=linear_model.LogisticRegression(C=2.0), c=np.float32)
    refs = {ref.dotted: ref.kind for ref in read(pickle.dumps(model, 2)).refs}
    assert refs["sklearn.linear_model._logistic.LogisticRegression"] == "known"
    assert refs["collections.OrderedDict"] == "known"
    assert set(refs.values()) == {"known"}


def test_a_refused_file_still_shows_what_it_names() -> None:
    found = read(b"\x80\x02csomebody.code\nThing\ncos\nsystem\n\x82\x01.")
    assert [(ref.dotted, ref.kind) for ref in found.refs] == [("os.system", "dangerous"), ("somebody.code.Thing", "unknown")]
    assert "os.system" in found.refusal


def _joblib(value: object, protocol: int = 4) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(value, buffer, protocol=protocol)
    return buffer.getvalue()


DTYPES = ("f8", ">f4", "i2", "?", "U3", "S4", "c16", "M8[ns]", "m8[D]", "u1", "f2", [("a", "f8"), ("b", "i4", (2,))])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_joblib_arrays_come_back_equal(dtype: object, protocol: int, shape: tuple[int, ...]) -> None:
    for order in "CF":
        value = np.zeros(shape, dtype, order=order)
        value.reshape(-1).view("u1")[...] = 1
        data = _joblib({"before": value, "after": 7}, protocol)
        found = read(data)
        assert found.refusal == ""
        block = found.blocks[0]
        back = arrays.realize(data, block)
        np.testing.assert_array_equal(back, value)
        assert back.flags.writeable
        assert back.flags.f_contiguous == value.flags.f_contiguous
        assert isinstance(found.root, dict)
        assert found.root["after"] == 7


def test_joblib_arrays_of_objects_are_pickles_walked_by_the_same_rules() -> None:
    found = read(_joblib(np.array(["a", None, 3], dtype=object)))
    assert found.refusal == ""
    assert isinstance(found.root, Block)
    assert arrays.small_values(b"", found.root) == ["a", None, 3]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("values", [[1, 2], ["a", "bc"], [0.5], [True, False]], ids=str)
def test_small_arrays_are_read_without_numpy_unpickling_them(protocol: int, values: list[object]) -> None:
    for dtype in (None, object):
        data = pickle.dumps(np.array(values, dtype), protocol)
        assert arrays.small_values(data, read(data).root) == values


def test_numpy_scalars_are_read() -> None:
    data = pickle.dumps([np.float64(2.5), np.str_("x"), 3], 4)
    assert arrays.small_values(data, read(data).root) == [2.5, "x", 3]


MODEL = linear_model.LogisticRegression().fit(np.arange(12.0).reshape(6, 2), ["a", "b"] * 3)
STREAMS = {f"protocol {number}": pickle.dumps(MODEL, number) for number in range(6)} | {"joblib": _joblib(MODEL)}


@given(name=st.sampled_from(sorted(STREAMS)), data=st.data())
def test_a_file_cut_anywhere_is_unreadable(name: str, data: st.DataObject) -> None:
    whole = STREAMS[name]
    with pytest.raises(UnreadableFile):
        read(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(name=st.sampled_from(sorted(STREAMS)), at=st.integers(0, 5000), byte=st.integers(0, 255))
def test_a_changed_byte_never_escapes_our_errors(name: str, at: int, byte: int) -> None:
    changed = bytearray(STREAMS[name])
    changed[at % len(changed)] = byte
    try:
        read(bytes(changed))
    except (UnreadableFile, RefusedFile) as error:
        assert "\n" not in error.message


@given(st.binary(max_size=200))
def test_noise_never_escapes_our_errors(noise: bytes) -> None:
    for data in (noise, b"\x80\x04" + noise, noise + b"."):
        try:
            read(data)
        except (UnreadableFile, RefusedFile) as error:
            assert "\n" not in error.message


CORRUPT = {
    "empty": b"",
    "protocol 6": b"\x80\x06N.",
    "unknown opcode": b"\x80\x04\xff.",
    "stack underflow": b"\x80\x04R.",
    "no mark": b"\x80\x04t.",
    "memo never stored": b"\x80\x04h\x07.",
    "frame longer than the file": b"\x80\x04\x95" + struct.pack("<Q", 99) + b"N.",
    "frame within a frame": b"\x80\x04\x95" + struct.pack("<Q", 12) + b"\x95" + struct.pack("<Q", 1) + b"N..",
    "string longer than the file": b"\x80\x04X\xff\xff\xff\x7fabc.",
    "long bytes longer than the file": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc.",
    "text that is no UTF-8": b"\x80\x04\x8c\x02\xff\xff.",
    "number that is none": b"Iabc\n.",
    "float that is none": b"Fabc\n.",
    "string without quotes": b"Sabc\n.",
    "line that does not end": b"V" + b"a" * 50,
    "dictionary with a key too many": b"\x80\x04}(K\x01u.",
    "list as a key": b"\x80\x04}]K\x01s.",
    "no STOP": b"\x80\x04N",
    "global without a name": b"cnumpy\n",
    "joblib array that is cut": STREAMS["joblib"][:-300],
}


@pytest.mark.parametrize("name", CORRUPT)
def test_a_damaged_file_is_unreadable_and_the_loader_agrees(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(CORRUPT[name])
    for ask in (pickled.inspect, pickled.load_object):
        with pytest.raises(UnreadableFile) as caught:
            ask(path, Options())
        assert caught.value.message.startswith("m.pkl: ")
        assert "\n" not in caught.value.message


@pytest.mark.parametrize("module", ["a\x1b[31mb", "a b", "", "a..b", "a" * 600])
def test_a_name_that_is_no_identifier_is_refused_unseen(module: str) -> None:
    found = read(b"\x80\x04X" + struct.pack("<I", len(module)) + module.encode() + b"\x8c\x01c\x93.")
    assert "no Python module" in found.refusal
    assert module not in found.refusal or not module


def test_what_shares_parts_of_itself_does_not_make_the_reader_hang() -> None:
    """Thirty levels of lists that hold the level below twice are a billion leaves, if anyone looked."""
    found = read(b"\x80\x04]" + b"q\x000](h\x00h\x00e" * 30 + b".")
    assert found.refusal == ""


def test_old_joblib_files_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(b"\x80\x02cjoblib.numpy_pickle\nNDArrayWrapper\n)\x81}b.")
    with pytest.raises(UnreadableFile, match=r"before 0\.10"):
        pickled.inspect(path, Options())


def test_references_are_plain_data() -> None:
    assert Ref("a.b", "C", "unknown").dotted == "a.b.C"
