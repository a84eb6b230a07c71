"""`modelport init`: the bundle that a file stands for, written out; it answers as the file does."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelport.bundle.folder import open_bundle, verify

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "sentiment"
OWN = b"\x80\x04\x8c\x05mylib\x8c\x05Model\x93)\x81."


def test_it_writes_a_copy_and_a_manifest_with_the_schema(modelport: Callable[..., object], tmp_path: Path) -> None:
    """A Keras file says what it takes without being loaded."""
    done = modelport("init", EXAMPLE / "best_model.hdf5")
    assert (done.code, done.err) == (0, "")
    bundle = open_bundle(tmp_path / "best_model")
    artifact = tmp_path / "best_model" / "best_model.hdf5"
    assert verify(bundle) == hashlib.sha256(artifact.read_bytes()).hexdigest()
    assert [(item.name, item.type, item.shape) for item in bundle.manifest.inputs] == [("tokens", "int32", (56,))]
    assert [item.name for item in bundle.manifest.outputs] == ["prediction"]
    assert sorted(path.name for path in (tmp_path / "best_model").iterdir()) == ["best_model.hdf5", "model.toml"]
    assert "modelport serve best_model" in done.out


def test_the_folder_and_the_name_can_be_chosen(
    modelport: Callable[..., object], tmp_path: Path, saved_model: Callable[[str], object]
) -> None:
    (tmp_path / "here").mkdir()  # an empty folder is free
    done = modelport("init", saved_model("mixed").path, "here", "--name", "town")
    assert done.code == 0
    manifest = open_bundle(tmp_path / "here").manifest
    assert manifest.name == "town"
    assert [(item.name, item.type) for item in manifest.inputs] == [("age", "float64"), ("fare", "float64"), ("town", "string")]
    assert manifest.inputs[2].categories == ("Cork", "Lyon", "Oslo")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["iris", "text", "mixed"])
def test_the_bundle_answers_as_the_file_does(
    modelport: Callable[..., object], serve: Callable[..., object], tmp_path: Path, saved_model: Callable[[str], object], name: str
) -> None:
    saved = saved_model(name)
    assert modelport("init", saved.path, "made").code == 0
    bare, made = serve(saved.path), serve(tmp_path / "made")
    rows = saved.rows.to_dict("records") if hasattr(saved.rows, "to_dict") else [*saved.rows] if name == "text" else saved.rows.tolist()
    answers = [server.request("/predict", rows) for server in (bare, made)]
    assert answers[0][0] == 200
    assert answers[0][2] == answers[1][2]
    bare_schema, made_schema = (json.loads(server.request("/models")[2])["models"][0]["schema"] for server in (bare, made))
    assert made_schema == bare_schema


@pytest.mark.parametrize("what", ["a folder with a file in it", "a file"])
def test_nothing_is_overwritten(modelport: Callable[..., object], tmp_path: Path, what: str) -> None:
    taken = tmp_path / "taken"
    if what == "a file":
        taken.write_text("mine")
    else:
        taken.mkdir()
        (taken / "notes.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    done = modelport("init", EXAMPLE / "best_model.hdf5", "taken")
    assert (done.code, done.out) == (2, "")
    assert "nothing is overwritten" in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bundle_is_not_made_of_a_bundle(modelport: Callable[..., object], toy: Path) -> None:
    done = modelport("init", toy, "again")
    assert done.code == 2
    assert "is a bundle already" in done.err


def test_a_file_that_would_not_be_served_makes_no_bundle(modelport: Callable[..., object], tmp_path: Path) -> None:
    (tmp_path / "own.pkl").write_bytes(OWN)
    done = modelport("init", "own.pkl")
    assert done.code == 3
    assert "mylib.Model" in done.err
    assert not (tmp_path / "own").exists()


def test_a_bad_name_is_a_mistake(modelport: Callable[..., object]) -> None:
    done = modelport("init", EXAMPLE / "best_model.hdf5", "--name", "a/b")
    assert done.code == 2
    assert "--name" in done.err


def test_a_folder_that_cannot_be_written_is_named(modelport: Callable[..., object], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = modelport("init", EXAMPLE / "best_model.hdf5", "file/made")
    assert done.code == 2
    assert "cannot be written" in done.err


def test_own_code_and_trust_go_into_the_manifest(
    modelport: Callable[..., object], tmp_path: Path, require_module: Callable[[str], object]
) -> None:
    """The bundle then serves without the flags that made it."""
    joblib = require_module("joblib")
    pytest.importorskip("sklearn")
    code = tmp_path / "code"
    code.mkdir()
    (code / "ownlib.py").write_text(
        "from sklearn.base import BaseEstimator, RegressorMixin\n"
        "class Double(RegressorMixin, BaseEstimator):\n"
        "    def fit(self, x, y):\n"
        "        self.n_features_in_ = 2\n"
        "        return self\n"
        "    def predict(self, x):\n"
        "        return 2.0 * x[:, 0]\n"
    )
    sys.path.insert(0, str(code))
    try:
        import ownlib

        joblib.dump(ownlib.Double().fit(None, None), tmp_path / "double.pkl")
    finally:
        sys.path.remove(str(code))
        sys.modules.pop("ownlib", None)
    assert modelport("init", "double.pkl").code == 3
    assert modelport("init", "double.pkl", "--code", "code").code == 0
    shutil.move(tmp_path / "double.pkl", tmp_path / "away.pkl")
    done = modelport("predict", "double", "[[4, 1]]", "--json")
    assert (done.code, done.out) == (0, '[{"prediction":8.0}]\n'), done.err


def test_data_that_an_onnx_model_keeps_beside_it_comes_along(
    modelport: Callable[..., object], tmp_path: Path, require_module: Callable[[str], object]
) -> None:
    onnx = require_module("onnx")
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("x", 3), ("y", 2))]
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 2], [1, 2, 3, 4, 5, 6])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ports[:1], ports[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    weights = model.graph.initializer[0]
    weights.raw_data = onnx.numpy_helper.to_array(weights).tobytes()
    weights.ClearField("float_data")
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert modelport("init", "m.onnx").code == 0
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["m.data", "m.onnx", "model.toml"]
    assert modelport("predict", "m", "[[1, 2, 3]]", "--json").out == '[{"prediction":[22.0,28.0]}]\n'
    (tmp_path / "m.data").unlink()
    done = modelport("init", "m.onnx", "again")
    assert (done.code, "m.data" in done.err) == (2, True)


@pytest.mark.parametrize("is_named", [True, False])
def test_the_architecture_of_a_file_of_weights_comes_along(
    modelport: Callable[..., object], tmp_path: Path, require_module: Callable[[str], object], is_named: bool
) -> None:
    """Named with --architecture or found beside the file, in the bundle it is found by itself."""
    h5py = require_module("h5py")
    with h5py.File(EXAMPLE / "best_model.hdf5") as whole, h5py.File(tmp_path / "weights.h5", "w") as weights:
        config = whole.attrs["model_config"]
        for name in whole["model_weights"]:
            whole.copy(whole["model_weights"][name], weights)
        for name, value in whole["model_weights"].attrs.items():
            weights.attrs[name] = value
    place = tmp_path / "elsewhere" if is_named else tmp_path
    place.mkdir(exist_ok=True)
    (place / "network.json").write_text(config)
    flags = ("--architecture", place / "network.json") if is_named else ()
    done = modelport("init", "weights.h5", "made", *flags)
    assert done.code == 0, done.err
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["model.toml", "network.json", "weights.h5"]
    assert modelport("inspect", "made").code == 0
