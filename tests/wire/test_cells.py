"""Cells and nested lists: each that does not fit is found, wherever it stands, and named by its place."""

import json

import pytest

from modelport.errors import SchemaError
from modelport.schema import Field, Schema
from modelport.wire.native import codec

ONE = Schema((Field("x", "float64"),))
TENSOR = Schema((Field("x", "float32", shape=(2, 3)),))
OPEN = Schema((Field("x", "float32", shape=(None, 2)),))


def refused(schema, body):
    with pytest.raises(SchemaError) as caught:
        codec(schema).decode(json.dumps(body).encode(), "application/json")
    return caught.value


def faults(schema, body):
    return [(fault.path, fault.code) for fault in refused(schema, body).faults]


@pytest.mark.parametrize(
    ("schema", "body", "path", "code", "sentence"),
    [
        (TENSOR, [[[1, 2, 3], [1, 2]]], "/0/1", "shape", 'column "x": expected a list of 3 values, got 2 at row 0, position [1]'),
        (TENSOR, {"x": [[1, 2, 3]]}, "/x", "shape", 'column "x": expected a list of 2 values, got 1 at row 0'),
        (TENSOR, {"x": 5}, "/x", "shape", 'column "x": expected a list of 2 lists of 3 values, got integer at row 0'),
        (TENSOR, [None], "/0", "shape", 'column "x": expected a list of 2 lists of 3 values, got null at row 0'),
        (TENSOR, {"x": [[[1, 2, 3], 7]]}, "/x/0/1", "shape", 'column "x": expected a list of 3 values, got integer at row 0, position [1]'),
        (
            TENSOR,
            [{"x": [[1, 2, 3], [1, "2", 3]]}],
            "/0/x/1/1",
            "wrong_type",
            'column "x": expected float32, got string at row 0, position [1][1]',
        ),
        (
            TENSOR,
            [[[1, 2, 3], [1, 1e39, 3]]],
            "/0/1/1",
            "out_of_range",
            'column "x": expected float32, got a number beyond its range at row 0, position [1][1]',
        ),
        (TENSOR, [[[1, 2, 3], [1, [2], 3]]], "/0/1/1", "wrong_type", 'column "x": expected float32, got list at row 0, position [1][1]'),
        (OPEN, [[[1, 2]], [[1, 2], [3, 4]]], "/1", "shape", 'column "x": expected a list of 1 values as in the first, got 2 at row 1'),
        (OPEN, ["x"], "/0", "shape", 'column "x": expected a list of lists of 2 values, got string at row 0'),
    ],
)
def test_a_tensor_of_another_shape_is_refused(schema, body, path, code, sentence):
    [fault] = refused(schema, body).faults
    assert (fault.path, fault.code, fault.message) == (path, code, sentence)


@pytest.mark.parametrize("wrong", [0, 1023, 1024, 4999])
def test_one_wrong_cell_among_thousands_is_found(wrong):
    values = [1.5] * 5000
    values[wrong] = "x"
    assert faults(ONE, values) == [(f"/{wrong}", "wrong_type")]
    vector = Schema((Field("x", "float32", shape=(None,)),))
    assert faults(vector, [values]) == [(f"/0/{wrong}", "wrong_type")]
    square = Schema((Field("x", "float32", shape=(None, None)),))
    assert faults(square, [[[value] for value in values]]) == [(f"/0/{wrong}/0", "wrong_type")]


def test_a_string_or_an_object_is_no_list_of_its_parts():
    schema = Schema((Field("x", "string", shape=(2, None)),))
    assert faults(schema, [[["a"], "b"]]) == [("/0/1", "shape")]
    assert faults(schema, [[["a"], {"b": 1}]]) == [("/0/1", "shape")]
    assert faults(schema, [[["a"], ["b"]], [["a"], ["b", "c"]]]) == [("/1/1", "shape")]
