"""model.toml: what it may say is read, what it must not say is named with what was expected."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from modelport.bundle.manifest import Artifact, Batching, Manifest, name_from, parse, read
from modelport.errors import ManifestError
from modelport.schema import Field, Schema

DIGEST = "0123456789abcdef" * 4


def test_the_example_of_the_design_is_read_as_it_is_meant(tmp_path):
    (tmp_path / "model.toml").write_text(
        dedent(
            f"""
            format = 1
            name = "sentiment"
            version = "2"
            description = "How a text feels."
            task = "frame"
            classes = ["a", 1, true]
            [artifact]
            path = "best_model.hdf5"
            sha256 = "{DIGEST.upper()}"
            trust = ["mylib.tokens.Tokenizer"]
            [resources]
            word_idx = "word_index.json"
            [hooks]
            predict = "sentiment.py:get_sentiment_DL"
            [api]
            route = "/sentiment"
            greeting = "/apitest"
            [[inputs]]
            name = "ref"
            type = "int64"
            role = "key"
            [[inputs]]
            name = "text"
            type = "string"
            max_length = 20000
            [[outputs]]
            name = "Sentiment_Score"
            type = "float64"
            [batch]
            max_rows = 64
            max_wait_ms = 2
            [sample]
            text = ["good", "bad"]
            ref = 7
            [serve]
            port = 8080
            """
        )
    )
    assert read(tmp_path / "model.toml") == Manifest(
        name="sentiment",
        version="2",
        description="How a text feels.",
        artifact=Artifact("best_model.hdf5", DIGEST, ("mylib.tokens.Tokenizer",)),
        resources={"word_idx": "word_index.json"},
        hooks={"predict": "sentiment.py:get_sentiment_DL"},
        route="/sentiment",
        greeting="/apitest",
        inputs=(Field("ref", "int64", role="key"), Field("text", "string", max_length=20000)),
        outputs=(Field("Sentiment_Score", "float64"),),
        task="frame",
        classes=("a", 1, True),
        batch=Batching(64, 2.0),
        sample={"text": ["good", "bad"], "ref": [7]},
        serve={"port": 8080},
    )


def test_everything_but_the_format_may_be_left_out():
    assert parse({"format": 1}, "folder") == Manifest("folder")
    assert parse({"format": 1, "batch": False}, "folder").batch == Batching(is_enabled=False)
    assert parse({"format": 1, "version": 3}, "folder").version == "3"


FAULTS = [
    ({"format": 2}, '"format" must be 1, found 2'),
    ({"format": None}, '"format" must be 1, found None'),
    ({"format": True}, '"format" must be 1, found True'),
    ({"nam": "x"}, 'unknown key "nam" in the top level; known are api, artifact, batch,'),
    ({"name": "a b"}, "\"name\" must be 1 to 128 of the characters A-Z a-z 0-9 . _ -, found 'a b'"),
    ({"name": ""}, '"name" must be'),
    ({"name": "x" * 129}, '"name" must be'),
    ({"name": "a\n"}, '"name" must be'),
    ({"name": ".."}, '"name" must be'),
    ({"name": True}, '"name" must be'),
    ({"version": 1.5}, '"version" must be 1 to 128 of the characters A-Z a-z 0-9 . _ -, found 1.5'),
    ({"description": 3}, '"description" in the top level must be a string, found 3'),
    ({"artifact": "a.pkl"}, "\"artifact\" must be a table, found 'a.pkl'"),
    ({"artifact": {}}, '"path" in [artifact] is missing'),
    ({"artifact": {"path": 3}}, '"path" in [artifact] must be a string, found 3'),
    ({"artifact": {"path": "a", "digest": "x"}}, 'unknown key "digest" in [artifact]; known are path, sha256, trust'),
    ({"artifact": {"path": "a", "sha256": "abc"}}, "\"sha256\" in [artifact] must be 64 hexadecimal digits, found 'abc'"),
    ({"artifact": {"path": "a", "trust": "x.y"}}, "\"trust\" must be a list, found 'x.y'"),
    ({"artifact": {"path": "a", "trust": [3]}}, '"trust" in [artifact] must be a list of dotted names, found [3]'),
    ({"resources": ["a"]}, '"resources" must be a table'),
    ({"resources": {"a": 3}}, '"a" in [resources] must be a string, found 3'),
    ({"hooks": {"before": "a.py:b"}}, 'unknown key "before" in [hooks]; known are load, postprocess, predict, preprocess'),
    ({"hooks": {"load": 3}}, '"load" in [hooks] must be a string, found 3'),
    ({"api": {"path": "/a"}}, 'unknown key "path" in [api]; known are greeting, route'),
    ({"api": {"route": "a"}}, '"route" in [api] must be a path such as "/sentiment", found \'a\''),
    ({"api": {"route": "/a/"}}, '"route" in [api] must be a path'),
    ({"api": {"route": "/a\n"}}, '"route" in [api] must be a path'),
    ({"api": {"greeting": "/a b"}}, '"greeting" in [api] must be a path'),
    ({"api": {"greeting": 3}}, '"greeting" in [api] must be a string, found 3'),
    ({"inputs": {"name": "a"}}, '"inputs" must be a list'),
    ({"inputs": [3]}, "[[inputs]] number 1 must be a table, found 3"),
    ({"inputs": [{"name": "a", "type": "text"}]}, 'input "a": "type" must be one of bool,'),
    ({"outputs": [{"name": "a", "type": "int8", "x": 1}]}, 'output: unknown key "x"'),
    ({"task": "guess"}, '"task" must be one of classifier,'),
    ({"classes": "ab"}, "\"classes\" must be a list, found 'ab'"),
    ({"classes": [["a"]]}, '"classes" must be a list of strings, numbers or booleans'),
    ({"batch": True}, '"batch" must be a table, found True'),
    ({"batch": {"rows": 3}}, 'unknown key "rows" in [batch]; known are max_rows, max_wait_ms'),
    ({"batch": {"max_rows": 0}}, '"max_rows" in [batch] must be a whole number of at least 1, found 0'),
    ({"batch": {"max_rows": 1.5}}, '"max_rows" in [batch] must be a whole number'),
    ({"batch": {"max_rows": True}}, '"max_rows" in [batch] must be a whole number'),
    ({"batch": {"max_wait_ms": -1}}, '"max_wait_ms" in [batch] must be a number from 0 to 60000, found -1'),
    ({"batch": {"max_wait_ms": float("nan")}}, '"max_wait_ms" in [batch] must be a number'),
    ({"batch": {"max_wait_ms": "2"}}, '"max_wait_ms" in [batch] must be a number'),
    ({"batch": {"max_wait_ms": True}}, '"max_wait_ms" in [batch] must be a number'),
    ({"sample": [1]}, '"sample" must be a table, found [1]'),
    ({"serve": 3}, '"serve" must be a table, found 3'),
]


@pytest.mark.parametrize(("change", "says"), FAULTS, ids=[says[:40] for _, says in FAULTS])
def test_what_it_must_not_say_is_named_with_what_was_expected(change, says):
    with pytest.raises(ManifestError) as error:
        parse({"format": 1} | change, "m")
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read as UTF-8 text (FileNotFoundError)"),
        (b"\xff", "cannot be read as UTF-8 text (UnicodeDecodeError)"),
        (b"format = ", "is not valid TOML"),
        (b"format = 2", '"format" must be 1, found 2'),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, content, says):
    path = tmp_path / "model.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ManifestError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("best_model.pkl", "best_model"),
        ("my model (1).onnx", "my-model--1-"),
        ("é.pkl", "-"),
        ("x" * 200 + ".h5", "x" * 128),
        ("..", "model"),
    ],
)
def test_a_files_stem_becomes_a_name(file, name):
    assert name_from(Path(file)) == name


OWN = Schema((Field("x0", "float64"),), (Field("p", "float64"),), "classifier", ("a", "b"), is_named=False)


def test_without_a_word_in_the_manifest_the_artifacts_schema_counts():
    assert Manifest("m").schema(OWN) == OWN
    assert Manifest("m", description="d").schema(OWN).description == "d"


def test_the_manifests_word_counts_before_the_artifacts():
    manifest = Manifest("m", inputs=(Field("a", "int8"),), outputs=(Field("q", "int8"),), task="regressor", classes=(1,))
    assert manifest.schema(OWN) == Schema(manifest.inputs, manifest.outputs, "regressor", (1,))


@pytest.mark.parametrize("hook", ["predict", "postprocess", "load"])
def test_a_hook_that_answers_makes_the_artifacts_outputs_void(hook):
    assert Manifest("m", hooks={hook: "a.py:f"}).schema(OWN) == Schema(OWN.inputs, task="frame", is_named=False)


def test_a_preprocess_hook_leaves_the_artifacts_outputs():
    assert Manifest("m", hooks={"preprocess": "a.py:f"}).schema(OWN) == OWN


def test_a_schema_that_nobody_declares_is_asked_for():
    with pytest.raises(ManifestError, match=r'model "m": nothing declares its columns; list them as \[\[inputs\]\]'):
        Manifest("m").schema(None)
    inputs = (Field("a", "int8"),)
    assert Manifest("m", inputs=inputs).schema(None) == Schema(inputs, task="frame")
