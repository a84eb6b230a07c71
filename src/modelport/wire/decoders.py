"""The fast way in: msgspec decoders typed from a schema, for every form of native JSON.

They either give exactly what ``modelport.wire.sheet`` would give, in a few microseconds, or give up (None) at the first thing
that is not as it should be, and leave it to the slow way to find every fault. They never decide that a request is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Annotated, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec.structs import astuple

from modelport.columns import Array, Columns
from modelport.schema import Field, Schema
from modelport.wire.arrays import MISFIT, Build, Part, parts
from modelport.wire.base import Call, Limits
from modelport.wire.flat import SMALLEST_BYTES, flat_decoder
from modelport.wire.rules import allowed_numbers, allowed_texts, longest_text, takes_null, too_many
from modelport.wire.syntax import has_separators

Decode: TypeAlias = Callable[[bytes], Call]
Row: TypeAlias = tuple[object, ...]

_MISFIT: tuple[type[Exception], ...] = (msgspec.DecodeError, KeyError, *MISFIT)
_WIDE = 512  # columns above which objects are dicts: a Struct looks names up one by one, 10,000 in reverse order take 0.3 s
_WHITE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class _Fill:
    """How one physical column is made of decoded rows, decoded columns, or the list of the one feature's values.

    ``at``: where its values start in a row: features come first, in the order of the layout, then keys.
    """

    name: str
    at: int
    is_key: bool
    from_rows: Callable[[Sequence[Row]], Array]
    from_columns: Callable[[Row], Array]
    from_values: Build
    number: Callable[[int], Array]


@dataclass(frozen=True, slots=True)
class _Plan:
    fills: tuple[_Fill, ...]
    order: tuple[str, ...]
    width: int
    key_slots: tuple[tuple[str, int], ...]
    checks: tuple[Callable[[Columns], None], ...]
    limits: Limits


def fast_decoder(schema: Schema, limits: Limits) -> Callable[[bytes], Call | None]:
    """Compile a schema into a decoder that answers a Call, or None where the slow way must look.

    Raises (the decoder): TooLarge. Cost (the decoder): 2 to 4 µs for one row of 30 numbers.
    """
    plan = _plan(schema, limits)
    named, bare = _named_decoders(schema, plan), _bare_decoders(schema, plan)
    columns_first = tuple(named[form] for form in ("columns", "record") if form in named)
    records = (named["records"],) if "records" in named else ()
    record_first, rows_first, values_first = columns_first[::-1], bare, bare[::-1]
    flat = flat_decoder(schema, limits)

    def decode(body: bytes) -> Call | None:
        attempts = rows_first if body[:2] == b"[[" else choose(body)
        if flat is not None and attempts is rows_first and len(body) >= SMALLEST_BYTES:
            attempts = (flat, *rows_first)
        for attempt in attempts:
            try:
                return attempt(body)
            except _MISFIT:
                continue
        return None

    def choose(body: bytes) -> Sequence[Decode]:
        text = body if body[:1] in (b"{", b"[") else body.lstrip(_WHITE)  # a wrong guess costs time only: whatever fits is tried
        if text[:1] == b"{":
            colon = text.find(b":") + 1
            return columns_first if text[colon : colon + 3].lstrip(_WHITE)[:1] == b"[" else record_first
        second = text[1:2] if text[1:2] not in _WHITE else text[1:80].lstrip(_WHITE)[:1]
        if second == b"{":
            return records
        return rows_first if second == b"[" else values_first

    return decode


def _plan(schema: Schema, limits: Limits) -> _Plan:
    prepared = parts(schema)
    order = [name for is_key in (False, True) for part in prepared if part.is_key is is_key for name in part.names]
    places = {name: at for at, name in enumerate(order)}
    fills = tuple(_fill(part, places[part.names[0]], is_alone=len(prepared) == 1) for part in prepared)
    closed = ((item, allowed_numbers(item)) for item in schema.inputs)
    return _Plan(
        fills=fills,
        order=tuple(order),
        width=len(schema.features),
        key_slots=tuple((item.name, places[item.name]) for item in schema.keys),
        checks=tuple(_closed(schema, item, allowed) for item, allowed in closed if allowed is not None),
        limits=limits,
    )


def _fill(part: Part, at: int, *, is_alone: bool) -> _Fill:
    build, stop = part.build, at + len(part.names)

    def slices(rows: Sequence[Row]) -> Array:
        return build([row[at:stop] for row in rows])

    def cells(rows: Sequence[Row]) -> Array:
        return build([row[at] for row in rows])

    def lists(values: Row) -> Array:
        columns: Sequence[Sequence[object]] = values[at:stop]  # type: ignore[assignment]  # the decoder's type says lists
        if len(columns[0]) == 1:  # half the time of zip
            return build([[value for (value,) in columns]])
        return build(list(zip(*columns, strict=True)))

    def one_list(values: Row) -> Array:
        return build(values[at])  # type: ignore[arg-type]  # as above

    if part.is_packed:
        return _Fill(part.name, at, part.is_key, build if is_alone else slices, lists, build, part.number)
    return _Fill(part.name, at, part.is_key, cells, one_list, build, part.number)


# --- from decoded values to a Call ----------------------------------------------------------------------------------


def _from_rows(plan: _Plan, rows: Sequence[Row], *, is_single: bool) -> Call:
    """Make a Call of rows that hold features only, or features and keys."""
    count = len(rows)
    _check_count(plan, count)
    if not plan.key_slots:  # nearly every model
        return _call(plan, Columns({fill.name: fill.from_rows(rows) for fill in plan.fills}), (), is_single=is_single)
    given: tuple[str, ...] = ()
    if plan.key_slots and len(rows[0]) > plan.width:
        given = tuple([name for name, at in plan.key_slots if rows[0][at] is not msgspec.UNSET])
        if count > 1 and any(len({row[at] is msgspec.UNSET for row in rows}) > 1 for _, at in plan.key_slots):
            raise ValueError("a key stands in some rows only")
    out = {fill.name: fill.number(count) if fill.is_key and fill.name not in given else fill.from_rows(rows) for fill in plan.fills}
    return _call(plan, Columns(out), given, is_single=is_single)


def _from_columns(plan: _Plan, values: Row) -> Call:
    count = len(values[0])  # type: ignore[arg-type]  # the decoder's type says list
    _check_count(plan, count)
    given = tuple([name for name, at in plan.key_slots if values[at] is not msgspec.UNSET])
    out = {fill.name: fill.number(count) if fill.is_key and fill.name not in given else fill.from_columns(values) for fill in plan.fills}
    return _call(plan, Columns(out), given, is_single=False)  # Columns refuses unequal lengths


def _from_values(plan: _Plan, values: Sequence[object]) -> Call:
    count = len(values)
    _check_count(plan, count)
    out = {fill.name: fill.number(count) if fill.is_key else fill.from_values(values) for fill in plan.fills}
    return _call(plan, Columns(out), (), is_single=False)


def _check_count(plan: _Plan, count: int) -> None:
    if count > plan.limits.rows:
        raise too_many(count, plan.limits)
    if count == 0:
        raise ValueError("no rows")


def _call(plan: _Plan, columns: Columns, given: tuple[str, ...], *, is_single: bool) -> Call:
    for check in plan.checks:
        check(columns)
    return Call(columns, None, {}, given, is_single)


def _closed(schema: Schema, item: Field, allowed: Array) -> Callable[[Columns], None]:
    block = next(block for block in schema.layout if item in block.fields)
    at = block.fields.index(item)

    def check(columns: Columns) -> None:
        array = columns[block.name][:, at] if block.is_packed else columns[block.name]
        if not (np.isin(array, allowed) | (array != array)).all():  # NaN, the missing value, equals nothing
            raise ValueError("not one of the categories")

    return check


# --- the decoders of each form --------------------------------------------------------------------------------------


def _named_decoders(schema: Schema, plan: _Plan) -> dict[str, Decode]:
    """Return the decoders of records, one record and columns; none where msgspec has no type for the schema's objects."""
    objects = _objects(schema, plan)
    if objects is None:
        return {}
    one, many, to_row = objects
    record: Callable[[bytes], object] = msgspec.json.Decoder(one).decode
    records = msgspec.json.Decoder(list[one]).decode  # type: ignore[valid-type]
    columns: Callable[[bytes], object] = msgspec.json.Decoder(many).decode
    has_tensors = any(item.shape for item in schema.inputs)

    def decode_record(body: bytes) -> Call:
        call = _from_rows(plan, (to_row(record(body)),), is_single=True)
        return _checked(body, plan.width + len(call.keys), call)

    def decode_records(body: bytes) -> Call:
        found = records(body)
        call = _from_rows(plan, [to_row(row) for row in found], is_single=False)
        return _checked(body, len(found) * (plan.width + len(call.keys)), call)

    def decode_columns(body: bytes) -> Call:
        call = _from_columns(plan, to_row(columns(body)))
        if has_tensors and any(0 in array.shape for array in call.columns.values()):
            raise ValueError("empty lists fit a record as well")
        return _checked(body, plan.width + len(call.keys), call)

    return {"record": decode_record, "records": decode_records, "columns": decode_columns}


