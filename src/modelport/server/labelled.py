"""Files of rows with a column of known labels, which is taken out before the rows are held to the model's schema."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import orjson

from modelport.columns import Array
from modelport.errors import UsageError


def without(body: bytes, form: str, name: str) -> tuple[bytes, Array]:
    """Return the data without the named column, and the column: numbers where all are, else texts.

    Raises: UsageError where the form has no named columns to take out, or no such column.
    """
    if form in ("csv", "tsv"):
        return _of_table(body, "\t" if form == "tsv" else ",", name)
    if form == "jsonl":
        lines = [line for line in body.splitlines() if line.strip()]
        body = b"[" + b",".join(lines) + b"]"
    elif form != "json":
        raise UsageError(f"--label takes its column out of CSV, TSV, JSON and JSON Lines, found {form}; write the data as one of these")
    return _of_json(body, name)


def _of_table(body: bytes, delimiter: str, name: str) -> tuple[bytes, Array]:
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig", "replace"), newline=""), delimiter=delimiter))
    if not rows or name not in rows[0]:
        raise _missing(name, rows[0] if rows else [])
    at = rows[0].index(name)
    kept = [row for row in rows if row]
    if short := next((number for number, row in enumerate(kept) if len(row) <= at), None):
        raise UsageError(f'--label: line {short + 1} of the data ends before the column "{name}"; give every row all columns')
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows([*row[:at], *row[at + 1 :]] for row in kept)
    return out.getvalue().encode(), _array([row[at] for row in kept[1:]])


def _of_json(body: bytes, name: str) -> tuple[bytes, Array]:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"--label: the data is not JSON ({error}); write it again, or say what it is with --format") from error
    if isinstance(data, dict) and isinstance(data.get(name), list):
        values = data.pop(name)
    elif isinstance(data, list) and data and all(isinstance(row, dict) and name in row for row in data):
        values = [row.pop(name) for row in cast("list[dict[str, object]]", data)]
    else:
        first = data[0] if isinstance(data, list) and data else data
        raise _missing(name, list(first) if isinstance(first, Mapping) else [])
    return orjson.dumps(data), _array(values)


def _array(values: Sequence[object]) -> Array:
    try:
        return np.asarray(values, np.float64)
    except (ValueError, TypeError):
        out = np.empty(len(values), object)
        out[:] = [str(value) for value in values]
        return out


def _missing(name: str, known: Sequence[object]) -> UsageError:
    shown = ", ".join(str(item) for item in known[:12]) or "no named columns"
    return UsageError(f'--label "{name}": not every row of the data has it, found {shown}; name a column that is there')
