"""What every dialect offers, as types: limits, a decoded request (Call), an answer (Reply), and the pair of functions between (Codec)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from modelport.columns import Columns


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may hold: rows, and characters in any one string (None: only what the schema says)."""

    rows: int = 10_000
    string_chars: int | None = None


class Call(msgspec.Struct, eq=False):  # a Struct is made in half the time of a dataclass, and one is made for every request
    """A decoded request.

    ``columns``: physical ones (``schema.layout``), typed and checked; key columns are always there, as row numbers 0…n-1
    where the request gave none. ``outputs``: names asked for, None for all. ``keys``: names of the key columns that the
    request really gave, in schema order. ``is_single``: one record was asked, so one record is answered.
    """

    columns: Columns
    outputs: tuple[str, ...] | None
    params: dict[str, str | int | float | bool]
    keys: tuple[str, ...]
    is_single: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer ready to be sent."""

    status: int
    content_type: str
    body: bytes


class Codec(Protocol):
    """A dialect compiled for one schema; built once for each model."""

    def decode(self, body: bytes, content_type: str | None) -> Call:
        """Turn a request's body into checked columns. Raises: UnsupportedMedia, DecodeError, SchemaError, TooLarge."""
        ...

    def encode(self, columns: Columns, call: Call) -> bytes:
        """Turn the model's outputs, one row for each row of the call, into the answer's body."""
        ...

    def encode_batch(self, columns: Columns, calls: Sequence[Call]) -> list[bytes]:
        """Turn the outputs of a batch, the rows of each call in order, at least one each, into the body of each call's answer."""
        ...
