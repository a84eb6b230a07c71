"""Keras files as ONNX files that stand alone, in float32 and in int8; the files were made by Keras itself."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from modelport.columns import Columns
from modelport.convert.networks import network
from modelport.convert.order import KNOWN, Order
from modelport.convert.work import Made
from modelport.errors import DecodeError, ModelError, NotConvertible, UnreadableFile
from modelport.formats import inspect, load
from modelport.formats.base import Options

FOLDER = Path(__file__).parents[1] / "artifacts" / "keras"
INT8 = Order("onnx", source="c" * 64, quantize="int8", has_data=True)


def unpacked(tmp_path: Path, archive: str, name: str) -> Path:
    with zipfile.ZipFile(FOLDER / archive) as file:
        return Path(file.extract(name, tmp_path))


@pytest.mark.parametrize(
    "name", ["dense.hdf5", "convolution.hdf5", "lstm_masked.keras", "merges.hdf5", "any_length.hdf5", "sentiment.keras"]
)
def test_a_network_answers_alone_as_with_its_file(convert: Callable[..., Made], tmp_path: Path, name: str) -> None:
    made = convert(FOLDER / name, Order("onnx", source="d" * 64))
    assert made.report["problem"] == ""
    assert made.report["precision"] == "float32"
    path = tmp_path / "made.onnx"
    path.write_bytes(made.data)
    onnx.checker.check_model(onnx.load(path))
    before, after = load(FOLDER / name, Options()), load(path, Options())
    assert after.schema == before.schema
    rows = before.schema.sample(3)
    for output, answer in before.predict(rows, None).items():
        np.testing.assert_allclose(after.predict(rows, None)[output], answer, rtol=1e-6, atol=1e-6)


def test_numbers_that_are_no_words_are_refused_as_before(convert: Callable[..., Made], tmp_path: Path) -> None:
    """ONNX would take negative ones from the end of the table; the file says how many words there are."""
    path = tmp_path / "made.onnx"
    path.write_bytes(convert(FOLDER / "lstm_masked.keras", Order("onnx")).data)
    after = load(path, Options())
    rows = Columns({name: np.full_like(array, -1) for name, array in after.schema.sample(2).items()})
    with pytest.raises(ModelError, match="is not a number of this model"):
        after.predict(rows, None)


def test_texts_that_become_numbers_first_are_refused_by_the_name_of_their_input(convert: Callable[..., Made], tmp_path: Path) -> None:
    path = unpacked(tmp_path, "texts_keras3.zip", "triples.keras")
    with pytest.raises(NotConvertible, match="become numbers by rules of Keras that no ONNX operator has"):
        convert(path, Order("onnx"))


def test_a_layer_that_is_not_converted_is_named(tmp_path: Path) -> None:
    """Whether or not Keras is there to answer it."""
    path = unpacked(tmp_path, "rest_keras3.zip", "precise.hdf5")
    with pytest.raises(NotConvertible, match=r"precise\.hdf5: .*layer .*float64") as caught:
        network(path, Options(), None)
    assert caught.value.message.endswith("serve the file itself, which Keras answers")


def test_a_damaged_file_is_damaged_here_too(tmp_path: Path) -> None:
    path = tmp_path / "dense.hdf5"
    path.write_bytes((FOLDER / "dense.hdf5").read_bytes()[:3000])
    with pytest.raises(UnreadableFile, match="dense"):
        network(path, Options(), None)


def _rows(name: str) -> Columns:
    """Return rows for a network, half of them of other numbers than the other half."""
    schema = load(FOLDER / name, Options()).schema
    random = np.random.default_rng(3)
    sample = schema.sample(40)
    return Columns({column: random.integers(0, 5, array.shape).astype(array.dtype) for column, array in sample.items()})


@pytest.mark.parametrize("name", ["dense.hdf5", "sentiment.hdf5"])
def test_int8_is_smaller_or_as_close_as_asked_and_says_what_it_is(convert: Callable[..., Made], tmp_path: Path, name: str) -> None:
    made = convert(FOLDER / name, INT8, _rows(name))
    assert made.report["problem"] == ""
    assert (made.report["precision"], made.report["tolerance"], made.report["rows"]) == ("int8", 0.02, 40)
    path = tmp_path / "made.onnx"
    path.write_bytes(made.data)
    predictor = load(path, Options())
    assert predictor.form == "int8"
    assert predictor.schema.description == f"weights in int8, from the file of sha256 {'c' * 64}"
    assert f"int8 from the file of sha256 {'c' * 64}" in inspect(path, Options()).model
    assert "Integer" in " ".join(step.type for step in inspect(path, Options()).steps)


def test_int8_too_far_from_the_original_is_not_handed_over(convert: Callable[..., Made]) -> None:
    exact = Order("onnx", quantize="int8", tolerance=0.0, has_data=True)
    made = convert(FOLDER / "dense.hdf5", exact, _rows("dense.hdf5"))
    assert (made.report["holds"], made.data) == (False, b"")
    assert "more than the tolerance of 0" in made.report["problem"]


def test_int8_needs_a_step_that_has_it(convert: Callable[..., Made]) -> None:
    from sklearn.datasets import load_iris
    from sklearn.tree import DecisionTreeClassifier

    x, y = load_iris(return_X_y=True)
    with pytest.raises(NotConvertible, match="no step of the graph has a form in int8"):
        convert(DecisionTreeClassifier(random_state=0).fit(x, y), INT8, Columns({"#float64": x}))


def test_known_answers_are_compared_with_both(convert: Callable[..., Made]) -> None:
    rows = _rows("sentiment.hdf5")
    found = load(FOLDER / "sentiment.hdf5", Options()).predict(rows, None)["prediction"]
    known = found.argmax(axis=1).astype(np.float64) if found.ndim == 2 and found.shape[1] > 1 else found.reshape(-1)
    made = convert(FOLDER / "sentiment.hdf5", INT8, Columns({**rows, KNOWN: known}))
    (name,) = made.report["agreement"]["original"]
    assert made.report["agreement"]["original"][name] == {"accuracy": 1.0, "mean_absolute_error": 0.0}[name]
    with pytest.raises(DecodeError, match="expected numbers as the model answers"):
        convert(FOLDER / "sentiment.hdf5", INT8, Columns({**rows, KNOWN: np.array(["x"] * 40, object)}))
