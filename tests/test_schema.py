"""Field and Schema: what is said in plain data is read back, what is said wrong is named, rows pack and unpack without loss."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.columns import Columns
from modelport.errors import ManifestError
from modelport.schema import ROLES, TASKS, TYPES, Field, Schema

SCALAR = st.none() | st.text(max_size=4) | st.integers(-9, 9) | st.booleans()
FIELD = st.builds(
    Field,
    name=st.text(min_size=1, max_size=4),
    type=st.sampled_from(TYPES),
    shape=st.lists(st.none() | st.integers(0, 5), max_size=2).map(tuple),
    role=st.sampled_from(ROLES),
    nullable=st.booleans(),
    max_length=st.none() | st.integers(0, 100),
    categories=st.lists(SCALAR, max_size=3).map(tuple),
    closed=st.booleans(),
    description=st.text(max_size=4),
)
FIELDS = st.lists(FIELD, max_size=6, unique_by=lambda item: item.name).map(tuple)


@given(FIELDS, FIELDS, st.sampled_from(TASKS), st.lists(SCALAR, max_size=3).map(tuple), st.booleans(), st.text(max_size=4))
def test_a_schema_survives_plain_data_and_json(inputs, outputs, task, classes, is_named, description):
    schema = Schema(inputs, outputs, task, classes, is_named=is_named, description=description)
    back = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
    assert back == schema
    assert back.description == description


def test_defaults_are_left_out_of_plain_data():
    assert Field("a", "float64").to_dict() == {"name": "a", "type": "float64"}
    assert Schema((Field("a", "bool"),)).to_dict() == {"task": "network", "inputs": [{"name": "a", "type": "bool"}], "outputs": []}
    assert Schema.from_dict({}) == Schema(())


def test_minus_one_and_null_are_axes_of_any_length():
    assert Field.from_dict({"name": "a", "type": "int8", "shape": [-1, None, 3]}).shape == (None, None, 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"names": 1}, 'input: unknown key "names"; known are categories, closed,'),
        ({"name": ""}, "input: \"name\" must be a non-empty string, found ''"),
        ({"name": 3}, 'input: "name" must be a non-empty string, found 3'),
        ({"type": "float"}, 'input "a": "type" must be one of bool, int8,'),
        ({"type": None}, 'input "a": "type" must be one of'),
        ({"role": "label"}, 'input "a": "role" must be one of feature, key, found \'label\''),
        ({"shape": 3}, 'input "a": "shape" must be a list of lengths (-1 for any), found 3'),
        ({"shape": [-2]}, '"shape" must be a list of lengths'),
        ({"shape": ["3"]}, '"shape" must be a list of lengths'),
        ({"shape": [True]}, '"shape" must be a list of lengths'),
        ({"categories": "abc"}, 'input "a": "categories" must be a list of plain values, found \'abc\''),
        ({"categories": [[1]]}, '"categories" must be a list of plain values'),
        ({"nullable": "no"}, 'input "a": "nullable" must be true or false, found \'no\''),
        ({"closed": 1}, 'input "a": "closed" must be true or false, found 1'),
        ({"max_length": "9"}, 'input "a": "max_length" must be a whole number, found \'9\''),
        ({"max_length": True}, '"max_length" must be a whole number'),
        ({"description": 4}, 'input "a": "description" must be a string, found 4'),
    ],
)
def test_a_field_that_says_what_it_must_not_is_named_with_what_it_may(change, says):
    with pytest.raises(ManifestError) as error:
        Field.from_dict({"name": "a", "type": "int8"} | change)
    assert says in str(error.value)


def test_a_schema_that_says_what_it_must_not_is_named():
    with pytest.raises(ManifestError, match=r"\"task\" must be one of classifier, .* found 'guess'"):
        Schema.from_dict({"task": "guess"})
    with pytest.raises(ManifestError, match='output: "name"'):
        Schema.from_dict({"outputs": [{}]})
    twice = (Field("a", "bool"), Field("b", "bool"), Field("a", "int8"))
    with pytest.raises(ManifestError, match='input "a" is declared twice'):
        Schema(twice)
    with pytest.raises(ManifestError, match='output "a" is declared twice'):
        Schema((), twice)


def test_scalars_of_one_type_share_a_matrix_and_everything_else_stays_as_it_is():
    schema = Schema(
        (
            Field("id", "float64", role="key"),
            Field("a", "float64"),
            Field("t", "string"),
            Field("n", "int64"),
            Field("#float64", "float64", shape=(2,)),
            Field("b", "float64"),
            Field("u", "string"),
        )
    )
    assert [(block.name, [item.name for item in block.fields], block.is_packed) for block in schema.layout] == [
        ("id", ["id"], False),
        ("##float64", ["a", "b"], True),
        ("t", ["t"], False),
        ("n", ["n"], False),
        ("#float64", ["#float64"], False),
        ("u", ["u"], False),
    ]
    assert [(block.dtype, block.shape) for block in schema.layout[:3]] == [(np.float64, ()), (np.float64, (2,)), (object, ())]
    assert [item.name for item in schema.keys] == ["id"]
    assert [item.name for item in schema.features] == ["a", "t", "n", "#float64", "b", "u"]


@given(FIELDS, st.integers(0, 4))
def test_what_is_packed_is_unpacked_as_it_was(inputs, rows):
    schema = Schema(inputs)
    sample = schema.sample(rows)
    assert [block.name for block in schema.layout] == list(sample)
    assert all(sample[block.name].dtype == block.dtype for block in schema.layout)
    logical = schema.unpack(sample)
    assert list(logical) == [item.name for item in inputs]
    again = schema.pack(logical)
    assert all(again[name].tolist() == sample[name].tolist() for name in sample)


def test_a_key_may_be_absent_and_a_feature_may_not():
    schema = Schema((Field("id", "int64", role="key"), Field("a", "float64"), Field("b", "float64")))
    packed = schema.pack({"a": np.array([1.0]), "b": np.array([2.0])})
    assert list(packed) == ["#float64"]
    assert list(schema.unpack(packed)) == ["a", "b"]
    with pytest.raises(KeyError):
        schema.pack({"a": np.array([1.0])})
    with pytest.raises(KeyError):
        Schema((Field("a", "float64"),)).pack({})


def test_sample_rows_are_values_that_the_model_knows():
    schema = Schema(
        (
            Field("id", "int64", role="key"),
            Field("code", "string", role="key"),
            Field("town", "string", categories=(None, "Cork")),
            Field("text", "string"),
            Field("size", "int64", categories=(40, 42)),
            Field("image", "float32", shape=(None, 2)),
            Field("lost", "float64", categories=(None, float("nan"), "x")),
            Field("byte", "uint8", categories=(-1, 300, 2.5, 7)),
        )
    )
    rows = schema.unpack(schema.sample(2))
    assert {name: array.tolist() for name, array in rows.items()} == {
        "id": [1, 2],
        "code": ["1", "2"],
        "town": ["Cork", "Cork"],
        "text": ["I am well", "I am well"],
        "size": [40, 40],
        "image": [[[0.0, 0.0]], [[0.0, 0.0]]],
        "lost": [0.0, 0.0],
        "byte": [7, 7],
    }
    assert isinstance(schema.sample(), Columns)


@pytest.mark.parametrize(
    ("inputs", "row_bytes"),
    [
        ((Field("a", "float64"), Field("b", "float64"), Field("ref", "int64", role="key")), 24),
        ((Field("image", "float32", (2, 3)),), 24),
        ((Field("series", "float32", (None, 3)),), None),
        ((Field("a", "float64"), Field("text", "string")), None),
    ],
)
def test_the_bytes_of_a_row_are_known_where_every_row_has_as_many(inputs, row_bytes):
    assert Schema(inputs).row_bytes == row_bytes
