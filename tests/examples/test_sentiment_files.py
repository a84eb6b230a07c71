"""The sentiment example's files agree with each other: manifest, artifacts, recorded predictions, figures, model card."""

import gzip
import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentiment import scores, words

SENTIMENT = Path(__file__).parents[2] / "examples" / "sentiment"
ARTIFACTS = {"best_model.hdf5": "expected_test.npz", "best_model.pkl": "expected_test_pkl.npz"}
LIMIT_BYTES = 25_000_000


@pytest.fixture(scope="module")
def metrics() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SENTIMENT / "metrics.json").read_text("utf-8"))
    return found


def test_manifest_seals_the_network() -> None:
    manifest = tomllib.loads((SENTIMENT / "model.toml").read_text("utf-8"))
    assert manifest["artifact"]["path"] == "best_model.hdf5"
    assert manifest["artifact"]["sha256"] == hashlib.sha256((SENTIMENT / "best_model.hdf5").read_bytes()).hexdigest()
    assert all((SENTIMENT / path).is_file() for path in manifest["resources"].values())


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_figures_are_those_of_the_committed_artifact(artifact: str, metrics: dict[str, Any]) -> None:
    content = (SENTIMENT / artifact).read_bytes()
    assert metrics[artifact]["sha256"] == hashlib.sha256(content).hexdigest()
    assert metrics[artifact]["bytes"] == len(content)


def test_network_is_as_good_as_promised(metrics: dict[str, Any]) -> None:
    test = metrics["best_model.hdf5"]["test"]
    assert test["band_accuracy"] >= 0.37
    assert test["score_mae"] <= 0.128
    assert test["score_sign_accuracy"] >= 0.79


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_figures_follow_from_the_recorded_predictions(artifact: str, metrics: dict[str, Any]) -> None:
    from training import measure, read_parts

    part = read_parts()["test"]
    with np.load(SENTIMENT / ARTIFACTS[artifact]) as recorded:
        assert recorded["ids"].tolist() == part.ids
        assert recorded["Sentiment_Score"].tolist() == scores(recorded["probabilities"]).tolist()
        figures = measure(recorded["probabilities"], part, threshold=metrics[artifact]["positive_from_score"])
    assert figures == metrics[artifact]["test"]


def test_linear_sibling_still_computes_its_recorded_predictions() -> None:
    from training import read_parts

    joblib = pytest.importorskip("joblib")
    sklearn = pytest.importorskip("sklearn")
    if not sklearn.__version__.startswith("1.9."):
        pytest.skip(f"best_model.pkl was made with scikit-learn 1.9.1, found {sklearn.__version__}")
    pipeline = joblib.load(SENTIMENT / "best_model.pkl")
    texts = read_parts()["test"].texts
    with np.load(SENTIMENT / "expected_test_pkl.npz") as recorded:
        np.testing.assert_allclose(pipeline.predict_proba(texts), recorded["probabilities"], rtol=0, atol=1e-12)
        assert pipeline.predict(texts).tolist() == recorded["labels"].tolist()


@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_model_card_shows_the_measured_figures(artifact: str, metrics: dict[str, Any]) -> None:
    heads, *rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in (SENTIMENT / "MODEL_CARD.md").read_text("utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| ---")
    ]
    column = heads.index(artifact)
    shown = {row[0]: float(row[column]) for row in rows}
    assert shown == pytest.approx({name: round(figure, 3) for name, figure in metrics[artifact]["test"].items()})


def test_word_index_holds_every_vectors_word_and_keeps_the_reserved_indexes_free() -> None:
    index = json.loads((SENTIMENT / "word_index.json").read_text("utf-8"))
    assert list(index.values()) == list(range(2, 2 + len(index)))
    with gzip.open(SENTIMENT / "data" / "glove_6b_100d_subset.txt.gz", "rt", encoding="utf-8") as lines:
        known = [line.split(" ", 1)[0] for line in lines]
    assert list(index) == [word for word in known if words(word) == [word]]


def test_files_stay_small_enough_to_keep_in_the_repository() -> None:
    assert sum((SENTIMENT / name).stat().st_size for name in ARTIFACTS) < LIMIT_BYTES
