"""`modelport inspect`: what a file is, in words and as JSON; nothing of it is executed."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "sentiment"
ARTIFACTS = Path(__file__).parent.parent / "artifacts" / "sklearn"


class _Shell:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def test_a_pickle_is_described(modelport: Callable[..., object], saved_model: Callable[[str], object]) -> None:
    saved = saved_model("iris_named")
    done = modelport("inspect", saved.path)
    assert done.code == 0
    for text in (
        "pickle",
        "scikit-learn",
        "Pipeline",
        "StandardScaler",
        "LogisticRegression",
        "max_iter=500",
        "setosa",
        "petal width (cm)",
    ):
        assert text in done.out
    assert "loadable" in done.out


def test_json_is_one_document_with_the_same_facts(modelport: Callable[..., object], saved_model: Callable[[str], object]) -> None:
    saved = saved_model("iris_named")
    done = modelport("inspect", saved.path, "--json")
    found = json.loads(done.out)
    assert done.code == 0
    assert (found["verdict"], found["format"], found["library"], found["model"]) == ("loadable", "pickle", "scikit-learn", "Pipeline")
    assert found["features"] == list(saved.rows.columns)
    assert found["classes"] == ["setosa", "versicolor", "virginica"]
    assert [step["type"] for step in found["steps"]] == ["StandardScaler", "LogisticRegression"]
    assert {item["kind"] for item in found["globals"]} == {"known"}
    assert found["size_bytes"] == saved.path.stat().st_size
    assert len(found["sha256"]) == 64


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_pickle_that_runs_a_command_is_refused_and_does_not_run_it(
    modelport: Callable[..., object], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    path, mark = tmp_path / "evil.pkl", tmp_path / "mark"
    path.write_bytes(pickle.dumps(_Shell(f"touch {mark}")))
    done = modelport("inspect", path, *arguments)
    assert done.code == 3
    assert "system" in done.out
    assert not mark.exists()


def test_a_pickle_of_unknown_classes_needs_trust_and_is_told_how(modelport: Callable[..., object], tmp_path: Path) -> None:
    path = tmp_path / "own.pkl"
    path.write_bytes(b"\x80\x04\x8c\x05mylib\x8c\x05Model\x93)\x81.")
    done = modelport("inspect", path)
    assert done.code == 3
    assert "mylib.Model" in done.out
    assert "needs trust" in done.out
    assert "--code" in done.out
    assert json.loads(modelport("inspect", path, "--json").out)["verdict"] == "needs_trust"


@pytest.mark.parametrize("content", [b"", b"hello, I am a text", b"\x80\x04half a pickle", b"<html><body>"])
def test_what_is_no_model_is_exit_code_2(modelport: Callable[..., object], tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.pkl"
    path.write_bytes(content)
    done = modelport("inspect", path)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("modelport: broken.pkl")
    found = json.loads(modelport("inspect", path, "--json").out)
    assert (found["verdict"], found["code"]) == ("unreadable", "unreadable_file")


def test_control_characters_of_a_file_do_not_reach_the_terminal(modelport: Callable[..., object], tmp_path: Path) -> None:
    path = tmp_path / "own.pkl"
    path.write_bytes(b"\x80\x04\x8c\x09my\x1b[31mlib\x8c\x05Model\x93)\x81.")
    done = modelport("inspect", path)
    assert done.code in (2, 3)
    assert "\x1b" not in done.out + done.err


def test_a_bundle_shows_its_artifact_and_its_manifest(modelport: Callable[..., object]) -> None:
    done = modelport("inspect", EXAMPLE)
    assert done.code == 0
    for text in ("sentiment version 1", "/sentiment", "/apitest", "get_sentiment_DL", "word_index.json", "keras", "Bidirectional"):
        assert text in done.out
    found = json.loads(modelport("inspect", EXAMPLE, "--json").out)
    assert found["bundle"]["hooks"] == {"predict": "sentiment.py:get_sentiment_DL"}
    assert [item["name"] for item in found["schema"]["inputs"]] == ["ref", "text"]


def test_a_bundle_without_an_artifact_shows_its_manifest(modelport: Callable[..., object], toy: Path) -> None:
    done = modelport("inspect", toy)
    assert done.code == 0
    assert "/add" in done.out
    assert "load hook" in done.out


def test_a_bundle_whose_artifact_is_not_the_pinned_one_is_exit_code_2(
    modelport: Callable[..., object], toy: Path, saved_model: Callable[[str], object]
) -> None:
    (toy / "model.pkl").write_bytes(saved_model("iris").path.read_bytes())
    (toy / "model.toml").write_text(f'format = 1\n[artifact]\npath = "model.pkl"\nsha256 = "{"0" * 64}"\n')
    done = modelport("inspect", toy)
    assert done.code == 2
    assert "SHA-256" in done.err


SCRIPT = """
import sys, pickle, numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import FunctionTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

