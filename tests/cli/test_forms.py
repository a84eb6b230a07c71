"""Serving from compiled forms, as a user sees it: the second start, ties, isolation, and the same bytes from every way of asking."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from modelport.formats.estimator_labels import MARGIN

pytestmark = pytest.mark.slow
ROWS = np.random.default_rng(0).normal(size=(40, 2))
LABELS = (ROWS.sum(axis=1) > 0).astype(int)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def tied(tmp_path: Path) -> Path:
    """A model whose score is exactly x0 + x1, so that rows on the line are ties."""
    model = LogisticRegression().fit(ROWS, LABELS)
    model.coef_, model.intercept_ = np.array([[1.0, 1.0]]), np.zeros(1)
    path = tmp_path / "tied.pkl"
    joblib.dump(model, path)
    return path


def model_of(server: object) -> dict[str, object]:
    (model,) = json.loads(server.request("/models")[2])["models"]
    return model


def headers_of(server: object, body: object) -> dict[str, str]:
    return {name.lower(): value for name, value in server.request("/predict", body)[1].items()}


def test_a_form_answers_without_a_worker_and_the_next_start_finds_it(
    serve: Callable, tied: Path, env: dict[str, str], tmp_path: Path
) -> None:
    first = serve(tied, env=env)
    answer = first.request("/predict", [[1.0, 2.0]])
    told = model_of(first)
    assert (told["form"], told["workers"]) == ("compiled", 0)
    assert told["largest_difference"] <= 1e-12
    assert first.stop() == 0
    (form,) = (tmp_path / "cache" / "modelport" / "forms").iterdir()
    written = form.stat().st_mtime_ns
    second = serve(tied, env=env)
    assert second.request("/predict", [[1.0, 2.0]])[2] == answer[2]
    assert model_of(second) == told
    assert form.stat().st_mtime_ns == written
    modules = subprocess.run(["cat", f"/proc/{second.process.pid}/maps"], capture_output=True, text=True, check=True).stdout
    assert "sklearn" not in modules and "pandas" not in modules
    assert second.stop() == 0


def test_a_row_next_to_a_tie_is_answered_by_the_original(serve: Callable, tied: Path, env: dict[str, str]) -> None:
    server = serve(tied, env=env)
    near = [[0.5, -0.5 + MARGIN / 4]]
    assert headers_of(server, [[1.0, 2.0]])["x-model-form"] == "compiled"
    assert headers_of(server, near)["x-model-form"] == "native"
    expected = joblib.load(tied)
    answers = json.loads(server.request("/predict", [[1.0, 2.0], *near, [-1.0, 0.0]])[2])
    assert [record["label"] for record in answers] == expected.predict([[1.0, 2.0], *near, [-1.0, 0.0]]).tolist()
    assert model_of(server)["workers"] == 1
    assert server.stop() == 0


def test_a_damaged_form_is_made_anew(serve: Callable, tied: Path, env: dict[str, str], tmp_path: Path) -> None:
    serve(tied, env=env).stop()
    (form,) = (tmp_path / "cache" / "modelport" / "forms").iterdir()
    whole = form.read_bytes()
    form.write_bytes(whole[:-5])
    server = serve(tied, env=env)
    assert model_of(server)["form"] == "compiled"
    assert server.request("/predict", [[1.0, 2.0]])[0] == 200
    assert form.read_bytes() == whole


def test_without_a_cache_nothing_is_left(serve: Callable, tied: Path, env: dict[str, str], tmp_path: Path) -> None:
    server = serve(tied, "--no-cache", env=env)
    assert model_of(server)["form"] == "compiled"
    assert not (tmp_path / "cache").exists()


def test_in_worker_processes_the_same_form_answers_the_same_bytes(serve: Callable, tied: Path, env: dict[str, str]) -> None:
    rows = ROWS.tolist()
    inline = serve(tied, env=env)
    expected = inline.request("/predict", rows)[2]
    for _ in range(2):  # a start that makes the form for itself does not differ from one that finds it
        workers = serve(tied, "--isolation", "process", "--workers", "2", env=env)
        assert workers.request("/predict", rows)[2] == expected
        told = model_of(workers)
        assert (told["form"], told["workers"]) == ("compiled", 2)
        near = [[0.5, -0.5]]
        assert json.loads(workers.request("/predict", near)[2])[0]["label"] == joblib.load(tied).predict(near)[0]
        assert workers.stop() == 0
    fresh = serve(tied, "--isolation", "process", env={"XDG_CACHE_HOME": env["XDG_CACHE_HOME"] + "2"})
    assert fresh.request("/predict", rows)[2] == expected


def test_predict_prints_the_bytes_that_serve_answers_before_and_after(
    serve: Callable, modelport: Callable, tied: Path, env: dict[str, str]
) -> None:
    rows = json.dumps(ROWS.tolist()).encode()
    before = modelport("predict", tied, "-", "--json", stdin=rows, env=env).out.encode()
    server = serve(tied, env=env)
    assert server.request("/predict", ROWS.tolist())[2] + b"\n" == before
    assert modelport("predict", tied, "-", "--json", stdin=rows, env=env).out.encode() == before


def test_a_model_without_a_form_says_why_and_can_be_required_to_have_one(
    serve: Callable, command: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    path = tmp_path / "svc.pkl"
    joblib.dump(SVC().fit(ROWS, LABELS), path)
    for _ in range(2):
        server = serve(path, "--workers", "1", env=env)
        told = model_of(server)
        assert (told["form"], told["workers"], told["no_form"]) == ("native", 1, "SVC has no other form")
        assert server.stop() == 0
    line = [command, "serve", path, "--port", "0", "--isolation", "inline"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, env=os.environ | env, check=False)
    assert done.returncode == 1
    assert "--isolation inline: SVC has no other form; leave the flag out" in done.stderr
