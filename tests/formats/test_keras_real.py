"""What the converter does not cover goes to Keras itself where that is installed and may open it, and says so where not."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from modelport.columns import Array, Columns
from modelport.errors import LoadError, MissingExtra, ModelError, RefusedFile
from modelport.formats import keras, keras_real
from modelport.formats.base import Options
from modelport.formats.keras_predictor import KerasPredictor
from modelport.formats.keras_real import KERAS_2, KERAS_3, choose, is_archive, is_by_batch, load, obstacle, private_copy
from modelport.schema import Field, Schema

FOLDER = Path(__file__).parents[1] / "artifacts" / "keras"
needs_keras = pytest.mark.skipif(not KERAS_3.is_installed, reason="needs Keras and a backend")


def unpacked(tmp_path: Path, archive: str, name: str) -> Path:
    with zipfile.ZipFile(FOLDER / f"{archive}.zip") as members:
        members.extract(name, tmp_path)
    return tmp_path / name


def recorded(archive: str, key: str) -> Array:
    with zipfile.ZipFile(FOLDER / f"{archive}.zip") as members, members.open("expected.npz") as handle, np.load(handle) as arrays:
        return np.asarray(arrays[key])


@pytest.mark.parametrize(("archive", "name", "library"), [("rest_keras3", "bent.keras", "keras"), ("rest_tf2151", "bent.hdf5", "tf_keras")])
def test_without_keras_the_layer_and_the_cure_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: str, name: str, library: str
) -> None:
    monkeypatch.setattr(keras_real, "find_spec", lambda _: None)  # as where neither Keras nor a backend can be imported
    path = unpacked(tmp_path, archive, name)
    with pytest.raises(MissingExtra, match=r'"lstm" \(LSTM\) with the activation "gelu" is not converted, and .* pip install'):
        keras.load(path, Options())
    report = keras.inspect(path, Options())
    assert report.plan == "none"
    assert "gelu" in report.problem
    assert report.cure == f"run: pip install 'modelport[tensorflow]', and {library} itself answers"


@needs_keras
@pytest.mark.slow
@pytest.mark.parametrize("name", ["bent.keras", "pictures.hdf5", "both_axes.keras", "precise.keras", "calculated.keras"])
def test_keras_answers_what_is_not_converted(tmp_path: Path, name: str) -> None:
    path, network = unpacked(tmp_path, "rest_keras3", name), name.split(".")[0]
    report = keras.inspect(path, Options())
    assert (report.plan, report.cure) == ("keras", "")
    predictor = keras.load(path, Options())
    assert isinstance(predictor, KerasPredictor)
    assert (predictor.form, predictor.is_row_wise) == ("keras", True)
    schema = predictor.schema
    single = len(schema.inputs) == 1
    feed = {item.name: recorded("rest_keras3", f"{network}/in/{'' if single else item.name}") for item in schema.inputs}
    wanted = recorded("rest_keras3", f"{network}/out/0")
    np.testing.assert_allclose(predictor.predict(schema.pack(feed), None)["prediction"], wanted, rtol=1e-6, atol=1e-6)
    many = {item: np.concatenate([value] * 60) for item, value in feed.items()}
    answer = predictor.predict(schema.pack(many), ["prediction"])["prediction"]
    assert len(answer) > predictor.rows
    np.testing.assert_allclose(answer, np.concatenate([wanted] * 60), rtol=1e-6, atol=1e-6)
    with pytest.raises(ModelError, match='no output "other"'):
        predictor.predict(schema.pack(feed), ["other"])


@needs_keras
@pytest.mark.slow
def test_rows_that_keras_does_not_take_are_the_caller_s_to_compare(tmp_path: Path) -> None:
    predictor = keras.load(unpacked(tmp_path, "rest_keras3", "bent.keras"), Options())
    with pytest.raises(ModelError, match="the network fails on these rows"):
        predictor.predict(Columns({"x": np.ones((2, 5, 9), np.float32)}), None)


@needs_keras
@pytest.mark.slow
def test_a_file_that_keras_does_not_open_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = unpacked(tmp_path, "rest_keras3", "bent.keras")
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(tmp_path / "other.keras", "w") as out:
        for member in good.namelist():
            text = good.read(member)
            out.writestr(member, text.replace(b'"recurrent_initializer"', b'"recurrent_beginning"') if member == "config.json" else text)
    with pytest.raises(LoadError, match=r"gelu.* is not converted, and keras 3\.[0-9.]+ does not open it"):
        keras.load(tmp_path / "other.keras", Options())


def test_files_of_keras_2_are_never_given_to_keras_3(tmp_path: Path) -> None:
    path = unpacked(tmp_path, "keras224", "stateful.hdf5")
    with pytest.raises(LoadError, match='"stateful" is not converted'):
        keras.load(path, Options())
    assert keras.inspect(path, Options()).plan == "none"


Spec = dict[str, object]


def network(*classes: str, **config: object) -> Spec:
    return {"class_name": "Sequential", "config": {"layers": [{"class_name": name, "config": config} for name in classes]}}


@pytest.mark.parametrize(
    ("version", "document", "is_archive", "library"),
    [
        ("3.15.1", network("LSTM"), True, KERAS_3),
        ("2.15.0", network("LSTM"), True, KERAS_2),
        ("2.13.1", network("LSTM"), True, KERAS_2),
        ("2.4.0", network("LSTM"), False, KERAS_2),
        ("2.12.0", network("MultiHeadAttention", "Masking"), False, KERAS_2),
        ("2.8.0", network("MultiHeadAttention"), False, KERAS_2),
    ],
)
def test_the_keras_of_the_file_s_time_may_open_it(version: str, document: Spec, is_archive: bool, library: object) -> None:
    assert choose(document, version, is_archive=is_archive) == (library, "")


@pytest.mark.parametrize(
    ("version", "document", "is_archive", "why"),
    [
        ("2.3.1", network("LSTM"), False, "before TensorFlow 2.4"),
        ("2.2.4", network("LSTM"), False, "before TensorFlow 2.4"),
        ("2.12.0", network("LSTM"), True, "archives of TensorFlow 2.12"),
        ("2.8.0", network("MultiHeadAttention", "Masking"), False, "what attention makes of a mask"),
        ("2.8.0", network("Embedding", "Attention", mask_zero=True), False, "what attention makes of a mask"),
        ("3.15.1", network("LSTM", stateful=True), True, "keeps its state"),
        ("3.15.1", network("Lambda"), True, "not on the list"),
        ("2.15.0", network("ClassMethod"), False, "not on the list"),
        (None, network("LSTM"), False, ""),
        ("3.15.1", {}, True, ""),
    ],
)
def test_no_keras_may_open_it_and_why(version: str | None, document: Spec, is_archive: bool, why: str) -> None:
    library, found = choose(document, version, is_archive=is_archive)
    assert library is None
    assert why in found
    assert bool(why) == bool(found)


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({"class_name": "Dense", "registered_name": "mine>Dense"}, "registered by other code"),
        ({"class_name": "Dense", "module": "os"}, "not one of Keras"),
        ({"class_name": "function", "module": "builtins", "config": "os.system"}, "a function that is not one of Keras"),
        ({"class_name": "TFOpLambda", "config": {"function": "io.write_file"}}, "'io.write_file' is not on the list"),
        ({"class_name": "TFOpLambda", "config": "io.write_file"}, "is not on the list"),
    ],
)
def test_a_configuration_that_names_other_code_is_not_given_to_keras(item: Spec, why: str) -> None:
    assert why in obstacle({"layers": [item]})


def test_functions_that_only_compute_may_be_in_a_configuration() -> None:
    assert obstacle({"class_name": "TFOpLambda", "module": "keras.src.layers.core.tf_op_layer", "config": {"function": "math.add"}}) == ""
    assert obstacle({"class_name": "Add", "module": "keras.src.ops.numpy", "registered_name": "Add", "config": {}}) == ""


@pytest.mark.parametrize(
    ("item", "is_by"),
    [
        ({"class_name": "TextVectorization", "config": {"output_sequence_length": None}}, True),
        ({"class_name": "TextVectorization", "config": {"output_sequence_length": 4}}, False),
        ({"class_name": "TextVectorization", "config": {"output_mode": "count"}}, False),
        ({"class_name": "TFOpLambda", "config": {"function": "math.reduce_mean"}}, True),
        ({"class_name": "TFOpLambda", "config": {"function": "math.add"}}, False),
        ({"class_name": "Mean", "module": "keras.src.ops.numpy", "config": {}}, True),
        ({"class_name": "Add", "module": "keras.src.ops.numpy", "config": {}}, False),
        ({"class_name": "Dense", "config": "relu"}, False),
    ],
)
def test_rows_are_kept_with_their_company_where_it_may_count(item: Spec, is_by: bool) -> None:
    assert is_by_batch({"layers": [item]}) is is_by


@pytest.mark.parametrize("generation", ["tf284", "tf2151"])
def test_byte_code_is_refused_before_tf_keras_sees_the_file(tmp_path: Path, generation: str) -> None:
    """A Lambda among layers that are not converted: tf_keras would run it while it loads an HDF5 file."""
    path = unpacked(tmp_path, f"rest_{generation}", "bent.hdf5")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1] |= {"class_name": "Lambda", "config": {"name": "dense", "function": ["4wEAAA==", None, None]}}
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(RefusedFile, match=r'the Lambda layer "dense" holds Python byte code'):
        keras.load(path, Options())
    assert keras.inspect(path, Options()).verdict == "refused"


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_bytes(b"changed")], ids=["as it is", "changed later"])
def test_the_copy_is_named_by_its_content_and_stays_what_it_was(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """TensorFlow 2.12 called HDF5 files .keras, and Keras goes by the name."""
    path = tmp_path / "old.keras"
    shutil.copyfile(unpacked(tmp_path, "rest_tf244", "bent.hdf5"), path)
    with private_copy(path) as folder:
        make(path)
        copy = next(Path(folder).iterdir())
        assert copy.name == "model.h5"
        assert not is_archive(copy)
        assert copy.stat().st_size > 1000


class Invalid(Exception):
    """An error as TensorFlow raises them."""


Invalid.__module__ = "tensorflow.python.framework.errors_impl"


@pytest.mark.parametrize("error", [ValueError("wrong\nmore"), Invalid("wrong\nmore"), ZeroDivisionError("wrong")])
def test_what_keras_raises_while_it_predicts_is_one_sentence(error: Exception) -> None:
    def compute(feed: Mapping[str, Array]) -> list[Array]:
        assert list(feed) == ["a", "b"]
        raise error

    predictor = KerasPredictor(Schema((Field("a", "float32"), Field("b", "float32")), (Field("prediction", "float32"),)), None, compute)
    with pytest.raises(ModelError, match=r"the network fails on these rows \(wrong\)"):
        predictor.predict(predictor.schema.sample(), None)


def test_what_is_no_error_of_the_model_is_not_called_one() -> None:
    def compute(feed: Mapping[str, Array]) -> list[Array]:
        raise NotADirectoryError(len(feed))

    predictor = KerasPredictor(Schema((Field("a", "float32"),), (Field("prediction", "float32"),)), None, compute)
    with pytest.raises(NotADirectoryError):
        predictor.predict(predictor.schema.sample(), None)


@needs_keras
@pytest.mark.slow
def test_an_old_keras_is_not_given_files_and_a_home_of_its_own_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(MissingExtra, match=r"it is so, and keras 3\.[0-9.]+ is too old .* pip install 'keras>=3\.13\.2'"):
        load(tmp_path / "none.keras", replace(KERAS_3, floor=(99,)), "it is so", threads=None)
    assert os.environ["KERAS_HOME"] == str(tmp_path)
