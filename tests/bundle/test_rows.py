"""What user code gets and what it may give back, in all the ways in which pandas and numpy say the same thing."""

from __future__ import annotations

import sys
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from modelport.bundle.rows import frame, matrix, result
from modelport.columns import Columns
from modelport.errors import MissingExtra, ModelError

COLUMNS = Columns(
    {"n": np.array([1, 2]), "t": np.array(["a", None], object), "v": np.arange(6.0).reshape(2, 3), "b": np.array([True, False])}
)


def read(value: object, rows: int = 2, names: tuple[str, ...] = ()) -> dict[str, list[object]]:
    return {name: array.tolist() for name, array in result(value, rows, names, "the hook").items()}


def refusal(value: object, rows: int = 2, names: tuple[str, ...] = ()) -> str:
    with pytest.raises(ModelError) as error:
        result(value, rows, names, "the hook")
    assert str(error.value).startswith("the hook returned ")
    return str(error.value)


def test_a_hook_gets_a_frame_with_an_index_from_0_and_python_strings():
    made = frame(COLUMNS)
    assert list(made.index) == [0, 1]
    assert list(made.columns) == ["n", "t", "v", "b"]
    assert made["n"].dtype == np.int64
    assert made["t"].tolist() == ["a", None]
    assert made["v"][1].tolist() == [3.0, 4.0, 5.0]
    assert frame(Columns({"v": np.empty((0, 3))})).shape == (0, 1)


def test_frames_of_old_and_new_pandas_are_equal(monkeypatch):
    new = frame(COLUMNS)
    monkeypatch.setitem(sys.modules, "pandas.api.internals", None)  # before pandas 3
    old = frame(COLUMNS)
    pd.testing.assert_frame_equal(new.drop(columns="v"), old.drop(columns="v"))
    assert [row.tolist() for row in new["v"]] == [row.tolist() for row in old["v"]]
    assert [made.dtypes.tolist() for made in (new, old)] == [[np.int64, object, object, bool]] * 2


def test_what_a_hook_does_to_its_frame_does_not_reach_the_next_one():
    made = frame(Columns({name: array.copy() for name, array in COLUMNS.items()}))
    made.columns.name = "changed"
    made["n"] = made["n"] * 2
    made.loc[1, "t"] = "was missing"
    made.insert(0, "more", 1)
    made = made.sort_values("n", ascending=False).rename(columns={"b": "c"})
    assert made["t"].tolist() == ["was missing", "a"]
    again = frame(COLUMNS)
    assert again.columns.name is None
    assert list(again.columns) == ["n", "t", "v", "b"]
    assert again["n"].tolist() == [1, 2]


def test_a_frame_of_no_rows_or_no_columns_is_one():
    assert frame(Columns({})).shape == (0, 0)
    assert frame(Columns({"a": np.empty(0, np.float32)})).dtypes.tolist() == [np.float32]


def test_without_pandas_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"pip install 'modelport\[table\]'"):
        frame(COLUMNS)


def test_a_matrix_is_the_columns_side_by_side_or_the_tensor_itself():
    assert matrix(COLUMNS, ["n", "b"]).tolist() == [[1, 1], [2, 0]]
    assert matrix(COLUMNS, ["n"]).tolist() == [[1], [2]]
    assert matrix(COLUMNS, ["v"]) is COLUMNS["v"]
    assert matrix(COLUMNS, ["n", "v"]).tolist() == [[1, 0, 1, 2], [2, 3, 4, 5]]
    assert matrix(COLUMNS, ["n", "t"]).tolist() == [[1, "a"], [2, None]]
    assert matrix(Columns({"v": np.empty((0, 3)), "n": np.empty(0)}), ["v", "n"]).shape == (0, 4)


@pytest.mark.parametrize("index", [[0, 1], [7, 3], ["x", "y"], [0, 0]])
def test_a_frame_is_taken_by_rows_whatever_its_index(index):
    value = pd.DataFrame({"a": [1, 2], "b": ["x", None], 3: [True, False]}, index=index)
    assert read(value) == {"a": [1, 2], "b": ["x", None], "3": [True, False]}


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (pd.Series([1.5, 2.5], index=[9, 8]), [1.5, 2.5]),
        (pd.Series(["a", "b"]), ["a", "b"]),
        (pd.Index([1, 2]), [1, 2]),
        (np.array([1, 2], "i4"), [1, 2]),
        (np.array([[1], [2]]), [[1], [2]]),
        (np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
        ([1, 2.5], [1.0, 2.5]),
        (["a", "é"], ["a", "é"]),
        ((True, False), [True, False]),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    ],
    ids=["series", "strings", "index", "1-D", "2-D of one", "2-D", "list", "strings in a list", "tuple", "nested lists"],
)
def test_an_array_or_list_becomes_the_one_output_or_prediction(value, answer):
    assert read(value) == {"prediction": answer}
    assert read(value, names=("score",)) == {"score": answer}


