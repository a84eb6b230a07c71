"""Transformers that bend, multiply or cut columns, as steps of a program: polynomials, powers, intervals, means of the target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from modelport.formats.lowering.draft import Draft, Input, NotLowered, Part, Parts
from modelport.formats.lowering.encoders import codes
from modelport.forms.program.steps import Floats

Lower = Callable[[object, Input, Draft], Parts]
_WIDEST = 20_000


def _polynomial(estimator: object, given: Input, draft: Draft) -> Parts:
    part = draft.matrix(given)
    powers = np.asarray(getattr(estimator, "powers_"), np.int64)  # noqa: B009  # of an object, as all below
    if len(powers) > _WIDEST:
        raise NotLowered(f"PolynomialFeatures of {len(powers)} columns")
    degree = max(1, int(powers.sum(axis=1).max(initial=0)))
    factors = np.full((len(powers), degree), part.width)
    for row, own in zip(factors, powers, strict=True):
        chosen = np.repeat(np.arange(part.width), own)
        row[: len(chosen)] = chosen
    return (Part(draft.add("products", [part.register], None, factors=factors), len(powers)),)


def _intervals(estimator: object, given: Input, draft: Draft) -> Parts:
    part = draft.matrix(given)
    edges = [np.asarray(own, np.float64)[1:-1] for own in cast("Sequence[Floats]", getattr(estimator, "bin_edges_"))]  # noqa: B009
    if getattr(estimator, "dtype", None) is not None:
        raise NotLowered("KBinsDiscretizer of a type of its own")
    sizes = [len(own) for own in edges]
    places = draft.add("intervals", [part.register], None, threshold=np.concatenate(edges), lengths=np.array(sizes))
    if getattr(estimator, "encode", "onehot") != "ordinal":
        return (Part(places, sum(size + 1 for size in sizes), tuple(size + 1 for size in sizes)),)
    table, starts = np.arange(max(sizes) + 1, dtype=np.float64), np.zeros(len(sizes), np.intp)
    return (Part(draft.add("look_up", [places], None, table=table, starts=starts, unknown=np.zeros(len(sizes))), len(sizes)),)


def _power(estimator: object, given: Input, draft: Draft) -> Parts:
    if getattr(estimator, "method", "") != "yeo-johnson":
        raise NotLowered("PowerTransformer by Box and Cox")
    part = draft.matrix(given)
    register = draft.add("bend", [part.register], None, power=np.asarray(getattr(estimator, "lambdas_"), np.float64))  # noqa: B009
    if getattr(estimator, "standardize", True):
        scaler = cast("object", getattr(estimator, "_scaler"))  # noqa: B009
        register = draft.add("scale", [register], None, before=getattr(scaler, "mean_"), divisor=getattr(scaler, "scale_"))  # noqa: B009
    return (Part(register, part.width),)


def _target_means(estimator: object, given: Input, draft: Draft) -> Parts:
    if getattr(estimator, "target_type_", "") == "multiclass":
        raise NotLowered("TargetEncoder of several classes")
    register, lists = codes(estimator, given, draft)
    means = [np.asarray(own, np.float64) for own in cast("Sequence[Floats]", getattr(estimator, "encodings_"))]  # noqa: B009
    starts = np.cumsum([0, *(len(own) for own in means[:-1])])
    unknown = np.full(len(lists), float(getattr(estimator, "target_mean_")))  # noqa: B009
    return (Part(draft.add("look_up", [register], None, table=np.concatenate(means), starts=starts, unknown=unknown), len(lists)),)


CURVES: Mapping[str, Lower] = {
    "PolynomialFeatures": _polynomial,
    "KBinsDiscretizer": _intervals,
    "PowerTransformer": _power,
    "TargetEncoder": _target_means,
}
