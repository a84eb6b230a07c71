"""The worker for an old model's own environment, run here under this environment: what it answers is what the estimator answers."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import json
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from modelport.bundle import environment
from modelport.engine import core
from modelport.engine.batcher import BatchLimits
from modelport.engine.confinement import Confinement, Setting
from modelport.engine.engine import Engine
from modelport.engine.executor import Identity
from modelport.engine.launcher import program_loader
from modelport.engine.pool import Pool, PoolSettings
from modelport.errors import LoadError
from modelport.schema import Schema

FOLDER = Path(core.__file__).parent
pytest.importorskip("sklearn")


@contextmanager
def _worker(
    path: Path, sha256: str | None = None, arguments: tuple[str, ...] = (), **order: object
) -> Iterator[tuple[socket.socket, dict]]:
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-I", FOLDER / "foreign.py", str(theirs.fileno()), *arguments]
    process = subprocess.Popen(command, pass_fds=(theirs.fileno(),))
    theirs.close()
    try:
        digest = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
        core.send(ours, {"kind": "load", "source": str(path), "sha256": digest, **order})
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


@pytest.mark.parametrize("name", ["iris", "text", "mixed"])
def test_the_throw_away_process_tries_odd_rows_and_outlives_them(saved_model, name: str) -> None:
    with _worker(saved_model(name).path, is_probe=True) as (_, ready):
        assert ready["kind"] == "ready", ready


@pytest.mark.parametrize(
    ("level", "filter_", "shown"),
    [
        ({"landlock": 7, "seccomp": False, "missing": "no seccomp: x"}, "", "landlock7 (no seccomp: x)"),
        ({"landlock": 0, "seccomp": False, "missing": "switched off"}, "", "none (switched off)"),
        ({"landlock": 7, "seccomp": True, "missing": ""}, "00" * 8, "landlock7 (programs are not denied by seccomp: "),
    ],
)
def test_it_says_what_holds_it_and_does_not_load_where_more_is_required(saved_model, level: dict, filter_: str, shown: str) -> None:
    path, arguments = saved_model("iris").path, (json.dumps(level), filter_)
    with _worker(path, arguments=arguments, sandbox="auto") as (_, ready):
        assert ready["details"]["sandbox"].startswith(shown)
    with _worker(path, arguments=arguments, sandbox="require") as (_, answer):
        assert answer["error"]["code"] == "no_sandbox"
        assert f"cannot hold a worker ({shown}" in answer["error"]["message"]


def _start(path: Path, setting: Setting) -> str:
    """Start a pool of that file under this Python as if it were an old one. Returns the sandbox's level."""

    load = {"source": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    here = environment.interpreter(Path(sys.executable))

    async def run() -> str:
        engine = Engine(Identity("m"), BatchLimits())
        await engine.start(
            Pool(PoolSettings(1, load, 1, confinement=Confinement(setting, (path,)), is_probed=True, interpreter=here), engine)
        )
        try:
            return str(engine.status()["sandbox"])
        finally:
            await engine.close()

    return asyncio.run(run())


def _edited(path: Path, **children: int) -> Path:
    """Save a tree with other children of its root: ``left`` is where a row of zeros goes."""
    from sklearn.tree import DecisionTreeRegressor

    tree = DecisionTreeRegressor().fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])
    state = tree.tree_.__getstate__()
    for side, child in children.items():
        state["nodes"][f"{side}_child"][0] = child
    tree.tree_.__setstate__(state)
    path.write_bytes(pickle.dumps(tree))
    return path


def test_an_edited_tree_that_crashes_never_gets_a_request_there(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="ended while"):
        _start(_edited(tmp_path / "tree.pkl", left=1 << 40), "auto")


@pytest.mark.slow
def test_nor_does_one_that_hangs_on_odd_rows(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="does not come to an end on the rows that every version is tried with"):
        _start(_edited(tmp_path / "tree.pkl", right=0), "auto")


def test_without_the_sandbox_it_is_started_all_the_same(saved_model) -> None:
    assert _start(saved_model("iris").path, "off") == "none (switched off)"


def test_the_loader_of_a_program_is_read_from_its_header(tmp_path: Path) -> None:
    loader = program_loader(os.path.realpath(sys.executable))
    assert loader == "" or (loader.startswith("/") and Path(loader).exists())
    (tmp_path / "script").write_text("#!/bin/sh")
    assert program_loader(str(tmp_path / "script")) == ""


@pytest.mark.parametrize("name", ["core.py", "foreign.py", "foreign_model.py"])
def test_it_is_written_in_the_syntax_of_python_3_6_on_numpy_alone(name: str) -> None:
    tree = ast.parse((FOLDER / name).read_text(encoding="utf-8"), feature_version=(3, 6))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    lazily = {"sklearn", "pandas"}
    assert {module.split(".")[0] for module in imported} <= {"numpy", *lazily, *sys.stdlib_module_names}
