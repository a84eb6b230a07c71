"""CSV text and columns of values to Columns: the same call that JSON of the same rows would be, or every fault by row and line."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.columns import Columns
from modelport.errors import DecodeError, SchemaError, TooLarge
from modelport.schema import Field, Schema
from modelport.wire.base import Call, Limits
from modelport.wire.native import codec
from modelport.wire.table import decode_columns, decode_csv

SCHEMA = Schema(
    (
        Field("id", "int64", role="key"),
        Field("a", "float64", nullable=True),
        Field("b", "int64"),
        Field("on", "bool"),
        Field("t", "string", nullable=True),
    )
)
UNNAMED = Schema(tuple(Field(f"x{at}", "float64") for at in range(3)), is_named=False)
NAMED = Schema(UNNAMED.inputs)
TENSOR = Schema((Field("pixels", "float32", (2, 2)),))
TEXT = Schema((Field("text", "string"),), is_named=False)


def _values(schema: Schema, call: Call) -> dict[str, list[object]]:
    return {name: array.tolist() for name, array in schema.unpack(call.columns).items()}


def _same(one: Columns, other: Columns) -> bool:
    if one.signature != other.signature:
        return False
    return all(np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f") for name in one)


ROW = st.fixed_dictionaries(
    {
        "id": st.integers(-(2**63), 2**63 - 1),
        "a": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "b": st.integers(-(2**63), 2**63 - 1),
        "on": st.booleans(),
        "t": st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
    }
)


@settings(deadline=None)
@given(st.lists(ROW, min_size=1, max_size=5), st.permutations(["id", "a", "b", "on", "t"]), st.booleans())
def test_csv_of_rows_is_the_call_that_their_json_is(rows: list[dict[str, object]], order: list[str], is_keyed: bool) -> None:
    names = [name for name in order if name != "id" or is_keyed]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, extrasaction="ignore", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    kept = [{name: row[name] for name in names} for row in rows]
    by_json = codec(SCHEMA).decode(json.dumps(kept).encode(), None)
    by_csv = decode_csv(out.getvalue().encode(), SCHEMA)
    by_values = decode_columns({name: [row[name] for row in kept] for name in names}, SCHEMA)
    for call in (by_csv, by_values):
        assert _same(call.columns, by_json.columns)
        assert (call.keys, call.is_single) == (by_json.keys, False)


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='ab,on"t\n\r1.0e-', max_size=60).map(str.encode))
def test_any_bytes_are_rows_or_a_reported_error(body: bytes) -> None:
    for schema in (SCHEMA, UNNAMED, TENSOR, TEXT):
        try:
            call = decode_csv(body, schema, Limits(rows=5))
        except (DecodeError, SchemaError, TooLarge):
            continue
        assert 1 <= call.columns.rows <= 5


@pytest.mark.parametrize(
    ("schema", "body", "expected"),
    [
        (UNNAMED, "1,2,3\n4,5,6\n", [[1, 4], [2, 5], [3, 6]]),
        (UNNAMED, "long,wide,high\n1,2,3\n", [[1], [2], [3]]),
        (UNNAMED, "0,1,2\n7,8,9\n", [[7], [8], [9]]),
        (UNNAMED, ",x0,x1,x2\n0,7,8,9\n", [[7], [8], [9]]),
        (UNNAMED, "x2,x1,x0\n1,2,3\n", [[3], [2], [1]]),
        (NAMED, "0,1,2\n7,8,9\n", [[0, 7], [1, 8], [2, 9]]),
        (NAMED, "\ufeffx0, x1 ,x2\r\n1,2,3\r\n\r\n4,5,6", [[1, 4], [2, 5], [3, 6]]),
        (TENSOR, "1,2,3,4\n5,6,7,8\n", [[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]]),
        (TENSOR, "p,q,r,s\n1,2,3,4\n", [[[[1, 2], [3, 4]]]]),
        (TENSOR, 'pixels\n"[[1, 2], [3, 4]]"\n', [[[[1, 2], [3, 4]]]]),
        (TEXT, 'text\n"one, two"\n"three\nfour"\n', [["one, two", "three\nfour"]]),
        (TEXT, "just a line\nand another\n", [["just a line", "and another"]]),
    ],
)
def test_the_first_line_is_a_header_if_it_names_columns_else_a_row(schema: Schema, body: str, expected: list[object]) -> None:
    """Where the artifact names nothing, words over numbers and 0, 1, 2 … are a frame's header."""
    assert list(_values(schema, decode_csv(body.encode(), schema)).values()) == expected


def test_without_a_header_keys_may_stand_in_their_place_or_be_left_out() -> None:
    schema = Schema((Field("ref", "int64", role="key"), Field("text", "string")))
    assert _values(schema, decode_csv(b"7,good\n8,bad\n", schema)) == {"ref": [7, 8], "text": ["good", "bad"]}
    call = decode_csv(b"good\nbad\n", schema)
    assert (_values(schema, call), call.keys) == ({"ref": [0, 1], "text": ["good", "bad"]}, ())


@pytest.mark.parametrize("cell", ["", "NA", "n/a", "NaN", "null", "None", "<NA>", " nan "])
def test_the_usual_words_for_nothing_are_missing_numbers(cell: str) -> None:
    call = decode_csv(f"a,b,on,t\n{cell},1,true,NA\n".encode(), SCHEMA)
    assert np.isnan(call.columns["a"][0])
    assert call.columns["t"][0] == "NA"
    with pytest.raises(SchemaError, match="got null"):
        decode_csv(f"a,b,on,t\n1,{cell},true,x\n".encode(), SCHEMA)


