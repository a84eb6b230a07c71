"""Rows to compare a form with its original on: random ones, ones at and beside every threshold, missing ones, of all categories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelport.columns import Array, Columns
from modelport.forms.likely import likely
from modelport.forms.program.network import is_network, known_words
from modelport.forms.program.steps import Floats, Program
from modelport.schema import Field, Schema

_ROWS = 128
_NEAR = 512
_WORDS = 200
_NETWORK_ROWS = 40  # more than a recurrent network computes at once
_LENGTHS = (40, 7, 1)
_SPREADS = (1.0, 30.0, 1e4)
_OTHER_WORDS = ("a", "I", "am", "well", "It", "WAS", "don't", "naïve", "Straße", "你好", "x", "42", "-", "  ", "\n", "e\u0301")


@dataclass(frozen=True, slots=True)
class _Maker:
    """What rows are made of.

    ``near``: numbers at and beside thresholds. ``words``: of texts. ``limits``: how many numbers of words there are, of inputs that
    take no others. ``length``: of axes that have none of their own.
    """

    schema: Schema
    random: np.random.Generator
    near: Floats
    words: Sequence[str]
    limits: Mapping[str, int]
    length: int = 1

    def rows(self, rows: int, spread: float, *, missing: float = 0.0) -> Columns:
        """Make rows by their physical columns; with a spread of 0, of numbers at and beside thresholds alone."""
        return self.schema.pack({item.name: self._column(item, rows, spread, missing) for item in self.schema.inputs})

    def _column(self, item: Field, rows: int, spread: float, missing: float) -> Array:
        shape = (rows, *(self.length if length is None else length for length in item.shape))
        if item.name in self.limits:
            return self._numbered(shape, self.limits[item.name]).astype(item.dtype)
        gone = self.random.random(shape) < missing if item.nullable else np.zeros(shape, bool)
        if item.type == "string":
            out = np.empty(shape, object)
            out.reshape(-1)[:] = [self._text(item) for _ in range(out.size)]
            out[gone] = None
            return out
        values = self._numbers(item, shape, spread)
        if item.dtype.kind == "b":
            return np.asarray(values > 0)
        if item.dtype.kind in "iu":
            limits = np.iinfo(item.type)
            return np.clip(np.round(values), max(limits.min, -(2**53)), min(limits.max, 2**53)).astype(item.dtype)
        with np.errstate(over="ignore"):
            values = values.astype(item.dtype)
        values[gone] = np.nan
        return values

    def _numbers(self, item: Field, shape: tuple[int, ...], spread: float) -> Floats:
        if item.categories and (item.closed or self.random.random() < 0.8):
            return self.random.choice(np.array([value for value in item.categories if value is not None], np.float64), shape)
        if not spread and len(self.near):
            return self.random.choice(self.near, shape)
        center = self.random.choice(self.near, shape) if len(self.near) else 0.0
        return np.asarray(self.random.normal(0, max(spread, 1.0), shape) + center)

    def _numbered(self, shape: tuple[int, ...], limit: int) -> Array:
        """Return numbers of words, in every row some of them followed by zeros, as padding is."""
        numbers = self.random.integers(0, limit, shape)
        if len(shape) > 1:
            lengths = self.random.integers(0, shape[-1] + 1, (*shape[:-1], 1))
            numbers[np.arange(shape[-1]) >= lengths] = 0
        return np.asarray(numbers)

    def _text(self, item: Field) -> str:
        if item.categories and (item.closed or self.random.random() < 0.8):
            known = [str(value) for value in item.categories if value is not None]
            return known[int(self.random.integers(len(known)))]
        chosen = self.random.integers(0, len(self.words), int(self.random.integers(0, 30)))
        return " ".join(self.words[at] for at in chosen)[: item.max_length]


def trials(schema: Schema, program: Program) -> Iterator[Columns]:
    """Yield rows to compare on, by their physical columns."""
    maker = _Maker(schema, np.random.default_rng(20), _thresholds(program), _words(program), known_words(program))
    if is_network(program):
        yield from _network_trials(maker)
        return
    yield schema.sample(1)
    for spread in _SPREADS:
        yield maker.rows(_ROWS, spread)
    for _ in range(8):
        yield maker.rows(1, 3.0)
    yield from likely(program, maker.rows(_ROWS, 1.0), maker.random)
    if any(item.nullable for item in schema.features):
        for share in (0.1, 0.5, 1.0):
            yield maker.rows(_ROWS, 3.0, missing=share)
    if len(maker.near):
        for _ in range(4):
            yield maker.rows(_NEAR, 0.0)


def _network_trials(maker: _Maker) -> Iterator[Columns]:
    """Yield fewer rows, as a network has no thresholds and may be slow; the last ones hold numbers that are no words."""
    for _ in range(4):
        yield replace(maker, length=_LENGTHS[0]).rows(1, 1.0)
    for spread, length in zip(_SPREADS, _LENGTHS, strict=True):
        yield replace(maker, length=length).rows(_NETWORK_ROWS, spread)
    yield maker.schema.sample(1)
    if maker.limits:
        yield replace(maker, limits={}).rows(2, _SPREADS[-1])


def _thresholds(program: Program) -> Floats:
    """Return what the form compares numbers with, and the numbers next to those in float64 and float32."""
    found = [array.reshape(-1) for step in program.steps for name, array in step.arrays.items() if name in ("threshold", "categories")]
    values = np.unique(np.concatenate(found).astype(np.float64)) if found else np.zeros(0)
    values = values[np.isfinite(values)]
    if len(values) > _NEAR:
        values = np.random.default_rng(0).choice(values, _NEAR, replace=False)
    single = values.astype(np.float32)
    with np.errstate(over="ignore"):
        beside = [np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf)), single]
        exact = [values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)]
        return np.concatenate([*exact, *(part.astype(np.float64) for part in beside)])


def _words(program: Program) -> Sequence[str]:
    """Return words of the form's own vocabularies, and some that are in none."""
    terms = [term for step in program.steps if "terms" in step.settings for term in step.texts("terms")]
    if len(terms) > _WORDS:
        terms = [terms[at] for at in np.random.default_rng(0).choice(len(terms), _WORDS, replace=False)]
    return [*terms, *_OTHER_WORDS]
