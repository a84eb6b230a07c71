"""Encoders of categories as steps of a program: one-hot and ordinal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from modelport.columns import Array
from modelport.formats.lowering.draft import Draft, Input, NotLowered, Part, Parts, Rows
from modelport.schema import Field

Lower = Callable[[object, Input, Draft], Parts]
_UNKNOWN = -1


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def codes(estimator: object, given: Input, draft: Draft) -> tuple[int, list[list[object]]]:
    """Add the steps that turn columns into codes.

    Returns the register and each column's list of categories. Raises: NotLowered for categories of mixed types.
    """
    lists = [np.asarray(values).tolist() for values in cast("Sequence[Array]", getattr(estimator, "categories_"))]  # noqa: B009  # of an object
    if isinstance(given, Rows):
        fields = [draft.schema.inputs[at] for at in given.positions]
        kinds = {item.type == "string" for item in fields}
        if kinds == {True}:
            return _text_codes(fields, given.fills, lists, draft), lists
        if kinds != {False}:
            return _mixed_codes(given, lists, draft), lists
    if any(not isinstance(value, int | float) and not _is_missing(value) for values in lists for value in values):
        raise NotLowered("an encoder of texts that other steps have made")
    return _number_codes(draft.matrix(given), lists, draft), lists


def _mixed_codes(given: Rows, lists: Sequence[Sequence[object]], draft: Draft) -> int:
    """Columns of text and of numbers: the codes of each kind, then side by side in the columns' order."""
    fields = [draft.schema.inputs[at] for at in given.positions]
    texts = [at for at, item in enumerate(fields) if item.type == "string"]
    others = [at for at, item in enumerate(fields) if item.type != "string"]
    fills = [given.fills[at] for at in texts] if given.fills else ()
    numbers = draft.matrix(Rows(tuple(given.positions[at] for at in others)))
    registers = [
        _text_codes([fields[at] for at in texts], fills, [lists[at] for at in texts], draft),
        _number_codes(numbers, [lists[at] for at in others], draft),
    ]
    return draft.add("take", [draft.add("join", registers)], at=np.argsort([*texts, *others]))


def _text_codes(fields: Sequence[Field], fills: Sequence[str], lists: Sequence[Sequence[object]], draft: Draft) -> int:
    names, known, gaps = [item.name for item in fields], list[list[str]](), list[int]()
    for column, values in enumerate(lists):
        at = [place for place, value in enumerate(values) if _is_missing(value)]
        if fills:
            at = [values.index(fills[column])] if fills[column] in values else []
        plain = [value for value in values if not _is_missing(value)]
        if not all(isinstance(value, str) for value in plain) or any(_is_missing(value) for value in values[:-1]):
            raise NotLowered("an encoder whose categories of a column of text are not all text")
        known.append(cast("list[str]", plain))
        gaps.append(at[0] if at else _UNKNOWN)
    return draft.add("text_codes", [0], {"columns": list(names), "categories": [list(values) for values in known]}, missing=np.array(gaps))


def _number_codes(part: Part, lists: Sequence[Sequence[object]], draft: Draft) -> int:
    known, gaps = list[Array](), list[int]()
    for values in lists:
        array = np.array([np.nan if value is None else value for value in values], np.float64)
        present = array[~np.isnan(array)]
        if not len(present) or not np.array_equal(present, np.sort(present)) or np.isnan(array[: len(present)]).any():
            raise NotLowered("an encoder whose categories are not in order")
        known.append(present)
        gaps.append(len(present) if len(present) < len(array) else _UNKNOWN)
    lengths = np.array([len(values) for values in known])
    return draft.add("number_codes", [part.register], categories=np.concatenate(known), lengths=lengths, missing=np.array(gaps))


def _rare(estimator: object) -> list[Array | None]:
    """Return each column's table from categories to those where rare ones are joined; nothing where the encoder joins none."""
    if not getattr(estimator, "_infrequent_enabled", False):
        return []
    return list(cast("Sequence[Array | None]", getattr(estimator, "_default_to_infrequent_mappings")))  # noqa: B009  # of an object


def _joined(estimator: object, rare: Sequence[Array | None], found: tuple[int, list[int]], draft: Draft) -> tuple[int, list[int]]:
    """Add the step that joins rare categories, among which unknown ones may count. Returns the codes and each column's number of them."""
    register, lengths = found
    tables = [np.arange(length) if table is None else np.asarray(table, np.intp) for table, length in zip(rare, lengths, strict=True)]
    takes = getattr(estimator, "handle_unknown", "") in ("infrequent_if_exist", "warn")
    unknown = [_UNKNOWN if table is None or not takes else int(np.max(table)) for table in rare]
    starts = np.cumsum([0, *(len(table) for table in tables[:-1])])
    register = draft.add("renumber", [register], None, table=np.concatenate(tables), starts=starts, unknown=np.array(unknown))
    return register, [int(table.max()) + 1 for table in tables]


def _one_hot(estimator: object, given: Input, draft: Draft) -> Parts:
    rare = _rare(estimator)
    if rare and getattr(estimator, "drop_idx_", None) is not None:
        raise NotLowered("OneHotEncoder that joins rare categories and drops some")
    if np.dtype(getattr(estimator, "dtype", np.float64)) not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise NotLowered("OneHotEncoder that answers whole numbers")
    register, lists = codes(estimator, given, draft)
    if getattr(estimator, "handle_unknown", "error") == "error":
        register = draft.add("refuse_unknown", [register])
    lengths = [len(values) for values in lists]
    if rare:
        register, lengths = _joined(estimator, rare, (register, lengths), draft)
    dropped = getattr(estimator, "drop_idx_", None)
    if dropped is not None:
        tables = []
        for at, length in enumerate(lengths):
            gone = dropped[at]
            table = np.arange(length)
            if gone is not None:
                table = np.where(table == gone, _UNKNOWN, table - (table > gone))
                lengths[at] -= 1
            tables.append(table)
        starts = np.cumsum([0, *(len(table) for table in tables[:-1])])
        unknown = np.full(len(tables), _UNKNOWN)
        register = draft.add("renumber", [register], table=np.concatenate(tables), starts=starts, unknown=unknown)
    if 0 in lengths:
        raise NotLowered("OneHotEncoder that drops a column's only category")
    return (Part(register, sum(lengths), tuple(lengths)),)


def _ordinal(estimator: object, given: Input, draft: Draft) -> Parts:
    register, lists = codes(estimator, given, draft)
    is_strict = getattr(estimator, "handle_unknown", "error") == "error"
    if is_strict:
        register = draft.add("refuse_unknown", [register])
    gap = float(getattr(estimator, "encoded_missing_value", np.nan))
    rare = _rare(estimator) or [None] * len(lists)
    tables = [
        np.array([gap if _is_missing(value) else float(at if table is None else table[at]) for at, value in enumerate(values)])
        for values, table in zip(lists, rare, strict=True)
    ]
    starts = np.cumsum([0, *(len(table) for table in tables[:-1])])
    unknown = np.full(len(tables), np.nan if is_strict else float(getattr(estimator, "unknown_value", np.nan)))
    register = draft.add("look_up", [register], table=np.concatenate(tables), starts=starts, unknown=unknown)
    return (Part(register, len(lists)),)


ENCODERS: Mapping[str, Lower] = {"OneHotEncoder": _one_hot, "OrdinalEncoder": _ordinal}
