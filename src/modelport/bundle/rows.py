"""Columns to what user code works on (frame, matrix) and back; one place, nothing per row that can be done per batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np

from modelport.columns import Array, Columns
from modelport.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    import pandas as pd


def frame(columns: Columns) -> object:
    """Return a pandas.DataFrame with index 0…n−1; strings stay Python strings (object dtype). Raises: MissingExtra.

    Cost: views of the arrays, and 13 microseconds with pandas 3, which takes blocks as they are; 120 with older ones.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra(
            "a hook that works on a pandas.DataFrame needs pandas; install it with `pip install 'modelport[table]'`"
        ) from error
    index = pd.RangeIndex(columns.rows)
    make = _from_blocks()
    if make is None:
        series = {
            name: pd.Series(array, dtype=array.dtype, copy=False) if array.ndim == 1 else pd.Series(list(array))
            for name, array in columns.items()
        }
        return pd.DataFrame(series, index=index, copy=False)
    blocks = [(_objects(array).reshape(1, -1), np.array([at])) for at, array in enumerate(columns.values())]
    return make(blocks, index=index, columns=_labels(tuple(columns)).view())


def _from_blocks() -> Callable[..., object] | None:
    """Return pandas's own way past its inference, which copies, looks at every string and costs ten times as much."""
    try:
        from pandas.api.internals import create_dataframe_from_blocks as make
    except ImportError:  # before pandas 3
        return None
    return cast("Callable[..., object]", make)


@lru_cache(maxsize=64)
def _labels(names: tuple[str, ...]) -> pd.Index[str]:
    """Return the names as pandas keeps them. Frames get views, as an index can be given a name of its own."""
    import pandas as pd

    return pd.Index(names)


def _objects(array: Array) -> Array:
    """Return a column of one axis: tensors become objects, a row's array each."""
    if array.ndim == 1:
        return array
    out = np.empty(len(array), object)
    out[:] = list(array)
    return out


def matrix(columns: Columns, names: Sequence[str]) -> Array:
    """Return the named columns as one array: the tensor itself if there is only one, else (rows, values) side by side."""
    arrays = [columns[name] for name in names]
    if len(arrays) == 1 and arrays[0].ndim > 1:
        return arrays[0]
    return np.concatenate([array.reshape(columns.rows, math.prod(array.shape[1:])) for array in arrays], axis=1)


def result(value: object, rows: int, names: Sequence[str], where: str) -> Columns:
    """Turn what a hook returned into Columns and check that it has one row for each row.

    A frame and Columns keep their names; an array is named by ``names`` ("prediction" without any).
    Raises: ModelError naming the hook.
    """
    columns = _columns(value, names, where)
    if columns.rows != rows:
        raise ModelError(f"{where} returned {columns.rows} rows for {rows}; it must return one row for each row it is given")
    return columns


def _columns(value: object, names: Sequence[str], where: str) -> Columns:
    try:
        if isinstance(value, Columns):
            return Columns({name: _plain(array, where, name) for name, array in value.items()})
        if isinstance(value, Mapping):
            return Columns({str(name): _plain(np.asarray(array), where, str(name)) for name, array in value.items()})
        if hasattr(value, "columns") and hasattr(value, "to_numpy"):  # a frame, without importing pandas to ask
            labels = [str(label) for label in cast("Sequence[object]", value.columns)]
            if len(set(labels)) != len(labels):
                raise ModelError(f"{where} returned a frame in which a column name stands twice; names must be unique")
            series = cast("pd.DataFrame", value).items()  # half of what iloc costs
            return Columns({label: _plain(one.to_numpy(), where, label) for label, (_, one) in zip(labels, series, strict=True)})
        array = _plain(np.asarray(value), where, "its result")
    except ValueError as error:
        raise ModelError(f"{where} returned {type(value).__name__}, of which no equal-length columns can be made") from error
    if array.ndim == 0:
        raise ModelError(f"{where} returned one {type(value).__name__}; expected a frame, an array or Columns with one row for each row")
    if len(names) > 1 and array.ndim == 2 and array.shape[1] == len(names):
        return Columns({name: array[:, at] for at, name in enumerate(names)})
    return Columns({names[0] if len(names) == 1 else "prediction": array})


def _plain(array: Array, where: str, name: str) -> Array:
    """Bring an array to the kinds that travel: numbers, booleans, and object arrays of str or None."""
    kind = array.dtype.kind
    if kind in "biuf":
        return array
    if kind == "U":
        return array.astype(object)
    if kind == "O":
        return _plain_objects(array, where, name)
    if kind == "M":
        texts = np.datetime_as_string(array.astype("datetime64[us]")).astype(object)
        texts[np.isnat(array)] = None
        return texts
    raise ModelError(f'{where} returned "{name}" as {array.dtype}; expected numbers, booleans or strings')


def _plain_objects(array: Array, where: str, name: str) -> Array:
    flat = array.reshape(-1).tolist()
    kinds = {type(value) for value in flat}
    missing = {kind for kind in kinds if kind is type(None) or kind.__name__ in ("NAType", "NaTType")}
    present = kinds - missing
    has_text = any(issubclass(kind, str) for kind in present)
    if (has_text or not present) and all(issubclass(kind, str | float) for kind in present):
        # pandas writes a missing string as NaN or NA
        if any(isinstance(value, float) and value == value for value in flat):
            raise ModelError(f'{where} returned "{name}" with strings and numbers mixed; expected one kind in a column')
        out = np.empty(len(flat), object)
        out[:] = [str(value) if isinstance(value, str) else None for value in flat]
        return out.reshape(array.shape)
    if all(issubclass(kind, bool | int | float | np.number | np.bool_) for kind in present):
        numbers = np.array([np.nan if type(value) in missing else value for value in flat]).reshape(array.shape)
        if numbers.dtype.kind in "biuf":
            return numbers
    found = ", ".join(sorted(kind.__name__ for kind in present))
    raise ModelError(f'{where} returned "{name}" with values of type {found}; expected numbers, booleans or strings that a column can hold')
