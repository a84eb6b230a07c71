"""The categories of features that an XGBoost file of 3.1 and later keeps: what a data frame held when the model was fitted."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from modelport.formats.ubjson import Value
from modelport.formats.xgboost_trees import fault, numbers
from modelport.schema import Scalar

# ValueKind in include/xgboost/json.h of XGBoost, by the numbers written in files.
_TYPES: Mapping[int, str] = {9: "i1", 10: "u1", 11: "i2", 12: "u2", 13: "i4", 14: "u4", 15: "i8", 16: "u8"}

Categories = tuple[tuple[Scalar, ...] | None, ...]


def read_categories(found: Value, features: int) -> tuple[Categories, Value]:
    """Return the categories of each feature (None where it has none) and the part of the document as it is to be written.

    Raises: RefusedFile where the lists do not belong together.
    """
    if found is None:
        return (), None
    columns = found.get("enc") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(columns, list):
        raise fault("its categories are no table of lists")
    if len(columns) not in (0, features):
        raise fault(f"it has categories of {len(columns)} features for {features}")
    read = [_column(item) for item in columns]
    counts = [count for _, count, _ in read]
    ends = [0, *np.cumsum(counts).tolist()] if columns else []
    segments, order = numbers(found.get("feature_segments"), "feature_segments"), numbers(found.get("sorted_idx"), "sorted_idx")
    if segments.tolist() != ends:
        raise fault("the stretches of its categories do not add up")
    if len(order) != sum(counts):
        raise fault("the order of its categories does not belong to them")
    for start, stop in pairwise(ends):
        if not np.array_equal(np.sort(order[start:stop]), np.arange(stop - start)):
            raise fault("the order of its categories is no permutation")
    written: dict[str, Value] = {
        "enc": [part for _, _, part in read],
        "feature_segments": segments.astype(np.int32),
        "sorted_idx": order.astype(np.int32),
    }
    return tuple(values for values, _, _ in read), written


def _column(found: Value) -> tuple[tuple[Scalar, ...] | None, int, Value]:
    """Return a feature's categories (None where they cannot be told), how many there are, and how they are written."""
    if not isinstance(found, dict):
        raise fault("the categories of a feature are no table")
    if "offsets" in found:
        return _words(found)
    kind = found.get("type")
    dtype = _TYPES.get(kind) if isinstance(kind, int) else None
    if dtype is None:
        raise fault(f"the categories of a feature are of the type {str(kind)[:20]}")
    values = numbers(found.get("values"), "the categories of a feature").astype(np.int64)
    given = found.get("values")
    written: Value = given.astype(given.dtype.newbyteorder("=")) if isinstance(given, np.ndarray) else [int(value) for value in values]
    exact = values.astype(np.dtype(dtype))  # unsigned ones are written by their bits
    return tuple(int(value) for value in exact), len(exact), {"type": kind, "values": written}


def _words(found: Mapping[str, Value]) -> tuple[tuple[Scalar, ...] | None, int, Value]:
    offsets = numbers(found["offsets"], "the offsets of categories").astype(np.int64)
    letters = numbers(found.get("values"), "the letters of categories").astype(np.int64)
    written: Value = {"offsets": offsets.astype(np.int32), "values": letters.astype(np.int8)}
    if not len(offsets) and not len(letters):
        return None, 0, written
    starts: npt.NDArray[np.int64] = offsets
    if not len(starts) or starts[0] != 0 or starts[-1] != len(letters) or bool((np.diff(starts) < 0).any()):
        raise fault("the offsets of its categories do not fill their letters")
    if bool(((letters < 0) | (letters > 127)).any()):
        return (
            None,
            len(starts) - 1,
            written,
        )  # XGBoost 3.1 and 3.2 count letters and store bytes, so that words beyond ASCII are cut and run together
    text = letters.astype(np.uint8).tobytes().decode("ascii")
    words = tuple(text[start:stop] for start, stop in pairwise(starts.tolist()))
    if len(set(words)) != len(words):
        raise fault("a category is there twice")
    return words, len(words), written
