"""Bulk numbers: the flat way in gives what the typed decoders give, or gives up."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.columns import Columns
from modelport.schema import Field, Schema
from modelport.wire import flat
from modelport.wire.base import Limits
from modelport.wire.native import codec

pytest.importorskip("simdjson")

TABLE = Schema(tuple(Field(f"x{at}", "float64") for at in range(3)), is_named=False)
LIMITS = Limits()
TENSOR = Schema((Field("image", "float32", (2, 3)),))


def decoded(schema: Schema, body: bytes, limits: Limits = LIMITS) -> Columns:
    return flat.flat_decoder(schema, limits)(body).columns


@pytest.mark.parametrize(
    ("schema", "rows"),
    [
        (TABLE, [[1, 2.5, -3e10], [0.1, -0.0, 18446744073709551615]]),
        (TENSOR, [[[1, 2, 3], [4, 5, 6]], [[0.1, 0.2, 0.3], [7, 8, 9]]]),
        (Schema((Field("v", "float64", (2,)),)), [[1, 2], [3, 4], [5, 6]]),
    ],
)
def test_rows_become_the_array_that_the_typed_decoders_make(schema, rows):
    for body in (json.dumps(rows).encode(), json.dumps(rows, indent=1).encode()):
        ((name, array),) = decoded(schema, body).items()
        expected = codec(schema, Limits()).decode(body, None).columns[name]
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, np.asarray(rows, expected.dtype))
        np.testing.assert_array_equal(array, expected)


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3), min_size=1, max_size=5))
def test_every_number_is_read_to_the_last_bit(rows):
    array = decoded(TABLE, json.dumps(rows).encode())["#float64"]
    assert array.tobytes() == np.asarray(rows, np.float64).tobytes() or np.array_equal(array, rows)


def test_the_next_body_does_not_change_the_rows_of_the_last():
    decode = flat.flat_decoder(TABLE, Limits())
    first = decode(b"[[1,2,3]]").columns["#float64"]
    decode(b"[[7,8,9]]")
    assert first.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    "body",
    [
        b"[[1,2,3],[4,5]]",
        b"[[1,2],[3],[4,5,6]]",
        b"[[1,2,3,4,5,6]]",
        b"[1,2,3]",
        b"[[[1,2,3]]]",
        b"[[1,[2],3]]",
        b"[[1,[2,3],4],5]",
        b"[]",
        b"[[]]",
        b"[[1,2,null]]",
        b"[[1,2,true]]",
        b'[[1,2,"3"]]',
        b'[[1,2,{"a":3}]]',
        b"[[1,2,1e400]]",
        b"[[1,2,NaN]]",
        b"[[1,2,3]] x",
        b"[[1,2,3],]",
        b"[[1,2,03]]",
        b"[[1,2,3]",
        b"\xff[[1,2,3]]",
        b"[[1,2,3],[1,2,3],[1,2,3]]",
    ],
)
def test_whatever_else_is_left_to_the_others(body):
    with pytest.raises(ValueError, match=r"\w"):
        decoded(TABLE, body, Limits(rows=2))


def test_a_number_that_float32_does_not_hold_is_left_to_the_others():
    with pytest.raises(ValueError, match="range"):
        decoded(TENSOR, b"[[[1,2,3],[4,5,1e39]]]")


@pytest.mark.parametrize(
    "schema",
    [
        Schema((Field("a", "float64"),)),
        Schema((Field("a", "int64"), Field("b", "int64"))),
        Schema((Field("a", "float64"), Field("b", "string"))),
        Schema((Field("a", "float64", categories=(1.0, 2.0), closed=True), Field("b", "float64"))),
        Schema((Field("id", "int64", role="key"), Field("a", "float64"), Field("b", "float64"))),
        Schema((Field("a", "float64", (None,)),)),
        Schema((Field("a", "string", (2,)),)),
    ],
    ids=["one number", "whole numbers", "texts", "closed", "keys", "any length", "tensor of texts"],
)
def test_there_is_no_flat_way_where_rows_are_more_than_numbers(schema):
    assert flat.flat_decoder(schema, Limits()) is None


def test_through_the_codec_a_large_body_gives_the_same_call_and_the_same_faults():
    rows = np.random.default_rng(0).normal(size=(200, 3)).tolist()
    call = codec(TABLE, Limits()).decode(json.dumps(rows).encode(), None)
    assert call.columns["#float64"].tolist() == rows
    rows[150] = [1.0, 2.0]
    with pytest.raises(Exception, match="row 150") as caught:
        codec(TABLE, Limits()).decode(json.dumps(rows).encode(), None)
    assert type(caught.value).__name__ == "SchemaError"
