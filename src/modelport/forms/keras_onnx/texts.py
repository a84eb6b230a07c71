"""TextVectorization's first half: a text made plain and cut into words, byte for byte as TensorFlow does.

TensorFlow works on UTF-8 bytes: its ``lower`` changes the letters A to Z only, its splitting knows the ASCII white space only.
Python's methods of bytes have these very rules, those of str have not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from modelport.forms.keras_onnx.fields import as_int, as_list, damaged, not_converted
from modelport.forms.keras_onnx.network import Layer

Splitter: TypeAlias = Callable[[bytes], list[bytes]]

_PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
_STANDARDS: dict[object, tuple[bool, bytes]] = {
    None: (False, b""),
    "lower": (True, b""),
    "strip_punctuation": (False, _PUNCTUATION),
    "lower_and_strip_punctuation": (True, _PUNCTUATION),
}


def as_bytes(value: object) -> bytes:
    """Return a string as TensorFlow holds it."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def read_splitter(layer: Layer) -> Splitter:
    """Return what makes a text into words by a TextVectorization's settings.

    Raises: LoadError for functions of the user's own, UnreadableFile for settings that Keras has not.
    """
    standard = layer.settings.values.get("standardize", "lower_and_strip_punctuation")
    split = layer.settings.values.get("split", "whitespace")
    if isinstance(standard, dict) or isinstance(split, dict):
        not_converted(f"{layer.title} with a function of its own")
    if standard not in _STANDARDS:
        damaged(f'{layer.title}, "standardize"', "one of Keras's names", standard)
    if split not in (None, "whitespace", "character"):
        damaged(f'{layer.title}, "split"', "whitespace, character or none", split)
    is_lower, removed = _STANDARDS[standard]
    widths = _widths(layer)
    if split is None and widths:
        not_converted(f'{layer.title} with "ngrams" of texts that are not split')

    def words(text: bytes) -> list[bytes]:
        plain = (text.lower() if is_lower else text).translate(None, removed)
        if split is None:
            return [plain]
        found = plain.split() if split == "whitespace" else [item.encode() for item in plain.decode("utf-8", "replace")]
        return found if not widths else [gram for width in widths for gram in _grams(found, width)]

    return words


def _widths(layer: Layer) -> tuple[int, ...]:
    value = layer.settings.get("ngrams")
    if value is None:
        return ()
    if isinstance(value, int):
        return tuple(range(1, as_int(value, layer.title, minimum=1) + 1))
    return tuple(as_int(item, layer.title, minimum=1) for item in as_list(value, layer.title))


def _grams(words: list[bytes], width: int) -> list[bytes]:
    return [b" ".join(words[at : at + width]) for at in range(len(words) - width + 1)]
