"""The slow way in: untyped JSON in any of its forms to a Call, or to every fault there is in it.

It runs when the typed decoders give up. It decides alone what is wrong; what it accepts, it builds with the same code as they do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from modelport.errors import DecodeError
from modelport.schema import Field, Schema
from modelport.wire.arrays import assemble, parts
from modelport.wire.base import Call, Limits
from modelport.wire.cells import Cells, Where, check_column
from modelport.wire.faults import Faults, fail, kind, listed, pointer, short, suggestion
from modelport.wire.rules import too_many
from modelport.wire.syntax import Pairs, has_separators, parse, parse_pairs

_FORMS = 'columns {"a": [1, 2]}, records [{"a": 1}, {"a": 2}], one record {"a": 1}'


@dataclass(slots=True)
class _Sheet:
    """A body cut into columns, whichever form it had."""

    schema: Schema
    limits: Limits
    faults: Faults = field(default_factory=Faults)
    found: dict[str, Cells] = field(default_factory=dict)
    rows: int = 0
    is_single: bool = False
    names: list[str] = field(init=False)
    known: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = [item.name for item in self.schema.inputs]
        self.known = frozenset(self.names)


def slow_decode(body: bytes, schema: Schema, limits: Limits, *, is_unwrapped: bool) -> Call:
    """Decode a body of any form, or find every fault in it. ``is_unwrapped``: it was a JSON string's text.

    Raises: DecodeError for what is no JSON (SchemaError if unwrapped), SchemaError, TooLarge.
    """
    try:
        tree = parse(body)
        sheet = _Sheet(schema, limits)
        if isinstance(tree, list) and len(tree) > limits.rows:
            raise too_many(len(tree), limits)
        _note_duplicates(body, tree, sheet.faults)
    except DecodeError as error:
        if not is_unwrapped:
            raise
        message = f"the body is a JSON string whose text is not JSON itself: {error.message}; send {_forms(schema)}"
        raise fail("", "not_json", message) from error
    if isinstance(tree, dict):
        _read_object(sheet, tree)
    elif isinstance(tree, list):
        _read_list(sheet, tree)
    else:
        raise fail("", "form", f"expected {_forms(schema)}, got {kind(tree)}")
    for item in schema.inputs:
        if (found := sheet.found.get(item.name)) is not None:
            check_column(item, found, limits, sheet.faults)
    sheet.faults.check()
    columns = assemble(parts(schema), {name: found.values for name, found in sheet.found.items()}, sheet.rows)
    given = tuple(item.name for item in schema.keys if item.name in sheet.found)
    return Call(columns, None, {}, given, sheet.is_single)


def _forms(schema: Schema) -> str:
    if len(schema.features) == 1:
        return f'{_FORMS} or a list of the values of "{short(schema.features[0].name)}"'
    return f"{_FORMS} or rows [[1, 2], [3, 4]]"


def _note_duplicates(body: bytes, tree: object, faults: Faults) -> None:
    objects = [tree] if isinstance(tree, dict) else [row for row in tree if isinstance(row, dict)] if isinstance(tree, list) else []
    if has_separators(body, sum(map(len, objects))):
        return
    again = parse_pairs(body)
    for at, item in enumerate(again if isinstance(again, list) else [again]):
        for name in item.twice if isinstance(item, Pairs) else ():
            path = pointer(at, name) if isinstance(again, list) else pointer(name)
            faults.add(path, "duplicate_column", f'column "{short(name)}" is given twice in one object; give it once')


# --- objects: columns or one record ---------------------------------------------------------------------------------


def _read_object(sheet: _Sheet, tree: dict[str, object]) -> None:
    _note_unknown(sheet, tree, ())
    given = [item for item in sheet.schema.inputs if item.name in tree]
    if any(_depth(tree[item.name], len(item.shape) + 1) > len(item.shape) for item in given):
        _read_columns(sheet, given, tree)
        missing = "is missing; give a list of its values"
    else:
        _read_record(sheet, given, tree)
        missing = "is missing; give it a value"
    for item in sheet.schema.features:
        if item.name not in tree:
            sheet.faults.add("", "missing_column", f'column "{short(item.name)}" {missing}')


def _read_columns(sheet: _Sheet, given: list[Field], tree: dict[str, object]) -> None:
    lengths: dict[str, int] = {}
    for item in given:
        values, name = tree[item.name], item.name
        if not isinstance(values, list):
            sheet.faults.add(
                pointer(name), "wrong_type", f'column "{short(name)}": expected a list of values, one a row, got {kind(values)}'
            )
            continue
        lengths[name] = len(values)
        sheet.found[name] = Cells(range(len(values)), values, _under(pointer(name)))
    sheet.rows = max(lengths.values())  # of the column that made this an object of columns, at least
    if sheet.rows > sheet.limits.rows:
        raise too_many(sheet.rows, sheet.limits)
    for name, length in lengths.items():
        if length != sheet.rows:
            longest = max(lengths, key=lambda name: lengths[name])
            message = f'column "{short(name)}" has {length} values and column "{short(longest)}" {sheet.rows}; all need one value a row'
            sheet.faults.add(pointer(name), "ragged", message)
    if sheet.rows == 0:
        sheet.faults.add("", "empty", "the columns are empty; send at least one row")


def _read_record(sheet: _Sheet, given: list[Field], tree: dict[str, object]) -> None:
    sheet.rows, sheet.is_single = 1, True
    for item in given:
        sheet.found[item.name] = Cells((0,), (tree[item.name],), _always(pointer(item.name)))


def _depth(value: object, most: int) -> int:
    """Count nested lists along the first elements, up to ``most``."""
    depth = 0
    while depth < most and isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth


def _under(path: str) -> Where:
    return lambda row: f"{path}/{row}"


def _before(path: str) -> Where:
    return lambda row: f"/{row}{path}"


def _always(path: str) -> Where:
    return lambda _: path


def _note_unknown(sheet: _Sheet, tree: Iterable[str], steps: tuple[int, ...]) -> None:
    for name in tree:
        if name not in sheet.known:
            place = f" in row {steps[0]}" if steps else ""
            hint = suggestion(name, sheet.names, asked=sheet.faults.count)
            sheet.faults.add(pointer(*steps, name), "unknown_column", f'unknown column "{short(name)}"{place}{hint}')


# --- lists: records, rows, or one column's values -------------------------------------------------------------------


def _read_list(sheet: _Sheet, tree: list[object]) -> None:
    sheet.rows = len(tree)
    features = sheet.schema.features
    is_object = [isinstance(row, dict) for row in tree]
    is_list = [isinstance(row, list) for row in tree]
    if not tree:
        sheet.faults.add("", "empty", "the list is empty; send at least one row")
    elif all(is_object):
        _read_records(sheet, cast("list[dict[str, object]]", tree))
    elif any(is_object) or (any(is_list) and not all(is_list) and not _is_one_tensor(sheet.schema)):
        _note_mixed(sheet, tree)
    elif _is_one_tensor(sheet.schema) or (len(features) == 1 and not any(is_list)):
        sheet.found[features[0].name] = Cells(range(sheet.rows), tree, _under(""))
    elif all(is_list):
        _read_rows(sheet, cast("list[list[object]]", tree))
    else:
        hint = f"; for one row send [[{', '.join('…' for _ in tree)}]]" if len(tree) == len(features) <= 8 else ""
        sheet.faults.add("", "form", f"expected {_forms(sheet.schema)}, got a list of single values{hint}")


def _is_one_tensor(schema: Schema) -> bool:
    return len(schema.features) == 1 and bool(schema.features[0].shape)


def _note_mixed(sheet: _Sheet, tree: list[object]) -> None:
    first = kind(tree[0])
    for at, row in enumerate(tree):
        if kind(row) != first and (isinstance(row, dict | list) or isinstance(tree[0], dict | list)):
            sheet.faults.add(pointer(at), "mixed", f"row {at} is of type {kind(row)}, row 0 of type {first}; send all rows in one form")


def _read_records(sheet: _Sheet, tree: list[dict[str, object]]) -> None:
    for at, record in enumerate(tree):
        if not record.keys() <= sheet.known:
            _note_unknown(sheet, record, (at,))
    for item in sheet.schema.inputs:
        rows = [at for at, record in enumerate(tree) if item.name in record]
        if item.role == "key" and not rows:
            continue
        values = [tree[at][item.name] for at in rows]
        sheet.found[item.name] = Cells(rows, values, _before(pointer(item.name)))
        if len(rows) < len(tree):
            _note_missing(sheet, item, rows, len(tree))


def _note_missing(sheet: _Sheet, item: Field, rows: list[int], count: int) -> None:
    there = set(rows)
    tail = "give it in every row" if item.role == "feature" else "give this key in every row or in none"
    for at in range(count):
        if at not in there:
            sheet.faults.add(pointer(at), "missing_column", f'column "{short(item.name)}" is missing in row {at}; {tail}')


def _read_rows(sheet: _Sheet, tree: list[list[object]]) -> None:
    features = sheet.schema.features
    width = len(features)
    whole = [at for at, row in enumerate(tree) if len(row) == width]
    for at, row in enumerate(tree):
        if len(row) != width:
            names = listed([item.name for item in features])
            sheet.faults.add(pointer(at), "row_length", f"row {at} has {len(row)} values, expected {width}: {names}")
    for column, item in enumerate(features):
        values = [tree[at][column] for at in whole]
        sheet.found[item.name] = Cells(whole, values, _before(pointer(column)))
