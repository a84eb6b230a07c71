"""What the converter does not cover goes to Keras itself where that is installed, and says so where it is not."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.errors import LoadError, MissingExtra
from modelport.formats import keras, keras_real
from modelport.formats.base import Options
from modelport.formats.keras_real import KerasPredictor, is_installed

FOLDER = Path(__file__).parents[1] / "artifacts" / "keras"


@pytest.fixture
def unconverted(tmp_path: Path) -> Path:
    """A Keras 3 file with a layer that is Keras's own and not in the table."""
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(FOLDER / "dense.keras") as good, zipfile.ZipFile(path, "w") as out:
        config = json.loads(good.read("config.json"))
        noise = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "GaussianNoise")
        noise["class_name"] = "Discretization"
        noise["config"] = {"name": "bins", "dtype": "float32", "bin_boundaries": [-0.5, 0.0, 0.5]}
        for member in good.namelist():
            out.writestr(member, json.dumps(config) if member == "config.json" else good.read(member))
    return path


def test_without_keras_the_layer_and_the_cure_are_named(unconverted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_real, "find_spec", lambda _: None)  # as where neither Keras nor a backend can be imported
    with pytest.raises(MissingExtra, match=r'"bins" \(Discretization\).* is not converted, and Keras, .* pip install'):
        keras.load(unconverted, Options())
    report = keras.inspect(unconverted, Options())
    assert report.plan == "none"
    assert "Discretization" in report.problem
    assert "modelport[tensorflow]" in report.cure


@pytest.mark.skipif(not is_installed(), reason="needs Keras and a backend")
@pytest.mark.slow
def test_keras_answers_what_is_not_converted(unconverted: Path) -> None:
    report = keras.inspect(unconverted, Options())
    assert (report.plan, report.cure) == ("keras", "")
    predictor = keras.load(unconverted, Options())
    assert isinstance(predictor, KerasPredictor)
    assert predictor.form == "keras"
    x = np.random.default_rng(1).normal(0, 1, (300, 5)).astype(np.float32)
    answer = predictor.predict(Columns({predictor.schema.inputs[0].name: x}), None)["prediction"]
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)
    alone = predictor.predict(Columns({predictor.schema.inputs[0].name: x[7:8]}), None)["prediction"]
    np.testing.assert_allclose(alone, answer[7:8], atol=1e-6)


def test_files_of_keras_2_are_never_given_to_keras_3(tmp_path: Path) -> None:
    with zipfile.ZipFile(FOLDER / "keras224.zip") as archive:
        archive.extract("stateful.hdf5", tmp_path)
    with pytest.raises(LoadError, match='"stateful" is not converted'):
        keras.load(tmp_path / "stateful.hdf5", Options())
    assert keras.inspect(tmp_path / "stateful.hdf5", Options()).plan == "none"
