"""Both training scripts, run for a few steps as a user runs them; and the recorded predictions, computed anew."""

import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

SENTIMENT = Path(__file__).parents[2] / "examples" / "sentiment"
FIGURES = {"band_accuracy", "within_one_band", "score_mae", "score_correlation", "score_sign_accuracy"}
TEST_ROWS = 1854


def need(*modules: str) -> None:
    """Skip the test where a module is absent. They are not imported: Keras would pick its backend in this process."""
    absent = [name for name in modules if find_spec(name) is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")


def run(*arguments: str | Path) -> None:
    done = subprocess.run([sys.executable, *map(str, arguments)], cwd=SENTIMENT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def check_output(folder: Path, artifact: str, expected: str) -> None:
    """A run leaves an artifact, its measured figures with its digest, and its recorded predictions."""
    entry = json.loads((folder / "metrics.json").read_text("utf-8"))[artifact]
    assert entry["sha256"] == hashlib.sha256((folder / artifact).read_bytes()).hexdigest()
    assert entry["test"].keys() >= FIGURES
    with np.load(folder / expected) as recorded:
        assert recorded["probabilities"].shape == (TEST_ROWS, 10)
        assert recorded["Sentiment_Score"].shape == (TEST_ROWS,)
        assert recorded["probabilities"].sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_network_trains_saves_and_seals_in_the_folder_it_is_given(tmp_path: Path) -> None:
    need("keras", "jax", "h5py", "pandas")
    before = digests(SENTIMENT)
    shutil.copy(SENTIMENT / "model.toml", tmp_path)
    run("train.py", "--epochs", "1", "--steps-per-epoch", "2", "--output", tmp_path)
    check_output(tmp_path, "best_model.hdf5", "expected_test.npz")
    manifest = tomllib.loads((tmp_path / "model.toml").read_text("utf-8"))
    assert manifest["artifact"]["sha256"] == hashlib.sha256((tmp_path / "best_model.hdf5").read_bytes()).hexdigest()
    assert (tmp_path / "word_index.json").read_bytes() == (SENTIMENT / "word_index.json").read_bytes()
    assert digests(SENTIMENT) == before


def test_linear_sibling_trains_and_saves_in_the_folder_it_is_given(tmp_path: Path) -> None:
    need("sklearn", "joblib", "pandas", "rich")
    before = digests(SENTIMENT)
    run("train_sklearn.py", "--strengths", "0.1", "--output", tmp_path)
    check_output(tmp_path, "best_model.pkl", "expected_test_pkl.npz")
    assert digests(SENTIMENT) == before


RECOMPUTE = """
import os, sys
os.environ["KERAS_BACKEND"] = "jax"
import keras, numpy as np
from sentiment import encode
from training import read_parts, read_vectors
network = keras.models.load_model("best_model.hdf5", compile=False)
tokens = encode(read_parts()["test"].texts, read_vectors()[0])
np.save(sys.argv[1], network.predict(tokens, batch_size=64, verbose=0))
"""


def test_recorded_predictions_are_what_keras_computes_from_the_saved_network(tmp_path: Path) -> None:
    need("keras", "jax", "h5py", "pandas")
    run("-c", RECOMPUTE, tmp_path / "again.npy")
    with np.load(SENTIMENT / "expected_test.npz") as recorded:
        np.testing.assert_allclose(np.load(tmp_path / "again.npy"), recorded["probabilities"], rtol=0, atol=1e-6)
