"""From values that a typed decoder read to a Call: which value goes where in the physical columns of a schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import numpy as np

from modelport.columns import Array, Columns, Packed, Packing
from modelport.schema import Field, Schema
from modelport.wire.arrays import Build, Pack, Part, parts
from modelport.wire.base import Call, Limits
from modelport.wire.rules import allowed_numbers, too_many

Row: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Fill:
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
class Plan:
    """``pack``: how rows become bytes where one packed block without further checks is all that there is; ``packing``: which."""

    fills: tuple[Fill, ...]
    pack: Pack | None
    packing: Packing
    order: tuple[str, ...]
    width: int
    key_slots: tuple[tuple[str, int], ...]
    checks: tuple[Callable[[Columns], None], ...]
    limits: Limits


def plan_of(schema: Schema, limits: Limits) -> Plan:
    """Say once for a schema where each decoded value goes."""
    prepared = parts(schema)
    order = [name for is_key in (False, True) for part in prepared if part.is_key is is_key for name in part.names]
    places = {name: at for at, name in enumerate(order)}
    fills = tuple(_fill(part, places[part.names[0]], is_alone=len(prepared) == 1) for part in prepared)
    closed = [(item, allowed_numbers(item)) for item in schema.inputs]
    is_plain = len(prepared) == 1 and all(allowed is None for _, allowed in closed)
    return Plan(
        fills=fills,
        pack=prepared[0].pack if is_plain else None,
        packing=Packing(prepared[0].name, schema.layout[0].dtype, (len(prepared[0].names),)),
        order=tuple(order),
        width=len(schema.features),
        key_slots=tuple((item.name, places[item.name]) for item in schema.keys),
        checks=tuple(_closed(schema, item, allowed) for item, allowed in closed if allowed is not None),
        limits=limits,
    )


def _fill(part: Part, at: int, *, is_alone: bool) -> Fill:
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
        return Fill(part.name, at, part.is_key, build if is_alone else slices, lists, build, part.number)
    return Fill(part.name, at, part.is_key, cells, one_list, build, part.number)


def call_of_rows(plan: Plan, rows: Sequence[Row], *, is_single: bool) -> Call:
    """Make a Call of rows that hold features only, or features and keys. Raises: TooLarge, ValueError for none."""
    count = len(rows)
    if count != 1:
        _check_count(plan, count)
    if plan.pack is not None:  # a table of numbers
        return Call(Packed(plan.packing, plan.pack(rows), count), None, {}, (), is_single)
    if not plan.key_slots:
        return _call(plan, Columns({fill.name: fill.from_rows(rows) for fill in plan.fills}), (), is_single=is_single)
    given: tuple[str, ...] = ()
    if len(rows[0]) > plan.width:
        given = tuple([name for name, at in plan.key_slots if rows[0][at] is not msgspec.UNSET])
        if count > 1 and any(len({row[at] is msgspec.UNSET for row in rows}) > 1 for _, at in plan.key_slots):
            raise ValueError("a key stands in some rows only")
    out = {fill.name: fill.number(count) if fill.is_key and fill.name not in given else fill.from_rows(rows) for fill in plan.fills}
    return _call(plan, Columns(out), given, is_single=is_single)


def call_of_columns(plan: Plan, values: Row) -> Call:
    """Make a Call of one list for each column, in the order of the plan. Raises: TooLarge, ValueError for unequal lists."""
    count = len(values[0])  # type: ignore[arg-type]  # the decoder's type says list
    _check_count(plan, count)
    given = tuple([name for name, at in plan.key_slots if values[at] is not msgspec.UNSET])
    out = {fill.name: fill.number(count) if fill.is_key and fill.name not in given else fill.from_columns(values) for fill in plan.fills}
    return _call(plan, Columns(out), given, is_single=False)  # Columns refuses unequal lengths


def call_of_values(plan: Plan, values: Sequence[object]) -> Call:
    """Make a Call of the one feature's values. Raises: TooLarge, ValueError for none."""
    count = len(values)
    _check_count(plan, count)
    out = {fill.name: fill.number(count) if fill.is_key else fill.from_values(values) for fill in plan.fills}
    return _call(plan, Columns(out), (), is_single=False)


def _check_count(plan: Plan, count: int) -> None:
    if count > plan.limits.rows:
        raise too_many(count, plan.limits)
    if count == 0:
        raise ValueError("no rows")


def _call(plan: Plan, columns: Columns, given: tuple[str, ...], *, is_single: bool) -> Call:
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