@pytest.mark.parametrize(
    ("cell", "value"), [("3", 3), ("3.0", 3), ("-3", -3), ("1e3", 1000), (" 7 ", 7), ("9223372036854775807", 2**63 - 1)]
)
def test_whole_numbers(cell: str, value: int) -> None:
    assert decode_csv(f"a,b,on,t\n1,{cell},1,x\n".encode(), SCHEMA).columns["b"][0] == value


@pytest.mark.parametrize(("cell", "value"), [("true", True), ("False", False), ("1", True), ("0", False), (" TRUE ", True)])
def test_truths(cell: str, value: bool) -> None:
    assert decode_csv(f"a,b,on,t\n1,1,{cell},x\n".encode(), SCHEMA).columns["on"][0] == value


def test_an_empty_cell_is_the_empty_text_where_the_model_takes_no_missing_values() -> None:
    schema = Schema((Field("t", "string"), Field("u", "string", nullable=True)))
    assert _values(schema, decode_csv(b"t,u\n,\n", schema)) == {"t": [""], "u": [None]}


def test_every_fault_has_its_row_and_its_line() -> None:
    body = 'a,b,on,t\n1,2.5,true,"two\nlines"\nx,1_0,maybe,y\n1,2\n1e999,,2,z\n'
    with pytest.raises(SchemaError) as caught:
        decode_csv(body.encode(), SCHEMA)
    assert {(fault.path, fault.code, fault.message.rpartition(" (")[2]) for fault in caught.value.faults} == {
        ("/2", "row_length", "line 5)"),
        ("/0/b", "wrong_type", "line 2)"),
        ("/1/a", "wrong_type", "line 4)"),
        ("/1/b", "wrong_type", "line 4)"),
        ("/1/on", "wrong_type", "line 4)"),
        ("/3/a", "out_of_range", "line 6)"),
        ("/3/b", "null", "line 6)"),
        ("/3/on", "wrong_type", "line 6)"),
    }


@pytest.mark.parametrize(
    ("schema", "body", "said"),
    [
        (SCHEMA, "a,b,on,tt\n1,2,1,x\n", 'unknown column "tt"; did you mean "t"?'),
        (SCHEMA, "A,B,ON,T\n1,2,1,x\n", 'unknown column "A"; did you mean "a"?'),
        (SCHEMA, "a,a,b,on,t\n1,1,2,1,x\n", '"a" is given twice'),
        (SCHEMA, "p,q\n1,2\n", "fits neither way: as a header it names none of the columns"),
        (NAMED, "p,q,r\n1,2,3\n", "it holds no number"),
        (NAMED, "1,2\n", "it has 2 cells for 3 columns"),
        (NAMED, "x0,x1,x2\n", "no rows"),
        (NAMED, "", "empty"),
        (TENSOR, "1,2,x,4\n", "position [1][0]"),
        (TENSOR, "pixels\nhello\n", "expected a JSON list of float32"),
        (TENSOR, 'pixels\n"[[1,2],[3]]"\n', "expected a list of 2 values, got 1"),
    ],
)
def test_what_does_not_fit_is_said(schema: Schema, body: str, said: str) -> None:
    with pytest.raises(SchemaError) as caught:
        decode_csv(body.encode(), schema)
    assert said in " ".join(fault.message for fault in caught.value.faults)


def test_what_is_no_csv_is_a_decode_error_with_its_line() -> None:
    with pytest.raises(DecodeError, match="line 3 is not CSV"):
        decode_csv(b'x0,x1,x2\n1,2,3\n1,"2"3,4\n', NAMED)
    with pytest.raises(DecodeError, match="byte 3 is 0xff"):
        decode_csv(b"x0,\xff", NAMED)


def test_too_many_rows_are_refused_and_not_read_to_the_end() -> None:
    with pytest.raises(TooLarge):
        decode_csv(b"1,2,3\n" * 6, NAMED, Limits(rows=5))
    with pytest.raises(TooLarge):
        decode_columns({"x0": [1.0] * 6}, NAMED, Limits(rows=5))
    assert decode_csv(b"x0,x1,x2\n" + b"1,2,3\n" * 5, NAMED, Limits(rows=5)).columns.rows == 5


def test_thousands_of_faults_are_counted_and_the_first_ones_named() -> None:
    with pytest.raises(SchemaError) as caught:
        decode_csv(b"x0,x1,x2\n" + b"a,b,c\n" * 2000, NAMED)
    assert caught.value.faults[0].message.endswith("(line 2)")
    assert "at least" in caught.value.faults[-1].message


def test_values_of_frames() -> None:
    """A NaN is missing, a whole float fits an integer column, and columns bind by position only where nothing is named."""
    nan = float("nan")
    call = decode_columns({"a": [nan, 1.5], "b": [2.0, 3], "on": [True, False], "t": ["x", None]}, SCHEMA)
    assert call.columns["b"].tolist() == [2, 3]
    assert np.isnan(call.columns["a"][0])
    assert _values(UNNAMED, decode_columns({"p": [1], "q": [2], "r": [3]}, UNNAMED)) == {"x0": [1.0], "x1": [2.0], "x2": [3.0]}
    with pytest.raises(SchemaError, match="unknown column"):
        decode_columns({"p": [1], "q": [2], "r": [3]}, NAMED)
    with pytest.raises(SchemaError, match="got null"):
        decode_columns({"x0": [nan], "x1": [1.0], "x2": [1.0]}, NAMED)
    with pytest.raises(SchemaError, match="got null"):
        decode_columns({"pixels": [[[1.0, nan], [1.0, 1.0]]]}, TENSOR)
    with pytest.raises(SchemaError, match="no rows"):
        decode_columns({}, NAMED)
    with pytest.raises(SchemaError, match="expected string, got number"):
        decode_columns({"text": [3.5]}, TEXT)
