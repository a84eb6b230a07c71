"""Turn physical columns into what a fitted scikit-learn estimator takes: a matrix, an object matrix, texts, or a data frame.

A data frame costs a fraction of a millisecond a call, and scikit-learn only needs one where columns are chosen by name or
have types of their own. Elsewhere the plain matrix gives the same numbers; so that scikit-learn does not warn about missing
names on every call, the estimator is then called through a copy of its outer objects that does not know them
(``without_names``). The arrays inside, the learnt state, are shared with the original.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from modelport.columns import Array, Columns
from modelport.errors import LoadError, MissingExtra
from modelport.formats.estimator_inputs import Use, describe
from modelport.formats.estimator_tree import (
    RECORD_READERS,
    TARGET_CODERS,
    VECTORIZERS,
    branches,
    class_name,
    feature_names,
    inside,
    is_from_sklearn,
    is_set_to_frames,
    reads,
    steps,
    width,
)
from modelport.schema import Field, Schema

Form: TypeAlias = Literal["texts", "matrix", "objects", "frame"]
Feed: TypeAlias = Callable[[Columns], object]


def read_inputs(estimator: object) -> tuple[tuple[Field, ...], tuple[Use, ...], Form]:
    """Return the input fields, the use of each, and the form in which the estimator takes its rows.

    Raises: LoadError where the estimator reads something other than rows of numbers, categories or one text.
    """
    kind = class_name(estimator)
    if reads(estimator, RECORD_READERS):
        raise LoadError(f"{kind} reads a mapping a row, whose names no schema can list; put it behind a bundle with a preprocess hook")
    if reads(estimator, TARGET_CODERS):
        raise LoadError(f"{kind} encodes labels, not rows, so there is nothing to serve; save the model that uses it instead")
    names = feature_names(estimator)
    if names is None and reads(estimator, VECTORIZERS):
        return (Field("text", "string"),), (Use("string", is_exact=True),), "texts"
    count = width(estimator)
    if count is None:
        raise LoadError(f"{kind} does not say how many columns it takes; if it was fitted, pack it in a bundle that lists its inputs")
    uses = describe(estimator)
    uses = uses * count if len(uses) == 1 else uses
    if len(uses) != count or (names is not None and len(names) != count):
        raise LoadError(f"{kind} says it takes {count} columns, but its parts take {len(uses)}; pack it in a bundle that lists its inputs")
    form = _form(estimator, uses, is_named=names is not None)
    shown = names or tuple(f"x{at}" for at in range(count))
    if form == "frame":  # scikit-learn asks for the columns that something reads, and no others
        chosen = [(name, use) for name, use in zip(shown, uses, strict=True) if use.is_used]
    else:
        chosen = list(zip(shown, uses, strict=True))
    return tuple(_field(name, use) for name, use in chosen), tuple(use for _, use in chosen), form


def _field(name: str, use: Use) -> Field:
    if not use.is_used:
        return Field(name, "float64", nullable=True, description="not used by the model")
    return Field(name, use.type, nullable=use.nullable, categories=use.categories, closed=use.closed)


def _form(estimator: object, uses: list[Use], *, is_named: bool) -> Form:
    kinds = {use.type for use in uses if use.is_used}
    if is_named and (kinds != {"float64"} or _needs_frame(estimator) or is_set_to_frames(estimator, set())):
        return "frame"
    return "objects" if "string" in kinds else "matrix"


def _needs_frame(estimator: object) -> bool:
    """Say whether anything that gets the rows as they are might look at column names."""
    chain = steps(estimator)
    members = chain[:1] if chain else (branches(estimator) or inside(estimator))
    if members:
        return any(_needs_frame(member) for member in members)
    if not is_from_sklearn(estimator):
        return True
    if class_name(estimator) == "FunctionTransformer":
        return getattr(estimator, "func", None) is not None
    return hasattr(estimator, "transformers_") or getattr(estimator, "_preprocessor", None) is not None


def make_feed(schema: Schema, uses: tuple[Use, ...], form: Form) -> Feed:
    """Return the function that assembles one call's input. Raises: MissingExtra if it takes pandas and that is not installed."""
    if form == "texts":
        return lambda columns: columns["text"]
    if form == "frame":
        return _frames(schema, uses)
    blocks = schema.layout
    if form == "matrix" and len(blocks) == 1:
        name, is_packed = blocks[0].name, blocks[0].is_packed
        return (lambda columns: columns[name]) if is_packed else (lambda columns: columns[name][:, None])
    return _matrices(schema, uses, np.dtype(object) if form == "objects" else np.dtype(np.float64))


