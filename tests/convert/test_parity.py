"""What counts as equal: numbers within the tolerance, labels away from ties, rows that both take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.convert.order import Order
from modelport.convert.parity import Comparison, compare
from modelport.errors import ModelError

ROWS = Columns({"x": np.arange(4.0)})
ONNX = Order("onnx")
INT8 = Order("onnx", quantize="int8")
Predict = Callable[[Columns, Sequence[str] | None], Columns]


def answers(**arrays: object) -> Predict:
    """Give a model that answers these arrays by row number."""
    table = {name: np.asarray(values) for name, values in arrays.items()}

    def predict(rows: Columns, outputs: Sequence[str] | None) -> Columns:
        at = rows["x"].astype(np.int64)
        return Columns({name: values[at] for name, values in table.items()})

    return predict


def refusing(model: Predict, *refused: int) -> Predict:
    def predict(rows: Columns, outputs: Sequence[str] | None) -> Columns:
        if set(refused) & set(rows["x"].astype(int).tolist()):
            raise ModelError("no")
        return model(rows, outputs)

    return predict


def seen(original: Predict, made: Predict, order: Order = ONNX) -> Comparison:
    return compare(original, made, [ROWS], order)


def test_numbers_within_the_tolerance_hold_and_are_counted() -> None:
    found = seen(answers(y=[1.0, 2.0, 3.0, np.nan]), answers(y=[1.0, 2.0, 3.0 + 3e-7, np.nan]))
    assert found.where == ""
    assert (found.rows, found.numbers, found.labels) == (4, 4, 0)
    assert found.largest == pytest.approx(1e-7, rel=1e-3)
    assert found.mean == pytest.approx(2.5e-8, rel=1e-3)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([1.0, 2.0, 3.1, 4.0], "y differs by 3.3e-02, more than the tolerance of 1e-06"),
        ([1.0, 2.0, np.nan, 4.0], "y is no number where the original's is one"),
        ([1.0, 2.0, np.inf, 4.0], "y is no number where the original's is one"),
        ([[1.0], [2.0], [3.0], [4.0]], "y has the shape [1] a row, the original's has [] a row"),
    ],
)
def test_the_first_thing_too_far_apart_is_named(made: list[object], said: str) -> None:
    assert said in seen(answers(y=[1.0, 2.0, 3.0, 4.0]), answers(y=made)).where + " a row"


def test_a_report_holds_only_what_json_has() -> None:
    report = seen(answers(y=[1.0] * 4), answers(y=[np.nan] * 4)).to_dict()
    assert np.isfinite([report["largest_difference"], report["mean_difference"]]).all()


def test_the_tolerance_is_a_choice() -> None:
    assert seen(answers(y=[1.0] * 4), answers(y=[1.01] * 4), Order("onnx", tolerance=0.1)).where == ""


def test_another_label_is_a_difference_unless_the_original_hangs_between_both() -> None:
    sure, tied = [[0.9, 0.1]] * 4, [[0.5, 0.5]] * 4
    same, other = ["a"] * 4, ["a", "a", "b", "a"]
    apart = seen(answers(label=same, probabilities=sure), answers(label=other, probabilities=sure))
    assert (apart.where, apart.label_changes, apart.ties) == ("1 of 4 labels differ", 1, 0)
    tie = seen(answers(label=same, probabilities=tied), answers(label=other, probabilities=tied))
    assert (tie.where, tie.label_changes, tie.ties) == ("", 0, 1)


def test_a_decision_between_two_is_a_tie_at_nought() -> None:
    found = seen(answers(label=[1, 1, 1, 1], scores=[0.0, 1.0, 1.0, 1.0]), answers(label=[2, 1, 1, 1], scores=[0.0, 1.0, 1.0, 1.0]))
    assert (found.where, found.ties) == ("", 1)


def test_a_label_without_scores_has_no_ties() -> None:
    assert seen(answers(label=[1, 1, 1, 1]), answers(label=[2, 1, 1, 1])).where == "1 of 4 labels differ"
    one = [[1.0]] * 4
    assert seen(answers(label=[1] * 4, probabilities=one), answers(label=[2] * 4, probabilities=one)).label_changes == 4


def test_rows_that_the_original_refuses_prove_nothing() -> None:
    model = answers(y=[1.0] * 4)
    both = seen(refusing(model, 2), refusing(model, 2))
    assert (both.where, both.rows, both.refused) == ("", 3, 1)
    assert seen(refusing(model, 2), model).refused == 1
    assert seen(model, refusing(model, 2)).where == "the converted file refuses a row that the original answers"
    assert "no rows were found" in seen(refusing(model, 0, 1, 2, 3), model).where


def test_int8_is_held_to_the_mean_and_to_the_share_of_labels() -> None:
    assert seen(answers(y=[1.0] * 4), answers(y=[1.0, 1.0, 1.0, 1.05]), INT8).where == ""
    assert "the mean difference is 0.05, more than the tolerance of 0.02" in seen(answers(y=[1.0] * 4), answers(y=[1.05] * 4), INT8).where
    sure = [[0.9, 0.1]] * 4
    found = seen(answers(label=[1] * 4, probabilities=sure), answers(label=[1, 1, 1, 2], probabilities=sure), INT8)
    assert found.where == "75.00% of the labels are equal, expected 99%"


def test_of_probabilities_without_labels_the_largest_is_followed() -> None:
    found = seen(answers(y=[[0.6, 0.4]] * 4), answers(y=[[0.6, 0.4]] * 3 + [[0.49, 0.51]]), INT8)
    assert found.choice_changes == 1
    assert seen(answers(y=[[6.0, 4.0]] * 4), answers(y=[[4.0, 6.0]] * 4), Order("onnx", tolerance=9)).choice_changes == 0