def double(X):
    return X * 2

class Shift(TransformerMixin, BaseEstimator):
    def __init__(self, by=1.0):
        self.by = by
    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        self.n_features_in_ = X.shape[1]
        return self
    def transform(self, X):
        return X - self.mean_ + self.by

X = np.arange(12.0).reshape(6, 2)
model = make_pipeline(Shift(2.0), FunctionTransformer(double), LinearRegression()).fit(X, X[:, 0] * 3)
pickle.dump(model, open(sys.argv[1], "wb"))
print(float(model.predict([[7.0, 1.0]])[0]))
"""


@pytest.mark.slow
def test_a_stub_is_written_filled_in_and_served(modelport: Callable[..., object], tmp_path: Path) -> None:
    path, folder = tmp_path / "own.pkl", tmp_path / "code"
    saved = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True)
    done = modelport("inspect", path, "--stub", folder)
    assert done.code == 3
    assert "from_main.py" in done.err
    stub = folder / "from_main.py"
    again = modelport("inspect", path, "--stub", folder)
    assert again.code == 2
    assert "is not written over" in again.err
    failing = modelport("predict", path, "--code", folder, "--json", stdin=b"[[7, 1]]")
    assert failing.code == 1
    assert "Shift.transform is a stub: write what it did" in failing.err
    text = stub.read_text().replace("def double(*arguments, **keywords):", "def double(X):\n    return X * 2\n    ")
    stub.write_text(text.replace("def transform(self, X):", "def transform(self, X):\n        return X - self.mean_ + self.by\n    "))
    for code in (folder, stub):
        answer = modelport("predict", path, "--code", code, "--json", stdin=b"[[7, 1]]")
        assert answer.code == 0, answer.err
        assert json.loads(answer.out)[0]["prediction"] == pytest.approx(float(saved.stdout), rel=1e-12)


def test_a_stub_of_what_is_all_there_is_not_written(modelport: Callable[..., object], saved_model: Callable[[str], object]) -> None:
    path = saved_model("iris").path
    done = modelport("inspect", path, "--stub", path.parent / "code")
    assert done.code == 2
    assert "no stub to write" in done.err


def test_a_stub_goes_where_one_may_write(modelport: Callable[..., object], tmp_path: Path) -> None:
    path, file = tmp_path / "own.pkl", tmp_path / "file"
    path.write_bytes(b"\x80\x04\x8c\x05mylib\x8c\x05Model\x93)\x81.")
    file.write_text("")
    done = modelport("inspect", path, "--stub", file / "below")
    assert done.code == 2
    assert "cannot be written" in done.err


def test_a_file_for_another_environment_says_so(modelport: Callable[..., object]) -> None:
    path = ARTIFACTS / "0.22.2.post1" / "hist_binary.pkl"
    done = modelport("inspect", path)
    assert done.code == 2
    assert "environment of the scikit-learn that wrote it, where --env auto is given" in done.out
    found = json.loads(modelport("inspect", path, "--json").out)
    assert (found["plan"], found["environment"], found["verdict"]) == ("environment", "0.22.2.post1", "loadable")
    assert "--env auto" in found["problem"]
    plain = json.loads(modelport("inspect", ARTIFACTS / "0.22.2.post1" / "pca.pkl", "--json").out)
    assert (plain["plan"], plain["environment"]) == ("native", "")


def test_a_pickle_shows_its_schema_its_search_and_its_best_estimator(modelport: Callable[..., object]) -> None:
    path = next((ARTIFACTS / "1.7.2").glob("grid_forest.*"))
    found = json.loads(modelport("inspect", path, "--json").out)
    assert [item["name"] for item in found["schema"]["inputs"]] == ["x0", "x1", "x2", "x3"]
    assert [item["name"] for item in found["schema"]["outputs"]] == ["label", "probabilities"]
    assert next(step["name"] for step in found["steps"]) == "gridsearchcv"
    assert {"estimator", "best_estimator"} <= {step["name"] for step in found["steps"]}
    assert {"name", "kind"} == set(found["globals"][0])
    text = modelport("inspect", path).out
    for shown in ("probabilities  float64[3]", "RandomForestClassifier", "max_depth=2"):
        assert shown in text


def test_a_vectorizer_of_file_names_is_refused(modelport: Callable[..., object], tmp_path: Path) -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    (tmp_path / "a.txt").write_text("some words")
    path = tmp_path / "files.pkl"
    path.write_bytes(pickle.dumps(text.CountVectorizer(input="filename").fit([str(tmp_path / "a.txt")])))
    done = modelport("inspect", path)
    assert done.code == 3
    assert "takes file names" in done.out
