"""JSON as such, before any schema: content types, positions of syntax errors, names that are given twice.

The parser is msgspec's: strict (no NaN, no BOM, no trailing bytes, no control characters, no lone surrogates) and bounded in depth.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import lru_cache

import msgspec

from modelport.errors import DecodeError, Fault, SchemaError, UnsupportedMedia

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.S)
_BYTE = re.compile(r"(?:JSON is malformed: )?(.*) \(byte (\d+)\)")
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
_PARAMETERS = {"", "charset=utf-8", 'charset="utf-8"'}
_BOM = b"\xef\xbb\xbf"

# Python's own float: "1e999" is inf here, so that the fault can be named together with its column.
_untyped = msgspec.json.Decoder(float_hook=float)
_string = msgspec.json.Decoder(str)


class Pairs(dict[str, object]):
    """An object whose source may have given a name twice; ``twice`` lists those names."""

    twice: tuple[str, ...] = ()


@lru_cache(maxsize=64)
def check_media(content_type: str) -> None:
    """Accept application/json and anything +json, in UTF-8. Raises: UnsupportedMedia naming what was found and expected."""
    kind, *parameters = (part.strip() for part in content_type.lower().split(";"))
    is_json = kind == "application/json" or (kind.endswith("+json") and _TOKEN.fullmatch(kind) is not None)
    if content_type.strip() and not (is_json and set(parameters) <= _PARAMETERS):
        shown = content_type if len(content_type) <= 80 else content_type[:77] + "..."
        raise UnsupportedMedia(f'content type "{shown}" is not accepted here; send JSON in UTF-8 with "Content-Type: application/json"')


def parse(body: bytes) -> object:
    """Parse JSON without a type. Raises: DecodeError with byte position, line and column; SchemaError for a number of 4,300 digits."""
    try:
        return _untyped.decode(body)
    except msgspec.ValidationError as error:  # all that it refuses here
        message = "an integer has thousands of digits; send numbers that fit their column's type"
        raise SchemaError(message, faults=(Fault("", "out_of_range", message),)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(body, error) from error
    except RecursionError as error:
        raise DecodeError("the body's lists or objects are nested too deeply; no model takes such input") from error


def unwrap(body: bytes) -> bytes:
    """Return the text inside a body that is one JSON string, as bytes. Raises: DecodeError."""
    try:
        return _string.decode(body).encode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(body, error) from error


def has_separators(body: bytes, expected: int) -> bool:
    """Tell whether valid JSON holds exactly so many ``name: value`` pairs; more mean that a name was given twice.

    A typed parser keeps the last of two equal names and says nothing. The colons outside of strings tell, and counting
    bytes costs less than looking at names: three tries, each an upper bound, the last one exact.
    """
    if body.count(b":") == expected:
        return True
    loose = body.count(b" :") + body.count(b"\t:") + body.count(b"\n:") + body.count(b"\r:")
    if body.count(b'":') + loose == expected:
        return True
    return _STRING.sub(b"", body).count(b":") == expected


def parse_pairs(body: bytes) -> object:
    """Parse valid JSON once more, slowly, with every object a Pairs. Raises: DecodeError if it is nested too deeply."""
    try:
        return json.loads(body.decode(), object_pairs_hook=_pairs)
    except RecursionError as error:
        raise DecodeError("the body's lists or objects are nested too deeply; no model takes such input") from error


def _pairs(items: list[tuple[str, object]]) -> Pairs:
    out = Pairs(items)
    if len(out) != len(items):
        out.twice = tuple(name for name, times in Counter(name for name, _ in items).items() if times > 1)
    return out


def _malformed(body: bytes, error: Exception) -> DecodeError:
    reason, at = _reason(body, error)
    before = body[:at]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return DecodeError(f"the body is not valid JSON: {reason} at byte {at} (line {line}, column {column})")


def _reason(body: bytes, error: Exception) -> tuple[str, int]:
    if not body.strip():
        return "it is empty, a value was expected", len(body)
    if body.startswith(_BOM):
        return "a byte order mark, plain UTF-8 was expected", 0
    try:
        body.decode()
    except UnicodeDecodeError as bad:
        return "a byte that is not UTF-8", bad.start
    found = _BYTE.fullmatch(str(error))
    if found is None:
        half = _HALF_PAIR.search(body, max(len(body) - 12, 0))
        return ("half of a surrogate pair", half.start()) if half else ("it ends in the middle of a value", len(body))
    at = min(int(found[2]), len(body))
    # msgspec counts the byte after the first trailing one.
    return found[1], at - 1 if found[1] == "trailing characters" else at
