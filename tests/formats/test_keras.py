"""Keras files made by Keras itself: our answers are its own recorded ones, and the schema is what the file says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from modelport.columns import Array, Columns
from modelport.errors import LoadError, ModelError, UnreadableFile
from modelport.formats import keras
from modelport.formats.base import Options
from modelport.formats.keras_native import NetworkModel

FOLDER = Path(__file__).parents[1] / "artifacts" / "keras"
KERAS_3 = sorted(path for suffix in ("*.hdf5", "*.keras", "*.weights.h5") for path in FOLDER.glob(suffix))
KERAS_2 = sorted(path for suffix in ("*.h5", "*.keras") for path in (FOLDER / "tf215").glob(suffix))
RECORDED_AS = {"weights_only": "sentiment", "hard_sigmoid_weights": "hard_sigmoid"}


def recorded(path: Path) -> tuple[dict[str, Array], list[Array]]:
    """Return the inputs (by name, "" for a single one) and predictions recorded when the file was made."""
    name = path.name.split(".")[0]
    name = RECORDED_AS.get(name, name)
    with np.load(path.parent / "expected.npz") as archive:
        feeds = {key.split("/")[2]: archive[key] for key in archive.files if key.startswith(f"{name}/in/")}
        answers = [archive[f"{name}/out/{at}"] for at in range(sum(key.startswith(f"{name}/out/") for key in archive.files))]
    return feeds, answers


def native(path: Path) -> NetworkModel:
    model = keras.load(path, Options()).native
    assert isinstance(model, NetworkModel)
    return model


def assert_same(found: object, wanted: list[Array]) -> None:
    """Equal within 1e-6 of the value, or absolutely for values under 1; NaN (a mean over no step) where Keras has NaN."""
    answers = found if isinstance(found, list) else [found]
    assert len(answers) == len(wanted)
    for answer, value in zip(answers, wanted, strict=True):
        assert answer.shape == value.shape
        assert answer.dtype == np.float32
        np.testing.assert_allclose(answer, value, rtol=1e-6, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("path", KERAS_3 + KERAS_2, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_predictions_are_those_that_keras_gave(path: Path) -> None:
    feeds, answers = recorded(path)
    assert answers
    assert_same(native(path).predict(feeds.get("", feeds)), answers)


@pytest.mark.parametrize("name", ["sentiment.hdf5", "lstm_masked.keras", "stacked_masked.keras", "convolution.hdf5", "any_length.hdf5"])
def test_a_row_alone_gets_the_answer_that_it_gets_among_others(name: str) -> None:
    feeds, answers = recorded(FOLDER / name)
    model = native(FOLDER / name)
    for row in range(len(feeds[""])):
        assert_same(model.predict(feeds[""][row : row + 1]), [answer[row : row + 1] for answer in answers])


@pytest.mark.parametrize("name", ["sentiment.hdf5", "dense.keras", "bidirectional_sequences.hdf5"])
def test_a_large_batch_is_cut_and_answered_in_order(name: str) -> None:
    feeds, answers = recorded(FOLDER / name)
    rows = np.random.default_rng(1).integers(0, len(feeds[""]), 601)
    assert_same(native(FOLDER / name).predict(feeds[""][rows]), [answer[rows] for answer in answers])


def test_no_rows_give_no_rows_of_the_right_shape() -> None:
    feeds, answers = recorded(FOLDER / "sentiment.hdf5")
    found = native(FOLDER / "sentiment.hdf5").predict(feeds[""][:0])
    assert isinstance(found, np.ndarray)
    assert found.shape == (0, *answers[0].shape[1:])


def test_the_schema_names_the_inputs_and_one_prediction() -> None:
    predictor = keras.load(FOLDER / "sentiment.hdf5", Options())
    (field,) = predictor.schema.inputs
    assert (field.name, field.type, field.shape) == ("tokens", "int32", (7,))
    assert "0 to 8" in field.description
    assert [(item.name, item.type, item.shape) for item in predictor.schema.outputs] == [("prediction", "float32", (4,))]
    assert (predictor.schema.task, predictor.form) == ("network", "onnx")
    answer = predictor.predict(predictor.schema.sample(3), None)
    assert list(answer) == ["prediction"]
    assert answer["prediction"].shape == (3, 4)


def test_several_outputs_have_their_layers_names_and_can_be_asked_for() -> None:
    predictor = keras.load(FOLDER / "nested.keras", Options())
    assert [item.name for item in predictor.schema.outputs] == ["add", "head", "head_1"]
    feeds, answers = recorded(FOLDER / "nested.keras")
    answer = predictor.predict(Columns(feeds), ["head_1"])
    assert list(answer) == ["head_1"]
    np.testing.assert_allclose(answer["head_1"], answers[2], atol=1e-6)
    with pytest.raises(ModelError, match=r'no output "heads"; it has add, head, head_1'):
        predictor.predict(Columns(feeds), ["heads"])


def test_scalar_inputs_travel_packed_and_an_input_of_word_numbers_is_whole() -> None:
    predictor = keras.load(FOLDER / "scalars.keras", Options())
    kinds = {item.name: (item.type, item.shape) for item in predictor.schema.inputs}
    assert kinds["fare"] == ("float32", ())
    assert kinds["kind"] == ("int32", (1,))
    feeds, answers = recorded(FOLDER / "scalars.keras")
    typed = {name: feeds[name].astype(item.dtype) for name, item in ((item.name, item) for item in predictor.schema.inputs)}
    answer = predictor.predict(predictor.schema.pack(typed), None)
    np.testing.assert_allclose(answer["prediction"], answers[0], atol=1e-6)


@pytest.mark.parametrize("value", [9, -1])
def test_a_number_that_is_no_word_is_refused_by_row(value: int) -> None:
    """ONNX would take -1 for the last word."""
    x = np.ones((3, 7), np.int32)
    x[2, 4] = value
    predictor = keras.load(FOLDER / "sentiment.hdf5", Options())
    with pytest.raises(ModelError, match=rf'input "tokens": {value} at row 2 .* expected 0 to 8'):
        predictor.predict(Columns({"tokens": x}), None)


def test_hooks_call_it_as_they_call_keras() -> None:
    feeds, answers = recorded(FOLDER / "sentiment.keras")
    model = native(FOLDER / "sentiment.keras")
    assert_same(model.predict(feeds[""], batch_size=500, verbose=0, steps=None, callbacks=[], workers=4), answers)
    assert_same(model.predict(feeds[""].tolist()), answers)
    assert_same(model.predict([feeds[""]]), answers)
    assert_same(model(feeds[""].astype("float64"), training=False), answers)
    assert_same(model.predict_on_batch(feeds[""]), answers)
    assert (model.input_shape, model.output_shape) == ((None, 7), (None, 4))


def test_hooks_give_frames_lists_and_dicts() -> None:
    pandas = pytest.importorskip("pandas")
    feeds, answers = recorded(FOLDER / "nested.keras")
    model = native(FOLDER / "nested.keras")
    assert_same(model.predict([feeds["i"], feeds["j"]]), answers)
    assert_same(model.predict(dict(reversed(feeds.items()))), answers)
    feeds, answers = recorded(FOLDER / "dense.keras")
    assert_same(native(FOLDER / "dense.keras").predict(pandas.DataFrame(feeds[""])), answers)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones((2, 6)), r"has shape \(2, 6\), the network takes \(None, 7\)"),
        ("text", "no array of int32"),
        ([["a"] * 7], "no array of int32"),
    ],
)
def test_hooks_are_told_what_does_not_fit(value: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        native(FOLDER / "sentiment.keras").predict(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([np.ones((2, 5))], "takes 2 inputs"),
        ({"i": np.ones((2, 5))}, 'input "j" is missing'),
        ({"i": np.ones((2, 5)), "j": np.ones((3, 5))}, "different numbers of rows"),
    ],
)
def test_hooks_are_told_which_input_does_not_fit(value: list[Array] | Mapping[str, Array], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        native(FOLDER / "nested.keras").predict(value)


def test_inspect_shows_layers_version_and_schema_without_a_runtime() -> None:
    report = keras.inspect(FOLDER / "sentiment.hdf5", Options())
    assert (report.format, report.library, report.library_version) == ("keras", "keras", "3.15.1")
    assert (report.verdict, report.plan, report.problem) == ("loadable", "converted", "")
    assert report.features == ("tokens",)
    steps = {step.name: step for step in report.steps}
    assert steps["bidirectional"].parameters["merge_mode"] == "concat"
    assert steps["bidirectional/forward_layer"].type == "LSTM"
    assert report.schema == keras.load(FOLDER / "sentiment.hdf5", Options()).schema


def test_the_version_that_wrote_a_file_is_told() -> None:
    assert keras.inspect(FOLDER / "tf215" / "hard_sigmoid.h5", Options()).library_version == "2.15.0"


def test_weights_take_the_sibling_whose_layers_fit_and_say_so() -> None:
    report = keras.inspect(FOLDER / "weights_only.weights.h5", Options())
    assert "architecture from weights_only.json" in report.model


def test_weights_take_the_architecture_that_is_named(tmp_path: Path) -> None:
    weights = tmp_path / "model.weights.h5"
    weights.write_bytes((FOLDER / "weights_only.weights.h5").read_bytes())
    with pytest.raises(LoadError, match=r"no architecture, and no JSON file beside it fits; .*--architecture FILE"):
        keras.load(weights, Options())
    assert keras.inspect(weights, Options()).plan == "none"
    architecture = tmp_path / "other" / "net.json"
    architecture.parent.mkdir()
    architecture.write_bytes((FOLDER / "weights_only.json").read_bytes())
    feeds, answers = recorded(FOLDER / "sentiment.hdf5")
    model = keras.load(weights, Options(architecture=architecture)).native
    assert isinstance(model, NetworkModel)
    assert_same(model.predict(feeds[""]), answers)


def test_two_siblings_that_fit_are_not_chosen_between(tmp_path: Path) -> None:
    (tmp_path / "m.weights.h5").write_bytes((FOLDER / "weights_only.weights.h5").read_bytes())
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes((FOLDER / "weights_only.json").read_bytes())
    with pytest.raises(LoadError, match=r"2 files beside it fit \(a.json, b.json\)"):
        keras.load(tmp_path / "m.weights.h5", Options())


def test_an_architecture_of_other_shapes_is_not_taken(tmp_path: Path) -> None:
    document = json.loads((FOLDER / "weights_only.json").read_text())
    layers = document["config"]["layers"]
    layers[-1]["config"]["units"] += 1
    (tmp_path / "net.json").write_text(json.dumps(document))
    (tmp_path / "m.weights.h5").write_bytes((FOLDER / "weights_only.weights.h5").read_bytes())
    with pytest.raises(LoadError, match="no JSON file beside it fits"):
        keras.load(tmp_path / "m.weights.h5", Options())
    with pytest.raises(UnreadableFile, match=r'weight "kernel" has shape \(6, 4\), expected \(6, 5\)'):
        keras.load(tmp_path / "m.weights.h5", Options(architecture=tmp_path / "net.json"))
