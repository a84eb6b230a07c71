"""What a converted file says of its columns: followed where it fits the graph, refused where it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from modelport.columns import Columns
from modelport.errors import UnreadableFile
from modelport.formats import onnx as format_onnx
from modelport.formats import onnx_facts
from modelport.formats.base import Options
from modelport.formats.onnx_facts import KEY, Facts, add
from modelport.forms.onnx_proto import entry, outline
from modelport.forms.runner import Cut
from modelport.schema import Field, Schema

FLOAT, DOUBLE, INT64, STRING = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING


def port(name: str, kind: int, *shape: int | str) -> object:
    return helper.make_tensor_value_info(name, kind, list(shape))


def graph() -> bytes:
    """Write a graph that gives its inputs again: two numbers, one whole number, texts, and a vector."""
    names = [("numbers", FLOAT, 2), ("whole", INT64, 1), ("town", STRING, 1), ("vector", DOUBLE, 3)]
    nodes = [helper.make_node("Identity", [name], [f"{name}_again"]) for name, _, _ in names]
    inputs = [port(name, kind, "n", width) for name, kind, width in names]
    outputs = [port(f"{name}_again", kind, "n", width) for name, kind, width in names]
    made = helper.make_graph(nodes, "g", inputs, outputs)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


SCHEMA = Schema(
    (
        Field("b", "float64"),
        Field("k", "int64"),
        Field("a", "float64"),
        Field("t", "string", categories=("x", "y")),
        Field("v", "float64", (3,)),
    ),
    (Field("n", "float32", (2,)), Field("k2", "int64"), Field("t2", "string"), Field("v2", "float64", (3,))),
    "transformer",
)
FACTS = Facts(
    SCHEMA,
    {"numbers": ("a", "b"), "whole": ("k",), "town": ("t",), "vector": ("v",)},
    {"n": "numbers_again", "k2": "whole_again", "t2": "town_again", "v2": "vector_again"},
    {"whole": 10},
    Cut(2),
    source="e" * 64,
)
ROWS = SCHEMA.pack(
    {
        "a": np.array([1.0, 2.0, 3.0]),
        "b": np.array([4.0, 5.0, 6.0]),
        "k": np.array([7, 8, 9]),
        "t": np.array(["x", "y", "x"], object),
        "v": np.arange(9.0).reshape(3, 3),
    }
)


def saved(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "made.onnx"
    path.write_bytes(data)
    return path


def test_columns_go_to_their_ports_and_come_back_by_their_names(tmp_path: Path) -> None:
    path = saved(tmp_path, add(graph(), FACTS))
    predictor = format_onnx.load(path, Options())
    assert predictor.schema == SCHEMA
    found = predictor.predict(ROWS, None)
    assert found["n"].tolist() == [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
    assert (found["k2"].tolist(), found["t2"].tolist()) == ([7, 8, 9], ["x", "y", "x"])
    assert found["v2"].tolist() == np.arange(9.0).reshape(3, 3).tolist()
    assert list(predictor.predict(ROWS, ["k2"])) == ["k2"]
    assert predictor.runner.cut == Cut(2)
    assert format_onnx.inspect(path, Options()).schema == SCHEMA


def test_a_matrix_travels_as_it_is(tmp_path: Path) -> None:
    """In the order of the port, which need not be that of the columns."""
    found = outline(graph())
    schema = Schema((Field("a", "float32"), Field("b", "float32")), SCHEMA.outputs)
    only = [item for item in found.inputs if item.name == "numbers"]
    rows = Columns({"#float32": np.array([[1.0, 2.0]], np.float32)})
    for order, wanted in ((("a", "b"), [[1.0, 2.0]]), (("b", "a"), [[2.0, 1.0]])):
        feed = onnx_facts.feed(replace_inputs(found, only), replace(FACTS, schema=schema, inputs={"numbers": order}))
        assert feed(rows)["numbers"].tolist() == wanted
    assert feed(rows)["numbers"].dtype == np.float32


def replace_inputs(found: object, inputs: list[object]) -> object:
    found.inputs = inputs
    return found


def test_of_a_decision_between_two_the_second_side_is_the_score() -> None:
    sides = [[-0.5, 0.5], [0.25, -0.25]]
    assert onnx_facts.finish(Field("scores", "float64"))(sides).tolist() == [0.5, -0.25]
    assert onnx_facts.finish(Field("scores", "float64", (1,)))(sides).tolist() == [[0.5], [-0.25]]
    assert onnx_facts.finish(Field("features", "float64", (None,)))(sides).tolist() == sides


def test_labels_keep_the_type_of_the_original() -> None:
    assert onnx_facts.finish(Field("label", "bool"))([[1], [0]]).tolist() == [True, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": {"numbers": ("a", "b")}},
        {"inputs": {**FACTS.inputs, "whole": ("k", "k")}},
        {"inputs": {**FACTS.inputs, "numbers": ("a",), "whole": ("k", "b")}},
        {"inputs": {**FACTS.inputs, "town": ("k",), "whole": ("t",)}},
        {"inputs": {**FACTS.inputs, "vector": ("b",), "numbers": ("a", "v")}},
        {"outputs": {"n": "numbers_again"}},
        {"outputs": {**FACTS.outputs, "n": "nothing"}},
        {"outputs": {**FACTS.outputs, "k2": "town_again"}},
        {"words": {"elsewhere": 3}},
        {"cut": Cut(0)},
        {"cut": Cut(2, ("elsewhere",))},
        {"schema": replace(SCHEMA, inputs=(replace(SCHEMA.inputs[0], role="key"), *SCHEMA.inputs[1:]))},
        {"schema": replace(SCHEMA, classes=(1, 2), outputs=(Field("probabilities", "float32", (2,)), *SCHEMA.outputs[1:]))},
        {"schema": replace(SCHEMA, classes=(1, 2, 3), outputs=(Field("probabilities", "float32", (2,)), *SCHEMA.outputs[1:])),
         "outputs": {"probabilities": "numbers_again", "k2": "whole_again", "t2": "town_again", "v2": "vector_again"}},
    ],
)  # fmt: skip
def test_columns_that_are_not_the_graphs_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    path = saved(tmp_path, add(graph(), replace(FACTS, **changes)))
    for look in (format_onnx.load, format_onnx.inspect):
        with pytest.raises(
            UnreadableFile, match=r"made\.onnx: the columns in its metadata do not fit the graph .*; convert the model again"
        ):
            look(path, Options())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 2}',
        json.dumps({"format": 1, "rows": True, "words": {}}),
        json.dumps({"format": 1, "rows": 1, "words": {"whole": "many"}}),
        json.dumps({"format": 1, "rows": 1, "words": []}),
        json.dumps({"format": 1, "rows": 1, "words": {}, "schema": {"task": "cook"}}),
        "[" * 5000,
    ],
)
def test_damaged_facts_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnreadableFile, match="the columns in its metadata do not fit the graph"):
        format_onnx.inspect(saved(tmp_path, graph() + entry(KEY, text)), Options())


def test_an_entry_is_what_protobuf_reads() -> None:
    """Keys and values of any length, and what others wrote in there stays."""
    import onnx

    data = graph() + entry("other", "ü" * 300) + entry(KEY, "x")
    assert {item.key: item.value for item in onnx.load_from_string(data).metadata_props} == {"other": "ü" * 300, KEY: "x"}
    assert outline(data).metadata == {"other": "ü" * 300, KEY: "x"}
    assert onnx_facts.read(outline(graph())) is None
