"""Plain text for the terminal."""

from __future__ import annotations

import pytest

from modelport.cli.text import aligned, size, some, table


def test_cells_stand_under_each_other_and_lines_have_no_trailing_blanks() -> None:
    assert aligned([("a", "long cell", ""), ("longer", "b", "c")]) == ["  a       long cell", "  longer  b          c"]
    assert aligned([]) == []


def test_control_characters_are_escaped() -> None:
    assert aligned([("\x1b[31mred",)]) == ["  \\x1b[31mred"]
    assert "\x1b" not in table(["\x1b"], [["\x1b"]], 80)


def test_numbers_stand_to_the_right_and_missing_values_are_a_dash() -> None:
    text = table(["n", "word", "is"], [[1.5, "x", True], [None, None, False], [12345678.9, "yy", None]], 80)
    assert text.splitlines() == ["          n  word  is", "        1.5  x     true", "          -  -     false", "1.23457e+07  yy    -"]


def test_columns_that_do_not_fit_are_counted() -> None:
    names = [f"column{at}" for at in range(10)]
    text = table(names, [list(range(10))], 30)
    assert text.splitlines()[0].split() == names[:3]
    assert "7 more columns" in text
    assert "column0" in table(names, [list(range(10))], 1)


def test_long_lists_and_texts_are_cut() -> None:
    assert table(["v"], [[list(range(20))]], 80).splitlines()[1] == "[0, 1, 2, 3, 4, 5, 6, 7, …]"
    assert len(table(["t"], [["x" * 200]], 80).splitlines()[1]) == 60


@pytest.mark.parametrize(
    ("bytes_", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (3 << 20, "3 MiB"), (5 << 30, "5 GiB")]
)
def test_size(bytes_: int, text: str) -> None:
    assert size(bytes_) == text


def test_some_says_how_many_there_are() -> None:
    assert some(["a", "b"], 2) == "a, b"
    assert some(range(100), 3) == "0, 1, 2, … (100 in all)"
