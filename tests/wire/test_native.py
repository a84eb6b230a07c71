"""Native JSON as a client sees it: forms, content types, double encoding, bad JSON."""

import json

import pytest

from modelport.errors import DecodeError, ManifestError, SchemaError, UnsupportedMedia
from modelport.schema import Field, Schema
from modelport.wire import WIRES
from modelport.wire.native import codec

TABLE = Schema((Field("ref", "int64", role="key"), Field("a", "float64"), Field("b", "float64")))
TEXT = Schema((Field("ref", "int64", role="key"), Field("text", "string")))
ONE = Schema((Field("x", "float64"),))
VECTOR = Schema((Field("x", "float32", shape=(2,)),))


def decode(schema, body, content_type="application/json"):
    return codec(schema).decode(body if isinstance(body, bytes) else json.dumps(body).encode(), content_type)


@pytest.mark.parametrize(
    ("body", "is_single"),
    [
        ({"a": [1, 3], "b": [2, 4]}, False),
        ([{"a": 1, "b": 2}, {"b": 4, "a": 3}], False),
        ([[1, 2], [3, 4]], False),
    ],
)
def test_columns_records_and_rows_say_the_same(body, is_single):
    call = decode(TABLE, body)
    assert call.columns["#float64"].tolist() == [[1, 2], [3, 4]]
    assert call.columns["ref"].tolist() == [0, 1]
    assert (call.keys, call.outputs, call.params, call.is_single) == ((), None, {}, is_single)


def test_one_record_asks_for_one_record():
    call = decode(TABLE, {"a": 1, "b": 2, "ref": 9})
    assert call.columns["#float64"].tolist() == [[1, 2]]
    assert (call.columns["ref"].tolist(), call.keys, call.is_single) == ([9], ("ref",), True)


@pytest.mark.parametrize("body", [["good", "bad"], [["good"], ["bad"]], {"text": ["good", "bad"]}, [{"text": "good"}, {"text": "bad"}]])
def test_a_model_with_one_input_takes_a_list_of_its_values(body):
    assert decode(TEXT, body).columns["text"].tolist() == ["good", "bad"]


def test_nested_lists_are_the_values_of_a_tensor_input():
    assert decode(VECTOR, [[1, 2], [3, 4]]).columns["x"].tolist() == [[1, 2], [3, 4]]
    assert decode(VECTOR, [[1, 2], [3, 4]]).columns["x"].dtype == "float32"
    assert decode(ONE, [1, 2.5]).columns["x"].tolist() == [1, 2.5]
    assert decode(ONE, [[1], [2]]).columns["x"].tolist() == [1, 2]


def test_decoded_arrays_can_be_written_to():
    assert decode(TABLE, [[1, 2]]).columns["#float64"].flags.writeable
    assert decode(VECTOR, [[1, 2]]).columns["x"].flags.writeable


def test_the_columns_come_in_the_order_of_the_layout_in_every_form():
    schema = Schema((Field("a", "float64"), Field("k", "int64", role="key"), Field("s", "string"), Field("b", "float64")))
    order = [block.name for block in schema.layout]
    for body in ([[1, "x", 2]], {"s": ["x"], "b": [2], "a": [1]}, {"b": 2, "k": 4, "s": "x", "a": 1}):
        assert list(decode(schema, body).columns) == order
        assert decode(schema, body).columns["#float64"].tolist() == [[1, 2]]


# --- double encoding ------------------------------------------------------------------------------------------------


def test_a_json_string_holding_json_is_decoded_once_more():
    call = decode(TEXT, '{"ref":[1],"text":["I am \\"well\\", 😀"]}')
    assert (call.columns["text"].tolist(), call.keys) == (['I am "well", 😀'], ("ref",))
    assert decode(TEXT, b'\n "[\\"good\\"]" ').columns["text"].tolist() == ["good"]


def test_only_once():
    with pytest.raises(SchemaError) as caught:
        decode(TEXT, json.dumps('["good"]'))
    assert caught.value.faults[0].code == "form"


@pytest.mark.parametrize("text", ["", "I am well", "[1", "NaN", "[" * 100_000, "{'a':1}"])
def test_a_string_that_holds_no_json_fits_no_schema(text):
    with pytest.raises(SchemaError) as caught:
        decode(TEXT, text)
    assert [(fault.path, fault.code) for fault in caught.value.faults] == [("", "not_json")]


def test_a_string_that_is_itself_broken_is_bad_json():
    for body in (b'"abc', b'"\xff"', b'"[1]" x'):
        with pytest.raises(DecodeError):
            decode(TEXT, body)


# --- content types --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        " ",
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json ;charset="UTF-8" ;',
        "application/vnd.api+json",
        "application/problem+JSON; Charset=UTF-8",
    ],
)
def test_json_in_utf_8_is_accepted(content_type):
    assert decode(TEXT, ["x"], content_type).columns.rows == 1


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/csv",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; version=1",
        "application/jsonl",
        "+json",
        "a b/c+json",
        "application/json, text/plain",
        ";",
        "x" * 1000,
    ],
)
def test_anything_else_is_an_unsupported_media_type_named_in_the_message(content_type):
    with pytest.raises(UnsupportedMedia) as caught:
        decode(TEXT, ["x"], content_type)
    assert content_type[:70] in caught.value.message
    assert "application/json" in caught.value.message
    assert len(caught.value.message) < 250


# --- the codec ------------------------------------------------------------------------------------------------------


def test_a_schema_without_features_cannot_be_served():
    with pytest.raises(ManifestError, match="no feature column"):
        codec(Schema((Field("ref", "int64", role="key"),)))


def test_the_table_of_wires_names_functions_that_exist():
    import importlib

    for target in WIRES.values():
        module, name = target.split(":")
        assert callable(getattr(importlib.import_module(module), name))
