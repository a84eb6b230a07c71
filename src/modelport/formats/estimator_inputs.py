"""What a fitted scikit-learn estimator makes of each of its input columns, found without any data.

The estimator is walked from its rows inwards: pipelines, unions, column transformers, searches and ensembles are looked
through until something works on the values, and that says what they are: text, one of these categories, a number, possibly
missing. Where several parts read one column, it must suit all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, cast

import numpy as np

from modelport.formats.estimator_tree import (
    VALIDATING,
    VECTORIZERS,
    branches,
    class_name,
    feature_names,
    inside,
    is_from_sklearn,
    steps,
    takes_missing,
    width,
)
from modelport.schema import Scalar, Type

NAN = float("nan")

Key: TypeAlias = int | str | slice | Sequence[int | str | bool]
"""How a ColumnTransformer's user may have named columns."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a model makes of one column.

    ``missing`` is what stands for a missing value there (NaN, None, ``pandas.NA``). ``is_exact``: the type was seen in the
    artifact rather than assumed. ``is_used``: something reads the column.
    """

    type: Type = "float64"
    nullable: bool = False
    missing: object = NAN
    categories: tuple[Scalar, ...] = ()
    closed: bool = False
    is_exact: bool = False
    is_used: bool = True


class _Reader(Protocol):
    def __call__(self, estimator: object, /, *, after: bool) -> list[Use]: ...


def describe(estimator: object, *, after: bool = True) -> list[Use]:
    """Return one Use for each input column of the estimator.

    ``after``: whether what works on the estimator's own output takes missing values. The list has one entry where the
    number of columns cannot be told.
    """
    chain = steps(estimator)
    if chain:
        return _describe_chain(chain, after=after)
    union = branches(estimator)
    if union is not None:
        return _merge_all(describe(member, after=after) for member in union)
    if hasattr(estimator, "transformers_"):
        return _describe_columns(estimator, after=after)
    members = inside(estimator)
    if members:
        found = _merge_all(describe(member, after=after) for member in members)
        needs_all = class_name(estimator) in VALIDATING
        return [replace(use, is_used=True, nullable=True) if needs_all and not use.is_used else use for use in found]
    read = _READERS.get(class_name(estimator))
    if read is not None and is_from_sklearn(estimator):
        return read(estimator, after=after)
    return _numbers(estimator, after=after)


def merge(left: Use, right: Use) -> Use:
    """Return what a column must be to suit two readers of it."""
    if not left.is_used or not right.is_used:
        return right if not left.is_used else left
    exact = [use for use in (left, right) if use.is_exact]
    kind: Type = "float64"
    if any(use.type == "string" for use in exact):
        kind = "string"
    elif len(exact) == 2 and left.type == right.type:
        kind = left.type
    nullable = left.nullable and right.nullable and kind in ("string", "float64")
    narrow, other = (left, right) if left.closed or (not right.closed and left.categories) else (right, left)
    categories = narrow.categories
    if narrow.closed and other.closed:
        categories = tuple(value for value in narrow.categories if value in other.categories)
    missing = left.missing if left.is_exact else right.missing
    return Use(kind, nullable, missing, categories, closed=narrow.closed, is_exact=bool(exact))


def _merge_all(described: Iterable[list[Use]]) -> list[Use]:
    out: list[Use] = []
    for uses in described:
        if len(uses) > len(out):
            out = out + [Use(is_used=False)] * (len(uses) - len(out))
        out = [merge(use, uses[at]) if at < len(uses) else use for at, use in enumerate(out)]
    return out


def _numbers(estimator: object, *, after: bool) -> list[Use]:
    is_text = class_name(estimator) in VECTORIZERS
    use = Use("string", is_exact=True) if is_text else Use(nullable=takes_missing(estimator) and after)
    return [use] * (1 if is_text else width(estimator) or 1)


def _describe_chain(chain: Sequence[object], *, after: bool) -> list[Use]:
    head, tail = chain[0], chain[1:]
    if not tail:
        return describe(head, after=after)
    later = _describe_chain(tail, after=after)
    own = describe(head, after=all(use.nullable for use in later))
    if class_name(head) == "FunctionTransformer" and len(own) == 1 and class_name(tail[0]) in VECTORIZERS:
        return [Use("string", is_exact=True)]
    is_told = any(use.is_exact for use in later)
    for position, at in enumerate(_kept(head, len(own)) if is_told else ()):
        if position < len(later) and later[position].is_exact:
            theirs = later[position]
            own[at] = replace(own[at], type=theirs.type, categories=theirs.categories, closed=theirs.closed, is_exact=True)
    return own


def _kept(estimator: object, count: int) -> list[int]:
    """Return the input positions of the columns that a transformer hands on with their values, in its output's order."""
    name = class_name(estimator)
    if name == "SimpleImputer":
        statistics = getattr(estimator, "statistics_", None)
        keeps_all = getattr(estimator, "keep_empty_features", False) or getattr(estimator, "strategy", "") == "constant"
        if statistics is None or keeps_all:
            return list(range(count))
        return [at for at, value in enumerate(statistics) if not _is_missing(value)]
    if name == "FunctionTransformer" and getattr(estimator, "func", None) is None:
        return list(range(count))
    support = getattr(estimator, "get_support", None)
    if support is not None and is_from_sklearn(estimator):
        return [int(at) for at in support(indices=True)]
    return []


