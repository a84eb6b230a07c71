"""Frames: whatever goes in comes out on the other side, and nothing that is no frame is taken for one."""

from __future__ import annotations

import ast
import contextlib
import json
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelport.engine import core

NUMBERS = [
    "?",
    *(f"{order}{kind}{size}" for order in "<>" for kind, sizes in (("i", "1248"), ("u", "1248"), ("f", "248")) for size in sizes),
]
TEXT = st.none() | st.text(max_size=8) | st.sampled_from(["", "\0", "a\0b", "é", "日本", "😀", "\ud800", "x\udfff"])
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
NUMERIC = st.sampled_from(NUMBERS).flatmap(lambda dtype: hnp.arrays(np.dtype(dtype), SHAPES))
STRINGS = SHAPES.flatmap(lambda shape: hnp.arrays(np.dtype(object), shape, elements=TEXT))
HEADER = st.dictionaries(
    st.text(max_size=4).filter(lambda key: key != "columns"), st.none() | st.integers() | st.text(max_size=4), max_size=3
)


def parts(buffers) -> tuple[bytes, bytes, bytearray]:
    data = b"".join(buffers)
    head_bytes, body_bytes = core.decode_prefix(data[: core.PREFIX.size])
    middle = core.PREFIX.size + head_bytes
    assert len(data) == middle + body_bytes
    return data[: core.PREFIX.size], data[core.PREFIX.size : middle], bytearray(data[middle:])


def frame(columns: list[object], body: bytes = b"", rows: int = 0) -> tuple[bytes, bytes, bytes]:
    return raw(json.dumps({"columns": columns}).encode(), body, rows)


def raw(head: bytes, body: bytes = b"", rows: int = 0) -> tuple[bytes, bytes, bytes]:
    return core.PREFIX.pack(len(head), rows, len(body), -1, float("nan")), head, body


def is_same(a: np.ndarray, b: np.ndarray) -> bool:
    if a.dtype == object or b.dtype == object:
        return a.dtype == b.dtype and a.shape == b.shape and a.tolist() == b.tolist()
    return a.dtype == b.dtype.newbyteorder("=") and a.shape == b.shape and a.tobytes() == b.astype(a.dtype).tobytes()


@given(HEADER, st.dictionaries(st.text(max_size=4), NUMERIC | STRINGS, max_size=4))
def test_every_kind_of_column_comes_back_as_it_was(header, columns):
    prefix, head, body = parts(core.encode(header, columns))
    found, arrays = core.decode(prefix, head, body)
    assert found == header
    assert list(arrays) == list(columns)
    for name, array in arrays.items():
        assert is_same(array, columns[name]), (array, columns[name])


@given(HEADER)
def test_a_frame_without_columns_has_none(header):
    prefix, head, body = parts(core.encode(header))
    assert core.decode(prefix, head, body) == (header, None)


def test_views_that_are_not_contiguous_travel_as_what_they_show():
    base = np.arange(24.0).reshape(4, 6)
    columns = {"t": base.T, "s": base[::2, ::3], "r": base[::-1], "text": np.array([["a", None], ["c", "d"]], object).T}
    _, arrays = core.decode(*parts(core.encode({}, columns)))
    for name, array in arrays.items():
        assert array.tolist() == columns[name].tolist()


def test_numbers_lie_aligned_and_can_be_written_where_the_body_can():
    _, arrays = core.decode(*parts(core.encode({}, {"b": np.array([True]), "f": np.arange(3.0), "i": np.array([1], "u1")})))
    assert all(array.flags.writeable for array in arrays.values())
    buffers = core.encode({"odd": "x"}, {"b": np.array([True])})
    assert sum(map(len, buffers)) % core.ALIGNMENT == 0
    assert (len(buffers[0]) + len(buffers[1])) % core.ALIGNMENT == 0


