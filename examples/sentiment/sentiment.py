"""Score English text between 0 and 0.9 with the network in `best_model.hdf5`.

Training and serving both import the word, encoding and score functions of this file, so a text
means the same numbers to the network on either side. `model.toml` names `get_sentiment_DL` as the
predict hook; `python sentiment.py` starts the service.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

TOKENS = 56
"""Words that the network reads; the rest of a longer text is cut off."""
PADDING = 0
"""Index that fills the right end of a short text. No word has it; the network masks it."""
UNKNOWN = 1
"""Index of every word that has no vector."""
FIRST_WORD = 2
"""Index of the first word of the vocabulary."""
BANDS = 10
TOP = 3

_WORD = re.compile(r"\w+")
_LONG_TEXT = 1_000
_NEAR_TIE = 1e-6


class Network(Protocol):
    """Anything with the `predict` of a Keras model."""

    def predict(self, x: npt.NDArray[np.int32], *, batch_size: int, verbose: int) -> npt.ArrayLike:
        """Return one row of band probabilities for each row of word indexes."""
        ...


def get_sentiment_DL(prd_model: Network, text_data: pd.DataFrame, word_idx: Mapping[str, int]) -> pd.DataFrame:
    """Score every row of a frame with columns `ref` and `text` in one call of the network.

    Returns a new frame with the columns `ref` and `Sentiment_Score`, row for row in the caller's
    order and under the caller's index, whatever that index is.
    """
    rows = len(text_data)
    if rows:
        tokens = encode(text_data["text"].tolist(), word_idx)
        found = scores(prd_model.predict(tokens, batch_size=rows, verbose=0))
    else:
        found = np.empty(0)
    # Bare arrays, because Series would be aligned by label: wrong under a repeated index, and slow.
    columns = {"ref": text_data["ref"].array, "Sentiment_Score": found}
    return pd.DataFrame(columns, index=text_data.index)


def words(text: object) -> list[str]:
    r"""Return at most the first 56 words of a text: runs of `\w`, lower-cased.

    A missing text (None, NaN, NA) has no words.
    """
    if not isinstance(text, str):
        text = "" if pd.isna(text) else str(text)
    if len(text) > _LONG_TEXT:  # do not cut a whole book into words to keep 56 of them
        return [match[0].lower() for match in islice(_WORD.finditer(text), TOKENS)]
    return [word.lower() for word in _WORD.findall(text)[:TOKENS]]


def encode(texts: Sequence[object], word_idx: Mapping[str, int]) -> npt.NDArray[np.int32]:
    """Turn texts into word indexes for the network.

    Shapes: (texts, 56), int32; short texts are padded with 0 at the right end.
    Cost: about 5 microseconds for a text of 18 words.
    """
    lengths = np.empty(len(texts), dtype=np.intp)
    indexes: list[int] = []
    find = word_idx.get
    unknown = repeat(UNKNOWN)
    for row, text in enumerate(texts):
        found = words(text)
        lengths[row] = len(found)
        indexes += map(find, found, unknown)
    encoded = np.full((len(texts), TOKENS), PADDING, dtype=np.int32)
    # Rows are filled from the left, so the true cells in reading order are exactly the indexes.
    encoded[np.arange(TOKENS) < lengths[:, None]] = indexes
    return encoded


def scores(probabilities: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Reduce band probabilities to one score a row.

    The score is the mean index of the three likeliest bands, weighted by their probabilities,
    divided by 10 and rounded as Python's `round` does to two decimals: 0.0 to 0.9. Between equal
    probabilities the higher band is taken.

    Shapes: (rows, 10) to (rows,).
    """
    values = np.asarray(probabilities, dtype=np.float64)
    bands = np.argsort(values, axis=1, kind="stable")[:, -TOP:]
    top = np.take_along_axis(values, bands, axis=1)
    weights = top / (top[:, 0] + top[:, 1] + top[:, 2])[:, None]
    parts = bands * weights
    return _round2((parts[:, 0] + parts[:, 1] + parts[:, 2]) / 10)


def expected_values(probabilities: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the mean of the band middles (0.05 to 0.95), weighted by all the probabilities."""
    middles = (np.arange(BANDS) + 0.5) / BANDS
    return np.asarray(probabilities, dtype=np.float64) @ middles


def bands_of(values: Iterable[float]) -> npt.NDArray[np.int64]:
    """Return the band `int(value * 10)` of values from 0 to 1; 1.0 itself belongs to band 9."""
    floors = (np.asarray(list(values), dtype=np.float64) * BANDS).astype(np.int64)
    return np.minimum(floors, BANDS - 1)


def _round2(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round to two decimals as Python does: by the exact value of the double.

    `numpy.round` scales by 100 first, and that product can fall on the other side of a tie.
    Away from ties both agree, so only values close to one take the slow way.
    """
    scaled = values * 100
    rounded = np.rint(scaled) / 100
    for row in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < _NEAR_TIE):
        rounded[row] = round(float(values[row]), 2)
    return rounded


if __name__ == "__main__":
    import modelport

    modelport.serve(Path(__file__).parent, host="0.0.0.0", port=5005)
