"""What one cell of a column may hold, decided once for both ways of decoding."""

from __future__ import annotations

import numpy as np

from modelport.columns import Array
from modelport.errors import TooLarge
from modelport.schema import Field
from modelport.wire.base import Limits


def takes_null(item: Field) -> bool:
    """Tell whether null is a value of this column; integers and booleans have no missing value."""
    return item.nullable and (item.type == "string" or item.type.startswith("float"))


def longest_text(item: Field, limits: Limits) -> int | None:
    """Return how many characters a string of this column may have: the smaller of the schema's and the server's limit."""
    return min((limit for limit in (item.max_length, limits.string_chars) if limit is not None), default=None)


def allowed_texts(item: Field) -> tuple[str, ...]:
    """Return the only strings that this column takes, or () if it takes any."""
    if not item.closed or item.type != "string":
        return ()
    return tuple(value for value in item.categories if isinstance(value, str))


def allowed_numbers(item: Field) -> Array | None:
    """Return the only numbers that this column takes, in its own type, or None if it takes any."""
    if not item.closed or item.type == "string":
        return None
    known = [value for value in item.categories if value is not None and not isinstance(value, str)]
    return np.asarray(known, item.dtype) if known else None


def too_many(count: int, limits: Limits) -> TooLarge:
    """Say that a request holds more rows than are allowed."""
    return TooLarge(f"the request holds {count:,} rows, at most {limits.rows:,} are allowed in one; send it in several")
