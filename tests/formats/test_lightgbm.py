"""LightGBM files of all versions answer as on their day; what training never makes is refused before the library sees it."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from modelport import formats
from modelport.errors import LoadError, MissingExtra, ModelError, RefusedFile, UnreadableFile
from modelport.formats import lightgbm as served
from modelport.formats import lightgbm_file
from modelport.formats.base import Options


def _module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES, EDITED = _module("boosted"), _module("edited_lightgbm")
NONE = Options()
FILES = CASES.files("lightgbm", pickles=False)
NEWEST = CASES.ARTIFACTS / "lightgbm" / "4.7.0"
EDITS = {
    f"{file}: {name}": (file, words, edit)
    for file, edits in (("three.txt", EDITED.TREES), ("categories.txt", EDITED.CATEGORIES), ("slopes.txt", EDITED.SLOPES))
    for name, words, edit in edits
}


def _slopes(text: str) -> str:
    """Give the leaves of the first tree lines to edit, which so few rows do not have."""
    for name, value in (("num_features", "1 0 2 0 0"), ("leaf_features", "0  1 2"), ("leaf_coeff", "0.5  0.25 -1")):
        text = EDITED.line(name, value)(text)
    return text


def _text(file: str) -> str:
    text = (NEWEST / file).read_text()
    return _slopes(text) if file == "slopes.txt" else text


@pytest.mark.parametrize("path", FILES, ids=CASES.named)
def test_a_file_answers_as_on_its_day(path: Path) -> None:
    kept = CASES.expected(path)
    predictor = formats.load(path, NONE)
    answers = predictor.predict(CASES.rows(path, predictor.schema, kept), None)
    np.testing.assert_allclose(CASES.compared(answers, kept[path.stem]), kept[path.stem], rtol=0, atol=1e-12)


@pytest.mark.parametrize("path", FILES, ids=CASES.named)
def test_inspect_tells_what_the_loaded_model_says(path: Path) -> None:
    report = formats.inspect(path, NONE)
    assert report.schema == formats.load(path, NONE).schema
    assert (report.verdict, report.plan, report.format) == ("loadable", "native", "lightgbm")
    assert report.sha256


@pytest.mark.parametrize("case", EDITS)
def test_what_training_never_makes_is_refused(case: str, tmp_path: Path) -> None:
    file, words, edit = EDITS[case]
    path = tmp_path / "model.txt"
    path.write_text(edit(_text(file)))
    report = formats.inspect(path, NONE)
    assert report.verdict == "refused"
    assert words in report.problem
    assert "\n" not in report.problem
    with pytest.raises(RefusedFile, match=r"model\.txt: .*; the file is damaged or was changed"):
        formats.load(path, NONE)


@pytest.mark.parametrize("file", ["three.txt", "categories.txt", "slopes.txt"])
def test_the_same_files_unedited_are_served(file: str, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text(_text(file))
    predictor = formats.load(path, NONE)
    library = lightgbm.Booster(model_str=EDITED.without("tree_sizes")(_text(file)))  # which a changed tree would not fit
    rows = np.random.default_rng(0).normal(size=(20, len(predictor.schema.inputs))).round()
    if file == "categories.txt":
        rows[:, [0, 2]] = np.abs(rows[:, [0, 2]]) % 4
    np.testing.assert_array_equal(predictor.native.booster.predict(rows), library.predict(rows))


def test_classes_and_probabilities_are_those_of_the_library() -> None:
    kept = CASES.expected(NEWEST / "x")
    predictor = formats.load(NEWEST / "three.txt", NONE)
    answers = predictor.predict(CASES.rows(NEWEST / "three.txt", predictor.schema, kept), None)
    np.testing.assert_array_equal(answers["label"], kept["three"].argmax(1))
    assert predictor.schema.classes == (0, 1, 2)
    assert formats.load(NEWEST / "binary.lgb", NONE).schema.classes == (0, 1)
    assert formats.load(NEWEST / "entropy.txt", NONE).schema.task == "regressor"


def test_other_categories_count_as_missing() -> None:
    """As in LightGBM, which sets the categories of a data frame to those it was fitted with."""
    predictor = formats.load(NEWEST / "categories.txt", NONE)
    tree, size, plot = predictor.schema.inputs
    assert tree.categories == ("ash", "oak", "pine", "élan")
    assert not tree.closed
    assert plot.categories == tuple(range(0, 90, 10))
    assert size.categories == ()

    def ask(word: str | None, number: float) -> float:
        columns = {"tree": np.array([word], object), "size": np.array([0.3]), "plot": np.array([number])}
        return float(predictor.predict(predictor.schema.pack(columns), None)["prediction"][0])

    assert ask("fir", 17.0) == ask(None, np.nan)
    assert ask("ash", 20.0) != ask("oak", 20.0)


def test_a_feature_of_numbered_categories_says_so() -> None:
    schema = formats.load(NEWEST / "coded.txt", NONE).schema
    assert ["number" in item.description for item in schema.inputs] == [True, False, True]


def test_categories_of_unused_features_are_found_by_the_parameters(tmp_path: Path) -> None:
    text = _text("categories.txt")
    infos = text.split("feature_infos=")[1].split("\n")[0].split(" ")
    path = tmp_path / "model.txt"
    path.write_text(EDITED.line("feature_infos", f"none {infos[1]} {infos[2]}")(text))
    assert formats.inspect(path, NONE).schema.inputs[0].categories == ("ash", "oak", "pine", "élan")
    path.write_text(path.read_text().replace("[categorical_feature: 0,2]", "[categorical_feature: ]"))
    assert [item.categories for item in formats.inspect(path, NONE).schema.inputs] == [()] * 3
    path.write_text(EDITED._pandas(text, "null"))
    assert [item.categories for item in formats.inspect(path, NONE).schema.inputs] == [()] * 3


def test_a_model_without_an_objective_answers_raw_scores(tmp_path: Path) -> None:
    """As LightGBM writes what a function of the user's own trained."""
    path = tmp_path / "model.txt"
    path.write_text(EDITED.without("objective")(_text("three.txt")))
    predictor = formats.load(path, NONE)
    assert predictor.schema.task == "regressor"
    assert predictor.schema.outputs[0].shape == (3,)
    kept = CASES.expected(NEWEST / "x")
    answers = predictor.predict(CASES.rows(path, predictor.schema, kept), None)
    library = lightgbm.Booster(model_file=NEWEST / "three.txt")
    np.testing.assert_array_equal(answers["prediction"], library.predict(kept["X"], raw_score=True))


