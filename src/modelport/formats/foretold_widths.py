"""How many features a pickled transformer would answer with, and of which type, told from its state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from modelport.formats.batches import Table
from modelport.formats.estimator_inputs import describe, positions
from modelport.formats.estimator_tree import branches, feature_names, flatten, width
from modelport.formats.likeness import Likeness
from modelport.formats.likeness_rules import SUPPORTS
from modelport.formats.pictures import Untold

DType: TypeAlias = np.dtype[np.generic]
Told: TypeAlias = tuple[int, DType]
_COMPONENTS = (
    *("PCA", "IncrementalPCA", "SparsePCA", "MiniBatchSparsePCA", "TruncatedSVD", "FastICA", "FactorAnalysis", "NMF", "MiniBatchNMF"),
    *("LatentDirichletAllocation", "BernoulliRBM", "NeighborhoodComponentsAnalysis", "Nystroem"),
)
_FLOAT: DType = np.dtype(np.float64)


def widths(model: object) -> Told:
    """Return the number of features in one row's answer, and their type. Raises: Untold."""
    transformers, final = flatten(model)
    if not isinstance(final, Likeness):
        raise Untold("no transformer")
    del transformers
    rule = _RULES.get(type(final).__name__)
    if rule is None:
        raise Untold(f"the width of {type(final).__name__}")
    return rule(final)


def _same(model: Likeness) -> Told:
    found = width(model)
    if found is None:
        raise Untold("no width")
    return found, _FLOAT


def _rows_of(name: str) -> Callable[[Likeness], Told]:
    def rule(model: Likeness) -> Told:
        return len(_array(getattr(model, name))), _FLOAT

    return rule


def _columns_of(name: str) -> Callable[[Likeness], Told]:
    def rule(model: Likeness) -> Told:
        return _array(getattr(model, name)).shape[1], _FLOAT

    return rule


def _number(name: str) -> Callable[[Likeness], Told]:
    def rule(model: Likeness) -> Told:
        return _whole(getattr(model, name)), _FLOAT

    return rule


def _supported(model: Likeness) -> Told:
    return int(SUPPORTS[type(model).__name__](model).sum()), _FLOAT


def _encoded(model: Likeness) -> Told:
    """One-hot encoding: a column for each category that is not dropped, or the counts that newer versions keep."""
    kind = _dtype(getattr(model, "dtype", np.float64))
    kept = getattr(model, "_n_features_outs", None)
    if isinstance(kept, list):
        return sum(map(_whole, kept)), kind
    if getattr(model, "drop_idx_", None) is not None:
        raise Untold("dropped categories of an older version")
    return sum(len(_array(values)) for values in _listed(model.categories_)), kind


def _ordinal(model: Likeness) -> Told:
    return len(_listed(model.categories_)), _dtype(model.dtype)


def _words(model: Likeness) -> Told:
    vocabulary = getattr(model, "vocabulary_", None)
    if not isinstance(vocabulary, dict):
        raise Untold("no vocabulary")
    return vocabulary.total if isinstance(vocabulary, Table) else len(vocabulary), _dtype(model.dtype)


def _hashes(model: Likeness) -> Told:
    return _whole(model.n_features), _dtype(model.dtype)


def _imputed(model: Likeness) -> Told:
    statistics = _array(model.statistics_)
    if getattr(model, "indicator_", None) is not None or statistics.dtype.kind not in "f":
        raise Untold("imputation of other than numbers, or with indicators")
    keeps_all = getattr(model, "keep_empty_features", False) or model.strategy == "constant"
    return (len(statistics) if keeps_all else int((~np.isnan(statistics)).sum())), _FLOAT


def _bins(model: Likeness) -> Told:
    counts = _array(model.n_bins_)
    kind = _FLOAT if getattr(model, "dtype", None) is None else _dtype(model.dtype)
    return (len(counts) if model.encode == "ordinal" else int(counts.sum())), kind


def _function(model: Likeness) -> Told:
    if getattr(model, "func", None) is not None:
        raise Untold("what a function answers")
    return _same(model)


def _union(model: Likeness) -> Told:
    parts = branches(model)
    if parts is None or any(part == "passthrough" for _, part in _pairs(model.transformer_list)):
        raise Untold("what is passed through")
    return _joined([widths(part) for part in parts])