def _matrices(schema: Schema, uses: tuple[Use, ...], dtype: np.dtype[np.generic]) -> Feed:
    order = {item.name: at for at, item in enumerate(schema.inputs)}
    targets = [(block.name, block.is_packed, [order[item.name] for item in block.fields]) for block in schema.layout]
    gaps = _gaps(schema, uses)

    def feed(columns: Columns) -> object:
        out = np.empty((columns.rows, len(order)), dtype)
        for name, is_packed, at in targets:
            out[:, at if is_packed else at[0]] = _fill(columns[name], gaps[name]) if name in gaps else columns[name]
        return out

    return feed


def _frames(schema: Schema, uses: tuple[Use, ...]) -> Feed:
    try:
        import pandas as pd  # an extra, needed by some files only
    except ImportError as cause:
        raise MissingExtra('this model chooses columns of a data frame by name, which takes pandas; install "modelport[table]"') from cause
    gaps = _gaps(schema, uses)
    names = [item.name for item in schema.inputs]
    texts = {item.name for item in schema.inputs if item.type == "string"}
    index = pd.Index(names, dtype=object)
    if len(schema.layout) == 1 and schema.layout[0].is_packed:
        only = schema.layout[0].name
        return lambda columns: pd.DataFrame(columns[only], columns=index, copy=False)

    def feed(columns: Columns) -> object:
        found = schema.unpack(columns)
        rows = pd.RangeIndex(columns.rows)
        series: dict[str, object] = {}
        for name in names:
            array = _fill(found[name], gaps[name]) if name in gaps else found[name]
            series[name] = pd.Series(array, index=rows, dtype=object, copy=False) if name in texts else array
        return pd.DataFrame(series, index=rows, copy=False)

    return feed


def _gaps(schema: Schema, uses: tuple[Use, ...]) -> dict[str, object]:
    """Return what a missing text must be turned into, by column; those that stay None are left out."""
    pairs = zip(schema.inputs, uses, strict=True)
    return {item.name: use.missing for item, use in pairs if item.type == "string" and item.nullable and use.missing is not None}


def _fill(texts: Array, missing: object) -> Array:
    absent = np.fromiter((value is None for value in texts), bool, len(texts))
    if not absent.any():
        return texts
    out = np.array(texts, object)
    out[absent] = missing
    return out


def without_names(value: object, seen: dict[int, object] | None = None) -> object:
    """Return the estimator, or a copy of its outer objects that does not know the names of its columns.

    Learnt arrays are shared; an object below which no name is kept is returned as it is.
    """
    seen = {} if seen is None else seen
    if id(value) in seen:
        return seen[id(value)]
    seen[id(value)] = value
    if isinstance(value, list) or type(value) is tuple:
        parts = [without_names(item, seen) for item in value]
        if any(new is not old for new, old in zip(parts, value, strict=True)):
            seen[id(value)] = parts if isinstance(value, list) else tuple(parts)
    elif is_from_sklearn(value) and isinstance(getattr(value, "__dict__", None), dict):
        before = vars(value)
        state = {name: without_names(item, seen) for name, item in before.items() if name != "feature_names_in_"}
        if len(state) != len(before) or any(state[name] is not before[name] for name in state):
            copied: object = object.__new__(type(value))
            vars(copied).update(state)
            seen[id(value)] = copied
    return seen[id(value)]