def test_features_without_names_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text(EDITED.line("feature_names", "Column_0 Column_1 Column_2 Column_3")(_text("three.txt")))
    schema = formats.inspect(path, NONE).schema
    assert [item.name for item in schema.inputs] == ["x0", "x1", "x2", "x3"]
    assert not schema.is_named


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda text: text.replace("version=v4", "version=v9"), "version 'v9'"),
        (lambda text: text[: text.index("Tree=0")], "it has no tree"),
        (lambda text: text[: text.index("Tree=5") - 5], "ends within its trees"),
        (EDITED.line("objective", "my_own"), "'my_own' is not one that modelport knows"),
        (EDITED.line("tree_sizes", "600"), "12 trees, 1 announced"),
        (lambda text: EDITED._pandas(text, "[["), "no JSON"),
        (lambda text: text[: text.index("end of parameters")], "within its parameters"),
    ],
)
def test_what_is_cut_or_unknown_is_unreadable(edit: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text(edit(_text("three.txt")))
    with pytest.raises(UnreadableFile, match=words) as caught:
        formats.inspect(path, NONE)
    assert "\n" not in caught.value.message


def test_names_that_are_no_text_are_unreadable() -> None:
    data = (NEWEST / "three.txt").read_bytes().replace(b"feature_names=age", b"feature_names=\xff\xfe")
    with pytest.raises(UnreadableFile, match="UTF-8"):
        lightgbm_file.read(data)


def test_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_bytes((NEWEST / "categories.txt").read_bytes().replace(b"\n", b"\r\n"))
    kept = CASES.expected(NEWEST / "x")
    predictor = formats.load(path, NONE)
    answers = predictor.predict(CASES.rows(NEWEST / "categories.txt", predictor.schema, kept), None)
    np.testing.assert_array_equal(answers["prediction"], kept["categories"])


def test_a_hook_gets_predict_and_predict_proba() -> None:
    kept = CASES.expected(NEWEST / "x")
    native = formats.load(NEWEST / "binary.lgb", NONE).native
    np.testing.assert_array_equal(native.predict_proba(kept["X"])[:, 1], kept["binary"])
    assert native.predict(kept["X"], verbose=0).dtype == np.int64


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MissingExtra, match=r"pip install 'modelport\[lightgbm\]'"):
        formats.load(NEWEST / "three.txt", NONE)
    assert formats.inspect(NEWEST / "three.txt", NONE).plan == "native"


def test_a_model_that_the_library_does_not_take_is_a_load_error() -> None:
    content = lightgbm_file.read((NEWEST / "three.txt").read_bytes())
    broken = dataclasses.replace(content, document=content.document.replace(b"num_class=3\n", b""))
    with pytest.raises(LoadError, match="does not take the model"):
        served.open_booster(broken)


def test_no_rows_and_unknown_outputs() -> None:
    predictor = formats.load(NEWEST / "three.txt", NONE)
    empty = predictor.predict(predictor.schema.sample(1).slice(0, 0), ["probabilities"])
    assert {name: array.shape for name, array in empty.items()} == {"probabilities": (0, 3)}
    with pytest.raises(ModelError, match='no output "x"'):
        predictor.predict(predictor.schema.sample(1), ["x"])


def test_a_tree_may_be_one_leaf_and_linear(tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    text = EDITED.line("is_linear", "1\nleaf_const=0.25\nnum_features=1\nleaf_features=1\nleaf_coeff=2")(_text("stump.txt"))
    path.write_text(text)
    predictor = formats.load(path, NONE)
    rows = predictor.schema.pack({item.name: np.array([0.0, 1.0]) for item in predictor.schema.inputs})
    found = predictor.predict(rows, None)["prediction"]
    np.testing.assert_allclose(found[1] - found[0], 2.0)
    path.write_text(EDITED.without("leaf_value")(_text("stump.txt")))
    assert "no value for each of 1" in formats.inspect(path, NONE).problem
