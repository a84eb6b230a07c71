"""Boosters within pickles: served as their library answers, whatever version wrote them, and held to the rules of the native files."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelport import formats
from modelport.errors import LoadError, RefusedFile, UnreadableFile
from modelport.formats import boosted_loading, ubjson
from modelport.formats.base import Options


def _module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES = _module("boosted")
NONE = Options()
LEGACY = ("0.90", "1.0.2")  # their boosters hold the binary format
FILES = [path for library in ("xgboost", "lightgbm") for path in CASES.files(library, pickles=True)]
SERVED = [path for path in FILES if path.parent.name not in LEGACY]
REFUSED = [path for path in FILES if path.parent.name in LEGACY]
NEWEST = {"xgboost": CASES.ARTIFACTS / "xgboost" / "3.2.0", "lightgbm": CASES.ARTIFACTS / "lightgbm" / "4.7.0"}
PROTOCOLS = (0, 1, 2, 3, 4, 5)
X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


@pytest.mark.parametrize("path", SERVED, ids=CASES.named)
def test_a_pickle_answers_as_on_its_day(path: Path) -> None:
    kept = CASES.expected(path)
    assert formats.inspect(path, NONE).verdict == "loadable"
    predictor = formats.load(path, NONE)
    answers = predictor.predict(CASES.rows(path, predictor.schema, kept), None)
    wanted = kept[f"pickled_{path.stem}"]
    np.testing.assert_allclose(CASES.compared(answers, wanted), wanted, rtol=0, atol=1e-12)
    if path.stem == "words":
        assert predictor.schema.classes == ("bad", "fair", "good")
        assert answers["label"].tolist() == kept["labels_words"].tolist()


@pytest.mark.parametrize("path", REFUSED, ids=CASES.named)
def test_pickles_of_the_old_binary_format_are_refused_with_a_cure(path: Path) -> None:
    report = formats.inspect(path, NONE)
    assert report.plan == "none"
    assert "old binary format" in report.problem
    with pytest.raises(UnreadableFile, match=r"old binary format.*save it again") as caught:
        formats.load(path, NONE)
    assert "\n" not in caught.value.message


def test_the_version_is_that_of_xgboost() -> None:
    for path in SERVED:
        if path.parent.parent.name == "xgboost" and path.stem != "pipeline":
            assert formats.inspect(path, NONE).library_version == path.parent.name


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_what_is_loaded_is_the_class_itself(library: str) -> None:
    native = formats.load(NEWEST[library] / "classifier.pkl", NONE).native
    assert type(native) is {"xgboost": xgboost.XGBClassifier, "lightgbm": lightgbm.LGBMClassifier}[library]
    booster = native.get_booster() if library == "xgboost" else native.booster_
    assert type(booster) is {"xgboost": xgboost.Booster, "lightgbm": lightgbm.Booster}[library]
    again = pickle.loads(pickle.dumps(native))
    np.testing.assert_array_equal(again.predict_proba(X[:, [0, 1, 2, 0]]), native.predict_proba(X[:, [0, 1, 2, 0]]))


def _edited(change: Callable[[dict[str, Any]], object]) -> Callable[[object], dict[str, object]]:
    """Return what gives the state of an XGBoost booster whose document was changed."""
    own = xgboost.Booster.__getstate__

    def state(self: Any) -> dict[str, object]:
        found = own(self)
        document = ubjson.read(bytes(found["handle"]))
        change(document["Model"]["learner"]["gradient_booster"]["model"])
        return found | {"handle": bytearray(ubjson.write(document))}

    return state


def _far_child(model: dict[str, Any]) -> None:
    children = model["trees"][0]["left_children"].copy()
    children[0] = 10**6
    model["trees"][0]["left_children"] = children


def _booster() -> object:
    return xgboost.train({"max_depth": 3}, xgboost.DMatrix(X, Y), 2)


def _classifier() -> object:
    return xgboost.XGBClassifier(n_estimators=2, max_depth=3).fit(X, Y)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("make", [_booster, _classifier, lambda: make_pipeline(StandardScaler(), _classifier())])
def test_an_edited_booster_never_reaches_its_library(
    make: Callable[[], object], protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, model = tmp_path / "model.pkl", make()
    monkeypatch.setattr(xgboost.Booster, "__getstate__", _edited(_far_child))
    path.write_bytes(pickle.dumps(model, protocol))
    with pytest.raises(RefusedFile, match="not one of its nodes"):
        formats.load(path, NONE)
    report = formats.inspect(path, NONE)
    assert (report.verdict, "not one of its nodes" in report.problem) == ("refused", True)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_same_booster_unedited_is_served(protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, model = tmp_path / "model.pkl", _booster()
    monkeypatch.setattr(xgboost.Booster, "__getstate__", _edited(lambda model: None))
    path.write_bytes(pickle.dumps(model, protocol))
    assert (formats.inspect(path, NONE).verdict, formats.inspect(path, NONE).plan) == ("loadable", "native")
    predictor = formats.load(path, NONE)
    rows = predictor.schema.pack({f"x{at}": X[:, at] for at in range(3)})
    np.testing.assert_array_equal(predictor.predict(rows, None)["prediction"], _booster().predict(xgboost.DMatrix(X)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("words", ["left_child is not", "not one of its nodes", ""])
def test_an_edited_lightgbm_text_never_reaches_its_library(
    words: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=20, min_child_samples=5, verbose=-1).fit(X, Y)
    state = model.booster_.__getstate__()
    old = state["_handle"].split("left_child=")[1].split("\n")[0]
    new = {"left": "1", "not ": " ".join(["99999", *old.split()[1:]]), "": old}[words[:4]]
    text = state["_handle"].replace(f"left_child={old}", f"left_child={new}")
    monkeypatch.setattr(lightgbm.Booster, "__getstate__", lambda self: state | {"_handle": text})
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model, protocol))
    report = formats.inspect(path, NONE)
    if not words:
        assert (report.verdict, report.plan) == ("loadable", "native")
        np.testing.assert_array_equal(formats.load(path, NONE).native.predict(X), model.predict(X))
        return
    assert (report.verdict, words in report.problem) == ("refused", True)
    with pytest.raises(RefusedFile, match=words):
        formats.load(path, NONE)


def test_what_no_static_reader_sees_is_seen_when_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of numbers becomes bytes only as it is loaded."""
    path, model = tmp_path / "model.pkl", _booster()
    edited = _edited(_far_child)
    monkeypatch.setattr(xgboost.Booster, "__getstate__", lambda self: (s := edited(self)) | {"handle": _Listed(list(s["handle"]))})
    path.write_bytes(pickle.dumps(model))
    with pytest.raises(RefusedFile):
        formats.load(path, NONE)