def test_a_matrix_as_wide_as_the_declared_outputs_is_cut_into_them():
    assert read(np.arange(6).reshape(2, 3), names=("a", "b", "c")) == {"a": [0, 3], "b": [1, 4], "c": [2, 5]}
    assert list(read(np.arange(6).reshape(2, 3), names=("a", "b"))) == ["prediction"]


def test_columns_and_dicts_keep_their_names():
    assert read(Columns({"a": np.array([1, 2])})) == {"a": [1, 2]}
    assert read({"a": [1, 2], 3: ("x", "y")}) == {"a": [1, 2], "3": ["x", "y"]}


@pytest.mark.parametrize(
    ("values", "read_as"),
    [
        (pd.Series(["a", None]), ["a", None]),
        (pd.Series(["a", np.nan], dtype=object), ["a", None]),
        (pd.Series(["a", pd.NA], dtype=object), ["a", None]),
        (pd.Series(["a", pd.NaT], dtype=object), ["a", None]),
        (pd.Series(["a", None], dtype="string"), ["a", None]),
        (pd.Series(["a", None], dtype="category"), ["a", None]),
        (pd.Series([np.str_("a"), "b"], dtype=object), ["a", "b"]),
        (pd.Series([None, None], dtype=object), [None, None]),
        (pd.Series([1, None], dtype="Int64"), [1.0, "nan"]),
        (pd.Series([1, 2], dtype="Int64"), [1, 2]),
        (pd.Series([1, None], dtype=object), [1.0, "nan"]),
        (pd.Series([True, False], dtype="boolean"), [True, False]),
        (pd.Series([True, pd.NA], dtype="boolean"), [1.0, "nan"]),
        (pd.Series([1, 2.5], dtype=object), [1.0, 2.5]),
        (pd.Series([1, 2], dtype="category"), [1, 2]),
        (pd.to_datetime(pd.Series(["2020-01-02", None])), ["2020-01-02T00:00:00.000000", None]),
    ],
)
def test_every_way_of_a_missing_value_is_read_as_the_one_that_travels(values, read_as):
    found = read(pd.DataFrame({"c": values}))["c"]
    assert ["nan" if value != value else value for value in found] == read_as
    assert [type(value) for value in found if isinstance(value, str)] == [str] * sum(isinstance(value, str) for value in found)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([1], "the hook returned 1 rows for 2; it must return one row for each row it is given"),
        (pd.DataFrame({"a": [1, 2, 3]}), "3 rows for 2"),
        (pd.DataFrame(), "0 rows for 2"),
        ({}, "0 rows for 2"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "a frame in which a column name stands twice"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=[1, "1"]), "a column name stands twice"),
        (None, "one NoneType; expected a frame, an array or Columns"),
        (3.5, "one float; expected"),
        ("positive", "one str; expected"),
        ((n for n in (1, 2)), '"its result" with values of type generator'),
        ([[1, 2], [3]], "list, of which no equal-length columns can be made"),
        ({"a": [1, 2], "b": [1]}, "dict, of which no equal-length columns can be made"),
        ({"a": 1}, "dict, of which no equal-length columns can be made"),
        (np.array([1j, 2j]), '"its result" as complex128; expected numbers, booleans or strings'),
        (np.array([b"a", b"b"]), '"its result" as |S1'),
        (pd.DataFrame({"c": [date(2020, 1, 1)] * 2}), '"c" with values of type date'),
        (pd.DataFrame({"c": [[1], [2]]}), '"c" with values of type list'),
        (pd.DataFrame({"c": [Decimal(1), Decimal(2)]}, dtype=object), '"c" with values of type Decimal'),
        (pd.DataFrame({"c": ["a", 1]}, dtype=object), '"c" with values of type int, str'),
        (pd.DataFrame({"c": ["a", 1.5]}, dtype=object), '"c" with strings and numbers mixed'),
        (pd.DataFrame({"c": [2**70, 1]}, dtype=object), '"c" with values of type int'),
        (pd.to_timedelta(pd.Series(["1s", "2s"])), "as timedelta64"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_is_no_answer_is_said_with_the_hook_and_what_was_found(value, says):
    assert says in refusal(value)
