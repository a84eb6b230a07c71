"""The fast way in: msgspec decoders typed from a schema, for every form of native JSON.

They either give exactly what ``modelport.wire.sheet`` would give, in a few microseconds, or give up (None) at the first thing
that is not as it should be, and leave it to the slow way to find every fault. They never decide that a request is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec.structs import astuple

from modelport.columns import Packed
from modelport.schema import Field, Schema
from modelport.wire.arrays import MISFIT
from modelport.wire.base import Call, Limits
from modelport.wire.flat import SMALLEST_BYTES, flat_decoder
from modelport.wire.plan import Plan, Row, call_of_columns, call_of_rows, call_of_values, plan_of
from modelport.wire.rules import allowed_texts, longest_text, takes_null
from modelport.wire.syntax import has_separators

Decode: TypeAlias = Callable[[bytes], Call]

_MISFIT: tuple[type[Exception], ...] = (msgspec.DecodeError, KeyError, *MISFIT)
_WIDE = 512  # columns above which objects are dicts: a Struct looks names up one by one, 10,000 in reverse order take 0.3 s
_WHITE = b" \t\r\n"


def fast_decoder(schema: Schema, limits: Limits) -> Callable[[bytes], Call | None]:
    """Compile a schema into a decoder that answers a Call, or None where the slow way must look.

    Raises (the decoder): TooLarge. Cost (the decoder): 2 to 4 µs for one row of 30 numbers.
    """
    plan = plan_of(schema, limits)
    named, bare = _named_decoders(schema, plan), _bare_decoders(schema, plan)
    columns_first = tuple(named[form] for form in ("columns", "record") if form in named)
    records = (named["records"],) if "records" in named else ()
    record_first, rows_first, values_first = columns_first[::-1], bare, bare[::-1]
    flat = flat_decoder(schema, limits)

    def decode(body: bytes) -> Call | None:
        attempts = rows_first if body[:2] == b"[[" else choose(body)
        if flat is not None and len(body) >= SMALLEST_BYTES and attempts is rows_first:
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


def _named_decoders(schema: Schema, plan: Plan) -> dict[str, Decode]:
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
        call = call_of_rows(plan, (to_row(record(body)),), is_single=True)
        return _checked(body, plan.width + len(call.keys), call)

    def decode_records(body: bytes) -> Call:
        found = records(body)
        call = call_of_rows(plan, [to_row(row) for row in found], is_single=False)
        return _checked(body, len(found) * (plan.width + len(call.keys)), call)

    def decode_columns(body: bytes) -> Call:
        call = call_of_columns(plan, to_row(columns(body)))
        if has_tensors and any(0 in array.shape for array in call.columns.values()):
            raise ValueError("empty lists fit a record as well")
        return _checked(body, plan.width + len(call.keys), call)

    return {"record": decode_record, "records": decode_records, "columns": decode_columns}


def _objects(schema: Schema, plan: Plan) -> tuple[type, type, Callable[[object], Row]] | None:
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


def _bare_decoders(schema: Schema, plan: Plan) -> tuple[Decode, ...]:
    """Return the decoders of bare rows (unless the one feature is a tensor) and of a list of the one feature's values."""
    features = schema.features
    types = [_cell(item, plan.limits) for item in features]
    out: list[Decode] = []
    if len(features) > 1 or not features[0].shape:
        out.append(_rows_decoder(schema, plan, types))
    if len(features) == 1:
        values = msgspec.json.Decoder(list[types[0]]).decode  # type: ignore[valid-type]
        out.append(lambda body: call_of_values(plan, values(body)))
    return tuple(out)


def _rows_decoder(schema: Schema, plan: Plan, types: Sequence[object]) -> Decode:
    rows = msgspec.json.Decoder(list[tuple[tuple(types)]]).decode  # type: ignore[misc]
    names = [item.name for item in schema.features]
    if plan.order[: plan.width] == tuple(names):
        pack, packing = plan.pack, plan.packing

        def decode_rows(body: bytes) -> Call:
            found = rows(body)
            if pack is None or len(found) != 1:
                return call_of_rows(plan, found, is_single=False)
            return Call(Packed(packing, pack(found), 1), None, {}, (), is_single=False)  # the same, with two calls less

        return decode_rows
    pick = itemgetter(*[names.index(name) for name in plan.order[: plan.width]])
    return lambda body: call_of_rows(plan, [pick(row) for row in rows(body)], is_single=False)


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