def _columns(model: Likeness) -> Told:
    names, count = feature_names(model), width(model) or 0
    types = {use.type for use in describe(model) if use.is_used}
    found: list[Told] = []
    for _, transformer, key in _triples(model.transformers_):
        at = positions(key, names, count)  # type: ignore[arg-type]  # of whatever kind the file says; a wrong one is a ValueError
        if not at or transformer == "drop":
            continue
        is_as_it_is = transformer == "passthrough" or (type(transformer).__name__ == "FunctionTransformer")
        if is_as_it_is and types != {"float64"}:
            raise Untold("the type of what is passed through")
        found.append((len(at), _FLOAT) if transformer == "passthrough" else widths(transformer))
    return _joined(found)


def _joined(parts: list[Told]) -> Told:
    if not parts:
        raise Untold("no part")
    return sum(count for count, _ in parts), np.result_type(*(kind for _, kind in parts))


def _chi(model: Likeness) -> Told:
    return _same(model)[0] * (2 * _whole(model.sample_steps) - 1), _FLOAT


def _near(model: Likeness) -> Told:
    valid = getattr(model, "_valid_mask", None)
    if getattr(model, "indicator_", None) is not None or (isinstance(valid, np.ndarray) and not valid.all()):
        raise Untold("imputation with indicators, or of columns without a value")
    return _same(model)


def _marks(model: Likeness) -> Told:
    if getattr(model, "error_on_new", True) and model.features != "all":
        raise Untold("whether new missing values are taken")
    return len(_array(model.features_)), np.dtype(bool)


def _leaves(model: Likeness) -> Told:
    return _encoded(_likeness(model.one_hot_encoder_))


def _targets(model: Likeness) -> Told:
    if model.target_type_ == "multiclass":
        raise Untold("the order of several classes")
    return len(_listed(model.encodings_)), _FLOAT


def _likeness(value: object) -> Likeness:
    if not isinstance(value, Likeness):
        raise Untold("no object")
    return value


def _array(value: object) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    if not isinstance(value, np.ndarray) or not value.ndim:
        raise Untold("no array")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise Untold("no number")
    return value


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Untold("no list")
    return value


def _pairs(value: object) -> list[tuple[object, object]]:
    return [(item[0], item[1]) for item in _listed(value) if isinstance(item, tuple) and len(item) == 2]


def _triples(value: object) -> list[tuple[object, object, object]]:
    return [(item[0], item[1], item[2]) for item in _listed(value) if isinstance(item, tuple) and len(item) == 3]


def _dtype(value: object) -> DType:
    found: DType = np.dtype(value)  # type: ignore[call-overload]  # a type, or a TypeError
    if found.kind not in "fiub":
        raise Untold("no numbers")
    return found


_RULES: Mapping[str, Callable[[Likeness], Told]] = MappingProxyType(
    {
        **dict.fromkeys(("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "Normalizer", "Binarizer"), _same),
        **dict.fromkeys(("PowerTransformer", "QuantileTransformer", "TfidfTransformer", "KernelCenterer"), _same),
        **dict.fromkeys(_COMPONENTS, _rows_of("components_")),
        **dict.fromkeys(("GaussianRandomProjection", "SparseRandomProjection"), _number("n_components_")),
        **dict.fromkeys(("PLSSVD",), _columns_of("x_weights_")),
        **dict.fromkeys(("Isomap", "LocallyLinearEmbedding"), _columns_of("embedding_")),
        **dict.fromkeys(("RBFSampler", "SkewedChi2Sampler"), _columns_of("random_weights_")),
        "PolynomialCountSketch": _number("n_components"),
        "AdditiveChi2Sampler": _chi,
        "KNNImputer": _near,
        "MissingIndicator": _marks,
        "RandomTreesEmbedding": _leaves,
        "TargetEncoder": _targets,
        "KernelPCA": _rows_of("eigenvalues_"),
        "FeatureAgglomeration": _number("n_clusters_"),
        "PolynomialFeatures": _number("n_output_features_"),
        "SplineTransformer": _number("n_features_out_"),
        **dict.fromkeys(SUPPORTS, _supported),
        "OneHotEncoder": _encoded,
        "OrdinalEncoder": _ordinal,
        "CountVectorizer": _words,
        "TfidfVectorizer": _words,
        "HashingVectorizer": _hashes,
        "SimpleImputer": _imputed,
        "KBinsDiscretizer": _bins,
        "FunctionTransformer": _function,
        "FeatureUnion": _union,
        "ColumnTransformer": _columns,
    }
)
