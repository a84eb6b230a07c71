"""Tables to Columns: CSV text, and columns of Python values as Parquet and Arrow files give them.

Cells become the values that native JSON would have had and go through the same checks and builders, so a table and a JSON
body of the same rows are the same call. What CSV leaves open is read so: a cell that is empty, or one of the usual words for
"not available" in a column of numbers, is a missing value; ``3.0`` is a whole number; and an empty cell in a column of strings
is missing where the model takes missing values there, else it is the empty string.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import orjson

from modelport.errors import DecodeError, SchemaError
from modelport.schema import Field, Schema
from modelport.wire.arrays import assemble, parts
from modelport.wire.base import Call, Limits
from modelport.wire.cells import check_column
from modelport.wire.faults import Faults, fail, listed, pointer, short, suggestion
from modelport.wire.rules import too_many

Parse: TypeAlias = Callable[[str], object]

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "<na>"})
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(slots=True)
class _Table:
    """What is known of a table while it is read: the numbers of the rows with a value in each column, and those values."""

    schema: Schema
    limits: Limits
    count: int
    faults: Faults = field(default_factory=Faults)
    rows: dict[str, Sequence[int]] = field(default_factory=dict)
    values: dict[str, Sequence[object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the lines are meant: the column of each cell (None: not used), and how many lines come before the first row."""

    names: tuple[str | None, ...]
    skipped: int
    is_tensor: bool = False


def decode_csv(body: bytes, schema: Schema, limits: Limits = Limits(), *, delimiter: str = ",") -> Call:  # noqa: B008  # frozen
    """Turn CSV into checked columns.

    The first line is a header if it names a column of the schema; else every line is a row if there are as many cells as
    features. Where the artifact does not name its features, a first line of words over numbers is a header that binds by position.
    Raises: DecodeError for what is no CSV, SchemaError with every fault by row and line, TooLarge.
    """
    numbers, lines = _lines(body, delimiter, limits.rows + 1)
    reading = _reading(lines, schema)
    lines, numbers = lines[reading.skipped :], numbers[reading.skipped :]
    if not lines:
        raise fail("", "empty", "the CSV has a header and no rows; send at least one row" if reading.skipped else "the CSV is empty")
    if len(lines) > limits.rows:
        raise too_many(len(lines), limits)
    table = _Table(schema, limits, len(lines))
    try:
        _read_lines(table, reading, lines)
        return _call(table)
    except SchemaError:
        table.faults.found = [_with_line(fault.path, fault.message, numbers, fault) for fault in table.faults.found]
        raise table.faults.error() from None


def decode_columns(values: Mapping[str, Sequence[object]], schema: Schema, limits: Limits = Limits()) -> Call:  # noqa: B008  # frozen
    """Turn columns of Python values, all equally long, into checked columns.

    A NaN is a missing value; a float without a fraction is taken for an integer column, as frames write integers with gaps.
    Raises: SchemaError with every fault, TooLarge.
    """
    count = max(map(len, values.values()), default=0)
    if count > limits.rows:
        raise too_many(count, limits)
    if count == 0:
        raise fail("", "empty", "the table has no rows; send at least one row")
    table = _Table(schema, limits, count)
    known = {item.name: item for item in schema.inputs}
    _note_names(table, list(values))
    for name, column in values.items():
        if name in known:
            table.rows[name] = range(count)
            table.values[name] = [_plain(known[name], value) for value in column]
    return _call(table)


def _call(table: _Table) -> Call:
    schema = table.schema
    for item in schema.inputs:
        if item.name in table.values:
            rows, values = table.rows[item.name], table.values[item.name]
            check_column(item, rows, values, _where(item.name), table.limits, table.faults)
    table.faults.check()
    columns = assemble(parts(schema), table.values, table.count)
    return Call(columns, None, {}, tuple(item.name for item in schema.keys if item.name in table.values), is_single=False)


def _where(name: str) -> Callable[[int], str]:
    return lambda row: pointer(row, name)


def _note_names(table: _Table, names: Sequence[str]) -> None:
    known = [item.name for item in table.schema.inputs]
    for name in names:
        if name not in known:
            hint = suggestion(name, known, asked=table.faults.count)
            table.faults.add("", "unknown_column", f'unknown column "{short(name)}"{hint}')
    for name in sorted({name for name in names if names.count(name) > 1}):
        table.faults.add("", "duplicate_column", f'column "{short(name)}" is given twice; give it once')
    for item in table.schema.features:
        if item.name not in names:
            table.faults.add("", "missing_column", f'column "{short(item.name)}" is missing')


# --- lines ----------------------------------------------------------------------------------------------------------


def _lines(body: bytes, delimiter: str, most: int) -> tuple[list[int], list[list[str]]]:
    """Return the lines that hold anything, cut into cells, and their numbers; one more than ``most`` at the most."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DecodeError(f"the CSV is not UTF-8 text: byte {error.start} is 0x{body[error.start]:02x}; save it as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    numbers: list[int] = []
    lines: list[list[str]] = []
    began = 1
    try:
        for cells in reader:
            if cells:
                numbers.append(began)
                lines.append(cells)
            if len(lines) > most:
                break
            began = reader.line_num + 1
    except csv.Error as error:
        raise DecodeError(f"line {reader.line_num} is not CSV: {error}; quote cells that hold quotes, commas or line breaks") from error
    return numbers, lines


def _with_line(path: str, message: str, numbers: Sequence[int], fault: object) -> object: ...