class _Listed:
    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers

    def __reduce__(self) -> Any:
        return bytearray, (self.numbers,)


@pytest.mark.parametrize("kind", [xgboost.Booster, lightgbm.Booster])
@pytest.mark.parametrize("state", [{"_handle": 4711, "handle": 4711}, {"_handle": [1], "handle": [1]}, [1], {1: 2}])
def test_a_state_that_is_no_model_is_refused(kind: type, state: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number there would be taken for an address."""
    path = tmp_path / "model.pkl"
    made = _booster() if kind is xgboost.Booster else lightgbm.LGBMRegressor(n_estimators=1, verbose=-1).fit(X, Y).booster_
    monkeypatch.setattr(kind, "__getstate__", lambda self: state)
    path.write_bytes(pickle.dumps(made))
    with pytest.raises(RefusedFile, match=r"as (its library|XGBoost|LightGBM) writes"):
        formats.load(path, NONE)


def test_what_was_never_fitted_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pkl"
    for model in (xgboost.XGBClassifier(), lightgbm.LGBMRegressor()):
        path.write_bytes(pickle.dumps(model))
        with pytest.raises(LoadError, match=r"saved before it was fitted"):
            formats.load(path, NONE)


@pytest.mark.parametrize("kind", [xgboost.Booster, lightgbm.Booster])
def test_a_booster_without_a_model_is_none(kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pkl"
    made = _booster() if kind is xgboost.Booster else lightgbm.LGBMRegressor(n_estimators=1, verbose=-1).fit(X, Y).booster_
    monkeypatch.setattr(kind, "__getstate__", lambda self: {"handle": None, "_handle": None})
    path.write_bytes(pickle.dumps(made))
    with pytest.raises(LoadError, match=r"saved before it was fitted"):
        formats.load(path, NONE)


def test_a_joblib_file_in_a_pipeline_is_checked_as_well(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=2)).fit(X, Y), path, compress=3)
    assert formats.inspect(path, NONE).verdict == "loadable"
    predictor = formats.load(path, NONE)
    rows = predictor.schema.pack({f"x{at}": X[:, at] for at in range(3)})
    np.testing.assert_array_equal(predictor.predict(rows, ["label"])["label"], predictor.native.predict(X))


def test_a_classifier_fitted_with_categories_keeps_its_labels(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": X[:, 0], "b": pd.Categorical(np.where(X[:, 1] > 0, "yes", "no"))})
    model = lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=5, verbose=-1).fit(frame, np.where(Y, "good", "bad"))
    for at, made in enumerate((model, xgboost.XGBClassifier(n_estimators=3, enable_categorical=True).fit(frame, Y))):
        path = tmp_path / f"{at}.pkl"
        path.write_bytes(pickle.dumps(made))
        predictor = formats.load(path, NONE)
        assert predictor.schema.inputs[1].categories == ("no", "yes")
        assert type(predictor.native) is type(made)
        rows = predictor.schema.pack({"a": X[:, 0], "b": np.asarray(frame["b"], object)})
        answers = predictor.predict(rows, None)
        np.testing.assert_array_equal(answers["label"], made.predict(frame))
        np.testing.assert_array_equal(answers["probabilities"], made.predict_proba(frame))


def test_another_missing_value_is_left_to_the_class(tmp_path: Path) -> None:
    """Its own predict knows that minus one is missing; with categories that has no matrix."""
    import pandas as pd

    frame = pd.DataFrame({"a": X[:, 0], "b": pd.Categorical(np.where(X[:, 1] > 0, "yes", "no"))})
    model = xgboost.XGBRegressor(n_estimators=2, enable_categorical=True).fit(frame, X[:, 2])
    model.missing = -1.0
    assert boosted_loading.predictor(model, NONE) is None
    assert boosted_loading.predictor(StandardScaler(), NONE) is None


def test_only_names_of_the_two_libraries_are_guarded() -> None:
    assert boosted_loading.guarded("xgboost.sklearn.Nothing") is None
    assert boosted_loading.guarded("sklearn.dummy.DummyClassifier") is None


def test_a_newer_booster_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, model = tmp_path / "model.pkl", _booster()
    own = xgboost.Booster.__getstate__

    def newer(self: Any) -> dict[str, object]:
        found = own(self)
        document = ubjson.read(bytes(found["handle"]))
        document["Model"]["version"] = [99, 0, 0]
        return found | {"handle": bytearray(ubjson.write(document))}

    monkeypatch.setattr(xgboost.Booster, "__getstate__", newer)
    path.write_bytes(pickle.dumps(model))
    assert "written by XGBoost 99.0.0" in formats.inspect(path, NONE).problem
    with pytest.raises(LoadError, match=r"written by XGBoost 99\.0\.0"):
        formats.load(path, NONE)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("handle", [bytearray(b"no model"), bytearray(b"\xff\xfe"), bytearray(3000)])
def test_a_handle_that_is_no_model_is_unreadable(handle: bytearray, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, model = tmp_path / "model.pkl", _booster()
    monkeypatch.setattr(xgboost.Booster, "__getstate__", lambda self: {"handle": handle})
    path.write_bytes(pickle.dumps(model, protocol))
    assert "no complete XGBoost model" in formats.inspect(path, NONE).problem
    with pytest.raises(UnreadableFile, match="no complete XGBoost model"):
        formats.load(path, NONE)
