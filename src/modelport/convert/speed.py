"""How long a row and 64 rows take in the original and in the converted file, one after the other so that both meet the same machine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from modelport.columns import Columns
from modelport.convert.parity import Predict
from modelport.errors import ModelportError

ROWS = (1, 64)
_RUNS = 40
_BUDGET_S = 1.5


def speeds(predicts: Mapping[str, Predict], rows: Columns) -> list[dict[str, object]]:
    """Return the median of what a call takes, in milliseconds, for each number of rows; nothing where the rows are refused."""
    out: list[dict[str, object]] = []
    for count in ROWS:
        given = Columns({name: np.take(array, np.arange(count) % rows.rows, axis=0) for name, array in rows.items()})
        try:
            found = _timed(list(predicts.values()), given)
        except ModelportError:
            continue
        out.append({"rows": count, **{f"{name}_ms": round(value, 4) for name, value in zip(predicts, found, strict=True)}})
    return out


def _timed(predicts: Sequence[Predict], rows: Columns) -> list[float]:
    for predict in predicts:
        predict(rows, None)  # whatever is made on the first call
    times: list[list[int]] = [[] for _ in predicts]
    began_s = time.monotonic()
    for _ in range(_RUNS):
        for predict, taken in zip(predicts, times, strict=True):
            began_ns = time.perf_counter_ns()
            predict(rows, None)
            taken.append(time.perf_counter_ns() - began_ns)
        if time.monotonic() - began_s > _BUDGET_S:
            break
    return [median(taken) / 1e6 for taken in times]
