"""Files of every Keras 2 generation and wider networks of Keras 3, by that Keras itself: equal to its predictions, or refused."""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from modelport.columns import Array
from modelport.errors import LoadError, RefusedFile
from modelport.formats import keras
from modelport.formats.base import Options
from modelport.formats.keras_native import NetworkModel

FOLDER = Path(__file__).parents[1] / "artifacts" / "keras"
GENERATIONS = {"keras224": "2.2.4", "keras231": "2.3.1", "tf244": "2.4.0", "tf284": "2.8.0", "tf2121": "2.12.0", "tf2151": "2.15.0"}
TEXTS = ("texts_tf284", "texts_tf2121", "texts_tf2151", "texts_keras3")
CELLS = tuple(f"cells_{name}" for name in (*GENERATIONS, "keras3"))
ARCHIVES = (*GENERATIONS, "keras3", *TEXTS, *CELLS)
REFUSED = ("lambda_layer", "stateful")
SUFFIXES = (".hdf5", ".h5", ".keras")


def members(generation: str) -> list[str]:
    with zipfile.ZipFile(FOLDER / f"{generation}.zip") as archive:
        return sorted(name for name in archive.namelist() if name.endswith(SUFFIXES))


FILES = [(generation, name) for generation in ARCHIVES for name in members(generation)]
# HDF5 files of Keras 3 hold a vocabulary only if it was given by hand; TensorFlow did not write others.
KEPT = ("bag", "tags", "weighted_by_hand", "sequence_by_hand", "whole")
LOST = [("texts_keras3", name) for name in members("texts_keras3") if name.endswith(".hdf5") and name.split(".")[0] not in KEPT]
# What Keras on TensorFlow 1 did otherwise than any since.
OTHERWISE = [(f"cells_{old}", f"{name}.hdf5") for old in ("keras224", "keras231") for name in ("masked_cells", "smooth")]
EQUAL = [pair for pair in FILES if pair[1].split(".")[0] not in REFUSED and pair not in LOST + OTHERWISE]


@cache
def expected(generation: str) -> dict[str, Array]:
    with zipfile.ZipFile(FOLDER / f"{generation}.zip") as archive, archive.open("expected.npz") as handle, np.load(handle) as arrays:
        return {name: arrays[name] for name in arrays.files}


def unpacked(tmp_path: Path, generation: str, name: str) -> Path:
    with zipfile.ZipFile(FOLDER / f"{generation}.zip") as archive:
        for member in (name, name.rsplit(".", 1)[0] + ".json"):
            if member in archive.namelist():
                archive.extract(member, tmp_path)
    return tmp_path / name


@pytest.mark.parametrize(("generation", "name"), EQUAL, ids=lambda value: value)
def test_predictions_are_those_of_the_keras_that_saved_the_file(tmp_path: Path, generation: str, name: str) -> None:
    arrays, network = expected(generation), name.split(".")[0]
    feeds = {key.split("/")[2]: value for key, value in arrays.items() if key.startswith(f"{network}/in/")}
    wanted = [arrays[f"{network}/out/{at}"] for at in range(sum(key.startswith(f"{network}/out/") for key in arrays))]
    model = keras.load(unpacked(tmp_path, generation, name), Options()).native
    assert isinstance(model, NetworkModel)
    found = model.predict(feeds.get("", feeds))
    answers = found if isinstance(found, list) else [found]
    assert wanted
    assert len(answers) == len(wanted)
    for answer, value in zip(answers, wanted, strict=True):
        np.testing.assert_allclose(answer, value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("generation", "name"), LOST, ids=lambda value: value)
def test_a_vocabulary_that_is_not_in_the_file_is_named_with_the_cure(tmp_path: Path, generation: str, name: str) -> None:
    with pytest.raises(LoadError, match=r"Lookup|TextVectorization.*its vocabulary is not in the file.* save the model as \.keras"):
        keras.load(unpacked(tmp_path, generation, name), Options())
    report = keras.inspect(unpacked(tmp_path, generation, name), Options())
    assert report.plan == "none"
    assert "vocabulary is not in the file" in report.problem


@pytest.mark.parametrize(("generation", "name"), OTHERWISE, ids=lambda value: value)
def test_what_keras_on_tensorflow_1_did_otherwise_is_not_converted(tmp_path: Path, generation: str, name: str) -> None:
    with pytest.raises(LoadError, match=r"RNN\) behind a mask|bilinear is not converted"):
        keras.load(unpacked(tmp_path, generation, name), Options())


@pytest.mark.parametrize("generation", GENERATIONS)
def test_byte_code_is_refused_and_state_between_calls_is_named(tmp_path: Path, generation: str) -> None:
    with pytest.raises(RefusedFile, match=r"Lambda .* byte code"):
        keras.load(unpacked(tmp_path, generation, "lambda_layer.hdf5"), Options())
    with pytest.raises(LoadError, match='"stateful"'):
        keras.load(unpacked(tmp_path, generation, "stateful.hdf5"), Options())


@pytest.mark.parametrize(("generation", "version"), GENERATIONS.items())
def test_the_version_that_wrote_a_file_is_shown(tmp_path: Path, generation: str, version: str) -> None:
    report = keras.inspect(unpacked(tmp_path, generation, "reader.hdf5"), Options())
    assert (report.library_version or "").removesuffix("-tf") == version
    assert report.plan == "converted"


def test_every_generation_has_many_networks() -> None:
    for generation in GENERATIONS:
        assert len(members(generation)) >= 20
