"""The worker for an old model's own environment, run here under this environment: what it answers is what the estimator answers."""

from __future__ import annotations

import ast
import hashlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from modelport.engine import core
from modelport.schema import Schema

FOLDER = Path(core.__file__).parent
pytest.importorskip("sklearn")


@contextmanager
def _worker(path: Path, sha256: str | None = None) -> Iterator[tuple[socket.socket, dict]]:
    ours, theirs = socket.socketpair()
    process = subprocess.Popen([sys.executable, "-I", FOLDER / "foreign.py", str(theirs.fileno())], pass_fds=(theirs.fileno(),))
    theirs.close()
    try:
        core.send(ours, {"kind": "load", "source": str(path), "sha256": sha256 or hashlib.sha256(path.read_bytes()).hexdigest()})
        frame = core.receive(ours)
        assert frame is not None
        yield ours, frame[0]
    finally:
        ours.close()
        assert process.wait(timeout=20) == 0


def _ask(sock: socket.socket, schema: Schema, columns: dict[str, np.ndarray], outputs: list[str] | None = None) -> tuple[dict, dict]:
    core.send(sock, {"id": 7, "outputs": outputs}, dict(schema.pack(columns)))
    frame = core.receive(sock)
    assert frame is not None and frame[0]["id"] == 7
    return frame[0], frame[1] or {}


def _columns(rows: object, schema: Schema) -> dict[str, np.ndarray]:
    if isinstance(rows, list):
        return {"text": np.array(rows, dtype=object)}
    values = rows.to_numpy() if hasattr(rows, "to_numpy") else rows
    return {item.name: values[:, at].astype(item.dtype) for at, item in enumerate(schema.inputs)}


@pytest.mark.parametrize("name", ["iris", "iris_named", "text", "mixed", "regressor"])
def test_it_answers_as_the_estimator_does(saved_model, name: str) -> None:
    saved = saved_model(name)
    with _worker(saved.path) as (sock, ready):
        assert ready["kind"] == "ready", ready
        assert ready["form"] == "environment"
        assert f"scikit-learn {__import__('sklearn').__version__}" in ready["details"]["environment"]
        schema = Schema.from_dict(ready["schema"])
        header, answer = _ask(sock, schema, _columns(saved.rows, schema))
    assert "error" not in header
    if name == "regressor":
        np.testing.assert_array_equal(answer["prediction"], saved.estimator.predict(saved.rows))
        return
    assert answer["label"].tolist() == saved.estimator.predict(saved.rows).tolist()
    np.testing.assert_array_equal(answer["probabilities"], saved.estimator.predict_proba(saved.rows))
    assert list(schema.classes) == saved.estimator.classes_.tolist()


def test_only_the_wanted_outputs_are_computed_and_sent(saved_model) -> None:
    saved = saved_model("iris")
    with _worker(saved.path) as (sock, ready):
        schema = Schema.from_dict(ready["schema"])
        _, answer = _ask(sock, schema, _columns(saved.rows, schema), ["probabilities"])
    assert list(answer) == ["probabilities"]


def test_a_frame_model_names_its_columns_and_categories(saved_model) -> None:
    with _worker(saved_model("mixed").path) as (_, ready):
        schema = Schema.from_dict(ready["schema"])
    town = next(item for item in schema.inputs if item.name == "town")
    assert (town.type, town.categories, town.closed) == ("string", ("Cork", "Lyon", "Oslo"), False)
    assert [item.name for item in schema.inputs] == ["age", "fare", "town"]


def test_a_file_that_changed_since_it_was_checked_is_not_loaded(saved_model) -> None:
    with _worker(saved_model("iris").path, "0" * 64) as (_, answer):
        assert answer["kind"] == "failed"
        assert "changed" in answer["error"]["message"]


def test_what_is_no_estimator_is_said(tmp_path: Path) -> None:
    import joblib

    joblib.dump({"model": 1}, tmp_path / "dict.pkl")
    with _worker(tmp_path / "dict.pkl") as (_, answer):
        assert answer["error"]["message"] == "the file holds a dict; an estimator with predict or transform was expected"


def test_a_row_the_model_fails_on_is_an_error_and_the_worker_goes_on(saved_model) -> None:
    saved = saved_model("iris")
    with _worker(saved.path) as (sock, ready):
        schema = Schema.from_dict(ready["schema"])
        columns = _columns(saved.rows, schema)
        header, _ = _ask(sock, schema, {name: np.full_like(values, np.nan) for name, values in columns.items()})
        assert header["error"]["code"] == "model_error"
        assert "NaN" in header["error"]["message"]
        header, answer = _ask(sock, schema, columns)
        assert "error" not in header
        assert len(answer["label"]) == len(columns["x0"])


@pytest.mark.parametrize("name", ["core.py", "foreign.py", "foreign_model.py"])
def test_it_is_written_in_the_syntax_of_python_3_6_on_numpy_alone(name: str) -> None:
    tree = ast.parse((FOLDER / name).read_text(encoding="utf-8"), feature_version=(3, 6))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    lazily = {"sklearn", "pandas"}
    assert {module.split(".")[0] for module in imported} <= {"numpy", *lazily, *sys.stdlib_module_names}
