"""How well a model's answers agree with known ones, before and after a conversion that changes numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modelport.columns import Array, Columns
from modelport.errors import DecodeError


def agreement(answer: Columns, known: Array) -> dict[str, float]:
    """Return the share of right labels, or of a number the mean absolute error.

    The label is a classifier's, or the place of the largest of several numbers. ``known``: (rows,) of what the data says.
    Raises: DecodeError where answer and known values are not of one kind.
    """
    name = "label" if "label" in answer else next(iter(answer))
    found = answer[name]
    if found.dtype.kind == "f" and found.ndim == 2 and found.shape[1] > 1:
        found = np.argmax(found, axis=1)
    found = found.reshape(len(found), -1)
    if found.shape[1] != 1:
        raise DecodeError(f"{name} holds {found.shape[1]} values a row, and the label one; leave out --label")
    column = found[:, 0]
    if column.dtype.kind == "f" and name != "label":
        return {"mean_absolute_error": float(np.mean(np.abs(column.astype(np.float64) - _numbers(known))))}
    if column.dtype.kind in "iufb":
        return {"accuracy": float(np.mean(column.astype(np.float64) == _numbers(known)))}
    return {"accuracy": float(np.mean(column.astype(str) == known.astype(str)))}


def _numbers(known: Array) -> npt.NDArray[np.float64]:
    try:
        return known.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise DecodeError(f"the label column holds {known[0]!r:.40}, expected numbers as the model answers; name another column") from error
