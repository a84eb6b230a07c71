"""Every rule of what native JSON refuses, with path, code and sentence."""

import json

import pytest

from modelport.errors import SchemaError, TooLarge
from modelport.schema import Field, Schema
from modelport.wire.base import Limits
from modelport.wire.native import codec

PEOPLE = Schema(
    (
        Field("ref", "int64", role="key"),
        Field("age", "float64"),
        Field("income", "float64", nullable=True),
        Field("rooms", "int8"),
        Field("city", "string", categories=("Rome", "Oslo"), closed=True),
        Field("note", "string", nullable=True, max_length=4),
        Field("member", "bool"),
        Field("grade", "float32", categories=(1, 2.5), closed=True),
    )
)
DEFAULT = Limits()
GOOD = {"age": 41, "income": None, "rooms": 3, "city": "Oslo", "note": None, "member": True, "grade": 2.5}
TEXT = Schema((Field("text", "string"),))
ONE = Schema((Field("x", "float64"),))
TWO = Schema((Field("a", "float64"), Field("b", "int64")))
TENSOR = Schema((Field("x", "float32", shape=(2, 3)),))
OPEN = Schema((Field("x", "float32", shape=(None, 2)),))


def refused(schema, body, limits=DEFAULT):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(SchemaError) as caught:
        codec(schema, limits).decode(body, "application/json")
    return caught.value


def faults(schema, body, limits=DEFAULT):
    return [(fault.path, fault.code) for fault in refused(schema, body, limits).faults]


def columns(**values):
    return {name: [value] for name, value in GOOD.items()} | values


def test_null_is_nan_or_none_where_the_model_takes_missing_values():
    call = codec(PEOPLE).decode(json.dumps(GOOD).encode(), None)
    assert str(call.columns["#float64"].tolist()) == "[[41.0, nan]]"
    assert call.columns["note"].tolist() == [None]


@pytest.mark.parametrize(
    ("name", "value", "code", "sentence"),
    [
        ("age", "41", "wrong_type", 'column "age": expected float64, got string at row 0'),
        ("age", True, "wrong_type", 'column "age": expected float64, got boolean at row 0'),
        ("age", [1], "wrong_type", 'column "age": expected float64, got list at row 0'),
        ("age", {}, "wrong_type", 'column "age": expected float64, got object at row 0'),
        ("age", None, "null", 'column "age": expected float64, got null (the model takes no missing values here) at row 0'),
        ("age", 10**400, "out_of_range", 'column "age": expected float64, got a number beyond its range at row 0'),
        ("rooms", 128, "out_of_range", 'column "rooms": expected int8 (-128 to 127), got 128 at row 0'),
        ("rooms", -(10**30), "out_of_range", 'column "rooms": expected int8 (-128 to 127), got an integer of 31 digits at row 0'),
        ("rooms", 3.0, "wrong_type", 'column "rooms": expected int8, got 3.0, a number with a fraction or an exponent at row 0'),
        ("rooms", True, "wrong_type", 'column "rooms": expected int8, got boolean at row 0'),
        ("rooms", None, "null", 'column "rooms": expected int8, got null (the model takes no missing values here) at row 0'),
        ("member", 1, "wrong_type", 'column "member": expected bool, got integer at row 0'),
        ("member", None, "null", 'column "member": expected bool, got null (the model takes no missing values here) at row 0'),
        ("city", "Paris", "category", 'column "city": expected one of "Rome", "Oslo", got "Paris" at row 0'),
        ("city", None, "null", 'column "city": expected string, got null (the model takes no missing values here) at row 0'),
        ("city", 1.5, "wrong_type", 'column "city": expected string, got number at row 0'),
        ("note", "12345", "too_long", 'column "note": expected at most 4 characters, got 5 at row 0'),
        ("grade", 2, "category", 'column "grade": expected one of 1.0, 2.5, got 2 at row 0'),
        ("grade", 1e39, "out_of_range", 'column "grade": expected float32, got a number beyond its range at row 0'),
    ],
)
def test_a_cell_that_does_not_fit_is_named_in_every_form(name, value, code, sentence):
    row = GOOD | {name: value}
    bare = [row[item.name] for item in PEOPLE.features]
    at = [item.name for item in PEOPLE.features].index(name)
    for body, path in [(columns(**{name: [value]}), f"/{name}/0"), ([row], f"/0/{name}"), ([bare], f"/0/{at}")]:
        [fault] = refused(PEOPLE, body).faults
        assert (fault.path, fault.code, fault.message) == (path, code, sentence)
    if not isinstance(value, list):  # a list in one object means columns
        [fault] = refused(PEOPLE, row).faults
        assert (fault.path, fault.code, fault.message) == (f"/{name}", code, sentence)


