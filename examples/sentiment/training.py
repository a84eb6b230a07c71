"""What both training scripts need: the data, the measures, and the files that record a run."""

import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sentiment import BANDS, FIRST_WORD, bands_of, expected_values, scores, words

HERE = Path(__file__).parent
SENTENCES = HERE / "data" / "sentiment_scores.csv.gz"
VECTORS = HERE / "data" / "glove_6b_100d_subset.txt.gz"
SEED = 20_190_405
POSITIVE_FROM = 0.5
"""A sentence counts as positive from this human score on."""


@dataclass(frozen=True, slots=True)
class Part:
    """The sentences of one split: their texts, human scores and bands, in file order."""

    ids: list[str]
    texts: list[str]
    values: npt.NDArray[np.float64]
    bands: npt.NDArray[np.int64]


def read_parts() -> dict[str, Part]:
    """Read the rated sentences, one Part for each of train, val and test."""
    table = pd.read_csv(SENTENCES)
    return {
        str(name): Part(
            ids=rows["id"].tolist(),
            texts=rows["text"].tolist(),
            values=rows["score"].to_numpy(dtype=np.float64),
            bands=bands_of(rows["score"]),
        )
        for name, rows in table.groupby("split")
    }


def read_vectors() -> tuple[dict[str, int], npt.NDArray[np.float32]]:
    """Read the GloVe subset: word -> index, and one vector for each index.

    The vectors of index 0 (padding) and 1 (unknown word) are zero. Entries that no text can
    reach, such as punctuation, are left out.
    """
    word_idx: dict[str, int] = {}
    rows: list[npt.NDArray[np.float32]] = []
    with gzip.open(VECTORS, "rt", encoding="utf-8") as lines:
        for line in lines:
            word, numbers = line.rstrip("\n").split(" ", 1)
            if words(word) != [word]:
                continue
            word_idx[word] = FIRST_WORD + len(rows)
            rows.append(np.array(numbers.split(" "), dtype=np.float32))
    reserved = np.zeros((FIRST_WORD, len(rows[0])), dtype=np.float32)
    return word_idx, np.concatenate([reserved, np.stack(rows)])


def choose_threshold(probabilities: npt.ArrayLike, part: Part) -> float:
    """Find the score from which a text is called positive, on validation data.

    The score leans low (band indexes, not band middles), so 0.5 is not its neutral point. Among
    equally good thresholds the middle one is taken.
    """
    found = scores(probabilities)
    candidates = np.arange(30, 61) / 100
    positive = part.values >= POSITIVE_FROM
    right = np.array([np.mean((found >= limit) == positive) for limit in candidates])
    best = candidates[right == right.max()]
    return float(best[len(best) // 2])


def measure(probabilities: npt.ArrayLike, part: Part, *, threshold: float) -> dict[str, float]:
    """Compare band probabilities with the human scores of one split."""
    table = np.asarray(probabilities, dtype=np.float64)
    guessed = table.argmax(axis=1)
    posted = scores(table)
    expected = expected_values(table)
    positive = part.values >= POSITIVE_FROM
    figures = {
        "band_accuracy": np.mean(guessed == part.bands),
        "within_one_band": np.mean(np.abs(guessed - part.bands) <= 1),
        "score_mae": np.mean(np.abs(posted - part.values)),
        "score_correlation": np.corrcoef(posted, part.values)[0, 1],
        "score_sign_accuracy": np.mean((posted >= threshold) == positive),
        "expected_value_mae": np.mean(np.abs(expected - part.values)),
        "expected_value_correlation": np.corrcoef(expected, part.values)[0, 1],
        "expected_value_sign_accuracy": np.mean((expected >= POSITIVE_FROM) == positive),
    }
    return {name: round(float(figure), 4) for name, figure in figures.items()}


def report(val_probabilities: npt.ArrayLike, test_probabilities: npt.ArrayLike, parts: dict[str, Part]) -> dict[str, object]:
    """Measure a model on validation and test data, its threshold chosen on validation alone."""
    threshold = choose_threshold(val_probabilities, parts["val"])
    return {
        "positive_from_score": threshold,
        "val": measure(val_probabilities, parts["val"], threshold=threshold),
        "test": measure(test_probabilities, parts["test"], threshold=threshold),
    }


def write_metrics(folder: Path, artifact: str, facts: dict[str, object]) -> None:
    """Set one artifact's entry in `metrics.json`, leaving the other's as it is."""
    path = folder / "metrics.json"
    entries = json.loads(path.read_text("utf-8")) if path.exists() else {}
    entries[artifact] = facts
    path.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n", "utf-8")


def write_expected(path: Path, part: Part, **arrays: npt.NDArray[np.generic]) -> None:
    """Record predictions that any server of the artifact must repeat, one row a test sentence."""
    rows = {name: array.shape[0] for name, array in arrays.items()}
    if set(rows.values()) != {len(part.texts)}:
        raise ValueError(f"expected {len(part.texts)} rows in each array, found {rows}")
    np.savez_compressed(path, ids=np.array(part.ids), **arrays)


def seal(folder: Path, artifact: str) -> str:
    """Return the artifact's SHA-256, and write it to the folder's `model.toml` if there is one."""
    digest = hashlib.sha256((folder / artifact).read_bytes()).hexdigest()
    manifest = folder / "model.toml"
    if manifest.exists():
        line = rf'^(path = "{re.escape(artifact)}"\nsha256 = ")[0-9a-f]*"'
        text = re.sub(line, rf'\g<1>{digest}"', manifest.read_text("utf-8"), flags=re.MULTILINE)
        manifest.write_text(text, "utf-8")
    return digest


def one_hot(bands: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return one row a band with a single 1."""
    return np.eye(BANDS, dtype=np.float32)[bands]
