"""Operations on texts: terms counted by a vocabulary, weighted, and added up by linear models without being written out.

Tokens are found as scikit-learn's vectorizers find them, by the same regular expressions and in the same order of steps; what
is gained is everything around: one count for all texts of a batch, and no sparse matrix class.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelport.columns import Columns
from modelport.forms.program.steps import Floats, Places, Step

Function = Callable[..., object]
Cut = Callable[[str], Sequence[str]]

PATTERNS = (r"(?u)\b\w\w+\b", r"(?u)\b\w+\b", r"\b\w\w+\b", r"\b\w+\b", r"\w+", r"(?u)\w+", r"\S+", r"[a-zA-Z]+", r"\w{1,}", r"(?u)\w{1,}")
"""Token patterns that take linear time on any text: one of a stranger's choosing may not."""
_WHITE = re.compile(r"\s\s+")


@dataclass(frozen=True, slots=True)
class Sparse:
    """Numbers by row and column where they are not zero: row i has entries ``starts[i]`` up to ``starts[i + 1]``, by column."""

    starts: Places
    columns: Places
    values: Floats

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.starts) - 1


def count_terms(step: Step) -> Function:
    """A column of texts → how often each of ``terms`` occurs in each (Sparse); with ``is_binary`` whether it does."""
    column, terms = step.text("column"), step.texts("terms")
    prepare, cut = preparer(step), cutter(step)
    get = {term: at for at, term in enumerate(terms)}.get
    width, is_binary = len(terms), bool(step.settings.get("is_binary"))

    def count(columns: Columns) -> Sparse:
        texts = columns[column].tolist()
        keys: list[int] = []
        for row, text in enumerate(texts):
            start = row * width
            keys += [start + at for term in cut(prepare(text)) if (at := get(term)) is not None]
        found, counts = np.unique(np.array(keys, np.intp), return_counts=True)
        starts = np.searchsorted(found, np.arange(len(texts) + 1) * width)
        return Sparse(starts, found % width if width else found, np.ones(len(found)) if is_binary else counts.astype(np.float64))

    return count


def preparer(step: Step) -> Callable[[str], str]:
    """Return what a text goes through before it is cut: small letters, accents taken off. Raises: ValueError."""
    lower, accents = bool(step.settings.get("is_lower")), step.settings.get("accents")
    if accents not in (None, "unicode", "ascii"):
        raise ValueError(f"unknown accents {accents!r}")
    if accents is None:
        return str.lower if lower else str
    strip = _plain if accents == "unicode" else _ascii
    return lambda text: strip(text.lower() if lower else text)


def _plain(text: str) -> str:
    return text if text.isascii() else "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def cutter(step: Step) -> Cut:
    """Return what cuts a text into its terms. Raises: ValueError for patterns and lengths that are not known."""
    analyzer, least, most = step.text("analyzer"), int(step.number("least")), int(step.number("most"))
    if not 1 <= least <= most <= 20:
        raise ValueError("lengths of terms must be 1 to 20, the smaller first")
    if analyzer == "word":
        pattern = step.text("pattern")
        if pattern not in PATTERNS:
            raise ValueError("its token pattern is not one of the known ones")
        return _words(re.compile(pattern).findall, frozenset(step.texts("stop_words")), least, most)
    if analyzer == "char":
        return lambda text: [*_grams(_WHITE.sub(" ", text), least, most)]
    if analyzer == "char_wb":
        return lambda text: [gram for word in _WHITE.sub(" ", text).split() for gram in _padded(f" {word} ", least, most)]
    raise ValueError(f"unknown analyzer {analyzer!r}")


def _words(find: Cut, stop_words: frozenset[str], least: int, most: int) -> Cut:
    def cut(text: str) -> Sequence[str]:
        tokens = find(text)
        if stop_words:
            tokens = [token for token in tokens if token not in stop_words]
        if most == 1:
            return tokens
        out = list(tokens) if least == 1 else []
        for size in range(max(least, 2), most + 1):
            out += map(" ".join, zip(*(tokens[at:] for at in range(size)), strict=False))
        return out

    return cut


def _grams(text: str, least: int, most: int) -> Iterator[str]:
    for size in range(least, min(most, len(text)) + 1):
        for at in range(len(text) - size + 1):
            yield text[at : at + size]


def _padded(word: str, least: int, most: int) -> Iterator[str]:
    """Yield a padded word's pieces; one shorter than a piece counts once, as a whole."""
    for size in range(least, most + 1):
        yield from (word[at : at + size] for at in range(max(1, len(word) - size + 1)))
        if size >= len(word):
            return


def weigh_terms(step: Step) -> Function:
    """Counts → term frequencies: 1 + log where ``is_sublinear``, times ``weights``, each row divided by its ``norm``."""
    weights, norm, is_sublinear = step.some_floats("weights"), step.settings.get("norm"), bool(step.settings.get("is_sublinear"))
    if norm not in (None, "l1", "l2"):
        raise ValueError(f"unknown norm {norm!r}")

    def apply(counts: Sparse) -> Sparse:
        values = np.log(counts.values) + 1.0 if is_sublinear else counts.values
        if weights is not None:
            values = values * weights[counts.columns]
        if norm is not None:
            lengths = np.sqrt(_sums(values * values, counts.starts)) if norm == "l2" else _sums(np.abs(values), counts.starts)
            values = values / np.repeat(np.where(lengths == 0.0, 1.0, lengths), np.diff(counts.starts))
        return Sparse(counts.starts, counts.columns, values)

    return apply


def _sums(values: Floats, starts: Places) -> Floats:
    """Add up each row's entries. Shapes: values (entries, …) → (rows, …)."""
    out = np.zeros((len(starts) - 1, *values.shape[1:]))
    filled = np.flatnonzero(np.diff(starts))
    if len(filled):
        out[filled] = np.add.reduceat(values, starts[:-1][filled], axis=0)
    return out


def project_sparse(step: Step) -> Function:
    """Sparse → scores (rows, k): entries times their rows of ``matrix``, added up, plus ``after``."""
    matrix, after = step.floats("matrix"), step.some_floats("after")
    flat = np.ascontiguousarray(matrix[:, 0]) if matrix.shape[1] == 1 else None

    def apply(given: Sparse) -> Floats:
        if flat is None:
            out = _sums(given.values[:, None] * matrix[given.columns], given.starts)
        else:
            out = _sums(given.values * flat[given.columns], given.starts)[:, None]
        return out if after is None else out + after

    return apply


def write_out(step: Step) -> Function:
    """Sparse → a matrix (rows, width)."""
    width = int(step.number("width"))

    def apply(given: Sparse) -> Floats:
        out = np.zeros((given.rows, width))
        out[np.repeat(np.arange(given.rows), np.diff(given.starts)), given.columns] = given.values
        return out

    return apply


OPERATIONS: Mapping[str, Callable[[Step], Function]] = {
    "count_terms": count_terms,
    "weigh_terms": weigh_terms,
    "project_sparse": project_sparse,
    "write_out": write_out,
}
