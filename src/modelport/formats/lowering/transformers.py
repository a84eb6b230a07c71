"""Transformers of scikit-learn as steps of a program: scalers, imputers, encoders, column transformers, projections.

One function a class, in a table. Each reads fitted attributes and says NotLowered for every setting it does not cover.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

import numpy as np

from modelport.columns import Array
from modelport.formats.estimator_inputs import Key, positions
from modelport.formats.estimator_tree import branches, class_name, feature_names, is_from_sklearn, steps, width
from modelport.formats.lowering.curves import CURVES
from modelport.formats.lowering.draft import Draft, Input, NotLowered, Part, Parts, Rows
from modelport.formats.lowering.encoders import ENCODERS
from modelport.formats.lowering.texts import TEXTS
from modelport.forms.program.steps import Floats

Lower = Callable[[object, Input, Draft], Input]


def transform(estimator: object, given: Input, draft: Draft) -> Input:
    """Add the steps of a fitted transformer. Raises: NotLowered."""
    if isinstance(estimator, str):
        if estimator == "passthrough":
            return given
        raise NotLowered(f"a step {estimator!r}")
    chain = steps(estimator)
    if chain is not None:
        for step in chain:
            given = transform(step, given, draft)
        return given
    if branches(estimator) is not None:
        return _union(estimator, given, draft)
    lower = TRANSFORMERS.get(class_name(estimator))
    if lower is None or not is_from_sklearn(estimator):
        raise NotLowered(f"{class_name(estimator)} has no other form")
    return lower(estimator, given, draft)


def _parts(found: Input, draft: Draft) -> Parts:
    return found if isinstance(found, tuple) else (draft.matrix(found),)


def _union(estimator: object, given: Input, draft: Draft) -> Parts:
    if getattr(estimator, "transformer_weights", None):
        raise NotLowered("FeatureUnion with weights")
    out: list[Part] = []
    for member in branches(estimator) or []:
        out += _parts(transform(member, given, draft), draft)
    return tuple(out)


def _columns(estimator: object, given: Input, draft: Draft) -> Parts:
    if getattr(estimator, "transformer_weights", None):
        raise NotLowered("ColumnTransformer with weights")
    names = feature_names(estimator)
    count = width(estimator) or len(names or ())
    out: list[Part] = []
    for _, member, key in cast("list[tuple[str, object, Key]]", getattr(estimator, "transformers_")):  # noqa: B009  # of an object
        at = positions(key, names, count)
        if not at or (isinstance(member, str) and member == "drop"):
            continue
        if isinstance(given, Rows):
            chosen: Input = Rows(tuple(_place(position, names, given, draft) for position in at))
        else:
            whole = draft.matrix(given)
            chosen = (Part(draft.add("take", [whole.register], at=np.array(at)), len(at)),)
        out += _parts(transform(member, chosen, draft), draft)
    if not out:
        raise NotLowered("ColumnTransformer that keeps no column")
    return tuple(out)


def _place(position: int, names: Sequence[str] | None, given: Rows, draft: Draft) -> int:
    """Return where a column of the transformer stands among the schema's inputs: a frame has only the columns that are read."""
    if names is None or len(given.positions) != len(draft.schema.inputs):
        return given.positions[position]
    known = [item.name for item in draft.schema.inputs]
    return known.index(names[position])


def _scaled(draft: Draft, given: Input, arrays: Mapping[str, Array | None], clip: tuple[float, float] | None = None) -> Parts:
    part = draft.matrix(given)
    settings = {} if clip is None else {"low": clip[0], "high": clip[1]}
    return (Part(draft.add("scale", [part.register], settings, **arrays), part.width),)


def _get(estimator: object, name: str) -> Floats | None:
    found = getattr(estimator, name, None)
    return None if found is None else np.asarray(found, np.float64)


def _standard(estimator: object, given: Input, draft: Draft) -> Parts:
    before = _get(estimator, "mean_") if getattr(estimator, "with_mean", True) else None
    divisor = _get(estimator, "scale_") if getattr(estimator, "with_std", True) else None
    return _scaled(draft, given, {"before": before, "divisor": divisor})


def _min_max(estimator: object, given: Input, draft: Draft) -> Parts:
    bounds = cast("tuple[float, float]", getattr(estimator, "feature_range", (0, 1)))
    clip = (float(bounds[0]), float(bounds[1])) if getattr(estimator, "clip", False) else None
    return _scaled(draft, given, {"factor": _get(estimator, "scale_"), "after": _get(estimator, "min_")}, clip)


def _max_abs(estimator: object, given: Input, draft: Draft) -> Parts:
    if getattr(estimator, "clip", False):
        raise NotLowered("MaxAbsScaler that clips")
    return _scaled(draft, given, {"divisor": _get(estimator, "scale_")})


def _robust(estimator: object, given: Input, draft: Draft) -> Parts:
    before = _get(estimator, "center_") if getattr(estimator, "with_centering", True) else None
    divisor = _get(estimator, "scale_") if getattr(estimator, "with_scaling", True) else None
    return _scaled(draft, given, {"before": before, "divisor": divisor})


