"""Documents: whatever a text holds, every reader of YAML reads it back, and nothing else with it."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.deploy.documents import document, stream
from modelport.errors import UsageError

# Each of them is something else, or several things, to some reader if it is written as it is.
TRAPS = [
    *("no", "Y", "1e3", "0x1", "0o7", "1_000", "1:30", "~", "null", "NaN", ".inf", "2001-01-01", "=", "<<", "-", "?", ":", "", " ", "a "),
    *(" a", "a: b", "#c", "a #c", "{{x}}", "${A}", "$(A)", "!!str", "&a", "*a", "%", "@", "`", "|", ">", "'", '"', "\\", "-rf", "--x=y"),
    *("\0", "\x7f", "\x85", "\u2028", "\ufeff", "\r\n", "a\r\nb", "\t", "a\n\tb", "a\n", "\na\nb", "  x\ny", "a\n\n\nb\n\n", "\n"),
    *("- a\n- b", "a\n---\nb\n...\nc", "é", "😀\nq"),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(TRAPS)
DATA = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(TRAPS), inner), max_leaves=20)


@settings(max_examples=200)
@given(DATA)
def test_data_is_read_back_as_it_was(data: object) -> None:
    assert yaml.safe_load(document(data)) == data


@pytest.mark.parametrize("text", TRAPS)
def test_a_text_stays_a_text_as_key_and_as_value(text: str) -> None:
    data = {"of": {text: [text, {text: text}]}}
    assert yaml.safe_load(document(data)) == data


def test_documents_of_a_stream_stay_apart() -> None:
    data = [{"a": trap} for trap in TRAPS]
    assert list(yaml.safe_load_all(stream(data))) == data


def test_what_is_plain_is_written_plainly() -> None:
    text = document({"apiVersion": "apps/v1", "port": 8080, "on": "1", "list": ["a", {"b": True}], "many": "a\nb\n"})
    assert text == 'apiVersion: apps/v1\nport: 8080\n"on": "1"\nlist:\n  - a\n  - b: true\nmany: |\n  a\n  b\n'


def test_equal_parts_are_written_out() -> None:
    part = {"a": "b"}
    assert document([part, part]) == "- a: b\n- a: b\n"


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(UsageError, match="no UTF-8 text"):
        document({"a": "caf\udce9"})
