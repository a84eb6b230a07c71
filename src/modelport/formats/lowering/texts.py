"""Vectorizers of scikit-learn as steps of a program: counts, TF-IDF."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import cast

import numpy as np

from modelport.formats.estimator_tree import class_name
from modelport.formats.lowering.draft import Draft, Input, NotLowered, Part, Parts, Rows
from modelport.forms.program.steps import Plain
from modelport.forms.program.texts import PATTERNS

Lower = Callable[[object, Input, Draft], Parts]


def _column(estimator: object, given: Input, draft: Draft) -> str:
    """Return the one column of texts that a vectorizer reads. Raises: NotLowered."""
    if not isinstance(given, Rows) or len(given.positions) != 1:
        raise NotLowered(f"{class_name(estimator)} over something else than one column of texts")
    item = draft.schema.inputs[given.positions[0]]
    if item.type != "string" or item.shape or item.nullable:
        raise NotLowered(f"{class_name(estimator)} over a column that is not plain text")
    if np.dtype(getattr(estimator, "dtype", np.float64)) == np.float32:
        raise NotLowered(f"{class_name(estimator)} in float32")
    if getattr(estimator, "input", "content") != "content":
        raise NotLowered(f"{class_name(estimator)} that reads files")
    return item.name


def _count(estimator: object, given: Input, draft: Draft) -> Parts:
    column, terms = _column(estimator, given, draft), _terms(estimator)
    settings: dict[str, Plain] = {
        "column": column,
        "terms": terms,
        "is_binary": bool(getattr(estimator, "binary", False)),
        **_tokens(estimator),
    }
    return (Part(draft.add("count_terms", [0], settings), len(terms), is_sparse=True),)


def _hashed(estimator: object, given: Input, draft: Draft) -> Parts:
    column, width = _column(estimator, given, draft), int(getattr(estimator, "n_features"))  # noqa: B009  # of an object
    settings: dict[str, Plain] = {
        "column": column,
        "width": width,
        "is_signed": bool(getattr(estimator, "alternate_sign", True)),
        "is_binary": bool(getattr(estimator, "binary", False)),
        **_tokens(estimator),
    }
    part = Part(draft.add("hash_terms", [0], settings), width, is_sparse=True)
    norm = getattr(estimator, "norm", "l2")
    if norm not in (None, "l1", "l2"):
        raise NotLowered(f"HashingVectorizer with the norm {norm!r}")
    return (part,) if norm is None else (Part(draft.add("weigh_terms", [part.register], {"norm": norm}), width, is_sparse=True),)


def _terms(estimator: object) -> list[Plain]:
    vocabulary = getattr(estimator, "vocabulary_", None)
    if not isinstance(vocabulary, dict) or sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise NotLowered(f"{class_name(estimator)} whose vocabulary is not numbered from 0 without gaps")
    terms = sorted(vocabulary, key=lambda term: cast("int", vocabulary[term]))
    if not all(isinstance(term, str) for term in terms):
        raise NotLowered(f"{class_name(estimator)} whose terms are not all text")
    return [*terms]


def _tokens(estimator: object) -> dict[str, Plain]:
    """Return how a text is cut. Raises: NotLowered for functions of the user's own and patterns that are not known."""
    name, analyzer, accents = class_name(estimator), getattr(estimator, "analyzer", None), getattr(estimator, "strip_accents", None)
    if any(getattr(estimator, what, None) is not None for what in ("preprocessor", "tokenizer")) or not isinstance(analyzer, str):
        raise NotLowered(f"{name} with functions of its own")
    if accents not in (None, False, "unicode", "ascii"):
        raise NotLowered(f"{name} that strips accents by a function")
    least, most = (int(size) for size in cast("Iterable[int]", getattr(estimator, "ngram_range", (1, 1))))
    out: dict[str, Plain] = {"analyzer": analyzer, "least": least, "most": most, "is_lower": bool(getattr(estimator, "lowercase", True))}
    if accents:
        out["accents"] = accents
    if analyzer == "word":
        pattern = getattr(estimator, "token_pattern", "")
        if pattern not in PATTERNS:
            raise NotLowered(f"{name} with a token pattern of its own")
        stop_words = cast("Callable[[], Iterable[str] | None]", getattr(estimator, "get_stop_words"))()  # noqa: B009  # of an object
        words: list[Plain] = [*sorted(stop_words or ())]
        out |= {"pattern": pattern, "stop_words": words}
    return out


def _weigh(weigher: object, part: Part, draft: Draft) -> Parts:
    """Add what TfidfTransformer does; a vectorizer has the same settings."""
    norm = getattr(weigher, "norm", "l2")
    if norm not in (None, "l1", "l2"):
        raise NotLowered(f"TF-IDF with the norm {norm!r}")
    weights = np.asarray(getattr(weigher, "idf_"), np.float64) if getattr(weigher, "use_idf", True) else None  # noqa: B009  # of an object
    settings: dict[str, Plain] = {"norm": norm, "is_sublinear": bool(getattr(weigher, "sublinear_tf", False))}
    return (Part(draft.add("weigh_terms", [part.register], settings, weights=weights), part.width, is_sparse=True),)


def _tfidf(estimator: object, given: Input, draft: Draft) -> Parts:
    (counted,) = _count(estimator, given, draft)
    return _weigh(estimator, counted, draft)


def _transformer(estimator: object, given: Input, draft: Draft) -> Parts:
    if isinstance(given, Rows) or len(given) != 1 or not given[0].is_sparse:
        raise NotLowered("TfidfTransformer of something else than counts")
    return _weigh(estimator, given[0], draft)


TEXTS: Mapping[str, Lower] = {
    "CountVectorizer": _count,
    "TfidfVectorizer": _tfidf,
    "TfidfTransformer": _transformer,
    "HashingVectorizer": _hashed,
}