def _imputer(estimator: object, given: Input, draft: Draft) -> Input:
    statistics = getattr(estimator, "statistics_", None)
    if isinstance(given, Rows) and statistics is not None and all(isinstance(value, str) for value in statistics):
        return _text_imputer(estimator, given, [str(value) for value in statistics])
    marker = getattr(estimator, "missing_values", np.nan)
    if statistics is None or np.asarray(statistics).dtype.kind not in "fiu":
        raise NotLowered("SimpleImputer of something else than numbers")
    if not isinstance(marker, int | float | np.number):
        raise NotLowered("SimpleImputer whose missing values are no numbers")
    values = np.asarray(statistics, np.float64)
    is_kept = ~np.isnan(values)
    if getattr(estimator, "keep_empty_features", False) or getattr(estimator, "strategy", "") == "constant":
        is_kept[:] = True
    indicator = getattr(estimator, "indicator_", None)
    flagged = np.zeros(0, np.intp) if indicator is None else np.asarray(getattr(indicator, "features_"), np.intp)  # noqa: B009  # of an object
    part = draft.matrix(given)
    settings = {} if np.isnan(float(marker)) else {"marker": float(marker)}
    kept = np.flatnonzero(is_kept)
    register = draft.add("impute", [part.register], settings, values=values, kept=kept, flagged=flagged)
    return (Part(register, len(kept) + len(flagged)),)


def _text_imputer(estimator: object, given: Rows, statistics: Sequence[str]) -> Rows:
    """Nothing is computed: whoever reads the column takes null for the text that is put there."""
    marker = getattr(estimator, "missing_values", np.nan)
    if isinstance(marker, str) or getattr(estimator, "indicator_", None) is not None or given.fills:
        raise NotLowered("SimpleImputer of texts with a marker or an indicator")
    return Rows(given.positions, tuple(statistics))


def _normalizer(estimator: object, given: Input, draft: Draft) -> Parts:
    part = draft.matrix(given)
    return (Part(draft.add("normalize", [part.register], {"norm": str(getattr(estimator, "norm", "l2"))}), part.width),)


def _components(estimator: object, given: Input, draft: Draft) -> Parts:
    """PCA: (x @ components − mean @ components), and divided where it whitens, as scikit-learn orders it since 1.5."""
    components = cast("Floats", _get(estimator, "components_"))
    mean = _get(estimator, "mean_")
    part = draft.matrix(given)
    after = None if mean is None else -(mean.reshape(1, -1) @ components.T)[0]
    factor = None
    if getattr(estimator, "whiten", False):
        variance = cast("Floats", _get(estimator, "explained_variance_"))
        factor = 1.0 / np.maximum(np.sqrt(variance), np.finfo(np.float64).eps)
    register = draft.add("project", [part.register], matrix=np.ascontiguousarray(components.T), after=after, factor=factor)
    return (Part(register, len(components)),)


def _truncated(estimator: object, given: Input, draft: Draft) -> Parts:
    components = cast("Floats", _get(estimator, "components_"))
    is_sparse = isinstance(given, tuple) and len(given) == 1 and given[0].is_sparse
    part = given[0] if isinstance(given, tuple) and is_sparse else draft.matrix(given)
    op = "project_sparse" if is_sparse else "project"
    return (Part(draft.add(op, [part.register], matrix=np.ascontiguousarray(components.T)), len(components)),)


def _chosen(estimator: object, given: Input, draft: Draft) -> Parts:
    """Every selector: the columns that it keeps."""
    at = np.asarray(cast("Callable[..., Array]", getattr(estimator, "get_support"))(indices=True), np.intp)  # noqa: B009  # of an object
    part = draft.matrix(given)
    return (Part(draft.add("take", [part.register], at=at), len(at)),)


def _function(estimator: object, given: Input, draft: Draft) -> Input:
    del draft
    function = getattr(estimator, "func", None)
    if isinstance(function, partial) and getattr(function.func, "__module__", "") == "sklearn.utils.validation":
        return given  # histogram gradient boosting looks at its numbers, and changes nothing
    if function is not None or getattr(estimator, "validate", False):
        raise NotLowered("FunctionTransformer of a function")
    return given


TRANSFORMERS: Mapping[str, Lower] = {
    **ENCODERS,
    **TEXTS,
    **CURVES,
    "ColumnTransformer": _columns,
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
    "SimpleImputer": _imputer,
    "Normalizer": _normalizer,
    "PCA": _components,
    "TruncatedSVD": _truncated,
    "FunctionTransformer": _function,
    "SelectKBest": _chosen,
    "SelectPercentile": _chosen,
    "SelectFpr": _chosen,
    "SelectFdr": _chosen,
    "SelectFwe": _chosen,
    "GenericUnivariateSelect": _chosen,
    "SelectFromModel": _chosen,
    "VarianceThreshold": _chosen,
    "RFE": _chosen,
    "RFECV": _chosen,
    "SequentialFeatureSelector": _chosen,
}
