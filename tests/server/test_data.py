"""Files of rows in, files of records out."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import orjson
import pytest

from modelport.errors import DecodeError, UsageError
from modelport.schema import Field, Schema
from modelport.server.data import flatten, form_of, read, records, to_csv, write

SCHEMA = Schema((Field("a", "float64"), Field("v", "float32", (2,))))
RECORDS = [
    {"label": "x, y", "probabilities": {"no": 0.1, "yes": 0.9}, "v": [1.5, 2]},
    {"label": None, "probabilities": {"no": 1e-7, "yes": 1.0}, "v": [3, 4]},
]


def test_records_of_one_record_are_a_list_of_it() -> None:
    assert records(b'{"a":1}') == records(b'[{"a":1}]') == [{"a": 1}]


def test_nested_objects_become_columns_of_their_own_and_lists_if_asked() -> None:
    names, rows = flatten(RECORDS, is_deep=True)
    assert names == ["label", "probabilities.no", "probabilities.yes", "v.0", "v.1"]
    assert rows[0] == ["x, y", 0.1, 0.9, 1.5, 2]
    assert flatten(RECORDS, is_deep=False)[0] == ["label", "probabilities.no", "probabilities.yes", "v"]


def test_csv_keeps_every_digit_that_json_has() -> None:
    lines = list(csv.reader(io.StringIO(to_csv(RECORDS))))
    assert lines[1:] == [["x, y", "0.1", "0.9", "1.5", "2"], ["", "1e-7", "1.0", "3", "4"]]


def test_arrow_forms_carry_lists_and_are_read_again(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for form in ("parquet", "arrow"):
        path = tmp_path / f"rows.{form}"
        write(orjson.dumps([{"a": 1.5, "v": [1, 2]}, {"a": 2, "v": [3, 4]}]), path)
        call = read(path.read_bytes(), form, SCHEMA)
        assert call.columns["a"].tolist() == [1.5, 2.0]
        assert np.array_equal(call.columns["v"], [[1, 2], [3, 4]])


def test_json_lines_name_the_line_that_is_none() -> None:
    assert read(b'{"a":1,"v":[1,2]}\r\n\n{"a":2,"v":[3,4]}', "jsonl", SCHEMA).columns.rows == 2
    with pytest.raises(DecodeError, match="line 3 is not JSON"):
        read(b'{"a":1,"v":[1,2]}\n\n{"a":2,"v":[3,4]\n', "jsonl", SCHEMA)


def test_a_suffix_that_stands_for_nothing_is_named_with_those_that_do() -> None:
    assert form_of(Path("x.CSV"), "DATA") == "csv"
    with pytest.raises(UsageError, match=r'DATA "x.xls": .*known are \.json'):
        form_of(Path("x.xls"), "DATA")


def test_an_answer_that_arrow_cannot_hold_is_a_usage_error(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(UsageError, match="cannot be written as parquet"):
        write(b'[{"a":1},{"a":"x"}]', tmp_path / "x.parquet")
