"""XGBoost files of all versions answer as on their day, and say of themselves what the loaded model says."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import xgboost

from modelport import formats
from modelport.errors import LoadError, MissingExtra, ModelError, UnreadableFile
from modelport.formats import ubjson, xgboost_file
from modelport.formats import xgboost as served
from modelport.formats.base import Options

_spec = importlib.util.spec_from_file_location("boosted_cases", Path(__file__).with_name("boosted.py"))
CASES = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(CASES)

NONE = Options()
FILES = [path for path in CASES.files("xgboost", pickles=False) if path.suffix != ".model"]
LEGACY = [path for path in CASES.files("xgboost", pickles=False) if path.suffix == ".model"]
NEWEST = CASES.ARTIFACTS / "xgboost" / "3.2.0"


@pytest.mark.parametrize("path", FILES, ids=CASES.named)
def test_a_file_answers_as_on_its_day(path: Path) -> None:
    kept = CASES.expected(path)
    predictor = formats.load(path, NONE)
    answers = predictor.predict(CASES.rows(path, predictor.schema, kept), None)
    if path.stem == "softmax":
        np.testing.assert_array_equal(answers["label"], kept["softmax"].astype(int))
        np.testing.assert_allclose(answers["probabilities"].sum(1), 1, atol=1e-6)
    else:
        np.testing.assert_allclose(CASES.compared(answers, kept[path.stem]), kept[path.stem], rtol=0, atol=1e-6)
    if path.stem == "words":
        assert answers["label"].tolist() == kept["labels_words"].tolist()


@pytest.mark.parametrize("path", FILES, ids=CASES.named)
def test_inspect_tells_what_the_loaded_model_says(path: Path) -> None:
    report = formats.inspect(path, NONE)
    predictor = formats.load(path, NONE)
    assert report.schema == predictor.schema
    assert report.library_version == path.parent.name
    assert report.plan == ("shimmed" if predictor.notes else "native")
    assert report.verdict == "loadable"
    assert report.sha256


@pytest.mark.parametrize("path", LEGACY, ids=CASES.named)
def test_the_old_binary_format_is_refused_with_a_cure(path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"old binary format.*save it again as \.json or \.ubj") as caught:
        formats.inspect(path, NONE)
    assert "\n" not in caught.value.message


def test_what_an_older_file_needs_is_told() -> None:
    raw = formats.inspect(NEWEST.parent / "1.0.2" / "raw.json", NONE)
    assert raw.plan == "shimmed"
    assert "probability" in raw.notes[0]
    assert "targets" in formats.inspect(NEWEST.parent / "2.1.4" / "vectors.ubj", NONE).notes[0]


@pytest.mark.parametrize(
    ("name", "task", "outputs"),
    [
        ("binary.ubj", "classifier", ["label", "probabilities"]),
        ("hinge.ubj", "classifier", ["label"]),
        ("raw.ubj", "classifier", ["label", "scores"]),
        ("three.json", "classifier", ["label", "probabilities"]),
        ("labels.ubj", "classifier", ["label", "probabilities"]),
        ("poisson.ubj", "regressor", ["prediction"]),
        ("aft.json", "regressor", ["prediction"]),
        ("rank.json", "regressor", ["prediction"]),
        ("targets.ubj", "regressor", ["prediction"]),
        ("quantiles.json", "regressor", ["prediction"]),
    ],
)
def test_the_objective_decides_what_is_answered(name: str, task: str, outputs: list[str]) -> None:
    schema = formats.load(NEWEST / name, NONE).schema
    assert schema.task == task
    assert [item.name for item in schema.outputs] == outputs


def test_labels_are_those_of_the_scikit_learn_class(tmp_path: Path) -> None:
    kept = CASES.expected(NEWEST / "x")
    for name in ("binary.ubj", "three.json", "softmax.ubj", "raw.ubj"):
        predictor = formats.load(NEWEST / name, NONE)
        wrapper = xgboost.XGBClassifier()
        wrapper.load_model(NEWEST / name)
        label = predictor.predict(CASES.rows(NEWEST / name, predictor.schema, kept), ["label"])["label"]
        np.testing.assert_array_equal(label, wrapper.predict(kept["X"], validate_features=False))
        if name != "raw.ubj":
            chances = predictor.predict(CASES.rows(NEWEST / name, predictor.schema, kept), ["probabilities"])["probabilities"]
            np.testing.assert_array_equal(chances, wrapper.predict_proba(kept["X"], validate_features=False))


def test_who_saved_the_file_decides_whether_the_best_round_counts() -> None:
    kept = CASES.expected(NEWEST / "x")
    assert not np.allclose(kept["stopped"], kept["unstopped"], atol=1e-3)
    assert formats.inspect(NEWEST / "stopped.json", NONE).steps[0].parameters["rounds"] == 9
    assert formats.inspect(NEWEST / "unstopped.json", NONE).steps[0].parameters["rounds"] == 14


def test_categories_are_the_only_values_taken() -> None:
    predictor = formats.load(NEWEST / "categories.ubj", NONE)
    tree, plot, size = predictor.schema.inputs
    assert tree.categories == ("ash", "elm", "oak", "pine")
    assert tree.closed
    assert plot.categories == tuple(range(0, 90, 10))
    assert size.categories == ()
    columns = {"tree": np.array(["ash", None], object), "plot": np.array([np.nan, 10.0]), "size": np.array([0.0, np.nan])}
    assert np.isfinite(predictor.predict(predictor.schema.pack(columns), None)["prediction"]).all()
    columns["tree"][0] = "fir"
    with pytest.raises(ModelError, match="column \"tree\": 'fir' is not one of its categories"):
        predictor.predict(predictor.schema.pack(columns), None)


def test_categories_that_the_library_cut_are_taken_by_number(tmp_path: Path) -> None:
    """XGBoost 3.1 and 3.2 count letters and store bytes."""
    document = ubjson.read((NEWEST / "categories.ubj").read_bytes())
    column = document["learner"]["gradient_booster"]["model"]["cats"]["enc"][0]
    column["values"] = np.array([-61 if value == ord("e") else value for value in column["values"]], np.int8)
    path = tmp_path / "model.ubj"
    path.write_bytes(ubjson.write(document))
    field = formats.load(path, NONE).schema.inputs[0]
    assert (field.type, field.categories) == ("float64", ())
    assert "number" in field.description


def test_a_hook_gets_predict_and_predict_proba() -> None:
    import pandas as pd

    kept = CASES.expected(NEWEST / "x")
    native = formats.load(NEWEST / "binary.ubj", NONE).native
    chances = native.predict_proba(kept["X"], verbose=0)
    np.testing.assert_array_equal(native.predict(kept["X"].tolist()), chances.argmax(1))
    assert isinstance(native.booster, xgboost.Booster)
    native = formats.load(NEWEST / "categories.ubj", NONE).native
    frame = pd.DataFrame({"size": kept["size"], "plot": kept["plot"], "tree": kept["tree"]})
    np.testing.assert_allclose(native.predict(frame), kept["categories"], atol=1e-6)
    with pytest.raises(ModelError, match="no probabilities"):
        native.predict_proba(frame)
    with pytest.raises(ModelError, match='no column "tree"'):
        native.predict(frame[["size", "plot"]])


def test_no_rows_and_unknown_outputs() -> None:
    predictor = formats.load(NEWEST / "three.json", NONE)
    empty = predictor.predict(predictor.schema.sample(1).slice(0, 0), None)
    assert {name: array.shape for name, array in empty.items()} == {"label": (0,), "probabilities": (0, 3)}
    with pytest.raises(ModelError, match='no output "x"; it has label, probabilities'):
        predictor.predict(predictor.schema.sample(1), ["x"])


def test_what_the_library_refuses_at_predict_is_one_sentence() -> None:
    predictor = formats.load(NEWEST / "linear.ubj", NONE)  # goes through a DMatrix, which takes no infinity
    with pytest.raises(ModelError, match="the model failed on these rows") as caught:
        predictor.predict(predictor.schema.pack({item.name: np.array([np.inf]) for item in predictor.schema.inputs}), None)
    assert "\n" not in caught.value.message


def test_json_with_nan_in_it_is_read(tmp_path: Path) -> None:
    document = json.loads((NEWEST / "three.json").read_text())
    document["learner"]["gradient_booster"]["model"]["trees"][0]["loss_changes"][0] = float("nan")
    path = tmp_path / "model.json"
    path.write_text(json.dumps(document))
    assert formats.load(path, NONE).schema.classes == (0, 1, 2)


def test_a_file_of_a_newer_library_is_not_served(tmp_path: Path) -> None:
    document = json.loads((NEWEST / "three.json").read_text()) | {"version": [99, 1, 0]}
    path = tmp_path / "model.json"
    path.write_text(json.dumps(document))
    report = formats.inspect(path, NONE)
    assert report.plan == "none"
    assert "written by XGBoost 99.1.0" in report.problem
    with pytest.raises(LoadError, match=r"model\.json: the file was written by XGBoost 99\.1\.0"):
        formats.load(path, NONE)


def test_either_distribution_tells_the_version() -> None:
    assert served.installed() == xgboost.__version__
    content = xgboost_file.read((NEWEST / "three.json").read_bytes())
    assert served.newer(content, "") == ""


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xgboost", None)
    with pytest.raises(MissingExtra, match=r"pip install 'modelport\[xgboost\]'"):
        formats.load(NEWEST / "three.json", NONE)
    assert formats.inspect(NEWEST / "three.json", NONE).plan == "native"


def test_a_model_that_the_library_does_not_take_is_a_load_error(monkeypatch: pytest.MonkeyPatch) -> None:
    content = xgboost_file.read((NEWEST / "three.json").read_bytes())
    broken = dataclasses.replace(content, parts={"learner": 1})
    with pytest.raises(LoadError, match="does not take the model"):
        served.open_booster(broken, None)


def test_json_that_is_no_model_is_unreadable(tmp_path: Path) -> None:
    for number, text in enumerate(('{"learner": 1}', '{"learner": ', '{"learner": NaN, ]', '["learner"]')):
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        with pytest.raises(UnreadableFile) as caught:
            formats.inspect(path, NONE)
        assert "\n" not in caught.value.message
    with pytest.raises(UnreadableFile, match="no complete"):
        xgboost_file.read((NEWEST / "binary.ubj").read_bytes()[:-5])
    with pytest.raises(UnreadableFile, match="expected a model"):
        xgboost_file.read(b"[1]")


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [NEWEST / "categories.ubj", NEWEST / "classifier.pkl", CASES.ARTIFACTS / "lightgbm" / "4.7.0" / "three.txt"]
)
def test_a_locked_in_worker_answers(path: Path) -> None:
    """Through the throw-away process, the sandbox, and the wire."""
    from modelport.bundle.folder import open_bundle
    from modelport.config import resolve
    from modelport.server import once

    assert once.describe(open_bundle(path), resolve({}, environment={})) == formats.load(path, NONE).schema