def test_the_row_is_named():
    error = refused(PEOPLE, [GOOD, GOOD, GOOD, GOOD | {"age": "x"}])
    assert error.message == 'column "age": expected float64, got string at row 3'
    assert error.faults[0].path == "/3/age"


def test_a_float_written_too_large_is_out_of_range():
    assert faults(ONE, b'{"x": [1, 1e999, -1e999]}') == [("/x/1", "out_of_range"), ("/x/2", "out_of_range")]


def test_an_integer_of_thousands_of_digits_is_out_of_range():
    assert faults(ONE, b"[" + b"9" * 5000 + b"]") == [("", "out_of_range")]


def test_integers_beyond_two_to_the_53_are_exact():
    schema = Schema((Field("i", "int64"), Field("u", "uint64")))
    call = codec(schema).decode(b"[[9007199254740993, 18446744073709551615]]", None)
    assert (call.columns["i"].tolist(), call.columns["u"].tolist()) == ([9007199254740993], [18446744073709551615])


def test_every_fault_of_a_request_is_listed():
    body = [GOOD | {"age": "x", "rooms": 1.5}, GOOD | {"city": "?", "extra": 1}]
    assert faults(PEOPLE, body) == [
        ("/1/extra", "unknown_column"),
        ("/0/age", "wrong_type"),
        ("/0/rooms", "wrong_type"),
        ("/1/city", "category"),
    ]
    assert refused(PEOPLE, body).message.endswith("(and 3 more faults)")


def test_after_fifty_faults_the_rest_is_counted():
    error = refused(TEXT, list(range(60)))
    assert len(error.faults) == 51
    assert error.faults[-1].code == "more"
    assert error.faults[-1].message == "and 10 more"
    assert error.message.endswith("(and 59 more faults)")


def test_after_a_thousand_faults_nobody_looks_further():
    error = refused(TEXT, list(range(5000)))
    assert error.faults[-1].message == "and at least 950 more"
    assert error.message.endswith("(and at least 999 more faults)")


@pytest.mark.parametrize(
    ("body", "path", "hint"),
    [
        ({"a": 1, "b": 2, "A": 1}, "/A", '; did you mean "a"?'),
        ({"a": [1], "b": [2], "z/~": [3]}, "/z~1~0", '; known are "a", "b"'),
        ([{"a": 1, "b": 2}, {"a": 1, "b": 2, "bb": 1}], "/1/bb", ' in row 1; did you mean "b"?'),
    ],
)
def test_an_unknown_column_is_refused_with_the_nearest_name(body, path, hint):
    [fault] = refused(TWO, body).faults
    assert (fault.path, fault.code) == (path, "unknown_column")
    assert fault.message.endswith(hint)


def test_missing_columns_are_all_named():
    assert [fault.message for fault in refused(TWO, {}).faults] == [
        'column "a" is missing; give it a value',
        'column "b" is missing; give it a value',
    ]
    assert refused(TWO, {"a": [1]}).message == 'column "b" is missing; give a list of its values'
    assert faults(TWO, [{"a": 1, "b": 2}, {"a": 1}, {"b": 2}]) == [("/2", "missing_column"), ("/1", "missing_column")]


def test_ragged_columns_are_named_with_their_lengths():
    error = refused(TWO, {"a": [1, 2, 3], "b": [1]})
    assert error.message == 'column "b" has 1 values and column "a" 3; all need one value a row'
    assert [(fault.path, fault.code) for fault in error.faults] == [("/b", "ragged")]


def test_columns_that_are_no_lists_are_named():
    assert faults(TWO, {"a": [1], "b": 2}) == [("/b", "wrong_type")]


@pytest.mark.parametrize("body", [b"[]", b'{"a": [], "b": []}', b" [ ] "])
def test_no_rows_is_refused(body):
    assert [code for _, code in faults(TWO, body)] == ["empty"]


def test_a_row_of_the_wrong_length_is_named_with_the_columns():
    error = refused(TWO, [[1, 2], [1], [1, 2, 3], ["x", 2]])
    assert [(fault.path, fault.code) for fault in error.faults] == [("/1", "row_length"), ("/2", "row_length"), ("/3/0", "wrong_type")]
    assert error.faults[0].message == 'row 1 has 1 values, expected 2: "a", "b"'


@pytest.mark.parametrize(
    ("schema", "body", "paths"),
    [
        (TWO, [{"a": 1, "b": 2}, [1, 2], {"a": 1, "b": 2}], ["/1"]),
        (TWO, [[1, 2], {"a": 1, "b": 2}, 5], ["/1", "/2"]),
        (TWO, [1, {"a": 1, "b": 2}, "x"], ["/1"]),
        (TEXT, ["a", ["b"], 5], ["/1"]),
        (TENSOR, [[[1, 2, 3], [1, 2, 3]], {"x": 1}], ["/1"]),
    ],
)
def test_records_rows_and_values_do_not_mix(schema, body, paths):
    assert faults(schema, body) == [(path, "mixed") for path in paths]