def _objects(schema: Schema, plan: _Plan) -> tuple[type, type, Callable[[object], Row]] | None:
    """Return the types of a record and of an object of columns, and what makes a row of either."""
    fields = {item.name: item for item in schema.inputs}
    types = [_cell(fields[name], plan.limits) for name in plan.order]
    if len(types) <= _WIDE:
        try:
            one = _struct("Record", plan.order, types, plan.width)
            return one, _struct("Columns", plan.order, [list[type_] for type_ in types], plan.width), astuple  # type: ignore[valid-type, return-value]
        except ValueError:  # a name with a quote or a control character
            return None
    cell = types[0]
    if plan.key_slots or any(type_ != cell for type_ in types):
        return None
    pick = itemgetter(*plan.order)

    def to_row(found: object) -> Row:
        row: Row = pick(found)  # type: ignore[arg-type]  # a dict, as below
        if len(found) != len(row):  # type: ignore[arg-type]
            raise ValueError("an unknown column")
        return row

    return dict[str, cell], dict[str, list[cell]], to_row  # type: ignore[valid-type]


def _struct(title: str, order: Sequence[str], types: Sequence[object], width: int) -> type[msgspec.Struct]:
    """Make a Struct whose attributes are f0, f1, … and whose JSON names are the columns'; those after ``width`` are optional."""
    fields: list[tuple[str, object, object]] = []
    for at, type_ in enumerate(types):
        is_key = at >= width
        fields.append((f"f{at}", type_ | msgspec.UnsetType if is_key else type_, msgspec.UNSET if is_key else msgspec.NODEFAULT))
    rename = {f"f{at}": name for at, name in enumerate(order)}
    return msgspec.defstruct(title, fields, rename=rename, forbid_unknown_fields=True, kw_only=True, gc=False)


