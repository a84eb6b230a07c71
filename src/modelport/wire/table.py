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

from modelport.errors import DecodeError, Fault, SchemaError
from modelport.schema import Field, Schema
from modelport.wire.arrays import assemble, parts
from modelport.wire.base import Call, Limits
from modelport.wire.cells import Cells, check_column
from modelport.wire.csv_cells import is_number, parser
from modelport.wire.faults import Faults, fail, listed, pointer, short, suggestion
from modelport.wire.rules import too_many

_FEW = 2


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
        table.faults.found = [_with_line(fault, numbers) for fault in table.faults.found]
        raise table.faults.error() from None


def decode_columns(values: Mapping[str, Sequence[object]], schema: Schema, limits: Limits = Limits()) -> Call:  # noqa: B008  # frozen
    """Turn columns of Python values, all equally long, into checked columns.

    A NaN is a missing value; a float without a fraction is taken for an integer column, as frames write integers with gaps.
    Where the artifact does not name its features and no name fits, as many columns as features bind by position.
    Raises: SchemaError with every fault, TooLarge.
    """
    count = max(map(len, values.values()), default=0)
    if count > limits.rows:
        raise too_many(count, limits)
    if count == 0:
        raise fail("", "empty", "the table has no rows; send at least one row")
    table = _Table(schema, limits, count)
    known = {item.name: item for item in schema.inputs}
    if not schema.is_named and len(values) == len(schema.features) and known.keys().isdisjoint(values):
        values = dict(zip([item.name for item in schema.features], values.values(), strict=True))
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
            cells = Cells(table.rows[item.name], table.values[item.name], _where(item.name))
            check_column(item, cells, table.limits, table.faults)
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


def _with_line(fault: Fault, numbers: Sequence[int]) -> Fault:
    row = fault.path[1:].partition("/")[0]
    return replace(fault, message=f"{fault.message} (line {numbers[int(row)]})") if row else fault


def _reading(lines: Sequence[Sequence[str]], schema: Schema) -> _Reading:
    """Decide what the first line is. Raises: SchemaError naming both readings if neither fits."""
    if not lines:
        return _Reading((), 0)
    first = lines[0]
    known = {item.name: item.name for item in schema.inputs}
    cells = [cell if cell in known else cell.strip() for cell in first]
    folded = {name.casefold() for name in known}
    if any(cell.casefold() in folded for cell in cells):
        # A frame's index is written as a first column without a name.
        return _Reading(tuple(None if at == 0 and not cell else cell for at, cell in enumerate(cells)), 1)
    return _by_position(cells, schema)


def _by_position(cells: Sequence[str], schema: Schema) -> _Reading:
    features, width = schema.features, len(cells)
    is_tensor = len(features) == 1 and bool(features[0].shape) and math.prod(n or 0 for n in features[0].shape) == width
    is_wordy = all(item.type != "string" for item in features) and not any(map(is_number, cells))
    # Frames without column names write 0, 1, 2 … as their header.
    is_counted = width > _FEW and not schema.is_named and list(cells) == [str(at) for at in range(width)]
    skipped = int(is_wordy or is_counted)
    if is_tensor:
        return _Reading((features[0].name,) * width, skipped, is_tensor=True)
    for group in (features, schema.inputs):
        if width == len(group) and not (is_wordy and schema.is_named):
            return _Reading(tuple(item.name for item in group), skipped)
    names = listed([item.name for item in features])
    second = f"it has {width} cells for {len(features)} columns" if width != len(features) else "it holds no number"
    first = listed([short(cell) for cell in cells])
    message = f"the first line ({first}) fits neither way: as a header it names none of the columns {names}; as a row without one {second}"
    raise fail("", "form", message)


# --- cells ----------------------------------------------------------------------------------------------------------


def _read_lines(table: _Table, reading: _Reading, lines: Sequence[Sequence[str]]) -> None:
    width = len(reading.names)
    whole = [at for at, cells in enumerate(lines) if len(cells) == width]
    if len(whole) < len(lines):
        for at, cells in enumerate(lines):
            if len(cells) != width:
                table.faults.add(pointer(at), "row_length", f"row {at} has {len(cells)} cells, expected {width}")
    if reading.is_tensor:
        item = table.schema.features[0]
        parsed = [[_number(item, cell) for cell in lines[at]] for at in whole]
        table.rows[item.name], table.values[item.name] = whole, [_nested(row, item.shape) for row in parsed]
        return
    if reading.skipped:
        _note_names(table, [name for name in reading.names if name is not None])
    known = {item.name: item for item in table.schema.inputs}
    for at, name in enumerate(reading.names):
        if name in known and name not in table.values:
            _read_column(table, known[name], whole, [lines[row][at] for row in whole])


def _read_column(table: _Table, item: Field, rows: Sequence[int], cells: Sequence[str]) -> None:
    parse = parser(item)
    try:  # nearly every column of nearly every file
        table.rows[item.name], table.values[item.name] = rows, [parse(cell) for cell in cells]
        return
    except ValueError:
        pass
    fine: list[int] = []
    values: list[object] = []
    for row, cell in zip(rows, cells, strict=True):
        try:
            values.append(parse(cell))
            fine.append(row)
        except ValueError:
            expected = f"a JSON list of {item.type}" if item.shape else item.type
            message = f'column "{short(item.name)}": expected {expected}, got "{short(cell)}" at row {row}'
            table.faults.add(pointer(row, item.name), "wrong_type", message)
    table.rows[item.name], table.values[item.name] = fine, values


def _number(item: Field, cell: str) -> object:
    """Read one cell of a tensor spread over a line; what is no number stays text, for the check to name."""
    try:
        return parser(replace(item, shape=()))(cell)
    except ValueError:
        return cell


def _nested(row: Sequence[object], shape: tuple[int | None, ...]) -> object:
    for length in reversed(shape[1:]):
        step = length or 1
        row = [list(row[at : at + step]) for at in range(0, len(row), step)]
    return list(row)


def _plain(item: Field, value: object) -> object:
    if isinstance(value, list):
        return [_plain(item, part) for part in value]
    if isinstance(value, float):
        if value != value:
            return None
        if value.is_integer() and item.type.startswith(("int", "uint")):
            return int(value)
    return value
