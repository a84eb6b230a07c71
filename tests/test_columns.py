"""Columns: equal rows always, and joining and cutting back lose and mix nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.columns import Columns, Packed, Packing, concat, split
from modelport.errors import ModelError


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"a": np.zeros(2), "b": np.zeros(3)}, r'column "b" has shape \(3,\), the columns before it have 2 rows'),
        ({"a": np.zeros(())}, 'column "a" has shape'),
        ({"a": np.zeros(2), "b": np.zeros(())}, 'column "b" has shape'),
        ({"a": np.zeros((0, 3)), "b": np.zeros(1)}, "have 0 rows"),
    ],
)
def test_columns_of_unequal_rows_cannot_exist(arrays, says):
    with pytest.raises(ValueError, match=says):
        Columns(arrays)


def test_columns_are_a_mapping_that_keeps_its_order_and_its_own_names():
    arrays = {"b": np.zeros((2, 3)), "a": np.array(["x", None], object)}
    columns = Columns(arrays)
    arrays["c"] = np.zeros(9)
    assert list(columns) == ["b", "a"]
    assert (len(columns), columns.rows) == (2, 2)
    assert columns["b"] is arrays["b"]
    assert repr(columns) == "Columns(b: float64[2, 3], a: object[2])"
    assert Columns({}).rows == 0
    assert Columns({"a": np.zeros((0, 4))}).rows == 0


@pytest.mark.parametrize(
    "other",
    [
        {"a": np.zeros(5), "b": np.zeros(5), "c": np.zeros(5)},
        {"b": np.zeros(1), "a": np.zeros((1, 2))},
        {"a": np.zeros((1, 2), "f4"), "b": np.zeros(1)},
        {"a": np.zeros((1, 3)), "b": np.zeros(1)},
        {"a": np.zeros((1, 2)), "c": np.zeros(1)},
        {"a": np.zeros((1, 2), ">f8"), "b": np.zeros(1)},
    ],
    ids=["more", "order", "dtype", "shape", "name", "byte order"],
)
def test_the_signature_is_names_in_order_dtypes_and_trailing_shapes(other):
    one = Columns({"a": np.zeros((7, 2)), "b": np.zeros(7)})
    assert one.signature == Columns({"a": np.ones((1, 2)), "b": np.ones(1)}).signature
    assert one.signature != Columns(other).signature


def test_bytes_are_those_of_the_arrays_and_the_characters_of_strings():
    assert Columns({"a": np.zeros((2, 3)), "t": np.array(["abc", None], object)}).nbytes == 48 + 3 + 8


def test_select_takes_the_order_asked_for_and_slice_takes_views():
    columns = Columns({"a": np.arange(4), "b": np.arange(4) * 2})
    assert list(columns.select(["b", "a"])) == ["b", "a"]
    part = columns.slice(1, 3)
    assert (part.rows, part["b"].tolist()) == (2, [2, 4])
    assert part["a"].base is columns["a"]
    with pytest.raises(KeyError):
        columns.select(["c"])


def test_joining_one_costs_nothing_and_joining_none_is_an_error():
    one = Columns({"a": np.arange(4)})
    assert concat([one]) is one
    with pytest.raises(ValueError, match="nothing to join"):
        concat([])


@pytest.mark.parametrize("names", ["a", "abc", "ac"])
def test_calls_of_different_columns_do_not_join_in_either_order(names):
    one, other = Columns({"a": np.zeros(1), "b": np.zeros(1)}), Columns({name: np.zeros(1) for name in names})
    for parts in ([one, other], [other, one]):
        with pytest.raises(ValueError, match="different columns"):
            concat(parts)


def test_calls_of_different_trailing_shapes_do_not_join():
    with pytest.raises(ValueError, match="dimension"):
        concat([Columns({"a": np.zeros((1, 2))}), Columns({"a": np.zeros((1, 3))})])


@given(st.lists(st.lists(st.tuples(st.integers(-9, 9), st.none() | st.text(max_size=3)), max_size=4), min_size=1, max_size=6))
def test_what_is_joined_is_cut_back_into_the_same_calls(calls):
    def columns(rows: list[tuple[int, str | None]]) -> Columns:
        texts = np.empty(len(rows), object)
        texts[:] = [text for _, text in rows]
        return Columns({"n": np.array([n for n, _ in rows], "i8"), "t": texts})

    parts = [columns(rows) for rows in calls]
    joined = concat(parts)
    assert joined.rows == sum(map(len, calls))
    back = split(joined, [part.rows for part in parts])
    assert [list(zip(part["n"].tolist(), part["t"].tolist(), strict=True)) for part in back] == calls


def test_an_answer_of_other_rows_is_cut_for_nobody():
    ranges = [2, 1]
    for rows in (0, 2, 4):
        with pytest.raises(ModelError, match=f"answered {rows} rows for 3"):
            split(Columns({"y": np.zeros(rows)}), ranges)
    assert split(Columns({}), []) == []
    whole = Columns({"y": np.zeros(3)})
    (only,) = split(whole, [3])
    assert only.rows == 3
    assert only["y"].tolist() == [0, 0, 0]


def _packed(packing: Packing, rows: list[list[float]]) -> Packed:
    return Packed(packing, np.array(rows, packing.dtype).tobytes(), len(rows))


def test_packed_rows_are_the_array_of_their_bytes():
    rows = [[1.5, -0.0], [float("nan"), 3.0]]
    packed = _packed(Packing("#float64", np.dtype("f8"), (2,)), rows)
    assert packed.rows == 2 and packed.nbytes == 32 and list(packed) == ["#float64"]
    assert packed.signature == Columns({"#float64": np.array(rows)}).signature
    np.testing.assert_array_equal(packed["#float64"], np.array(rows))
    packed["#float64"][0, 0] = 7.0  # an array of its own, which a hook may write to
    assert packed["#float64"][0, 0] == 7.0
    with pytest.raises(AttributeError, match="colour"):
        packed.colour  # noqa: B018


def test_packed_calls_join_as_arrays_do():
    packing = Packing("x", np.dtype("f4"), (2,))
    parts = [_packed(packing, [[1, 2]]), _packed(packing, [[3, 4], [5, 6]])]
    assert concat(parts)["x"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert concat(parts)["x"].dtype == np.float32
    assert concat(parts[:1]) is parts[0]
    others = [Columns({"x": np.array([[7.0, 8.0]], "f4")}), _packed(Packing("x", np.dtype("f4"), (2,)), [[9, 10]])]
    for other in others:
        assert concat([parts[0], other])["x"].tolist() == [[1, 2], *other["x"].tolist()]
