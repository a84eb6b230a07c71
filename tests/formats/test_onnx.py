"""ONNX files: read statically, refused where they reach outside, answered as the graph says."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelport.columns import Columns
from modelport.errors import LoadError, ModelError, ModelportError, RefusedFile, UnreadableFile
from modelport.formats import onnx as format_onnx
from modelport.formats.base import Options

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
KERNEL = np.arange(6, dtype=np.float32).reshape(3, 2)


def port(name: str, kind: int, shape: list[int | str | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def save(path: Path, nodes: list[onnx.NodeProto], inputs: list, outputs: list, weights: list | None = None) -> Path:
    """Write a model of these nodes."""
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights or [])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("my.ops", 1)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="tests").SerializeToString())
    return path


def product(path: Path, rows: int | str | None = "n") -> Path:
    """Write x @ KERNEL, with the kernel inside the file."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return save(path, [node], [port("x", FLOAT, [rows, 3])], [port("y", FLOAT, [rows, 2])], [numpy_helper.from_array(KERNEL, "w")])


def classifier(path: Path, *, zipmap: bool, labels: dict[str, list]) -> Path:
    """Write a linear classifier of three classes, as converters of scikit-learn models do."""
    coefficients = [1.0, 0.0, 0.0, 1.0, -1.0, -1.0]
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["x"],
            ["label", "p"],
            domain="ai.onnx.ml",
            coefficients=coefficients,
            intercepts=[0.0] * 3,
            post_transform="SOFTMAX",
            **labels,
        )
    ]
    kind = STRING if "classlabels_strings" in labels else INT64
    outputs = [port("label", kind, ["n"])]
    if zipmap:
        names = (
            {"classlabels_strings": labels["classlabels_strings"]} if kind == STRING else {"classlabels_int64s": labels["classlabels_ints"]}
        )
        nodes.append(helper.make_node("ZipMap", ["p"], ["probabilities"], domain="ai.onnx.ml", **names))
        value = helper.make_tensor_type_proto(FLOAT, [])
        maps = helper.make_sequence_type_proto(helper.make_map_type_proto(kind, value))
        outputs.append(helper.make_value_info("probabilities", maps))
    else:
        nodes.append(helper.make_node("Identity", ["p"], ["probabilities"]))
        outputs.append(port("probabilities", FLOAT, ["n", 3]))
    return save(path, nodes, [port("x", FLOAT, ["n", 2])], outputs)


def outside(path: Path, location: str, *, extra: dict[str, str] | None = None) -> Path:
    """Write x @ w with the kernel in another file."""
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[3, 2], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **(extra or {})}.items():
        tensor.external_data.add(key=key, value=value)
    return save(path, [helper.make_node("MatMul", ["x", "w"], ["y"])], [port("x", FLOAT, ["n", 3])], [port("y", FLOAT, ["n", 2])], [tensor])


def answer(path: Path, **columns: object) -> Columns:
    return format_onnx.load(path, Options()).predict(Columns({name: np.asarray(value) for name, value in columns.items()}), None)


def test_one_float_input_is_one_column_and_one_output_is_the_prediction(tmp_path: Path) -> None:
    path = product(tmp_path / "m.onnx")
    predictor = format_onnx.load(path, Options())
    assert [(item.name, item.type, item.shape) for item in predictor.schema.inputs] == [("x", "float32", (3,))]
    assert [(item.name, item.type, item.shape) for item in predictor.schema.outputs] == [("prediction", "float32", (2,))]
    x = np.random.default_rng(0).normal(size=(600, 3)).astype(np.float32)
    found = predictor.predict(Columns({"x": x}), ["prediction"])["prediction"]
    np.testing.assert_allclose(found, x @ KERNEL, rtol=1e-6)


def test_a_graph_of_one_row_is_run_row_by_row(tmp_path: Path) -> None:
    x = np.arange(9, dtype=np.float32).reshape(3, 3)
    np.testing.assert_allclose(answer(product(tmp_path / "m.onnx", rows=1), x=x)["prediction"], x @ KERNEL)


def test_a_graph_of_a_fixed_number_of_rows_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"shape \(4, 3\), expected a first axis of any length"):
        format_onnx.load(product(tmp_path / "m.onnx", rows=4), Options())


def test_several_inputs_and_outputs_keep_their_names_and_types(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["a", "a"], ["twice"]),
        helper.make_node("Identity", ["s"], ["same"]),
        helper.make_node("Not", ["b"], ["no"]),
    ]
    inputs = [port("a", INT64, ["n"]), port("s", STRING, ["n", 2]), port("b", TensorProto.BOOL, ["n"])]
    path = save(
        tmp_path / "m.onnx",
        nodes,
        inputs,
        [port("twice", INT64, ["n"]), port("same", STRING, ["n", 2]), port("no", TensorProto.BOOL, ["n"])],
    )
    schema = format_onnx.load(path, Options()).schema
    assert [(item.name, item.type, item.shape) for item in schema.outputs] == [
        ("twice", "int64", ()),
        ("same", "string", (2,)),
        ("no", "bool", ()),
    ]
    found = answer(path, a=[1, 2], s=np.asarray([["a", "b"], ["é", ""]], object), b=[True, False])
    assert found["twice"].tolist() == [2, 4]
    assert found["same"].tolist() == [["a", "b"], ["é", ""]]
    assert found["no"].tolist() == [False, True]


