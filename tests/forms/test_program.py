"""Programs: written and read as plain data, refused where they do not fit together, and equal to what each step says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.errors import LoadError, ModelError
from modelport.forms.program import form as forms
from modelport.forms.program import steps
from modelport.forms.program.compiled import OPERATIONS, make_ready
from modelport.forms.program.form import Form
from modelport.forms.program.steps import Program, Step
from modelport.forms.program.undecided import Undecided
from modelport.schema import Field, Schema

X = np.array([[1.0, -2.0, 0.5], [0.0, 4.0, 8.0]])


def run(op: str, *inputs: object, settings: dict[str, object] | None = None, **arrays: object) -> np.ndarray:
    step = Step(op, tuple(range(len(inputs))), settings or {}, {name: np.asarray(array) for name, array in arrays.items()})
    return OPERATIONS[op](step)(*inputs)


def linear() -> Program:
    source = {"width": 2, "sources": [["#float64", [0, 1], [0, 1]]], "is_whole": True}
    return Program(
        (
            Step("numbers", (0,), source),
            Step("linear", (1,), {}, {"w0": np.array([[2.0], [3.0]]), "intercept": np.array([1.0])}),
            Step("first_column", (2,)),
        ),
        {"prediction": 3},
    )


SCHEMA = Schema((Field("a", "float64"), Field("b", "float64")), (Field("prediction", "float64"),), "regressor")


def test_a_program_answers_what_its_steps_say() -> None:
    predict = make_ready(linear())
    answer = predict(Columns({"#float64": np.array([[1.0, 1.0], [0.5, 2.0]])}), None)
    assert answer["prediction"].tolist() == [6.0, 8.0]


def test_an_output_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match='no output "score"; it has prediction'):
        make_ready(linear())(Columns({"#float64": X[:, :2]}), ["score"])


def test_a_program_is_the_same_after_writing_and_reading() -> None:
    back = steps.load(steps.dump(linear()))
    assert back.outputs == {"prediction": 3}
    assert [(step.op, step.inputs, dict(step.settings)) for step in back.steps] == [
        (step.op, step.inputs, dict(step.settings)) for step in linear().steps
    ]
    assert back.steps[1].arrays["w0"].tolist() == [[2.0], [3.0]]
    assert back.nbytes == linear().nbytes == 24


@pytest.mark.parametrize("cut", [0, 1, 40, 200, -1])
def test_a_file_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(LoadError, match="delete it"):
        steps.load(steps.dump(linear())[:cut])


def written(document: object, body: bytes = b"") -> bytes:
    """Return a file of that document, as ``dump`` would lay it out."""
    text = json.dumps(document).encode()
    start = b"modelport program 2\n" + len(text).to_bytes(8, "little") + len(body).to_bytes(8, "little") + text
    return start + bytes(-len(start) % 64) + body


def one_step(array: object, body: int = 64) -> bytes:
    """Return a file of one step with one array, described so."""
    return written({"steps": [{"op": "take", "inputs": [0], "settings": {}, "arrays": [array]}], "outputs": {"y": 1}}, bytes(body))


def test_the_layout_is_what_the_tests_below_write() -> None:
    program = steps.load(one_step(["at", "int64", [2, 4], 0]))
    assert program.steps[0].arrays["at"].tolist() == [[0] * 4] * 2
    assert steps.dump(program) == one_step(["at", "int64", [2, 4], 0])


@pytest.mark.parametrize(
    "document",
    [
        {"steps": [{"op": "take", "inputs": [1], "settings": {}, "arrays": []}], "outputs": {}},
        {"steps": [{"op": "take", "inputs": [-1], "settings": {}, "arrays": []}], "outputs": {}},
        {"steps": [], "outputs": {"y": 1}},
        {"steps": 7, "outputs": {}},
        {"steps": []},
        [],
    ],
    ids=["later register", "negative register", "output of no step", "no list", "no outputs", "no object"],
)
def test_a_document_that_does_not_fit_is_refused(document: object) -> None:
    with pytest.raises(LoadError, match="damaged"):
        steps.load(written(document))


@pytest.mark.parametrize(
    "array",
    [
        ["at", "int64", [9], 0],
        ["at", "int64", [8], 64],
        ["at", "int64", [1], 8],
        ["at", "int64", [1], -64],
        ["at", "int64", [-1], 0],
        ["at", "int64", [True], 0],
        ["at", "int64", [1.0], 0],
        ["at", "int64", [1 << 62, 1 << 62], 0],
        ["at", "object", [1], 0],
        ["at", "O", [1], 0],
        ["at", ["int64"], [1], 0],
        ["at", "int64", [1]],
        ["at", "int64", 1, 0],
        "at",
    ],
    ids=str,
)
def test_an_array_outside_of_the_file_or_of_another_kind_is_refused(array: object) -> None:
    with pytest.raises(LoadError, match="damaged"):
        steps.load(one_step(array))


def test_a_file_of_another_version_is_refused() -> None:
    with pytest.raises(LoadError, match="another version"):
        steps.load(b"PK" + steps.dump(linear()))


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(LoadError, match="bytes instead of"):
        steps.load(steps.dump(linear()) + bytes(64))


def test_arrays_of_all_kinds_come_back_and_large_ones_are_not_copied() -> None:
    made = {
        "large": np.arange(1 << 17, dtype=np.float64),
        "none": np.zeros((0, 3), np.int64),
        "scalar": np.array(True),
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "big end": np.arange(3, dtype=">i4"),
    }
    data = steps.dump(Program((Step("x", (0,), {}, made),), {"y": 1}))
    (step,) = steps.load(memoryview(data)).steps
    assert {name: (array.shape, array.tolist()) for name, array in step.arrays.items()} == {
        name: (array.shape, array.tolist()) for name, array in made.items()
    }
    whole = np.frombuffer(data, np.uint8)
    assert {name for name, array in step.arrays.items() if np.shares_memory(whole, array)} == {"large"}
    assert step.arrays["large"].ctypes.data % 8 == whole.ctypes.data % 8


@pytest.mark.parametrize(
    "step",
    [
        Step("eval", (0,)),
        Step("take", (0,)),
        Step("take", (0,), {}, {"at": np.array([0.5])}),
        Step("labels", (0,), {"rule": "loudest"}, {"classes": np.array([0, 1])}),
        Step("labels", (0,), {"rule": "sign", "classes": [1, 2]}),
        Step("normalize", (0,), {"norm": "l3"}),
        Step("linear", (0,), {}, {"w0": np.zeros((2, 2)), "intercept": np.zeros(1)}),
        Step("layer", (0,), {"activation": "relu"}, {"weights": np.zeros((2, 2)), "bias": np.zeros(1)}),
        Step("layer", (0,), {"activation": "swish"}, {"weights": np.zeros((2, 2)), "bias": np.zeros(2)}),
        Step("text_codes", (0,), {"columns": ["a"], "categories": []}, {"missing": np.array([0])}),
        Step("leaf_sums", (0,), {"groups": 2}, {"values": np.zeros((3, 2))}),
    ],
    ids=lambda step: f"{step.op} {dict(step.settings)}",
)
def test_a_step_that_does_not_fit_together_is_refused_when_it_is_made(step: Step) -> None:
    with pytest.raises(LoadError):
        make_ready(Program((step,), {}))


# --- what each operation does ----------------------------------------------------------------------------------------


def test_scale_subtracts_divides_multiplies_adds_and_clips() -> None:
    assert run("scale", X, before=[1.0, 0.0, 0.5], divisor=[2.0, 4.0, 1.0]).tolist() == [[0.0, -0.5, 0.0], [-0.5, 1.0, 7.5]]
    clipped = run("scale", X, settings={"low": 0.0, "high": 1.0}, factor=[2.0, 1.0, 1.0], after=[0.0, 1.0, 0.0])
    assert clipped.tolist() == [[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]]


def test_impute_fills_drops_and_flags() -> None:
    gaps = np.array([[np.nan, 1.0, 2.0], [3.0, np.nan, np.nan]])
    filled = run("impute", gaps, values=[9.0, 8.0, np.nan], kept=[0, 1], flagged=[1])
    assert filled.tolist() == [[9.0, 1.0, 0.0], [3.0, 8.0, 1.0]]
    marked = run("impute", np.array([[-1.0, 2.0]]), settings={"marker": -1.0}, values=[5.0, 6.0], kept=[0, 1], flagged=np.zeros(0, int))
    assert marked.tolist() == [[5.0, 2.0]]


def test_normalize_leaves_rows_of_zeros() -> None:
    rows = np.array([[3.0, -4.0], [0.0, 0.0]])
    assert run("normalize", rows, settings={"norm": "l2"}).tolist() == [[0.6, -0.8], [0.0, 0.0]]
    assert run("normalize", rows, settings={"norm": "l1"}).tolist() == [[3 / 7, -4 / 7], [0.0, 0.0]]
    assert run("normalize", rows, settings={"norm": "max"}).tolist() == [[0.75, -1.0], [0.0, 0.0]]


def test_codes_of_numbers_know_missing_and_unknown_ones() -> None:
    found = run(
        "number_codes",
        np.array([[1.0, 5.0], [np.nan, np.nan], [2.0, 7.0]]),
        categories=[1.0, 3.0, 5.0, 7.0],
        lengths=[2, 2],
        missing=[2, -1],
    )
    assert found.tolist() == [[0, 0], [2, -1], [-1, 1]]


def test_codes_of_texts_know_missing_and_unknown_ones() -> None:
    columns = Columns({"a": np.array(["x", None, "z"], object), "b": np.array(["q", "p", None], object)})
    settings = {"columns": ["a", "b"], "categories": [["x", "y"], ["p", "q"]]}
    assert run("text_codes", columns, settings=settings, missing=[2, -1]).tolist() == [[0, 1], [2, 0], [-1, -1]]


def test_codes_become_zeros_and_ones_or_numbers() -> None:
    codes = np.array([[0, 1], [-1, 0]])
    assert run("one_hot", codes, lengths=[2, 3]).tolist() == [[1, 0, 0, 1, 0], [0, 0, 1, 0, 0]]
    assert run("look_up", codes, table=[5.0, 6.0, 7.0], starts=[0, 1], unknown=[9.0, 0.0]).tolist() == [[5.0, 7.0], [9.0, 6.0]]
    assert run("renumber", codes, table=[-1, 0, 2, 1], starts=[0, 2], unknown=[7, 7]).tolist() == [[-1, 1], [7, 2]]


def test_a_linear_model_of_codes_is_the_one_of_zeros_and_ones() -> None:
    rng = np.random.default_rng(0)
    x, codes = rng.normal(size=(6, 2)), rng.integers(-1, 3, (6, 2))
    weights, intercept = rng.normal(size=(8, 3)), rng.normal(size=3)
    written_out = np.concatenate([x, run("one_hot", codes, lengths=[3, 3])], axis=1)
    summed = run("linear", x, codes, w0=weights[:2], w1=np.concatenate([weights[2:], np.zeros((1, 3))]), s1=[0, 3], intercept=intercept)
    np.testing.assert_allclose(summed, written_out @ weights + intercept, rtol=1e-14, atol=1e-14)


def test_unknown_and_infinite_values_are_left_to_the_original() -> None:
    with pytest.raises(Undecided):
        run("refuse_unknown", np.array([[0, -1]]))
    source = {"width": 1, "sources": [["a", None, [0]]]}
    with pytest.raises(Undecided):
        run("numbers", Columns({"a": np.array([np.inf])}), settings=source)
    with pytest.raises(Undecided):
        run("round_to_single", np.array([[1e39]]))
    assert np.isnan(run("numbers", Columns({"a": np.array([np.nan])}), settings=source)).all()


def test_labels_next_to_a_tie_are_left_to_the_original() -> None:
    classes = np.array([10, 20, 30])
    clear = run("labels", np.array([[0.1, 0.7, 0.2]]), settings={"rule": "largest by margin"}, classes=classes)
    assert clear.tolist() == [20]
    for rule, scores in (("largest by margin", [[0.4, 0.4 + 1e-10, 0.2]]), ("sign by margin", [1e-10]), ("sign by margin", [np.nan])):
        with pytest.raises(Undecided):
            run("labels", np.array(scores), settings={"rule": rule}, classes=classes)
    assert run("labels", np.array([[0.4, 0.4]]), settings={"rule": "largest", "classes": ["no", "yes"]}).tolist() == ["no"]
    assert run("labels", np.array([0.0, 1.0]), settings={"rule": "sign", "classes": ["no", "yes"]}).tolist() == ["no", "yes"]


@pytest.mark.filterwarnings("error")
def test_probabilities_do_not_overflow() -> None:
    far = np.array([-800.0, 0.0, 800.0])
    assert run("two_sided", far).tolist() == [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    assert run("softmax", np.array([[1000.0, 0.0]])).tolist() == [[1.0, 0.0]]
    assert run("shares", np.array([[1.0, 3.0], [0.0, 0.0]]), settings={"is_even": True}).tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert run("shares", np.array([[0.0, 0.0]])).tolist() == [[0.0, 0.0]]


# --- forms -----------------------------------------------------------------------------------------------------------


def made() -> Form:
    trial = Columns({"#float64": np.array([[1.0, 1.0]])})
    return Form(SCHEMA, SCHEMA, linear(), trial, Columns({"prediction": np.array([6.0])}), {"rows_compared": 393})


def test_a_form_is_the_same_after_writing_and_reading() -> None:
    back = forms.load(forms.dump(made()))
    assert back.schema == back.own == SCHEMA
    assert back.facts == {"rows_compared": 393}
    assert forms.open_form(back)(back.trial, None)["prediction"].tolist() == [6.0]


def test_rows_of_text_travel_with_a_form() -> None:
    schema = Schema((Field("t", "string", nullable=True),), (Field("label", "string"),), "classifier")
    program = Program((Step("text_codes", (0,), {"columns": ["t"], "categories": [["a", "b"]]}, {"missing": np.array([0])}),), {"label": 1})
    texts = Columns({"t": np.array(["a", None], object)})
    back = forms.load(forms.dump(Form(schema, schema, program, texts, Columns({"label": np.array(["é", "x"], object)}))))
    assert back.trial["t"].tolist() == ["a", None]
    assert back.expected["label"].tolist() == ["é", "x"]


def test_a_form_that_no_longer_answers_as_the_original_did_is_not_opened() -> None:
    form = made()
    wrong = Form(form.schema, form.own, form.program, form.trial, Columns({"prediction": np.array([6.0 + 1e-9])}))
    with pytest.raises(LoadError, match="no longer answers as the model did"):
        forms.open_form(wrong)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"x" + data, lambda data: data[:30], lambda data: b""])
def test_a_damaged_form_is_refused(damage: object) -> None:
    with pytest.raises(LoadError, match="delete it"):
        forms.load(damage(forms.dump(made())))


def test_a_form_reads_the_artifacts_columns_out_of_the_models() -> None:
    keyed = Schema((Field("id", "int64", role="key"), *SCHEMA.inputs[::-1]), SCHEMA.outputs, "regressor")
    predict = forms.bind(make_ready(linear()), keyed, SCHEMA)
    rows = keyed.pack({"id": np.array([7]), "a": np.array([1.0]), "b": np.array([2.0])})
    assert predict(rows, None)["prediction"].tolist() == [1.0 * 2 + 2.0 * 3 + 1]