def test_long_doubles_travel_as_doubles():
    _, arrays = core.decode(*parts(core.encode({}, {"x": np.array([1.5], np.longdouble)})))
    assert arrays["x"].dtype == np.float64
    assert arrays["x"].tolist() == [1.5]


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.array([1 + 2j]), 'column "c" has dtype complex128'),
        (np.array(["2020"], "M8[D]"), 'column "c" has dtype datetime64'),
        (np.array(["a"]), 'column "c" has dtype <U1'),
        (np.array(["a", 3], object), 'column "c" holds int at 1'),
        (np.array([b"a"], object), 'column "c" holds bytes at 0'),
    ],
)
def test_what_no_frame_carries_is_said_before_a_byte_is_made(array, says):
    with pytest.raises(core.FrameError, match=says):
        core.encode({}, {"c": array})


OFFSETS = np.array([0, 1, 2], "<i8").tobytes()
LIES = {
    "negative length": frame([["a", "<f8", [-1]]], bytes(8)),
    "two negative lengths": frame([["a", "<f8", [-1, -1]]], bytes(8)),
    "larger than the body": frame([["a", "<f8", [2]]], bytes(8)),
    "product beyond 64 bits": frame([["a", "<f8", [2**40, 2**40]]], bytes(8)),
    "huge axes of nothing": frame([["a", "<f8", [0, 2**80]]]),
    "huge strings": frame([["a", "str", [2**62]]], bytes(64)),
    "fraction": frame([["a", "<f8", [1.0]]], bytes(8)),
    "boolean": frame([["a", "<f8", [True]]], bytes(8)),
    "text as length": frame([["a", "<f8", ["1"]]], bytes(8)),
    "text as shape": frame([["a", "<f8", "1"]], bytes(8)),
    "no shape": frame([["a", "<f8"]], bytes(8)),
    "no list": frame(3),
    "number in the list": frame([3]),
    "name of another kind": frame([[["a"], "<f8", [1]]], bytes(8)),
    "name twice": frame([["a", "<f8", [1]], ["a", "<f8", [1]]], bytes(16)),
    "objects": frame([["a", "|O", [1]]], bytes(8)),
    "records": frame([["a", [["x", "<f8"]], [1]]], bytes(8)),
    "text dtype": frame([["a", "<U2", [1]]], bytes(8)),
    "null dtype": frame([["a", None, [1]]], bytes(8)),
    "unknown dtype": frame([["a", "what", [1]]], bytes(8)),
    "offsets missing": frame([["a", "str", [2]]], bytes(16)),
    "offsets backwards": frame([["a", "str", [2]]], np.array([0, 2, 1], "<i8").tobytes() + bytes(32)),
    "offsets not from 0": frame([["a", "str", [2]]], np.array([1, 1, 2], "<i8").tobytes() + bytes(32)),
    "offsets negative": frame([["a", "str", [2]]], np.array([0, -1, -2], "<i8").tobytes() + bytes(32)),
    "string bytes missing": frame([["a", "str", [2]]], np.array([0, 1, 99], "<i8").tobytes() + bytes(16)),
    "mask missing": frame([["a", "str", [2]]], OFFSETS + b"ab".ljust(8, b"\0")),
    "mask of one for two": frame([["a", "str", [2]]], OFFSETS + b"ab".ljust(8, b"\0") + b"\0"),
    "no UTF-8": frame([["a", "str", [2]]], OFFSETS + b"\xff\xfe".ljust(8, b"\0") + bytes(8)),
    "more rows than the body has": frame([["a", "<f8", [None]]], bytes(8), 2),
    "most rows": frame([["a", "<f8", [None, 2**40]]], bytes(8), 2**32 - 1),
    "most rows of strings": frame([["a", "str", [None]]], bytes(64), 2**32 - 1),
    "rows not in front": frame([["a", "<f8", [1, None]]], bytes(8), 1),
    "header no JSON": raw(b"{"),
    "header no UTF-8": raw(b"\xff"),
    "header a list": raw(b"[]"),
    "header empty": raw(b""),
    "header too deep": raw(b"[" * 200_000),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_frame_that_lies_is_refused_every_time_and_nothing_large_is_made_of_it(lie):
    for _ in range(2):
        with pytest.raises(core.FrameError):
            core.decode(*lie)


@given(st.dictionaries(st.text(max_size=2), NUMERIC | STRINGS, min_size=1, max_size=3), st.data())
def test_a_frame_cut_short_is_refused_or_holds_what_is_left(columns, data):
    prefix, head, body = parts(core.encode({"id": 1}, columns))
    cut = data.draw(st.integers(0, len(body)))
    try:
        _, arrays = core.decode(prefix, head, body[:cut])
    except core.FrameError:
        return
    assert all(is_same(arrays[name], array) for name, array in columns.items())


@given(st.dictionaries(st.text(max_size=2), NUMERIC | STRINGS, min_size=1, max_size=3), st.data())
def test_garbled_bytes_raise_nothing_but_a_frame_error(columns, data):
    prefix, head, body = map(bytearray, parts(core.encode({"id": 1}, columns)))
    for part in (prefix, head, body):
        for _ in range(data.draw(st.integers(0, 3))):
            if part:
                part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    try:
        core.decode(prefix, bytes(head), body)
    except core.FrameError:
        return


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 2**32 - 1))
def test_random_bytes_raise_nothing_but_a_frame_error(head, body, rows):
    prefix = core.PREFIX.pack(len(head), rows, len(body), 1, 0.0)
    with contextlib.suppress(core.FrameError):
        core.decode_prefix(head)
    with contextlib.suppress(core.FrameError):
        core.decode(prefix, head, body)


