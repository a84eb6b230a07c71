"""`modelport inspect`: what a file is, in words and as JSON; nothing of it is executed."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "sentiment"


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