def _describe_columns(estimator: object, *, after: bool) -> list[Use]:
    """Read a ColumnTransformer: each column is what the transformer that it goes to makes of it."""
    names = feature_names(estimator)
    uses = [Use(is_used=False)] * (width(estimator) or len(names or ()) or 1)
    fitted = cast("list[tuple[str, object, Key]]", estimator.transformers_)  # type: ignore[attr-defined]  # the caller looked
    for _, transformer, key in fitted:
        at = positions(key, names, len(uses))
        if not at or (isinstance(transformer, str) and transformer == "drop"):
            continue
        if isinstance(transformer, str) or _is_identity(transformer):
            found = [Use(nullable=after)]
        else:
            found = describe(transformer, after=after)
        for order, position in enumerate(at):
            uses[position] = merge(uses[position], found[order] if len(found) == len(at) else found[0])
    return uses


def _is_identity(estimator: object) -> bool:
    return class_name(estimator) == "FunctionTransformer" and getattr(estimator, "func", None) is None


def positions(key: Key, names: Sequence[str] | None, count: int) -> list[int]:
    """Turn a column choice (name, index, slice, mask, or a list of them) into positions.

    Raises: ValueError for a name that is not among ``names``.
    """
    known = list(names or ())
    if isinstance(key, str):
        return [known.index(key)]
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return [int(key) % count]
    if isinstance(key, slice):
        if isinstance(key.start, str) or isinstance(key.stop, str):  # by label: both ends belong to it
            start = known.index(key.start) if key.start is not None else 0
            stop = known.index(key.stop) + 1 if key.stop is not None else count
            return list(range(count))[start : stop : key.step]
        return list(range(count))[key]
    chosen = list(cast("Sequence[int | str | bool]", key))
    if chosen and all(isinstance(item, bool | np.bool_) for item in chosen):
        return [at for at, is_chosen in enumerate(chosen) if is_chosen]
    return [at for item in chosen for at in positions(item, names, count)]


def _is_missing(value: object) -> bool:
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float | np.floating) and bool(np.isnan(value)))


def _from_categories(values: Sequence[object] | np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Use:
    """Return the type and values of one encoder column; nullable where a missing value is among them."""
    listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
    gaps = [value for value in listed if _is_missing(value)]
    plain = tuple(cast("Scalar", value) for value in listed if not _is_missing(value))
    kind: Type = "string"
    if plain and all(isinstance(value, bool) for value in plain):
        kind = "bool"
    elif plain and all(isinstance(value, int) for value in plain):
        kind = "float64" if gaps else "int64"
    elif plain and all(isinstance(value, int | float) for value in plain):
        kind = "float64"
    return Use(kind, nullable=bool(gaps) and kind != "bool", missing=gaps[0] if gaps else NAN, categories=plain, is_exact=True)


def _encoder(estimator: object, *, after: bool) -> list[Use]:
    """Read OneHotEncoder, OrdinalEncoder and TargetEncoder; only the second can hand a missing value on."""
    unknown = getattr(estimator, "handle_unknown", "ignore")
    out: list[Use] = []
    for values in getattr(estimator, "categories_", []):
        use = _from_categories(values)
        code = getattr(estimator, "encoded_missing_value" if use.nullable else "unknown_value", None)
        passes_on = class_name(estimator) == "OrdinalEncoder" and _is_missing(code) and code is not None
        takes = (use.nullable or unknown != "error") and use.type in ("string", "float64")
        out.append(replace(use, closed=unknown == "error", nullable=takes and (after or not passes_on)))
    return out


def _imputer(estimator: object, *, after: bool) -> list[Use]:
    marker = getattr(estimator, "missing_values", NAN)
    fills = _is_missing(marker)
    statistics = getattr(estimator, "statistics_", None)
    kind = getattr(getattr(estimator, "_fit_dtype", None), "kind", getattr(getattr(statistics, "dtype", None), "kind", "f"))
    out: list[Use] = []
    for at in range(width(estimator) or 1):
        is_text = kind in "OUS" and statistics is not None and isinstance(statistics[at], str)
        nullable = fills or (after and takes_missing(estimator))
        missing = marker if fills else NAN
        out.append(Use("string" if is_text else "float64", nullable, missing, is_exact=is_text))
    return out


def _histogram(estimator: object, *, after: bool) -> list[Use]:
    """Read HistGradientBoosting: unknown categories count as missing, so the known ones are not closed."""
    uses = [Use(nullable=True)] * (width(estimator) or 1)
    encode = getattr(estimator, "_preprocessor", None)
    mask = getattr(estimator, "is_categorical_", None)
    if encode is None or mask is None:
        return uses
    encoder = encode.named_transformers_["encoder"]
    for at, values in zip(np.flatnonzero(mask), encoder.categories_, strict=True):
        use = _from_categories(values)
        uses[int(at)] = replace(use, nullable=after and use.type in ("string", "float64"))
    return uses


_READERS: dict[str, _Reader] = {
    "OneHotEncoder": _encoder,
    "OrdinalEncoder": _encoder,
    "TargetEncoder": _encoder,
    "SimpleImputer": _imputer,
    "KNNImputer": _imputer,
    "IterativeImputer": _imputer,
    "MissingIndicator": _imputer,
    "HistGradientBoostingClassifier": _histogram,
    "HistGradientBoostingRegressor": _histogram,
}
"""What says more of its columns than that they are numbers."""
