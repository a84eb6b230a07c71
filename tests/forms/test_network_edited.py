"""Networks whose form was edited: graphs that no conversion writes are refused before a session is opened, so that nothing runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from modelport.columns import Columns
from modelport.errors import LoadError, MissingExtra, ModelError
from modelport.formats import keras
from modelport.formats.base import Options
from modelport.formats.runtime import GraphPredictor
from modelport.forms.program.compiled import Compiled, make_ready
from modelport.forms.program.steps import Program, dump, load

SENTIMENT = Path(__file__).parents[2] / "examples" / "sentiment" / "best_model.hdf5"


@pytest.fixture(scope="module")
def sentiment() -> Program:
    """A program whose large weights are beside the graph."""
    found = keras.load(SENTIMENT, Options())
    assert isinstance(found, GraphPredictor)
    return load(dump(found.lower()))


def edited(program: Program, edit: Callable[[onnx.ModelProto], None]) -> Program:
    """Return the program with its graph changed."""
    model = onnx.ModelProto.FromString(program.steps[0].arrays["model"].tobytes())
    edit(model)
    return with_arrays(program, {"model": np.frombuffer(model.SerializeToString(), np.uint8)})


def with_arrays(program: Program, arrays: Mapping[str, np.ndarray]) -> Program:
    first = program.steps[0]
    return replace(program, steps=(replace(first, arrays={**first.arrays, **arrays}), *program.steps[1:]))


def with_settings(program: Program, **settings: object) -> Program:
    first = program.steps[0]
    return replace(program, steps=(replace(first, settings={**first.settings, **settings}), *program.steps[1:]))


def outside(model: onnx.ModelProto) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL)


def elsewhere(model: onnx.ModelProto) -> None:
    outside(model).external_data[0].value = "/etc/passwd"


def one_more(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer.add(name="more", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")


def within_a_node(model: onnx.ModelProto) -> None:
    tensor = TensorProto(name="more", data_type=TensorProto.UINT8, dims=[8], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="given")
    model.graph.node.append(helper.make_node("Constant", [], ["more"], value=tensor))


def twice(model: onnx.ModelProto) -> None:
    model.graph.initializer.add().CopyFrom(outside(model))


def foreign(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"


def branching(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner))


def foreign_within(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Run", ["x"], ["y"], domain="evil")], "inner", [], [])
    model.graph.node.append(helper.make_node("Identity", ["c"], ["z"], body=inner))


def another_set(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def function(model: onnx.ModelProto) -> None:
    model.functions.append(
        helper.make_function("", "Own", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], [helper.make_opsetid("", 18)])
    )


def renamed(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "other"


def retyped(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING


def no_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "other"


EDITS: Mapping[Callable[[onnx.ModelProto], None], str] = {
    elsewhere: "weights are not the arrays",
    one_more: "weights are not the arrays",
    within_a_node: "weights are not the arrays",
    twice: "weights are not the arrays",
    foreign: "com.microsoft.*no conversion writes",
    branching: "'If', which no conversion writes",
    foreign_within: "'evil.Run', which no conversion writes",
    another_set: "operator sets of its own",
    function: "functions or operator sets",
    renamed: "inputs are not the columns",
    retyped: "inputs are not the columns",
    no_output: "no such outputs",
}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_edited_graph_is_refused_before_a_session_is_opened(edit: Callable[[onnx.ModelProto], None], sentiment: Program) -> None:
    """The sentence is our own check's: the runtime would say that it does not take the graph, or take it."""
    with pytest.raises(LoadError, match=EDITS[edit]):
        make_ready(edited(sentiment, edit))


def test_the_unedited_graph_survives_the_same_treatment(sentiment: Program) -> None:
    assert isinstance(make_ready(edited(sentiment, lambda model: None)), Compiled)


@pytest.mark.parametrize("keep", [0, 10, 200, -1])
def test_a_graph_cut_short_is_refused(keep: int, sentiment: Program) -> None:
    with pytest.raises(LoadError):
        make_ready(with_arrays(sentiment, {"model": sentiment.steps[0].arrays["model"][:keep]}))


def test_a_graph_that_the_runtime_does_not_take_is_refused(sentiment: Program) -> None:
    def unknown(model: onnx.ModelProto) -> None:
        model.graph.node[0].op_type = "NoSuchOperator"

    with pytest.raises(LoadError, match="ONNX Runtime"):
        make_ready(edited(sentiment, unknown))


def test_a_weight_of_another_shape_or_type_is_refused(sentiment: Program) -> None:
    weight = sentiment.steps[0].arrays["weight0"]
    for other in (weight[:-1], weight.astype(np.float64), weight.reshape(-1)):
        with pytest.raises(LoadError, match="weights are not the arrays"):
            make_ready(with_arrays(sentiment, {"weight0": other}))


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": []},
        {"outputs": []},
        {"sources": [["tokens", "tokens", "0", "int32"]]},
        {"sources": [["tokens", "tokens", None]]},
        {"sources": []},
        {"words": {"other": 5}},
        {"words": [5]},
        {"words": {"tokens": "many"}},
        {"by": ["other"]},
        {"rows": 0},
    ],
    ids=str,
)
def test_settings_that_do_not_fit_the_graph_are_refused(settings: dict[str, object], sentiment: Program) -> None:
    with pytest.raises(LoadError):
        make_ready(with_settings(sentiment, **settings))


def test_an_output_that_has_no_row_for_each_is_no_answer(sentiment: Program) -> None:
    def constant(model: onnx.ModelProto) -> None:
        name = model.graph.output[0].name
        node = next(node for node in model.graph.node if name in node.output)
        node.CopyFrom(helper.make_node("Constant", [], [name], value=helper.make_tensor("", TensorProto.FLOAT, [1, 10], [0.0] * 10)))

    form = make_ready(edited(sentiment, constant))
    with pytest.raises(ModelError, match="expected one row for each"):
        form(Columns({"tokens": np.zeros((3, 56), np.int32)}), None)


def test_without_the_runtime_it_is_named(sentiment: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(LoadError, match="ONNX Runtime, which is not installed; run: pip install onnxruntime"):
        make_ready(sentiment)


@pytest.mark.parametrize("library", ["onnxruntime", "h5py"])
def test_without_a_library_a_keras_file_names_it(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf"Keras files need {library}, .* pip install 'modelport\[keras\]'"):
        keras.load(SENTIMENT, Options())
