"""Rows of like length are computed together: every row once, in pieces that wait little, with the answers where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from modelport.forms.runner import Cut, Runner, by_length


@pytest.mark.parametrize("rows", [0, 1, 2, 15, 16, 17, 64, 300])
@pytest.mark.parametrize("most", [1, 7, 16])
def test_pieces_hold_every_row_once_and_no_more_than_the_limit(rows, most):
    lengths = np.sort(np.random.default_rng(rows).integers(0, 57, rows)).tolist()
    spans = by_length(lengths, most)
    assert [at for start, stop in spans for at in range(start, stop)] == list(range(rows))
    assert all(0 < stop - start <= most for start, stop in spans)


def test_rows_of_one_length_are_not_parted_and_a_long_one_does_not_keep_short_ones_waiting():
    assert by_length([20] * 16, 16) == [(0, 16)]
    assert by_length([4] * 10 + [50], 16) == [(0, 10), (10, 11)]


def test_a_piece_ends_where_waiting_costs_more_than_a_run():
    lengths = np.sort(np.random.default_rng(5).integers(1, 57, 200)).tolist()
    for start, stop in by_length(lengths, 16):
        waited = sum(lengths[stop - 1] - lengths[at] for at in range(start, stop))
        assert 2 * waited <= 32 + lengths[start]


class Doubling:
    """Stands for a session: twice the sum of each row, and the shapes that it was asked for."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def run(self, outputs, feed):
        self.seen.append(feed["x"].shape)
        return [2 * feed["x"].sum(axis=1)]


@pytest.mark.parametrize("cut", [Cut(16), Cut(16, ("x",))])
@pytest.mark.parametrize("rows", [0, 1, 5, 16, 40])
def test_answers_come_in_the_order_of_the_rows(cut, rows):
    rng = np.random.default_rng(1)
    x = rng.integers(1, 9, (rows, 30)) * (np.arange(30) < rng.integers(0, 31, rows)[:, None])
    session = Doubling()
    (found,) = Runner(session, cut).compute({"x": x}, ["y"])
    assert found.tolist() == (2 * x.sum(axis=1)).tolist()
    assert sum(shape[0] for shape in session.seen) == max(rows, 1)