def test_a_list_of_single_values_is_no_table():
    error = refused(TWO, [1, 2])
    assert [(fault.path, fault.code) for fault in error.faults] == [("", "form")]
    assert error.message.endswith("for one row send [[…, …]]")
    assert refused(TWO, [1, 2, 3]).message.endswith("got a list of single values")


@pytest.mark.parametrize("body", [b"1", b"null", b"true", b"1.5"])
def test_a_single_value_is_no_form(body):
    assert faults(TEXT, body) == [("", "form")]
    assert "a list of the values of" in refused(TEXT, body).message
    assert "rows [[1, 2], [3, 4]]" in refused(TWO, body).message


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"a": 1, "a": 2, "b": 3}', [("/a", "duplicate_column")]),
        (b'{"a": 1, "b": 3, "\\u0061" : ": \\":"}', [("/a", "duplicate_column"), ("/a", "wrong_type")]),
        (b'[{"a": 1, "b": 3}, {"a": 1, "b": 3, "b": 3}]', [("/1/b", "duplicate_column")]),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', [("/b", "wrong_type")]),
    ],
)
def test_a_name_given_twice_is_refused(body, found):
    assert faults(TWO, body) == found


def test_a_key_stands_in_every_row_or_in_none():
    schema = Schema((Field("ref", "string", role="key"), Field("x", "float64")))
    made = codec(schema)
    assert made.decode(b'[{"x": 1}, {"x": 2}]', None).keys == ()
    assert made.decode(b'[{"x": 1}, {"x": 2}]', None).columns["ref"].tolist() == ["0", "1"]
    assert made.decode(b'[{"x": 1, "ref": "b"}, {"x": 2, "ref": "a"}]', None).keys == ("ref",)
    assert faults(schema, b'[{"x": 1, "ref": "b"}, {"x": 2}]') == [("/1", "missing_column")]
    assert faults(schema, b'[{"x": 1}, {"x": 2, "ref": "b"}]') == [("/0", "missing_column")]


def test_nesting_depth_tells_columns_from_a_record():
    made = codec(OPEN)
    assert made.decode(b'{"x": [[1, 2], [3, 4]]}', None).is_single
    assert made.decode(b'{"x": [[1, 2], [3, 4]]}', None).columns["x"].shape == (1, 2, 2)
    assert not made.decode(b'{"x": [[[1, 2], [3, 4]]]}', None).is_single
    assert made.decode(b'{"x": []}', None).columns["x"].shape == (1, 0, 2)


def test_too_many_rows_are_refused_in_every_form():
    limits = Limits(rows=2)
    for body in (
        b"[[1, 1], [1, 1], [1, 1]]",
        b'{"a": [1, 1, 1], "b": [1, 1, 1]}',
        b'[{"a": 1, "b": 1}, {"a": 1, "b": 1}, {"a": 1, "b": 1}]',
    ):
        with pytest.raises(TooLarge, match="holds 3 rows, at most 2 are allowed"):
            codec(TWO, limits).decode(body, None)
    for body in (b'{"a": [1, 1, "x"], "b": [1, 1]}', b'["x", 1, 1]'):  # too large wins over what else is wrong
        with pytest.raises(TooLarge):
            codec(TWO, limits).decode(body, None)


def test_the_servers_limit_on_strings_counts_too():
    limits = Limits(string_chars=3)
    assert codec(TEXT, limits).decode('["äöü"]'.encode(), None).columns["text"].tolist() == ["äöü"]
    assert faults(TEXT, ["abc", "abcd"], limits) == [("/1", "too_long")]
    assert faults(Schema((Field("t", "string", max_length=2),)), ["abc"], limits) == [("/0", "too_long")]


def test_long_lists_of_categories_are_shortened():
    schema = Schema((Field("c", "string", categories=tuple(f"c{at}" for at in range(40)), closed=True),))
    assert "… (40 in all)" in refused(schema, ["x" * 500]).message
    assert len(refused(schema, ["x" * 500]).message) < 300


def test_only_a_few_unknown_names_get_a_suggestion_and_long_ones_are_shortened():
    error = refused(TWO, {"a": 1, "b": 2} | {f"aa{at}": 1 for at in range(30)} | {"z" * 5000: 1})
    assert all(len(fault.message) < 200 for fault in error.faults)
    assert len(error.faults) == 31
    many = refused(TWO, {"a": 1, "b": 2} | {f"aa{at}": 1 for at in range(70)})
    assert many.faults[-1].message == "and 20 more"