@pytest.mark.parametrize("zipmap", [False, True])
@pytest.mark.parametrize("labels", [{"classlabels_ints": [3, 5, 7]}, {"classlabels_strings": ["a", "b", "c"]}])
def test_a_classifier_answers_label_and_probabilities_by_class(tmp_path: Path, zipmap: bool, labels: dict[str, list]) -> None:
    path = classifier(tmp_path / "m.onnx", zipmap=zipmap, labels=labels)
    classes = next(iter(labels.values()))
    schema = format_onnx.load(path, Options()).schema
    assert (schema.task, list(schema.classes)) == ("classifier", classes)
    x = np.asarray([[2.0, 0.0], [0.0, 2.0], [-2.0, -2.0]], np.float32)
    found = answer(path, x=x)
    assert found["label"].tolist() == classes
    scores = np.exp(np.stack([x[:, 0], x[:, 1], -x.sum(1)], 1))
    np.testing.assert_allclose(found["probabilities"], scores / scores.sum(1, keepdims=True), rtol=1e-5)
    assert found["probabilities"].dtype == np.float32


def test_inspect_tells_operators_producer_and_schema(tmp_path: Path) -> None:
    report = format_onnx.inspect(classifier(tmp_path / "m.onnx", zipmap=True, labels={"classlabels_ints": [0, 1, 2]}), Options())
    assert (report.format, report.library, report.verdict, report.plan) == ("onnx", "tests", "loadable", "native")
    assert {step.type for step in report.steps} == {"ai.onnx.ml.LinearClassifier", "ai.onnx.ml.ZipMap"}
    assert report.features == ("x",)
    assert report.classes == (0, 1, 2)


def assert_refused(path: Path, message: str) -> None:
    with pytest.raises(RefusedFile, match=message):
        format_onnx.load(path, Options())


def test_an_operator_that_needs_a_library_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Secret", ["x"], ["y"], domain="my.ops")]
    path = save(tmp_path / "m.onnx", nodes, [port("x", FLOAT, ["n", 3])], [port("y", FLOAT, ["n", 3])])
    assert_refused(path, r'operator "Secret" of "my.ops" needs a library')
    report = format_onnx.inspect(path, Options())
    assert (report.verdict, report.plan) == ("refused", "none")


def test_an_operator_hidden_in_a_branch_is_refused(tmp_path: Path) -> None:
    branch = helper.make_graph([helper.make_node("Secret", ["x"], ["z"], domain="my.ops")], "b", [], [port("z", FLOAT, ["n", 3])])
    plain = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "p", [], [port("z", FLOAT, ["n", 3])])
    nodes = [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=plain)]
    path = save(tmp_path / "m.onnx", nodes, [port("x", FLOAT, ["n", 3]), port("c", TensorProto.BOOL, [1])], [port("y", FLOAT, ["n", 3])])
    assert_refused(path, "Secret")


def test_data_in_a_plain_file_beside_the_model_is_read(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"skip" + KERNEL.tobytes())
    x = np.ones((2, 3), np.float32)
    found = answer(outside(tmp_path / "m.onnx", "w.bin", extra={"offset": "4", "length": "24"}), x=x)
    np.testing.assert_allclose(found["prediction"], x @ KERNEL)


@pytest.mark.parametrize("location", ["/etc/passwd", "../w.bin", "sub/w.bin", "", ".", "..", "a\\b", "c:w", "*/_ORT_MEM_ADDR_/*"])
def test_data_by_path_or_address_is_refused(tmp_path: Path, location: str) -> None:
    path = outside(tmp_path / "m.onnx", location)
    assert_refused(path, "expected the plain name of a file beside the model")
    assert format_onnx.inspect(path, Options()).verdict == "refused"


@pytest.mark.parametrize("how", ["symlink", "hardlink", "folder", "fifo"])
def test_data_in_anything_but_a_regular_file_of_one_name_is_refused(tmp_path: Path, how: str) -> None:
    real, path = tmp_path / "real.bin", tmp_path / "w.bin"
    real.write_bytes(KERNEL.tobytes())
    makers = {
        "symlink": lambda: path.symlink_to(real),
        "hardlink": lambda: path.hardlink_to(real),
        "folder": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
    }
    makers[how]()
    model = outside(tmp_path / "m.onnx", "w.bin")
    assert_refused(model, "plain file|regular file")
    report = format_onnx.inspect(model, Options())
    assert (report.verdict, report.plan) == ("refused", "none")
    assert "plain file" in report.problem or "regular file" in report.problem