def _checked(body: bytes, pairs: int, call: Call) -> Call:
    if not has_separators(body, pairs):
        raise ValueError("a name is given twice")
    return call


def _bare_decoders(schema: Schema, plan: _Plan) -> tuple[Decode, ...]:
    """Return the decoders of bare rows (unless the one feature is a tensor) and of a list of the one feature's values."""
    features = schema.features
    types = [_cell(item, plan.limits) for item in features]
    out: list[Decode] = []
    if len(features) > 1 or not features[0].shape:
        out.append(_rows_decoder(schema, plan, types))
    if len(features) == 1:
        values = msgspec.json.Decoder(list[types[0]]).decode  # type: ignore[valid-type]
        out.append(lambda body: _from_values(plan, values(body)))
    return tuple(out)


def _rows_decoder(schema: Schema, plan: _Plan, types: Sequence[object]) -> Decode:
    rows = msgspec.json.Decoder(list[tuple[tuple(types)]]).decode  # type: ignore[misc]
    names = [item.name for item in schema.features]
    if plan.order[: plan.width] == tuple(names):
        return lambda body: _from_rows(plan, rows(body), is_single=False)
    pick = itemgetter(*[names.index(name) for name in plan.order[: plan.width]])
    return lambda body: _from_rows(plan, [pick(row) for row in rows(body)], is_single=False)


def _cell(item: Field, limits: Limits) -> object:
    """Return the msgspec type of one cell of a column: a scalar, or lists nested as deep as its shape."""
    type_: object = {"string": str, "bool": bool}.get(item.type, float if item.type.startswith("float") else int)
    if item.type == "string":
        known, longest = allowed_texts(item), longest_text(item, limits)
        if known:
            type_ = Literal[known]
        elif longest is not None:
            type_ = Annotated[str, msgspec.Meta(max_length=longest)]
    if takes_null(item):
        type_ = type_ | None  # type: ignore[operator]
    for _ in item.shape:
        type_ = list[type_]  # type: ignore[valid-type]
    return type_