@pytest.mark.parametrize("sizes", [(core.LIMIT_HEADER_BYTES + 1, 0), (0, core.LIMIT_BODY_BYTES + 1)])
def test_a_frame_over_the_limit_is_refused_by_its_prefix(sizes):
    with pytest.raises(core.FrameError, match="over the limit"):
        core.decode_prefix(core.PREFIX.pack(sizes[0], 0, sizes[1], -1, 0.0))


def test_a_socket_carries_small_and_large_frames_and_tells_a_clean_end():
    ours, theirs = socket.socketpair()
    columns = {"x": np.arange(100_000.0), "none": np.empty(0), "t": np.array(["é", None], object)}
    with ours, theirs:
        sender = threading.Thread(
            target=lambda: (core.send(ours, {"n": 1}, columns), core.send(ours, {"n": 2}), ours.shutdown(socket.SHUT_WR))
        )
        sender.start()
        reader = core.Reader(theirs)
        header, arrays = reader.receive()
        assert header == {"n": 1}
        assert all(is_same(arrays[name], array) for name, array in columns.items())
        assert reader.receive() == ({"n": 2}, None)
        assert reader.receive() is None
        sender.join()


@given(st.lists(st.sampled_from([0, 1, 100, 8_000, 9_000, 20_000]), min_size=1, max_size=6), st.sampled_from([7, 4096, 65_536, 300_000]))
def test_frames_on_the_heels_of_each_other_are_read_one_by_one_whatever_their_sizes(sizes, step):
    """Around what the kept buffer holds (65,536 bytes), in pieces of all sizes, so that frames end in the middle of what was read."""
    data = b"".join(b"".join(core.encode({"id": at}, {"x": np.arange(size) + at})) for at, size in enumerate(sizes))
    ours, theirs = socket.socketpair()

    def write() -> None:
        for at in range(0, len(data), max(step, len(data) // 50)):
            ours.sendall(data[at : at + max(step, len(data) // 50)])
        ours.shutdown(socket.SHUT_WR)

    with ours, theirs:
        sender = threading.Thread(target=write)
        sender.start()
        reader = core.Reader(theirs)
        for at, size in enumerate(sizes):
            header, arrays = reader.receive()
            assert header == {"id": at}
            assert arrays["x"].tolist() == list(range(at, at + size))
        assert reader.receive() is None
        sender.join()


def test_arrays_that_a_model_keeps_do_not_change_with_the_next_batch():
    kept = []

    def predict(columns, _outputs, _params):
        kept.append(columns["x"])
        return columns

    found = answers(predict, *({"x": np.full(4, number)} for number in range(5)))
    assert [array.tolist() for array in kept] == [[number] * 4 for number in range(5)]
    assert [arrays["x"].tolist() for _, arrays in found] == [[number] * 4 for number in range(5)]


def test_batches_of_one_layout_share_a_header_and_differ_in_rows_and_id():
    one, other = (
        core.encode({"id": rows, "predict_s": 0.5}, {"x": np.zeros((rows, 3)), "t": np.array(["a"] * rows, object)}) for rows in (1, 9)
    )
    assert one[1] == other[1]
    for rows, buffers in ((1, one), (9, other)):
        header, arrays = core.decode(*parts(buffers))
        assert header == {"id": rows, "predict_s": 0.5}
        assert (arrays["x"].shape, arrays["t"].shape) == ((rows, 3), (rows,))


@pytest.mark.parametrize(
    "header", [{"id": -1}, {"id": 2**70}, {"id": "x"}, {"id": None}, {"predict_s": 1}, {"predict_s": "x"}, {"id": True}]
)
def test_a_header_with_other_values_than_numbers_of_batches_and_seconds_comes_back_as_it_was(header):
    assert core.decode(*parts(core.encode(header))) == (header, None)


@pytest.mark.parametrize("size", [1, 31, 32, 33, 100])
def test_a_connection_that_ends_inside_a_frame_is_no_clean_end(size):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"".join(core.encode({"id": 1}, {"x": np.zeros(4)}))[:size])
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(core.FrameError, match="ended inside a frame"):
            core.receive(theirs)


def answers(predict, *frames) -> list[tuple[dict, dict | None]]:
    """Run the worker loop in this process over some frames and give what it answered."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for number, columns in enumerate(frames):
            core.send(ours, {"id": number, "outputs": ["y"], "params": {"k": number}}, columns)
        ours.shutdown(socket.SHUT_WR)
        core.run(theirs, predict, lambda error: {"code": "c", "message": f"{type(error).__name__}: {error}"})
        reader = core.Reader(ours)
        return [reader.receive() for _ in frames]


def test_the_loop_answers_each_batch_under_its_id_with_outputs_and_params_passed_on():
    seen = []

    def predict(columns, outputs, params):
        seen.append((outputs, params))
        return {"y": columns["x"] * 2}

    found = answers(predict, {"x": np.arange(2.0)}, {"x": np.arange(3.0)})
    assert [(header["id"], arrays["y"].tolist()) for header, arrays in found] == [(0, [0.0, 2.0]), (1, [0.0, 2.0, 4.0])]
    assert all(header["predict_s"] >= 0 for header, _ in found)
    assert seen == [(["y"], {"k": 0}), (["y"], {"k": 1})]


@pytest.mark.parametrize(
    "error", [ValueError("bad"), OSError("disk"), MemoryError("full"), RecursionError("deep"), BrokenPipeError("theirs")]
)
def test_whatever_a_model_raises_is_answered_and_the_next_batch_is_computed(error):
    def predict(columns, _outputs, _params):
        if columns["x"][0] == 0:
            raise error
        return columns

    (failed, nothing), (fine, arrays) = answers(predict, {"x": np.zeros(1)}, {"x": np.ones(1)})
    assert failed["error"] == {"code": "c", "message": f"{type(error).__name__}: {error}"}
    assert nothing is None
    assert "error" not in fine
    assert arrays["x"].tolist() == [1.0]


def test_an_exception_that_cannot_be_described_is_named():
    def predict(_columns, _outputs, _params):
        raise KeyError

    ours, theirs = socket.socketpair()
    with ours, theirs:
        core.send(ours, {"id": 1}, {"x": np.zeros(1)})
        ours.shutdown(socket.SHUT_WR)
        core.run(theirs, predict, lambda error: error.text)
        assert core.receive(ours)[0]["error"] == {"code": "model_error", "message": "the model failed: KeyError"}


def test_an_answer_that_cannot_travel_is_an_error_of_its_batch():
    found = answers(lambda columns, _outputs, _params: {"y": np.array([object()])}, {"x": np.zeros(1)}, {"x": np.zeros(1)})
    assert ['column "y" holds object' in header["error"]["message"] for header, _ in found] == [True, True]


def test_when_the_front_is_gone_the_loop_ends_with_its_os_error():
    ours, theirs = socket.socketpair()
    with theirs:
        core.send(ours, {"id": 1}, {"x": np.zeros(1)})
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            core.run(theirs, lambda columns, _outputs, _params: (ours.close(), columns)[1], str)


def test_the_file_keeps_to_the_syntax_of_python_3_6():
    ast.parse(Path(core.__file__).read_text(encoding="utf-8"), feature_version=(3, 6))
