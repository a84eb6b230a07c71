"""`--env`: an old model under the Python and scikit-learn that wrote it, behind the same front."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modelport.bundle import environment

OLD = Path(__file__).parents[1] / "artifacts" / "sklearn" / "0.20.4"
pytestmark = pytest.mark.slow
pytest.importorskip("sklearn")


def _predict(path: Path, rows: list[list[float]], *flags: str, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("modelport"), "predict", path, "-", "--json", *flags]
    env = os.environ | {"XDG_CACHE_HOME": str(cache)}
    return subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True, timeout=600, env=env)


def test_auto_makes_the_environment_once_and_answers_as_on_the_day_of_2018(tmp_path: Path) -> None:
    """A scikit-learn 0.20.4 file that the installed version cannot answer for, under Python 3.7."""
    if not any(environment.version(python) == (3, 7) for python in environment.interpreters()):
        pytest.skip("no Python 3.7 is installed")
    recorded = np.load(OLD / "expected.npz")
    rows = recorded["rows/numbers"].tolist()
    refused = _predict(OLD / "centroid.pkl", rows, cache=tmp_path)
    assert refused.returncode == 1 and "written by scikit-learn 0.20.4" in refused.stderr
    made = _predict(OLD / "centroid.pkl", rows, "--env", "auto", cache=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "making an environment with scikit-learn==0.20.4" in made.stderr
    assert [record["label"] for record in json.loads(made.stdout)] == recorded["centroid/predict"].tolist()
    again = _predict(OLD / "svc_proba.joblib", rows, "--env", str(tmp_path / "modelport/environments/scikit-learn-0.20.4"), cache=tmp_path)
    assert again.returncode == 0 and "making" not in again.stderr, again.stderr
    records = json.loads(again.stdout)
    assert [record["label"] for record in records] == recorded["svc_proba/predict"].tolist()
    got = np.array([list(record["probabilities"].values()) for record in records])
    np.testing.assert_allclose(got, recorded["svc_proba/predict_proba"], rtol=0, atol=1e-9)


def test_a_file_that_answers_right_here_goes_nowhere_with_auto(tmp_path: Path) -> None:
    done = _predict(OLD / "svc_proba.joblib", [[0.1, 1, 5, 2]], "--env", "auto", cache=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(tmp_path.iterdir())


def test_a_named_environment_serves_with_workers_batches_and_the_same_answers(serve, saved_model) -> None:
    saved = saved_model("mixed")
    here = serve(saved.path, "--workers", "1")
    there = serve(saved.path, "--workers", "2", "--env", sys.prefix)
    body = {name: saved.rows[name].tolist() for name in saved.rows}
    status, headers, answer = there.request("/predict", body)
    assert (status, headers["x-model-form"]) == (200, "environment")
    assert json.loads(answer) == json.loads(here.request("/predict", body)[2])
    (model,) = json.loads(there.request("/models")[2])["models"]
    assert model["environment"].startswith("Python 3.")
    status, _, answer = there.request("/predict", {"age": [1], "fare": [2], "town": [None]})
    assert status == 422, answer


class Unlisted:
    """A class of nobody's list, so that the file needs trust before anything else is asked."""

    predict = None


def test_what_is_not_trusted_runs_nowhere(tmp_path: Path) -> None:
    (tmp_path / "own.pkl").write_bytes(pickle.dumps(Unlisted()))
    done = _predict(tmp_path / "own.pkl", [[1.0]], "--env", sys.prefix, cache=tmp_path)
    assert done.returncode == 3
    assert "Unlisted" in done.stderr


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--env", "/no/such"), "there is no Python interpreter"),
        (("--env", sys.prefix), "the file was written by 0.20.4"),
        (("--env", sys.prefix, "--sandbox", "require"), "exclude each other"),
    ],
)
def test_what_cannot_be_is_a_usage_error(tmp_path: Path, flags: tuple[str, ...], says: str) -> None:
    done = _predict(OLD / "svc_proba.joblib", [[0.1, 1, 5, 2]], *flags, cache=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
