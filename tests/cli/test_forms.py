"""Serving from compiled forms, as a user sees it: the second start, ties, isolation, and the same bytes from every way of asking."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import onnx
import pytest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression

from modelport.columns import Columns
from modelport.engine.probe import Compiled
from modelport.formats.estimator_labels import MARGIN
from modelport.forms.facts import ROW_MS
from modelport.forms.program.form import Form, dump, load, open_form
from modelport.forms.program.steps import dump as dump_program
from modelport.server import kept

pytestmark = pytest.mark.slow
SENTIMENT = Path(__file__).parents[2] / "examples" / "sentiment" / "best_model.hdf5"
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
    def parts(data: bytes) -> tuple[object, ...]:
        """Everything but what a row was measured to cost, which differs from one making to the next."""
        form = load(memoryview(data)[kept.HEADER_BYTES :])
        facts = {name: value for name, value in form.facts.items() if name != ROW_MS}
        return (dump_program(form.program), form.schema, form.own, facts, dict(form.trial), dict(form.expected))

    serve(tied, env=env).stop()
    (path,) = (tmp_path / "cache" / "modelport" / "forms").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    server = serve(tied, env=env)
    assert model_of(server)["form"] == "compiled"
    assert server.request("/predict", [[1.0, 2.0]])[0] == 200
    np.testing.assert_equal(parts(path.read_bytes()), parts(whole))


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


def unreadable(form: Form) -> Form:
    """Return it as an earlier modelport might have written it: with an operation that this one does not have."""
    first = form.program.steps[0]
    return replace(form, program=replace(form.program, steps=(replace(first, op="gone"), *form.program.steps[1:])))


def failing(form: Form) -> Form:
    """Return it with rows that its own program does not take."""
    return replace(form, trial=Columns({"other": np.zeros(1)}))


def untrue(form: Form) -> Form:
    """Return it with answers that it does not give."""
    return replace(form, expected=Columns({name: array[::-1].copy() for name, array in form.expected.items()}))


def spoil(path: Path, how: Callable[[Form], Form] | bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change a kept form, or put bytes in its place that are none, under a digest that is right."""
    if callable(how):
        rewrite(path, how, monkeypatch)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", str(path.parents[2]))
        kept.keep(path.name, Compiled(how))


