"""Train the small sibling: word pairs and a linear classifier over the same ten bands.

Writes best_model.pkl, its entry in metrics.json, and expected_test_pkl.npz.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
from rich.progress import track
from sentiment import BANDS, scores
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from training import HERE, Part, read_parts, report, seal, write_expected, write_metrics

ARTIFACT = "best_model.pkl"
STRENGTHS = (1.0, 2.0, 5.0, 10.0)
"""Inverse regularisation strengths that are tried; validation data choose among them."""


def build(strength: float) -> Pipeline:
    """Return the untrained pipeline, made of scikit-learn's own parts only."""
    return Pipeline(
        [
            (
                "words",
                TfidfVectorizer(
                    ngram_range=(1, 2),
                    min_df=2,
                    sublinear_tf=True,
                    token_pattern=r"\w+",
                ),
            ),
            ("bands", LogisticRegression(C=strength, max_iter=500)),
        ]
    )


def choose(train: Part, val: Part, strengths: Sequence[float]) -> tuple[Pipeline, float]:
    """Return the pipeline whose score is nearest to the human one on validation data, and its strength."""
    fitted: list[tuple[float, float, Pipeline]] = []
    for strength in track(strengths, description="fitting"):
        pipeline = build(strength).fit(train.texts, train.bands)
        error = np.abs(scores(predict(pipeline, val)) - val.values).mean()
        fitted.append((float(error), strength, pipeline))
    _, strength, pipeline = min(fitted, key=lambda entry: entry[0])
    return pipeline, strength


def predict(pipeline: Pipeline, part: Part) -> npt.NDArray[np.float64]:
    """Return the band probabilities of one split; column k is band k."""
    if list(pipeline.classes_) != list(range(BANDS)):
        raise ValueError(f"expected a class for each of {BANDS} bands, found {pipeline.classes_}")
    return np.asarray(pipeline.predict_proba(part.texts), dtype=np.float64)


def record(output: Path, parts: dict[str, Part], facts: dict[str, object]) -> None:
    """Measure the file just written, as any reader of it would see it."""
    pipeline = joblib.load(output / ARTIFACT)
    test = predict(pipeline, parts["test"])
    write_expected(
        output / "expected_test_pkl.npz",
        parts["test"],
        probabilities=test,
        labels=np.asarray(pipeline.predict(parts["test"].texts)),
        Sentiment_Score=scores(test),
    )
    facts["sha256"] = seal(output, ARTIFACT)
    facts["bytes"] = (output / ARTIFACT).stat().st_size
    facts |= report(predict(pipeline, parts["val"]), test, parts)
    write_metrics(output, ARTIFACT, facts)
    print(json.dumps(facts, indent=2))


def main() -> None:
    """Train, save and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strengths", type=float, nargs="+", default=STRENGTHS, help="inverse regularisation strengths to try")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    parts = read_parts()
    started = time.perf_counter()
    pipeline, strength = choose(parts["train"], parts["val"], chosen.strengths)
    seconds = round(time.perf_counter() - started)
    joblib.dump(pipeline, chosen.output / ARTIFACT, compress=("zlib", 9))
    record(chosen.output, parts, {"train_seconds": seconds, "strength": strength})


if __name__ == "__main__":
    main()
