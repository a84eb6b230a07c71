"""Terms of texts counted by their hash, as ``HashingVectorizer`` does: MurmurHash3 of their bytes in UTF-8, and no vocabulary.

A hash costs microseconds in Python, so those of frequent terms are kept: a bounded number, as the words of strangers have no end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelport.columns import Columns
from modelport.forms.program.steps import Step
from modelport.forms.program.texts import Sparse, cutter, preparer
from modelport.forms.program.undecided import Undecided

Function = Callable[..., object]
_KEPT = 1 << 16
_LONGEST = 64  # what is longer is hardly a word that comes again
_MASK = 0xFFFFFFFF


def murmur3(data: bytes) -> int:
    """Return MurmurHash3's 32 bits of a text with the seed 0, as a signed number (Appleby, MurmurHash3_x86_32)."""
    value, whole = 0, len(data) & ~3
    for at in range(0, whole, 4):
        value ^= _mixed(int.from_bytes(data[at : at + 4], "little"))
        value = (((value << 13) | (value >> 19)) * 5 + 0xE6546B64) & _MASK
    value ^= _mixed(int.from_bytes(data[whole:], "little"))
    value ^= len(data)
    value = ((value ^ (value >> 16)) * 0x85EBCA6B) & _MASK
    value = ((value ^ (value >> 13)) * 0xC2B2AE35) & _MASK
    value ^= value >> 16
    return value - (1 << 32) if value >> 31 else value


def _mixed(block: int) -> int:
    block = (block * 0xCC9E2D51) & _MASK
    return ((((block << 15) | (block >> 17)) & _MASK) * 0x1B873593) & _MASK


def hash_terms(step: Step) -> Function:
    """A column of texts → counts of terms by their hash (Sparse), half of them negative where ``is_signed``."""
    column, width = step.text("column"), int(step.number("width"))
    prepare, cut = preparer(step), cutter(step)
    is_signed, is_binary = bool(step.settings.get("is_signed")), bool(step.settings.get("is_binary"))
    if width < 1:
        raise ValueError("there must be a column")
    kept: dict[str, tuple[int, float]] = {}

    def place(term: str) -> tuple[int, float]:
        try:
            number = murmur3(term.encode("utf-8"))
        except UnicodeEncodeError:  # half of a character, which is the original's to refuse
            raise Undecided from None
        found = abs(number) % width, -1.0 if is_signed and number < 0 else 1.0
        if len(kept) < _KEPT and len(term) <= _LONGEST:
            kept[term] = found
        return found

    def count(columns: Columns) -> Sparse:
        texts = columns[column].tolist()
        keys: list[int] = []
        signs: list[float] = []
        for row, text in enumerate(texts):
            start = row * width
            for term in cut(prepare(text)):
                at, sign = kept.get(term) or place(term)
                keys.append(start + at)
                signs.append(sign)
        found, owner = np.unique(np.array(keys, np.intp), return_inverse=True)
        values = np.bincount(owner, signs, len(found)).astype(np.float64)
        starts = np.searchsorted(found, np.arange(len(texts) + 1) * width)
        return Sparse(starts, found % width, np.ones(len(found)) if is_binary else values)

    return count


OPERATIONS: Mapping[str, Callable[[Step], Function]] = {"hash_terms": hash_terms}
