"""The fast way in either gives exactly what the slow way gives, or gives up; neither ever fails in another way than it says."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modelport.errors import DecodeError, ModelportError, SchemaError, TooLarge
from modelport.schema import Field, Schema
from modelport.wire.base import Call, Limits
from modelport.wire.decoders import fast_decoder
from modelport.wire.sheet import slow_decode

NAMES = ["a", "b:", "a/b~", "é x", "class", 'q"uote', "f0", ""]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint64"]
SHAPES = [(), (), (), (2,), (None,), (None, 2)]


@st.composite
def fields(draw, name, role):
    kind = draw(st.sampled_from([*INTEGERS, "float16", "float32", "float64", "float64", "bool", "string", "string"]))
    closed = role == "feature" and draw(st.integers(0, 4)) == 0
    categories = {"string": ("red", "", "é"), "bool": (True,)}.get(kind, (1, 2, 100))
    return Field(
        name,
        kind,
        shape=draw(st.sampled_from(SHAPES)) if role == "feature" else (),
        role=role,
        nullable=draw(st.booleans()),
        max_length=draw(st.sampled_from([None, 3])),
        categories=categories if closed else (),
        closed=closed,
    )


@st.composite
def schemas(draw):
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    keys = draw(st.integers(0, min(2, len(names) - 1)))
    roles = draw(st.permutations(["key"] * keys + ["feature"] * (len(names) - keys)))
    return Schema(tuple(draw(fields(name, role)) for name, role in zip(names, roles, strict=True)))


def scalars(item):
    if item.categories:
        return st.sampled_from(item.categories)
    if item.type == "string":
        return st.text(st.sampled_from('ab: "\\é😀\u2028\x00'), max_size=3)
    if item.type == "bool":
        return st.booleans()
    if item.type.startswith("float"):
        return st.floats(width=int(item.type[5:]), allow_nan=False, allow_infinity=False) | st.integers(-2048, 2048)
    bounds = np.iinfo(item.type)
    return st.integers(int(bounds.min), int(bounds.max))


def cells(item, open_length):
    inner = scalars(item)
    if item.nullable and (item.type == "string" or item.type.startswith("float")):
        inner = st.none() | inner
    for length in reversed(item.shape):
        length = open_length if length is None else length
        inner = st.lists(inner, min_size=length, max_size=length)
    return inner


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 1.5, 300, 2**63, 2**64, -(2**63) - 1, 10**400, 1e300, 65519, 65520, 3.5e38, "red", "long text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
    max_leaves=4,
)


def spoil(draw, value):
    """Replace, drop or add something at a random depth."""
    if isinstance(value, list | dict) and value and draw(st.integers(0, 3)):
        at = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        action = draw(st.sampled_from(["deeper", "deeper", "drop", "add"]))
        if action == "deeper":
            value[at] = spoil(draw, value[at])
        elif action == "drop":
            del value[at]
        elif isinstance(value, dict):
            value[draw(st.sampled_from(NAMES))] = draw(JUNK)
        else:
            value.append(draw(JUNK))
        return value
    return draw(JUNK)


@st.composite
def bodies(draw, schema):
    rows, open_length = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    data = {item.name: draw(st.lists(cells(item, open_length), min_size=rows, max_size=rows)) for item in schema.inputs}
    for item in schema.keys:
        if draw(st.booleans()):
            del data[item.name]
    form = draw(st.sampled_from(["columns", "records", "record", "rows", "values"]))
    if form == "records":
        data = [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
    elif form == "record":
        data = {name: values[0] for name, values in data.items()} if rows else {}
    elif form == "rows":
        data = [list(row) for row in zip(*[data[item.name] for item in schema.features], strict=True)]
    elif form == "values":
        data = data[schema.features[0].name]
    if draw(st.integers(0, 2)) == 0:
        data = spoil(draw, data)
    text = json.dumps(
        data,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, None, 1])),
        separators=draw(st.sampled_from([None, (",", ":"), (" , ", " : ")])),
    )
    if draw(st.integers(0, 9)) == 0:
        text = text.replace("{", '{"a": [1, 2], ', 1)  # a name given twice
    return draw(st.sampled_from([b"", b"", b" \n\t"])) + text.encode()


def outcome(decode):
    try:
        return decode()
    except ModelportError as error:
        return error


def same(a: Call, b: Call) -> None:
    assert list(a.columns) == list(b.columns)
    assert a.columns.signature == b.columns.signature
    for name in a.columns:
        if a.columns[name].dtype == object:
            assert a.columns[name].tolist() == b.columns[name].tolist()
        else:
            assert a.columns[name].tobytes() == b.columns[name].tobytes()
    assert (a.outputs, a.params, a.keys, a.is_single) == (b.outputs, b.params, b.keys, b.is_single)


LIMITS = Limits(rows=3, string_chars=5)


def agree(schema, body, limits=LIMITS):
    fast = outcome(lambda: fast_decoder(schema, limits)(body))
    slow = outcome(lambda: slow_decode(body, schema, limits, is_unwrapped=False))
    assert isinstance(slow, Call | SchemaError | TooLarge | DecodeError)
    if isinstance(fast, TooLarge):
        assert isinstance(slow, TooLarge)
        assert slow.message == fast.message
    elif fast is not None:
        assert isinstance(slow, Call), slow
        same(fast, slow)
    if isinstance(slow, SchemaError):
        assert slow.faults
        assert all(fault.code and fault.message for fault in slow.faults)
    return fast, slow


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_fast_and_slow_agree_on_every_body(data):
    schema = data.draw(schemas())
    agree(schema, data.draw(bodies(schema)))


@settings(max_examples=200, deadline=None)
@given(st.data())
@example(None)
def test_fast_and_slow_agree_on_bytes_that_are_damaged(data):
    schema = Schema((Field("k", "int64", role="key"), Field("a", "float64"), Field("t", "string")))
    body = bytearray(b'[{"k": 1, "a": 1.5, "t": "x\\u00e9"}, {"k": 2, "a": -2e3, "t": ""}]')
    if data is not None:
        for _ in range(data.draw(st.integers(1, 3))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    agree(schema, bytes(body))


ONE = Schema(tuple(Field(f"x{at}", "float64") for at in range(3)))
TEXT = Schema((Field("ref", "int64", role="key"), Field("text", "string")))
MIXED = Schema((Field("i", "int32"), Field("s", "string"), Field("f", "float32"), Field("j", "int32"), Field("k", "string", role="key")))
TENSOR = Schema((Field("x", "float32", shape=(2, 2)),))


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (ONE, b"[[1,2,3],[4,5,6.5]]"),
        (ONE, b' {"x0": [1], "x1": [2], "x2": [3]}'),
        (ONE, b'{"x2": 1, "x1": 2, "x0": 3}'),
        (ONE, b'\n[ \n  {"x0": 1, "x1": 2, "x2": 3}]'),
        (TEXT, b'{"ref": [1], "text": ["I am: \\"well\\" :"]}'),
        (TEXT, b'["good", "bad"]'),
        (TEXT, b'[["good"], ["bad"]]'),
        (TEXT, b'{"text": "good"}'),
        (MIXED, b'[[1, "a", 2.5, 3]]'),
        (MIXED, b'[{"i": 1, "s": "a", "f": 2.5, "j": 3, "k": "x"}, {"i": 1, "s": "a", "f": 2.5, "j": 3, "k": "y"}]'),
        (TENSOR, b"[[[1,2],[3,4]],[[1,2],[3,4]]]"),
        (TENSOR, b'{"x": [[1,2],[3,4]]}'),
        (TENSOR, b'{"x": [[[1,2],[3,4]]]}'),
    ],
)
def test_the_fast_way_takes_every_form(schema, body):
    fast, _ = agree(schema, body, Limits())
    assert isinstance(fast, Call)


@pytest.mark.parametrize(
    "body",
    [
        b'{"x0": [1], "x1": [2], "x2": [3], "x1": [2]}',
        b'[{"x0": 1, "x1": 2, "x2": 3}, {"x0": 1, "x0": 1, "x1": 2, "x2": 3}]',
        b'{"x0": 1, "x1" : 2, "x2": 3, "x\\u0030": 5}',
    ],
)
def test_a_name_given_twice_is_left_to_the_slow_way(body):
    fast, slow = agree(ONE, body)
    assert fast is None
    assert "duplicate_column" in {fault.code for fault in slow.faults}


def test_a_schema_whose_names_msgspec_cannot_spell_is_decoded_the_slow_way():
    schema = Schema((Field('a"b', "float64"), Field("c\n", "float64")))
    fast, slow = agree(schema, b'{"a\\"b": 1, "c\\n": 2}')
    assert fast is None
    assert slow.columns["#float64"].tolist() == [[1.0, 2.0]]
    assert agree(schema, b'[{"a\\"b": 1, "c\\n": 2}]')[0] is None
    assert isinstance(agree(schema, b"[[1, 2]]")[0], Call)


WIDE = Schema(tuple(Field(f"x{at}", "float64") for at in range(600)))
WIDE_ROW = {f"x{at}": at / 2 for at in reversed(range(600))}


@pytest.mark.parametrize("body", [WIDE_ROW, [WIDE_ROW, WIDE_ROW], {name: [value] for name, value in WIDE_ROW.items()}])
def test_a_wide_table_of_one_type_is_decoded_fast_in_any_order_of_names(body):
    fast, _ = agree(WIDE, json.dumps(body).encode())
    assert fast.columns["#float64"][0].tolist() == [at / 2 for at in range(600)]


@pytest.mark.parametrize(
    ("change", "code"), [({"y": 1.0}, "unknown_column"), ({"x7": "1"}, "wrong_type"), ({"x7": None}, "null"), ({}, "missing_column")]
)
def test_faults_in_a_wide_table_are_left_to_the_slow_way(change, code):
    row = WIDE_ROW | change
    if not change:
        del row["x599"]
    fast, slow = agree(WIDE, json.dumps(row).encode())
    assert fast is None
    assert [fault.code for fault in slow.faults] == [code]


def test_a_wide_table_of_several_types_or_with_keys_is_right_too():
    for more in (Field("k", "int64", role="key"), Field("k", "int64")):
        schema = Schema((*WIDE.inputs, more))
        fast, slow = agree(schema, json.dumps(WIDE_ROW | {"k": 7}).encode())
        assert fast is None
        assert slow.columns["k"].tolist() == [7]


def test_a_key_given_twice_in_one_row_does_not_make_up_for_another_row_without_it():
    schema = Schema((Field("k", "string", role="key"), Field("a", "float64")))
    fast, slow = agree(schema, b'[{"k": "x", "k": "y", "a": 1}, {"a": 2}]')
    assert fast is None
    assert {fault.code for fault in slow.faults} == {"duplicate_column", "missing_column"}
