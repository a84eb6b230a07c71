"""Networks as programs: the same numbers as the predictor's, proven on rows that networks take, or a reason why there is none."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from modelport.bundle.compiling import compile_model
from modelport.bundle.folder import open_bundle
from modelport.bundle.model import load_model
from modelport.columns import Columns
from modelport.errors import LoadError, ModelError
from modelport.formats import keras
from modelport.formats import onnx as onnx_files
from modelport.formats.base import Options
from modelport.formats.keras_predictor import KerasPredictor
from modelport.formats.lowering.draft import NotLowered
from modelport.formats.runtime import GraphPredictor
from modelport.forms.parity import NETWORK_TOLERANCE, TOLERANCE, prove, tolerance_of
from modelport.forms.program import form as forms
from modelport.forms.program.compiled import make_ready
from modelport.forms.program.network import known_words, with_threads
from modelport.forms.program.steps import Program, Step, dump, load
from modelport.forms.trials import trials
from modelport.schema import Field, Schema

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "artifacts" / "keras"
SENTIMENT = ROOT / "examples" / "sentiment" / "best_model.hdf5"
NETWORKS = [
    "sentiment.hdf5",
    "dense.keras",
    "scalars.keras",
    "images.hdf5",
    "any_length.hdf5",
    "merged_masks.keras",
    "average_masked.keras",
]


def predictor(path: Path) -> GraphPredictor:
    found = keras.load(path, Options())
    assert isinstance(found, GraphPredictor)
    return found


@pytest.fixture(scope="module")
def sentiment() -> Program:
    """A program whose large weights are beside the graph."""
    return load(dump(predictor(SENTIMENT).lower()))


@pytest.mark.parametrize("path", [*(FOLDER / name for name in NETWORKS), SENTIMENT], ids=lambda path: path.name)
def test_a_written_and_read_program_answers_the_same_bits(path: Path) -> None:
    model = predictor(path)
    program = load(dump(model.lower()))
    form = make_ready(program)
    evidence = prove(model.predict, form, model.schema, program)
    assert (evidence.problem, evidence.difference) == ("", 0.0)
    assert evidence.rows > 100
    compared = 0
    for columns in trials(model.schema, program):
        if _is_answered(model, columns):
            expected, found = model.predict(columns, None), form(columns, None)
            assert all(found[name].tobytes() == array.tobytes() for name, array in expected.items())
            compared += columns.rows
    assert compared == evidence.rows


def _is_answered(model: GraphPredictor, columns: Columns) -> bool:
    try:
        model.predict(columns, None)
    except ModelError:
        return False
    return True


def test_one_of_several_outputs_can_be_asked_for() -> None:
    path = next(path for path in sorted(FOLDER.glob("*.keras")) if len(_outputs(path)) > 1)
    model = predictor(path)
    form = make_ready(model.lower())
    (_, last) = _outputs(path)[0], _outputs(path)[-1]
    rows = model.schema.sample(3)
    assert list(form(rows, [last])) == [last]
    assert form(rows, [last])[last].tobytes() == model.predict(rows, [last])[last].tobytes()


def _outputs(path: Path) -> list[str]:
    try:
        return [item.name for item in keras.inspect(path, Options()).schema.outputs]  # type: ignore[union-attr]
    except AttributeError:  # not converted
        return []


def test_numbers_that_are_no_words_are_refused_in_the_same_words() -> None:
    model = predictor(SENTIMENT)
    program = model.lower()
    rows = Columns({"tokens": np.full((2, 56), 3, np.int32)})
    rows["tokens"][1, 7] = -1
    messages = []
    for predict in (model.predict, make_ready(program)):
        with pytest.raises(ModelError) as raised:
            predict(rows, None)
        messages.append(raised.value.message)
    assert messages[0] == messages[1]
    assert "-1 at row 1 is not a number of this model; expected 0 to 26990" in messages[0]


def test_trials_hold_words_of_the_model_padding_and_numbers_that_are_none(sentiment: Program) -> None:
    assert known_words(sentiment) == {"tokens": 26991}
    made = [columns["tokens"] for columns in trials(predictor(SENTIMENT).schema, sentiment)]
    assert all(array.min() >= 0 and array.max() < 26991 for array in made[:-1])
    assert any((array[:, -1] == 0).any() and (array[:, 0] > 0).any() and array.max() > 1000 for array in made)
    assert (made[-1] < 0).any() or (made[-1] >= 26991).any()


def test_lengths_that_a_network_leaves_open_differ_between_trials() -> None:
    model = predictor(FOLDER / "any_length.hdf5")
    (name,) = [block.name for block in model.schema.layout]
    assert {columns[name].shape[1] for columns in trials(model.schema, model.lower())} == {40, 7, 1}
    form = compile_model(load_model(open_bundle(FOLDER / "any_length.hdf5"), Options()))
    assert form.trial[name].shape[:2] == (8, 40)


def test_of_a_slow_network_at_least_one_row_of_each_kind_is_compared() -> None:
    model = predictor(SENTIMENT)
    program = model.lower()
    now_s = 0.0

    def slow(columns: Columns, outputs: object) -> Columns:
        nonlocal now_s
        now_s += columns.rows  # a second a row
        return model.predict(columns, None)

    evidence = prove(slow, make_ready(program), model.schema, program, lambda: now_s)
    assert evidence.problem == ""
    assert evidence.rows == len(list(trials(model.schema, program))) - 1  # the last ones are refused


def test_another_answer_is_no_form() -> None:
    model = predictor(FOLDER / "dense.keras")
    program = model.lower()

    def other(columns: Columns, outputs: object) -> Columns:
        return Columns({name: array + np.float32(3e-6) for name, array in model.predict(columns, None).items()})

    assert "differs by" in prove(other, make_ready(program), model.schema, program).problem


def test_where_no_row_is_answered_nothing_is_proven(sentiment: Program) -> None:
    def refuse(columns: Columns, outputs: object) -> Columns:
        raise ModelError("no")

    schema = predictor(SENTIMENT).schema
    assert prove(refuse, refuse, schema, sentiment).problem == "no rows were found that both answer"


def test_only_networks_may_differ_in_the_seventh_digit(sentiment: Program) -> None:
    assert tolerance_of(sentiment) == NETWORK_TOLERANCE == 1e-6
    assert tolerance_of(Program((Step("take", (0,)),), {})) == TOLERANCE == 1e-12


def test_a_form_is_tried_again_whenever_it_is_opened() -> None:
    made = compile_model(load_model(open_bundle(FOLDER / "dense.keras"), Options()))
    back = forms.load(forms.dump(made))
    forms.open_form(back)
    wrong = Columns({name: array + np.float32(1e-4) for name, array in back.expected.items()})
    with pytest.raises(LoadError, match="no longer answers as the model did"):
        forms.open_form(replace(back, expected=wrong))


def test_threads_are_a_matter_of_where_it_runs(sentiment: Program) -> None:
    rows = predictor(SENTIMENT).schema.sample(2)
    many = with_threads(sentiment, 2)
    assert many.steps[0].settings["threads"] == 2
    np.testing.assert_allclose(make_ready(many)(rows, None)["prediction"], make_ready(sentiment)(rows, None)["prediction"], atol=1e-6)


# --- what has none ---------------------------------------------------------------------------------------------------


def test_a_graph_of_somebody_else_has_no_form(tmp_path: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    path = tmp_path / "given.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    with pytest.raises(NotLowered, match="not made here"):
        onnx_files.load(path, Options()).lower()


def test_networks_over_texts_have_no_form(tmp_path: Path) -> None:
    with zipfile.ZipFile(FOLDER / "texts_keras3.zip") as archive:
        archive.extract("reviews.keras", tmp_path)
    with pytest.raises(NotLowered, match="texts become numbers"):
        predictor(tmp_path / "reviews.keras").lower()


def test_what_keras_computes_has_no_form() -> None:
    schema = Schema((Field("x", "float32"),), (Field("prediction", "float32"),), "network")
    with pytest.raises(NotLowered, match="Keras itself"):
        KerasPredictor(schema, None, lambda feed: [feed["x"]]).lower()
