"""`--env`: an old model under the Python and scikit-learn that wrote it, behind the same front."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from modelport.bundle import environment
from modelport.engine import landlock, seccomp

OLD = Path(__file__).parents[1] / "artifacts" / "sklearn" / "0.20.4"
pytestmark = pytest.mark.slow
needs_landlock = pytest.mark.skipif(
    sys.platform != "linux" or not landlock.abi() or platform.machine() not in seccomp.PROCESSORS,
    reason="this kernel has no Landlock, or there is no filter for this processor",
)


def _attempts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("attempts", Path(__file__).parents[1] / "hostile" / "attempts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


attempts = _attempts()
pytest.importorskip("sklearn")


def _predict(path: Path, rows: list[list[float]], *flags: str, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("modelport"), "predict", path, "-", "--json", *flags]
    env = os.environ | {"XDG_CACHE_HOME": str(cache)}
    return subprocess.run(command, input=json.dumps(rows), capture_output=True, text=True, timeout=600, env=env)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the environment of scikit-learn 0.20.4 is made, once for all tests of it."""
    if not any(environment.version(python) == (3, 7) for python in environment.interpreters()):
        pytest.skip("no Python 3.7 is installed")
    return tmp_path_factory.mktemp("cache")


def test_auto_makes_the_environment_once_and_answers_as_on_the_day_of_2018(cache: Path) -> None:
    """A scikit-learn 0.20.4 file that the installed version cannot answer for, under Python 3.7."""
    recorded = np.load(OLD / "expected.npz")
    rows = recorded["rows/numbers"].tolist()
    refused = _predict(OLD / "centroid.pkl", rows, cache=cache)
    assert refused.returncode == 1 and "written by scikit-learn 0.20.4" in refused.stderr
    made = _predict(OLD / "centroid.pkl", rows, "--env", "auto", cache=cache)
    assert made.returncode == 0, made.stderr
    assert "making an environment with scikit-learn==0.20.4" in made.stderr
    assert [record["label"] for record in json.loads(made.stdout)] == recorded["centroid/predict"].tolist()
    again = _predict(OLD / "svc_proba.joblib", rows, "--env", str(cache / "modelport/environments/scikit-learn-0.20.4"), cache=cache)
    assert again.returncode == 0 and "making" not in again.stderr, again.stderr
    records = json.loads(again.stdout)
    assert [record["label"] for record in records] == recorded["svc_proba/predict"].tolist()
    got = np.array([list(record["probabilities"].values()) for record in records])
    np.testing.assert_allclose(got, recorded["svc_proba/predict_proba"], rtol=0, atol=1e-9)


HOSTILE = """
import attempts
import numpy as np
from sklearn.base import BaseEstimator

class Regressor(BaseEstimator):
    _estimator_type = "regressor"

    def fit(self, x, y=None):
        self.n_features_in_ = 1
        return self

    def predict(self, x):
        return np.array([attempts.attempt(value) if np.isfinite(value) else 0.0 for value in np.asarray(x)[:, 0]])
"""
SAVE = """
import pickle, sys
import numpy as np
from hostile import Regressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

x = np.array([[0.0], [1.0]])
model = make_pipeline(StandardScaler(with_mean=False, with_std=False), Regressor()).fit(x, [0, 1])
pickle.dump(model, open(sys.argv[1], "wb"))
"""


def _hostile(python: Path, folder: Path) -> Path:
    """Put a hostile class among an environment's packages, as a package that was installed would be, and save a model of it there."""
    asked = [python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    (packages / "hostile.py").write_text(HOSTILE)
    (packages / "attempts.py").write_text(Path(attempts.__file__).read_text())
    subprocess.run([python, "-I", "-c", SAVE, folder / "hostile.pkl"], check=True)
    return folder / "hostile.pkl"


def _beside(packages: Path) -> Path:
    """Make a virtual environment of the running Python that finds the packages of the running one, too."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", packages], check=True)
    (folder,) = packages.glob("lib/python*/site-packages")
    (folder / "more.pth").write_text(sysconfig.get_path("purelib"))
    return packages


def _try(serve, python: Path, folder: Path, *flags: str) -> tuple[dict[str, float], dict[str, float], str]:
    """Serve a hostile model in an environment. Returns what became of its attempts, of ordinary ones, and the sandbox's level."""
    outside = folder / "outside"
    outside.mkdir()
    variables, listening = attempts.prepare(str(outside))
    model = _hostile(python, folder)
    before = attempts.state_of(str(outside))
    server = serve(model, "--env", python, "--trust", "hostile.Regressor", "--workers", "1", *flags, env=variables)
    tried = []
    for names in (attempts.DENIED, attempts.ALLOWED):
        status, _, answer = server.request("/predict", {"x0": [attempts.number_of(name) for name in names]})
        assert status == 200, answer
        tried.append(dict(zip(names, [record["prediction"] for record in json.loads(answer)], strict=True)))
    (shown,) = json.loads(server.request("/models")[2])["models"]
    assert server.stop() == 0
    assert attempts.state_of(str(outside)) == before
    for each in listening:
        each.close()
    return tried[0], tried[1], shown["sandbox"]


@needs_landlock
def test_a_hostile_class_in_an_environment_of_this_python_reaches_nothing(serve, tmp_path: Path) -> None:
    denied, allowed, level = _try(serve, _beside(tmp_path / "venv") / "bin" / "python", tmp_path, "--sandbox", "require")
    assert denied == dict.fromkeys(denied, 0.0)
    assert allowed == dict.fromkeys(allowed, 1.0)
    assert level == f"landlock{landlock.abi()}+seccomp"


@needs_landlock
def test_nor_does_one_in_an_environment_of_2018(serve, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    python = environment.matching("0.20.4", print)
    denied, allowed, level = _try(serve, python, tmp_path, "--sandbox", "require")
    assert denied == dict.fromkeys(denied, 0.0)
    assert allowed == dict.fromkeys(allowed, 1.0)
    assert level == f"landlock{landlock.abi()}+seccomp"


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
    records, own = json.loads(answer), json.loads(here.request("/predict", body)[2])  # ours comes from a compiled form
    assert [record["label"] for record in records] == [record["label"] for record in own]
    for record, other in zip(records, own, strict=True):
        assert record["probabilities"] == pytest.approx(other["probabilities"], abs=1e-12, rel=0)
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
    ],
)
def test_what_cannot_be_is_a_usage_error(tmp_path: Path, flags: tuple[str, ...], says: str) -> None:
    done = _predict(OLD / "svc_proba.joblib", [[0.1, 1, 5, 2]], *flags, cache=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