@pytest.mark.parametrize(
    ("how", "flags"),
    [
        (unreadable, ["--isolation", "process", "--workers", "2"]),
        (failing, ["--isolation", "process"]),
        (untrue, ["--isolation", "process"]),
        (b"of an older kind", ["--isolation", "process"]),
        (unreadable, ["--isolation", "inline"]),
        (failing, []),
    ],
    ids=["operation", "rows", "answers", "bytes", "inline", "auto"],
)
def test_a_kept_form_that_does_not_open_is_made_anew_once(
    how: Callable[[Form], Form] | bytes,
    flags: list[str],
    serve: Callable,
    tied: Path,
    env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = ROWS.tolist()
    first = serve(tied, env=env)
    expected = first.request("/predict", rows)[2]
    assert first.stop() == 0
    path = kept_form(tmp_path)
    spoil(path, how, monkeypatch)
    spoilt, written = path.read_bytes(), None
    for _ in range(2):
        server = serve(tied, *flags, env=env)
        assert server.request("/predict", rows)[2] == expected
        assert model_of(server)["form"] == "compiled"
        assert server.stop() == 0
        assert written in (None, path.stat().st_mtime_ns), "it was made a second time"
        written = path.stat().st_mtime_ns
    assert path.read_bytes() != spoilt
    found = kept.find(path.name)
    assert found is not None
    open_form(load(found.data))


def test_a_worker_that_replaces_another_finds_the_form_that_was_made_anew(
    serve: Callable, tied: Path, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert serve(tied, env=env).stop() == 0
    spoil(kept_form(tmp_path), unreadable, monkeypatch)
    server = serve(tied, "--isolation", "process", "--workers", "1", env=env)
    (pid,) = workers_of(server)
    assert "sklearn" in mapped(pid)
    os.kill(pid, signal.SIGKILL)
    assert server.request("/predict", ROWS.tolist())[0] == 200
    (other,) = [each for each in workers_of(server) if each != pid]
    assert "sklearn" not in mapped(other)


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
    path = tmp_path / "process.pkl"
    joblib.dump(GaussianProcessClassifier().fit(ROWS, LABELS), path)
    for _ in range(2):
        server = serve(path, "--workers", "1", env=env)
        told = model_of(server)
        assert (told["form"], told["workers"], told["no_form"]) == ("native", 1, "GaussianProcessClassifier has no other form")
        assert server.stop() == 0
    line = [command, "serve", path, "--port", "0", "--isolation", "inline"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, env=os.environ | env, check=False)
    assert done.returncode == 1
    assert "--isolation inline: GaussianProcessClassifier has no other form; leave the flag out" in done.stderr


# --- networks --------------------------------------------------------------------------------------------------------


def kept_form(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache" / "modelport" / "forms").iterdir()
    return path


def rewrite(path: Path, change: Callable[[Form], Form], monkeypatch: pytest.MonkeyPatch) -> None:
    """Change a kept form and give it the digest that it then has, as somebody who knows the format can."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(path.parents[2]))
    found = kept.find(path.name)
    assert found is not None
    kept.keep(path.name, Compiled(dump(change(load(found.data)))))


def mapped(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def loaded(pid: int) -> set[str]:
    """Return which of the libraries that read or run Keras files a process has mapped."""
    return {name for name in ("h5py", "hdf5", "onnxruntime", "keras") if f"/{name}" in mapped(pid) or f"lib{name}" in mapped(pid)}


def workers_of(server: object) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def test_a_network_answers_without_h5py_and_without_a_worker_at_the_second_start(
    serve: Callable, modelport: Callable, env: dict[str, str], tmp_path: Path
) -> None:
    rows = np.random.default_rng(1).integers(0, 26991, (40, 56))
    rows[rows % 3 == 0] = 0
    before = modelport("predict", SENTIMENT, "-", "--json", stdin=json.dumps(rows.tolist()).encode(), env=env).out.encode()
    first = serve(SENTIMENT, "--workers", "1", env=env)
    answer = first.request("/predict", rows.tolist())[2]
    assert answer + b"\n" == before
    told = model_of(first)
    assert (told["form"], told["workers"]) == ("compiled", 0)
    assert told["largest_difference"] <= 1e-6
    assert told["rows_compared"] > 0
    assert first.stop() == 0
    second = serve(SENTIMENT, "--workers", "1", env=env)
    assert second.request("/predict", rows.tolist())[2] == answer
    assert model_of(second) == told
    assert workers_of(second) == []
    assert loaded(second.process.pid) == {"onnxruntime"}
    status, _, refused = second.request("/predict", [[26991] + [0] * 55])
    assert status == 500
    assert b"26991 at row 0 is not a number of this model" in refused
    assert second.stop() == 0


def test_workers_answer_from_the_kept_network_without_h5py(serve: Callable, env: dict[str, str], tmp_path: Path) -> None:
    rows = np.random.default_rng(1).integers(0, 26991, (40, 56)).tolist()
    inline = serve(SENTIMENT, "--workers", "1", env=env)
    expected = inline.request("/predict", rows)[2]
    assert inline.stop() == 0
    workers = serve(SENTIMENT, "--isolation", "process", "--workers", "2", env=env)
    assert workers.request("/predict", rows)[2] == expected
    told = model_of(workers)
    assert (told["form"], told["workers"]) == ("compiled", 2)
    assert loaded(workers.process.pid) == set()
    pids = workers_of(workers)
    assert len(pids) == 2
    for _ in range(2000):  # who is ready first answers; the other may be loading yet
        if all(loaded(pid) for pid in pids):
            break
        assert workers.request("/predict", rows)[2] == expected
    assert [loaded(pid) for pid in pids] == [{"onnxruntime"}] * 2
    assert workers.stop() == 0


def test_what_takes_long_is_left_to_workers_where_there_are_several(
    serve: Callable, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert serve(SENTIMENT, "--workers", "1", env=env).stop() == 0
    rewrite(kept_form(tmp_path), lambda form: replace(form, facts={**form.facts, "row_ms": 5.0}), monkeypatch)
    for flags, workers in (["--workers", "2"], 2), (["--workers", "1"], 0), (["--workers", "2", "--isolation", "inline"], 0):
        server = serve(SENTIMENT, *flags, env=env)
        told = model_of(server)
        assert (told["form"], told["workers"], told["row_ms"]) == ("compiled", workers, 5.0)
        assert server.stop() == 0


def foreign_operator(form: Form) -> Form:
    first = form.program.steps[0]
    graph = onnx.ModelProto.FromString(first.arrays["model"].tobytes())
    graph.graph.node[0].domain = "com.microsoft"
    step = replace(first, arrays={**first.arrays, "model": np.frombuffer(graph.SerializeToString(), np.uint8)})
    return replace(form, program=replace(form.program, steps=(step, *form.program.steps[1:])))


def weights_elsewhere(form: Form) -> Form:
    first = form.program.steps[0]
    edited = first.arrays["model"].tobytes().replace(b"\x05given", b"\x05/etc/")
    step = replace(first, arrays={**first.arrays, "model": np.frombuffer(edited, np.uint8)})
    return replace(form, program=replace(form.program, steps=(step, *form.program.steps[1:])))


def other_weights(form: Form) -> Form:
    first = form.program.steps[0]
    step = replace(first, arrays={**first.arrays, "weight0": first.arrays["weight0"] * np.float32(1.01)})
    return replace(form, program=replace(form.program, steps=(step, *form.program.steps[1:])))


@pytest.mark.parametrize("change", [foreign_operator, weights_elsewhere, other_weights], ids=lambda change: change.__name__)
def test_an_edited_network_is_made_anew_and_never_answers(
    change: Callable[[Form], Form], serve: Callable, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write into the cache gets nothing run and no other numbers, in the front and in workers."""
    rows = np.random.default_rng(1).integers(0, 26991, (8, 56)).tolist()
    first = serve(SENTIMENT, "--workers", "1", env=env)
    expected = first.request("/predict", rows)[2]
    assert first.stop() == 0
    path = kept_form(tmp_path)
    whole = path.read_bytes()
    for flags in ["--isolation", "process"], []:
        rewrite(path, change, monkeypatch)
        server = serve(SENTIMENT, "--workers", "1", *flags, env=env)
        assert server.request("/predict", rows)[2] == expected
        assert model_of(server)["form"] == "compiled"
        assert server.stop() == 0
    assert load(memoryview(path.read_bytes())[kept.HEADER_BYTES :]).program.steps[0].arrays["model"].tobytes() in whole
