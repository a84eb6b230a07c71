"""How well answers agree with known ones: labels, places of the largest number, numbers."""

from __future__ import annotations

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.convert.agreement import agreement
from modelport.errors import DecodeError


@pytest.mark.parametrize(
    ("answer", "known", "wanted"),
    [
        ({"label": np.array(["a", "b"], object)}, np.array(["a", "c"], object), {"accuracy": 0.5}),
        ({"label": np.array([1, 2])}, np.array([1.0, 2.0]), {"accuracy": 1.0}),
        ({"label": np.array([True, False])}, np.array([1.0, 1.0]), {"accuracy": 0.5}),
        ({"label": np.array([0.5, 1.5])}, np.array([0.5, 2.5]), {"accuracy": 0.5}),
        ({"cluster": np.array([4, 5])}, np.array([4.0, 4.0]), {"accuracy": 0.5}),
        ({"bands": np.array([[0.1, 0.9], [0.8, 0.2]], np.float32)}, np.array([1.0, 1.0]), {"accuracy": 0.5}),
        ({"prediction": np.array([1.0, 2.0])}, np.array([1.5, 2.0]), {"mean_absolute_error": 0.25}),
        ({"prediction": np.array([[1.0], [2.0]])}, np.array([1.0, 3.0]), {"mean_absolute_error": 0.5}),
    ],
)
def test_the_share_of_right_labels_or_how_far_numbers_are(answer: dict, known: np.ndarray, wanted: dict[str, float]) -> None:
    assert agreement(Columns(answer), known) == wanted


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(DecodeError, match="label holds 2 values a row, and the label one; leave out --label"):
        agreement(Columns({"label": np.array([[1, 2]])}), np.array([1.0]))
    with pytest.raises(DecodeError, match="the label column holds 'x', expected numbers as the model answers"):
        agreement(Columns({"prediction": np.array([1.0])}), np.array(["x"], object))