def test_data_inside_an_operator_may_not_lie_outside(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(KERNEL.tobytes())
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[3, 2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="w.bin")
    nodes = [helper.make_node("Constant", [], ["w"], value=tensor), helper.make_node("MatMul", ["x", "w"], ["y"])]
    assert_refused(save(tmp_path / "m.onnx", nodes, [port("x", FLOAT, ["n", 3])], [port("y", FLOAT, ["n", 2])]), "inside an operator")


@pytest.mark.parametrize(("content", "message"), [(None, "is not beside it"), (b"short", "it is cut short")])
def test_missing_or_short_data_is_unreadable(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "w.bin").write_bytes(content)
    model = outside(tmp_path / "m.onnx", "w.bin")
    for look in (format_onnx.load, format_onnx.inspect):
        with pytest.raises(UnreadableFile, match=message):
            look(model, Options())


def test_a_graph_that_does_not_fit_together_is_a_load_error(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.onnx", [helper.make_node("MatMul", ["x", "gone"], ["y"])], [port("x", FLOAT, ["n", 3])], [port("y", FLOAT, ["n", 2])]
    )
    with pytest.raises(LoadError, match=r"ONNX Runtime .* does not take the graph"):
        format_onnx.load(path, Options())


def test_rows_that_the_graph_fails_on_are_a_model_error(tmp_path: Path) -> None:
    node = helper.make_node("Gather", ["w", "x"], ["y"])
    path = save(
        tmp_path / "m.onnx", [node], [port("x", INT64, ["n"])], [port("y", FLOAT, ["n", 2])], [numpy_helper.from_array(KERNEL, "w")]
    )
    with pytest.raises(ModelError, match="fails on these rows"):
        answer(path, x=[7])


def test_an_output_of_another_number_of_rows_is_a_model_error(tmp_path: Path) -> None:
    node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1)
    path = save(tmp_path / "m.onnx", [node], [port("x", FLOAT, ["n", 3])], [port("y", FLOAT, [None, 1])])
    with pytest.raises(ModelError, match="expected one row for each"):
        answer(path, x=np.ones((2, 3), np.float32))


def test_a_damaged_file_ends_in_one_of_our_errors(tmp_path: Path) -> None:
    """Cut at every byte, and every byte flipped in turn."""
    data = product(tmp_path / "m.onnx").read_bytes()
    changed = [data[:at] for at in range(len(data))] + [data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :] for at in range(len(data))]
    path = tmp_path / "damaged.onnx"
    refused = 0
    for item in changed:
        path.write_bytes(item)
        try:
            format_onnx.load(path, Options())
        except ModelportError as error:
            assert "\n" not in error.message
            refused += 1
    assert refused > len(data) // 2


def test_long_runs_of_numbers_are_skipped_and_the_rest_still_read(tmp_path: Path) -> None:
    """A forest's attributes hold millions of numbers; what comes after them counts all the same."""
    many = 50_000
    nodes = [
        helper.make_node("Constant", [], ["c"], value_ints=list(range(many))),
        helper.make_node("Constant", [], ["d"], value_floats=[0.5] * many),
        helper.make_node("Secret", ["x"], ["y"], domain="my.ops"),
    ]
    path = save(tmp_path / "m.onnx", nodes, [port("x", FLOAT, ["n", 3])], [port("y", FLOAT, ["n", 3])])
    assert_refused(path, "Secret")


def test_an_operator_that_the_file_itself_defines_is_served(tmp_path: Path) -> None:
    """Exporters write functions of their own, made of standard operators."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my.ops", 1)]
    twice = helper.make_function("my.ops", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], opsets[:1])
    nodes = [helper.make_node("Twice", ["x"], ["y"], domain="my.ops")]
    graph = helper.make_graph(nodes, "g", [port("x", FLOAT, ["n", 3])], [port("y", FLOAT, ["n", 3])])
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph, functions=[twice], opset_imports=opsets, ir_version=8).SerializeToString())
    assert answer(path, x=np.ones((1, 3), np.float32))["prediction"].tolist() == [[2.0, 2.0, 2.0]]


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="cannot be opened"):
        format_onnx.inspect(tmp_path / "nothing.onnx", Options())


def test_maps_without_classes_in_the_file_are_not_served(tmp_path: Path) -> None:
    value = helper.make_sequence_type_proto(helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, [])))
    nodes = [helper.make_node("Identity", ["x"], ["maps"])]
    path = save(tmp_path / "m.onnx", nodes, [port("x", FLOAT, ["n", 3])], [helper.make_value_info("maps", value)])
    with pytest.raises(LoadError, match="export it with zipmap=False"):
        format_onnx.load(path, Options())
    assert format_onnx.inspect(path, Options()).plan == "none"
