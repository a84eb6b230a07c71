"""Vocabularies: from a word or number to its index, and from indices to what a layer gives for them.

What is not in the vocabulary has one index, or falls into one of several by its hash or remainder. The first indices are for
masked and unknown words; the file may or may not list these among the words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from modelport.columns import Array
from modelport.errors import LoadError, ModelError
from modelport.forms.keras_onnx.fields import Settings, as_dict, as_int, as_list, damaged, not_converted
from modelport.forms.keras_onnx.graph import Floats, Graph
from modelport.forms.keras_onnx.hashes import bucket
from modelport.forms.keras_onnx.network import Layer
from modelport.forms.keras_onnx.texts import as_bytes

Word: TypeAlias = bytes | int

_MODES = {"int": "int", "one_hot": "one_hot", "multi_hot": "multi_hot", "binary": "multi_hot", "count": "count"} | dict.fromkeys(
    ("tf_idf", "tf-idf"), "tf_idf"
)
_DROPPED = -2
"""The index of a masked word where indices are counted: it counts nowhere."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A layer's vocabulary. ``strangers`` gives the index of a word that is not in it. ``weights``: one an index, for tf-idf.

    ``known``: its words as people write them; with ``is_closed`` there are no strangers.
    """

    numbers: Mapping[Word, int]
    strangers: Callable[[Word], int]
    mode: str
    depth: int
    weights: Floats | None
    known: tuple[str | int, ...] = ()
    is_closed: bool = False

    def indices(self, words: Sequence[Word]) -> list[int]:
        """Return the index of every word. Raises: ModelError for an unknown one where the layer has no place for it."""
        numbers = self.numbers
        return [numbers[word] if word in numbers else self.strangers(word) for word in words]

    def encode(self, rows: Sequence[Sequence[int]]) -> Floats:
        """Return how often each index is in a row, or whether it is, times the weights: (rows, depth)."""
        out = counted(rows, self.depth, self.mode)
        return out if self.weights is None else out * self.weights


def counted(rows: Sequence[Sequence[int]], depth: int, mode: str) -> Floats:
    """Return how often each number below ``depth`` is in a row, (rows, depth), or for another mode than count whether it is."""
    out = np.zeros((len(rows), depth), np.float32)
    places = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    flat = np.asarray([number for row in rows for number in row], np.int64)
    kept = (flat >= 0) & (flat < depth)
    np.add.at(out, (places[kept], flat[kept]), 1)
    return out if mode in ("count", "tf_idf") else np.minimum(out, 1)


def read_mode(settings: Settings, default: str) -> str:
    """Return "output_mode" by its newest name. Raises: UnreadableFile, LoadError."""
    mode = settings.text("output_mode", default)
    if mode not in _MODES:
        damaged(f'{settings.where}, "output_mode"', "one of Keras's names", mode)
    if settings.flag("sparse") or settings.flag("ragged"):
        not_converted(f'{settings.where} with "sparse" or "ragged"')
    return _MODES[mode]


def read_lookup(graph: Graph, layer: Layer, given: Mapping[str, object]) -> Lookup:
    """Return the vocabulary of a layer; ``given`` are settings that its class fixes or leaves out.

    Raises: LoadError where the file does not hold it, or for what is not converted; UnreadableFile for one that Keras refuses.
    """
    settings = Settings({**layer.settings.values, **given}, layer.settings.where)
    mode, unknown = read_mode(settings, "int"), settings.integer("num_oov_indices", 1, minimum=0)
    if settings.flag("invert"):
        not_converted(f'{layer.title} with "invert", which answers words,')
    if settings.get("encoding") not in (None, "utf-8"):
        not_converted(f"{layer.title} with another encoding than utf-8")
    is_text = layer.kind != "IntegerLookup"
    mask = settings.get("mask_token")
    masked = [mask] if mask is not None and mode == "int" else []
    special = [*masked, *[settings.get("oov_token")] * unknown]
    listed, start = _listed(graph, layer), len(special)
    is_special = listed[:start] == special
    words = [_word(item, layer, is_text=is_text) for item in (listed[start:] if is_special else listed)]
    if len(set(words)) < len(words) or not listed or (mask is not None and _word(mask, layer, is_text=is_text) in words):
        damaged(f"{layer.title}, vocabulary", "words that are all different and not masked", listed)
    numbers = {word: start + at for at, word in enumerate(words)}
    if mask is not None:
        numbers[_word(mask, layer, is_text=is_text)] = 0 if masked else _DROPPED
    depth = settings.integer("max_tokens") if settings.flag("pad_to_max_tokens") else start + len(words)
    weights = _weights(graph, layer, (start, is_special, depth)) if mode == "tf_idf" else None
    known = tuple(word.decode("utf-8", "replace") if isinstance(word, bytes) else word for word in words)
    return Lookup(numbers, _strangers(layer, settings, (len(masked), unknown)), mode, depth, weights, known, is_closed=unknown == 0)


def _listed(graph: Graph, layer: Layer) -> list[object]:
    given = layer.settings.get("vocabulary")
    if isinstance(given, dict) and given.get("class_name") == "__numpy__":
        given = as_dict(given.get("config"), layer.title).get("value")
    if given is not None:
        return as_list(given, f"{layer.title}, vocabulary")
    stored = graph.weights.get(layer.path, {}).get("vocabulary")
    if stored is None:
        raise LoadError(
            f"{layer.title}: its vocabulary is not in the file, expected in the configuration or beside the weights, as HDF5 "
            "keeps none that was learnt; save the model as .keras where it was trained"
        )
    return list(stored.tolist())


def _word(value: object, layer: Layer, *, is_text: bool) -> Word:
    if is_text and isinstance(value, str):
        return as_bytes(value)
    if not is_text and isinstance(value, int) and not isinstance(value, bool):
        return value
    return damaged(f"{layer.title}, vocabulary", "strings" if is_text else "whole numbers", value)


def _weights(graph: Graph, layer: Layer, shape: tuple[int, bool, int]) -> Floats:
    """Return the weight of each index; where they are given for the words only, the others get their mean."""
    start, is_special, depth = shape
    given = layer.settings.get("idf_weights")
    if given is None:
        return graph.weight(layer, "idf_weights", (depth,))
    if isinstance(given, dict) and given.get("class_name") == "__numpy__":
        given = as_dict(given.get("config"), layer.title).get("value")
    try:
        own = np.asarray(given, np.float64)
        if own.ndim != 1:
            raise ValueError(own.ndim)
        before = 0 if is_special else start
        padded = np.pad(own, (before, depth - before - len(own)))
        padded[:before] = np.mean(own)
    except (ValueError, TypeError, IndexError):
        damaged(f'{layer.title}, "idf_weights"', "one number for each word", given)
    return padded.astype(np.float32)


def _strangers(layer: Layer, settings: Settings, places: tuple[int, int]) -> Callable[[Word], int]:
    """Return what gives a word that is not in the vocabulary its index. ``places``: the first of them and how many there are."""
    first, number = places
    title, salt = layer.title, read_salt(settings)
    is_hashed = layer.kind != "IntegerLookup" or settings.get("oov_method") == "farmhash"

    def refuse(word: Word) -> int:
        shown = word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)
        raise ModelError(f"{title} has no place for {shown[:40]!r}, expected words of its vocabulary only; send one of them")

    def place(word: Word) -> int:
        if not is_hashed and isinstance(word, int):
            return first + word % number
        return first + bucket(word if isinstance(word, bytes) else b"%d" % word, number, salt)

    if number == 0:
        return refuse
    return place if number > 1 else lambda _: first


def read_salt(settings: Settings) -> tuple[int, int] | None:
    """Return the two numbers of "salt"; one stands for both."""
    value = settings.get("salt")
    if value is None:
        return None
    items = [value, value] if isinstance(value, int) else as_list(value, settings.where)
    if len(items) != 2 or not all(isinstance(item, int) for item in items):
        damaged(f'{settings.where}, "salt"', "two whole numbers", value)
    one, two = (item if isinstance(item, int) else as_int(item, settings.where) for item in items)
    return one, two


def numbers_of(array: Array) -> npt.NDArray[np.int64]:
    """Return an array as whole numbers, fractions cut off as TensorFlow casts them."""
    return np.asarray(array).astype(np.int64)
