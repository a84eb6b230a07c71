"""What the throw-away process tries on a loaded model: odd rows, and many of them.

An exception is an answer: many models refuse NaN. What is looked for is a process that crashes or never comes back, as after
somebody edited the arrays of a tree.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator

import numpy as np

from modelport.bundle.model import Model
from modelport.columns import Array, Columns
from modelport.errors import LoadError
from modelport.schema import Field, Schema

_ROWS = 64
_LARGE = 1e30
_LIMIT_S = 10.0
_LIMIT_TIMES = 50.0
_LONG_TEXT = 5000

Make = Callable[[Field, int], Array]


def rehearse(model: Model, warm_up_s: float, *, is_own_code: bool) -> None:
    """Predict varied rows; ends the process with SIGALRM if that takes longer than 10 s and 50 times the first prediction.

    ``is_own_code``: hooks of the user's compute with the values, so that only ordinary ones are tried. Only for a process that
    is thrown away: output is silenced for good. Raises: LoadError where memory runs out.
    """
    _be_silent()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends a loop in compiled code as well, where no Python handler would run
    signal.setitimer(signal.ITIMER_REAL, _LIMIT_S + _LIMIT_TIMES * warm_up_s)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for rows in varied(model.schema, is_own_code=is_own_code):
            try:
                model.predict(rows, None)
            except Exception as error:  # a model may refuse a value in any way it likes, as long as it comes back
                if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
                    raise LoadError(f"there is not enough memory to predict {rows.rows} rows; use a machine with more") from error
    signal.setitimer(signal.ITIMER_REAL, 0)


def varied(schema: Schema, *, is_own_code: bool) -> Iterator[Columns]:
    """Yield rows by their physical columns: zeros, ones, random ones, many at once; and without own code extremes and NaN."""
    random = np.random.default_rng(0)

    def noise(item: Field, rows: int) -> Array:
        return random.normal(0, 3, (rows, *_shape(item)))

    yield _rows(schema, 1, lambda item, rows: np.zeros((rows, *_shape(item))))
    yield _rows(schema, 1, lambda item, rows: np.ones((rows, *_shape(item))))
    yield _rows(schema, 1, noise)
    yield _rows(schema, _ROWS, noise)
    if is_own_code:
        return
    for value in (_LARGE, -_LARGE, -1.0):
        yield _rows(schema, 2, lambda item, rows, value=value: np.full((rows, *_shape(item)), value))  # type: ignore[misc]  # bound now
    if any(item.nullable for item in schema.features):
        yield _rows(schema, 2, lambda item, rows: np.full((rows, *_shape(item)), np.nan if item.nullable else 0.0))


def _rows(schema: Schema, rows: int, make: Make) -> Columns:
    return schema.pack({item.name: _column(item, make(item, rows)) for item in schema.inputs})


def _column(item: Field, values: Array) -> Array:
    """Bring numbers to a column: into the range of its type, to one of its categories, to a text."""
    if item.categories and (item.closed or item.type == "string"):
        known = np.empty(len(item.categories), object)
        known[:] = item.categories
        at = np.nan_to_num(values, posinf=0.0).astype(np.float64) % len(known)
        return known[at.astype(np.int64)].astype(item.dtype)
    if item.type == "string":
        texts = [_text(float(value), item) for value in values.reshape(-1)]
        out = np.empty(len(texts), object)
        out[:] = texts
        return out.reshape(values.shape)
    dtype = item.dtype
    if dtype.kind in "iu":
        limits = np.iinfo(item.type)
        # float64 holds no largest int64; half the range is as extreme
        return np.clip(np.nan_to_num(values), limits.min // 2, limits.max // 2).astype(dtype)
    with np.errstate(over="ignore"):
        return values.astype(dtype)


def _text(value: float, item: Field) -> str | None:
    if np.isnan(value):
        return None
    length = 0 if value == 0 else _LONG_TEXT if abs(value) >= _LARGE else int(abs(value) * 10) + 1
    return ("words and ünïcode, " * (length // 19 + 1))[: min(length, item.max_length or length)]


def _shape(item: Field) -> tuple[int, ...]:
    return tuple(1 if length is None else length for length in item.shape)


def _be_silent() -> None:
    """Send what libraries print about odd values to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
