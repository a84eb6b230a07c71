"""The conversion as a pure function: what the graph is, which version's rules hold, what is not converted."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from modelport.columns import Array
from modelport.errors import LoadError, UnreadableFile
from modelport.formats.base import Options
from modelport.formats.keras_file import read
from modelport.forms.keras_onnx.convert import Converted, convert
from modelport.forms.keras_onnx.network import Version, leaves
from modelport.forms.keras_onnx.parse import parse, parse_version
from modelport.forms.keras_onnx.table import LAYERS
from modelport.forms.keras_onnx.weights import needs, snake_case

FOLDER = Path(__file__).parents[1] / "artifacts" / "keras"
NEW, OLD = Version(3, 15), Version(2, 15, is_tf=True)
Spec = dict[str, object]


def spec(kind: str, name: str, **config: object) -> Spec:
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


def sequential(*layers: Spec, shape: tuple[int | None, ...] = (3,), version: Version = NEW) -> Converted:
    """Convert a Sequential of these layers, with weights of ones where they have any."""
    first = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, *shape], "dtype": "float32"}}
    network = parse({"class_name": "Sequential", "config": {"name": "net", "layers": [first, *layers]}}, version)
    return convert(network, {})


def run(converted: Converted, x: Array) -> Array:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(converted.model, options, providers=["CPUExecutionProvider"])
    answer: Array = session.run(None, {converted.inputs[0].name: x})[0]
    return answer


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.keras")), ids=lambda path: path.stem)
def test_every_graph_is_valid_onnx(path: Path) -> None:
    content = read(path, Options())
    converted = convert(content.network, content.weights)
    model = onnx.load_model_from_string(converted.model)
    onnx.checker.check_model(model, full_check=True)
    assert [port.name for port in model.graph.input] == [port.name for port in converted.inputs]
    assert [port.name for port in model.graph.output] == [port.name for port in converted.outputs]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "rows"


def test_the_known_shapes_of_outputs_are_those_that_come_out() -> None:
    content = read(FOLDER / "sentiment.keras", Options())
    converted = convert(content.network, content.weights)
    assert converted.outputs[0].shape == (None, 4)
    assert run(converted, np.ones((2, 7), np.int32)).shape == (2, 4)


def test_large_weights_can_stay_out_of_the_file() -> None:
    content = read(FOLDER / "sentiment.keras", Options())
    whole = convert(content.network, content.weights)
    split = convert(content.network, content.weights, apart_bytes=200)
    assert whole.apart == {}
    assert split.apart
    assert all(array.nbytes >= 200 for array in split.apart.values())
    assert len(split.model) < len(whole.model)


@pytest.mark.parametrize(("version", "at_one"), [(OLD, 0.7), (NEW, 4 / 6)], ids=["keras 2", "keras 3"])
@pytest.mark.parametrize("kind", ["Activation", "Dense"])
def test_hard_sigmoid_is_that_of_the_version_that_wrote_the_file(version: Version, at_one: float, kind: str) -> None:
    """clip(0.2 x + 0.5) in Keras 2, relu6(x + 3) / 6 in Keras 3: loading one as the other gives wrong numbers without an error."""
    if kind == "Activation":
        converted = sequential(spec(kind, "act", activation="hard_sigmoid"), version=version)
    else:
        layers = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 3], "dtype": "float32"}}
        dense = spec(kind, "dense", units=3, activation="hard_sigmoid", use_bias=False)
        network = parse({"class_name": "Sequential", "config": {"name": "net", "layers": [layers, dense]}}, version)
        converted = convert(network, {("dense",): {"kernel": np.eye(3, dtype=np.float32)}})
    found = run(converted, np.asarray([[-9.0, 1.0, 9.0]], np.float32))
    np.testing.assert_allclose(found, [[0.0, at_one, 1.0]], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "document", "version"),
    [
        ("3.15.1", {}, Version(3, 15)),
        ("2.15.0", {}, Version(2, 15, is_tf=True)),
        ("2.2.4-tf", {}, Version(2, 2, is_tf=True)),
        ("2.2.4", {}, Version(2, 2)),
        (None, {"config": {"layers": [{"config": {"batch_shape": [None, 2]}}]}}, Version(3, 0)),
        (None, {"config": {"layers": [{"config": {"batch_input_shape": [None, 2]}}]}}, Version(2, 2)),
    ],
)
def test_the_version_is_the_file_s_own_or_told_by_its_format(text: str | None, document: Spec, version: Version) -> None:
    assert parse_version(text, document) == version


def test_a_sequential_takes_its_shape_from_its_first_layer_as_keras_2_wrote_it() -> None:
    layers = [spec("Activation", "act", activation="relu", batch_input_shape=[None, 4], dtype="float32")]
    network = parse({"class_name": "Sequential", "config": layers}, OLD)
    assert [(item.name, item.shape) for item in network.inputs] == [("act_input", (None, 4))]


def test_a_network_that_was_never_built_says_so() -> None:
    with pytest.raises(UnreadableFile, match="saved before it was built"):
        parse({"class_name": "Sequential", "config": {"name": "net", "layers": [spec("Activation", "act", activation="relu")]}}, NEW)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (spec("CenterCrop", "cc"), (3,), r'layer "cc" \(CenterCrop\) is not converted'),
        (spec("LSTMCell", "lc", units=2), (3,), r'layer "lc" \(LSTMCell\) is not converted'),
        (spec("Activation", "act", activation="glu"), (3,), "with the activation 'glu' is not converted"),
        (spec("LSTM", "l", units=2, recurrent_activation="gelu"), (4, 3), 'with the activation "gelu" is not converted'),
        (spec("LSTM", "l", units=2, stateful=True), (4, 3), 'with "stateful" is not converted'),
        (spec("UpSampling2D", "up", size=2, interpolation="bicubic"), (4, 4, 1), "bicubic is not converted"),
    ],
)
def test_what_is_not_converted_is_named_with_the_way_to_serve_it(layer: Spec, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(LoadError, match=message) as caught:
        sequential(layer, shape=shape)
    assert 'serve it through a "load" hook in model.toml' in caught.value.message


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (spec("Reshape", "r", target_shape=[2, 2]), (3,), "a shape of 3 values"),
        (spec("Permute", "p", dims=[1, 1]), (3, 4), "in another order"),
        (spec("MaxPooling1D", "m", pool_size=9), (3, 4), "at least as large as the window"),
        (spec("Cropping1D", "c", cropping=[2, 2]), (3, 4), "less than the input"),
        (spec("Dense", "d", units=2), (3,), r'layer "d" \(Dense\): the weight "kernel" is not in the file'),
        (spec("Conv1D", "c", filters=2, kernel_size=2, padding="causal?"), (3, 4), "valid, same, or causal|is not in the file"),
        (spec("LSTM", "l", units=2), (3,), "an input of 3 axes"),
        (spec("MaxPooling2D", "m", pool_size=2), (3, 4), "an input of 4 axes"),
    ],
)
def test_settings_that_fit_no_input_are_called_damage(layer: Spec, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UnreadableFile, match=message):
        sequential(layer, shape=shape)


def test_an_unneeded_layer_is_left_out_of_the_graph() -> None:
    """A functional file may hold operations for masks that nobody uses."""
    with zipfile.ZipFile(FOLDER / "average_masked.keras") as archive:
        config = json.loads(archive.read("config.json"))
    kinds = {layer.kind for layer in leaves(parse(config, NEW))}
    assert "ops.NotEqual" in kinds


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Dense", "dense"),
        ("LSTM", "lstm"),
        ("Conv1D", "conv1d"),
        ("PReLU", "p_re_lu"),
        ("GlobalAveragePooling1D", "global_average_pooling1d"),
    ],
)
def test_class_names_become_the_names_of_groups_as_keras_writes_them(name: str, wanted: str) -> None:
    assert snake_case(name) == wanted


def test_weights_that_training_changes_come_first_in_a_nested_network() -> None:
    content = read(FOLDER / "frozen_nested.hdf5", Options())
    wanted = list(needs(content.network))
    assert {need.is_trainable for need in wanted} == {True, False}
    assert all(not need.is_trainable for need in wanted if need.slot.role.startswith("moving"))


def test_every_row_of_the_table_can_be_built() -> None:
    """Wrappers of any layer are built by the walk, and cells by the RNN around them."""
    others = [name for name, kind in LAYERS.items() if not (kind.build or kind.merge or kind.take)]
    assert others == ["LSTMCell", "GRUCell", "SimpleRNNCell", "TimeDistributed", "SpectralNormalization"]


def test_attention_beside_another_reader_of_the_same_masked_tensor_is_not_converted() -> None:
    """Keras takes the mask off the tensor while it runs, so the other reader sees it or not as the order happens to be."""
    tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None, 3, 2], "keras_history": ["m", 0, 0]}}
    start = {"class_name": "__keras_tensor__", "config": {"shape": [None, 3, 2], "keras_history": ["x", 0, 0]}}

    def layer(kind: str, name: str, args: list[Spec], **settings: object) -> Spec:
        config = {"name": name, "trainable": True, **settings}
        return {"class_name": kind, "name": name, "config": config, "inbound_nodes": [{"args": args, "kwargs": {}}]}

    first = {"class_name": "InputLayer", "name": "x", "config": {"name": "x", "batch_shape": [None, 3, 2]}, "inbound_nodes": []}
    layers = [first, layer("Masking", "m", [start], mask_value=0.0)]
    layers += [layer("MultiHeadAttention", name, [tensor, tensor], num_heads=1, key_dim=2) for name in ("one", "two")]
    outputs = [["one", 0, 0], ["two", 0, 0]]
    config = {"name": "net", "trainable": True, "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": outputs}
    network = parse({"class_name": "Functional", "config": config}, NEW)
    with pytest.raises(
        LoadError, match=r'layer "(one|two)" \(MultiHeadAttention\) (beside another layer )?over (the same|a) masked tensor'
    ):
        convert(network, {})
