"""A column of known labels is taken out of the data, whatever the form."""

from __future__ import annotations

import json

import pytest

from modelport.errors import UsageError
from modelport.server.labelled import without

CSV = 'a,band,t\n1,0,x\n2,1,"y, z"\n\n'
RECORDS = [{"a": 1, "band": 0, "t": "x"}, {"a": 2, "band": 1, "t": "y, z"}]


def test_of_csv_and_tsv() -> None:
    body, known = without(CSV.encode(), "csv", "band")
    assert body.decode() == 'a,t\n1,x\n2,"y, z"\n'
    assert known.tolist() == [0.0, 1.0]
    body, known = without(b"\xef\xbb\xbfband\ta\nyes\t1\n", "tsv", "band")
    assert (body, known.tolist()) == (b"a\n1\n", ["yes"])


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("json", json.dumps(RECORDS)),
        ("json", json.dumps({"a": [1, 2], "band": [0, 1], "t": ["x", "y, z"]})),
        ("jsonl", "\n".join(map(json.dumps, RECORDS)) + "\n\n"),
    ],
)
def test_of_json(form: str, body: str) -> None:
    left, known = without(body.encode(), form, "band")
    assert known.tolist() == [0.0, 1.0]
    assert "band" not in left.decode()
    assert "y, z" in left.decode()


def test_numbers_and_texts_together_are_texts() -> None:
    assert without(b'[{"band": 1}, {"band": "x"}]', "json", "band")[1].tolist() == ["1", "x"]


@pytest.mark.parametrize(
    ("form", "body", "said"),
    [
        ("csv", b"a,b\n1,2\n", '--label "band": not every row of the data has it, found a, b; name a column'),
        ("csv", b"", "found no named columns"),
        ("csv", b"a,band\n1,2\n3\n", 'line 3 of the data ends before the column "band"'),
        ("json", b'[{"a": 1, "band": 2}, {"a": 2}]', "found a, band"),
        ("json", b"[[1, 2]]", "found no named columns"),
        ("json", b'{"a": 1}', "found a"),
        ("json", b"[", "the data is not JSON"),
        ("parquet", b"PAR1", "found parquet; write the data as one of these"),
    ],
)
def test_what_has_no_such_column_is_said(form: str, body: bytes, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        without(body, form, "band")
    assert said in caught.value.message
