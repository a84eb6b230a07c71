"""Python values to physical arrays: exact, or refused."""

import numpy as np
import pytest

from modelport.schema import Field, Schema
from modelport.wire.arrays import MISFIT, assemble, flatten, parts, scalars, shape_fits


def build(schema, values, rows=2):
    return assemble(parts(schema), values, rows)


def test_scalar_numbers_of_one_type_travel_as_one_matrix():
    schema = Schema((Field("a", "float32"), Field("b", "float32"), Field("s", "string")))
    columns = build(schema, {"a": [1, 2.5], "b": [3, 4], "s": ["x", "y"]})
    assert columns["#float32"].tolist() == [[1, 3], [2.5, 4]]
    assert columns["#float32"].dtype == np.float32
    assert columns["s"].dtype == object


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int8", 128),
        ("uint8", -1),
        ("int64", 2**63),
        ("uint64", 2**64),
        ("int32", 1.5),
        ("float16", 65520),
        ("float32", 3.5e38),
        ("float64", 10**400),
        ("float64", "1"),
        ("float64", None),
        ("int64", None),
    ],
)
def test_what_does_not_fit_its_type_is_refused_not_wrapped(kind, value):
    with pytest.raises(MISFIT):
        scalars(Field("a", kind))([value])


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floats_round_as_numpy_does(kind):
    values = [0.1, 1 / 3, 65504.0, 1e-8, 2049, -0.0]
    assert scalars(Field("a", kind))(values).tobytes() == np.array(values, kind).tobytes()


def test_missing_values_become_nan_also_in_a_matrix():
    schema = Schema((Field("a", "float64", nullable=True), Field("b", "float64")))
    assert np.isnan(build(schema, {"a": [None, 1], "b": [2, 3]})["#float64"][0, 0])
    assert np.isnan(build(Schema((Field("a", "float16", nullable=True),)), {"a": [None, 1]})["a"][0])


@pytest.mark.parametrize(
    ("kind", "expected"), [("int64", [0, 1]), ("uint8", [0, 1]), ("bool", [False, True]), ("float32", [0.0, 1.0]), ("string", ["0", "1"])]
)
def test_absent_keys_are_row_numbers_in_their_own_type(kind, expected):
    columns = build(Schema((Field("k", kind, role="key"), Field("a", "float64"))), {"a": [1, 2]})
    assert columns["k"].tolist() == expected
    assert columns["k"].dtype == Field("k", kind).dtype


def test_row_numbers_too_large_for_a_narrow_key_start_again():
    schema = Schema((Field("k", "int8", role="key"), Field("a", "float64")))
    assert build(schema, {"a": [0.0] * 300}, 300)["k"].tolist()[126:130] == [126, 127, -128, -127]


def test_nested_lists_are_flattened_with_their_shape():
    assert flatten([[[1, 2]], [[3, 4]]], (1, 2)) == ((1, 2), [1, 2, 3, 4])
    assert flatten([[], []], (None, 3)) == ((0, 3), [])
    assert flatten([[], []], (None, None)) == ((0, 0), [])


@pytest.mark.parametrize("values", [[[1], [1, 2]], [1, [2]], [None]])
def test_nested_lists_that_are_no_array_are_refused(values):
    with pytest.raises(MISFIT):
        flatten(values, (None,))


def test_a_shape_fits_where_every_declared_length_does():
    assert shape_fits((2, 3), (None, 3))
    assert not shape_fits((2, 4), (None, 3))
