"""JSON as such: what is no JSON is a DecodeError (400) that says where; what is JSON never is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.errors import DecodeError, ModelportError, SchemaError
from modelport.schema import Field, Schema
from modelport.wire.native import codec
from modelport.wire.syntax import has_separators, parse, parse_pairs

SCHEMA = Schema((Field("x", "float64"), Field("t", "string")))

NOT_JSON = [
    b"",
    b" \n",
    b"[",
    b"]",
    b"{",
    b"[1",
    b"[1,",
    b"[1,]",
    b"[,1]",
    b"[1 2]",
    b"[1]]",
    b"[1]x",
    b"[1] [2]",
    b"[1]\x00",
    b'{"a":}',
    b'{"a" 1}',
    b'{"a":1,}',
    b'{"a":1 "b":2}',
    b"{a:1}",
    b"{'a':1}",
    b"{1:1}",
    b"[01]",
    b"[1.]",
    b"[.5]",
    b"[+1]",
    b"[-]",
    b"[1e]",
    b"[1e+]",
    b"[0x1F]",
    b"[1_000]",
    b"[NaN]",
    b"[nan]",
    b"[Infinity]",
    b"[-Infinity]",
    b"[True]",
    b"[nul]",
    b"[tru",
    b"[undefined]",
    b'["a]',
    b'["\t"]',
    b'["\n"]',
    b'["\x00"]',
    b'["\x1f"]',
    b'["\\x41"]',
    b'["\\u12"]',
    b'["\\u12G4"]',
    b'["\\',
    b"['a']",
    b"[1] // note",
    b"/* note */ [1]",
    b"\x0b[1]",
    b"\xc2\xa0[1]",
    b"\xef\xbb\xbf[1]",
    b"\xff\xfe[\x001\x00]\x00",
    "[1]".encode("utf-16"),
    b'["\xff"]',
    b'["\xc0\x80"]',
    b'["\xed\xa0\x80"]',
    b'["\xf4\x90\x80\x80"]',
    b'{"\xe9": 1}',
    b'["\\ud800"]',
    b'["\\udc00"]',
    b'["\\ud800\\ud800"]',
    b'["\\ud800 and more text after it"]',
    b"[" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000,
]
JSON = [
    b"1",
    b"-0",
    b"1E400",
    b"0.1e-7",
    b"null",
    b'"\\ud83d\\ude00 \\u0000 \\/ \\b"',
    b'["\x7f \xe2\x80\xa8 \xf4\x8f\xbf\xbf \xef\xb7\x90"]',
    b'{"": [[], {}]}',
    b' [ 1 , {"a" : [ ] } ]\r\n\t',
    b"[" * 50 + b"]" * 50,
    b"9" * 400,
    b"9" * 5000,
    b'{"a":1,"a":2}',
]


@pytest.mark.parametrize("body", NOT_JSON, ids=[repr(body[:24]) for body in NOT_JSON])
def test_what_is_no_json_is_a_decode_error(body):
    with pytest.raises(DecodeError) as caught:
        codec(SCHEMA).decode(body, None)
    assert caught.value.status == 400
    assert "nested too deeply" in caught.value.message or " at byte " in caught.value.message


@pytest.mark.parametrize("body", JSON, ids=[repr(body[:24]) for body in JSON])
def test_what_is_json_of_the_wrong_kind_fits_no_schema(body):
    with pytest.raises(SchemaError) as caught:
        codec(SCHEMA).decode(body, None)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"[1, x]", "byte 4 (line 1, column 5)"),
        (b"[1,\n2,\n  x]", "byte 9 (line 3, column 3)"),
        ('["äö", x]'.encode(), "byte 9 (line 1, column 8)"),
        (b"[1]x", "byte 3 (line 1, column 4)"),
        (b'{"a": 1', "byte 7 (line 1, column 8)"),
        (b"", "byte 0 (line 1, column 1)"),
        (b'["a", "\xff"]', "byte 7 (line 1, column 8)"),
        (b"\xef\xbb\xbf[1]", "byte 0 (line 1, column 1)"),
        (b'["ab\\ud800"]', "byte 4 (line 1, column 5)"),
    ],
)
def test_the_position_is_told_as_byte_line_and_column(body, place):
    with pytest.raises(DecodeError) as caught:
        parse(body)
    assert caught.value.message.endswith(place)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b"[1", "ends in the middle"),
        (b'"\\ud800"', "half of a surrogate pair"),
        (b"\xef\xbb\xbf[]", "byte order mark"),
        (b'"\xff"', "not UTF-8"),
    ],
)
def test_the_reason_is_told(body, reason):
    with pytest.raises(DecodeError, match=reason):
        parse(body)


def test_nesting_that_only_the_second_parser_refuses_is_a_decode_error_too():
    with pytest.raises(DecodeError, match="too deeply"):
        parse_pairs(b"[" * 100_000 + b"]" * 100_000)


TREES = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('":\\ ,{}é\n\t '), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.sampled_from('":\\ a'), max_size=4), inner, max_size=3),
)


def pairs_in(tree):
    if isinstance(tree, dict):
        return len(tree) + sum(map(pairs_in, tree.values()))
    return sum(map(pairs_in, tree)) if isinstance(tree, list) else 0


@given(TREES, st.booleans(), st.sampled_from([None, 1]), st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\n:\r")]))
def test_pairs_are_counted_exactly_whatever_strings_hold(tree, is_ascii, indent, separators):
    body = json.dumps(tree, ensure_ascii=is_ascii, indent=indent, separators=separators).encode()
    count = pairs_in(tree)
    assert has_separators(body, count)
    assert not has_separators(body, count - 1)


@given(st.binary(max_size=40))
def test_any_bytes_are_decoded_or_refused_in_our_own_words(body):
    try:
        codec(SCHEMA).decode(body, None)
    except ModelportError as error:
        assert error.status in (400, 422)


@given(st.text(max_size=20))
def test_any_text_goes_in_as_it_is(text):
    schema = Schema((Field("text", "string"),))
    for body in ([text], {"text": text}, {"text": [text]}, json.dumps([text])):
        for is_ascii in (True, False):
            assert codec(schema).decode(json.dumps(body, ensure_ascii=is_ascii).encode(), None).columns["text"].tolist() == [text]
