"""Keras networks that take texts, from the file to the answer: the schema, the rows, and the vocabularies inside archives."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from modelport.columns import Array, Columns
from modelport.errors import ModelError, UnreadableFile
from modelport.formats import keras
from modelport.formats.base import Options
from modelport.formats.keras_native import NetworkModel
from modelport.formats.runtime import GraphPredictor
from modelport.schema import Field

ARCHIVE = Path(__file__).parents[1] / "artifacts" / "keras" / "texts_keras3.zip"


def unpacked(tmp_path: Path, name: str) -> Path:
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extract(name, tmp_path)
    return tmp_path / name


def recorded(name: str, key: str) -> Array:
    with zipfile.ZipFile(ARCHIVE) as archive, archive.open("expected.npz") as handle, np.load(handle) as arrays:
        return np.asarray(arrays[f"{name}/{key}"])


def load(path: Path) -> GraphPredictor:
    predictor = keras.load(path, Options())
    assert isinstance(predictor, GraphPredictor)
    return predictor


def texts(values: Array) -> Array:
    return np.asarray(values.reshape(-1).tolist(), object)


def test_a_text_is_one_string_a_row(tmp_path: Path) -> None:
    path = unpacked(tmp_path, "reviews.keras")
    report, predictor = keras.inspect(path, Options()), load(path)
    assert report.plan == "converted"
    assert report.schema == predictor.schema
    assert predictor.schema.inputs == (Field("text", "string"),)
    answer = predictor.predict(Columns({"text": texts(recorded("reviews", "in/"))}), None)["prediction"]
    np.testing.assert_allclose(answer, recorded("reviews", "out/0"), atol=1e-6)
    assert predictor.predict(Columns({"text": np.empty(0, object)}), None)["prediction"].shape == (0, 3)


def test_several_words_a_row_and_numbers_beside_them(tmp_path: Path) -> None:
    predictor = load(unpacked(tmp_path, "tags.keras"))
    assert predictor.schema.inputs == (
        Field("tags", "string", (3,), categories=("red", "green", "blue")),
        Field("numbers", "int64", (3,), categories=(4, 2)),
    )
    feed = {"tags": recorded("tags", "in/tags").astype(object), "numbers": recorded("tags", "in/numbers")}
    np.testing.assert_allclose(predictor.predict(Columns(feed), None)["prediction"], recorded("tags", "out/0"), atol=1e-6)


def test_rows_whose_length_depends_on_their_company_are_kept_with_it(tmp_path: Path) -> None:
    """As Keras's predict has it: texts are filled up to the longest of 32."""
    predictor = load(unpacked(tmp_path, "unpadded.keras"))
    assert not predictor.is_row_wise
    asked = texts(recorded("unpadded", "in/"))
    assert len(asked) > 32
    together = predictor.predict(Columns({"text": asked}), None)["prediction"]
    np.testing.assert_allclose(together, recorded("unpadded", "out/0"), atol=1e-6)
    alone = predictor.predict(Columns({"text": asked[:1]}), None)["prediction"]
    assert np.abs(alone - together[:1]).max() > 1e-3
    assert load(unpacked(tmp_path, "reviews.keras")).is_row_wise


def test_hooks_may_give_bytes_and_are_told_what_is_no_text(tmp_path: Path) -> None:
    model = load(unpacked(tmp_path, "bag.keras")).native
    assert isinstance(model, NetworkModel)
    np.testing.assert_array_equal(model.predict([b"good film", b"was"]), model.predict(["good film", "was"]))
    with pytest.raises(ModelError, match='"text" holds 3, the network takes texts'):
        model.predict([3])


def rewritten(tmp_path: Path, words: bytes, name: str = "reviews.keras", layer: str = "text_vectorization") -> Path:
    """Return a copy of a good file with another vocabulary."""
    path = tmp_path / f"changed_{name}"
    with zipfile.ZipFile(unpacked(tmp_path, name)) as good, zipfile.ZipFile(path, "w") as out:
        for member in good.namelist():
            out.writestr(member, words if member == f"assets/layers/{layer}/vocabulary.txt" else good.read(member))
    return path


def test_lines_end_alike_everywhere(tmp_path: Path) -> None:
    path = rewritten(tmp_path, b"\r\n[UNK]\r\nwas\r\nthe\r\ngood\r\n")
    assert load(path).predict(Columns({"text": np.asarray(["was"], object)}), None).rows == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("\n[UNK]\nwas\u2028the\ngood".encode(), "holds the end of a line"),
        (b"\n[UNK]\nwas\nwas", "all different"),
        (b"\n[UNK]\n\xff\xfe", "cannot be read"),
        (b"", "all different"),
    ],
)
def test_a_vocabulary_that_keras_cannot_have_written_is_refused(tmp_path: Path, words: bytes, message: str) -> None:
    with pytest.raises(UnreadableFile, match=message):
        load(rewritten(tmp_path, words))


def test_a_vocabulary_of_numbers_holds_numbers(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="cannot be read"):
        load(rewritten(tmp_path, b"-1\nfive\n", "shop.keras", "integer_lookup_1"))


@pytest.mark.slow
def test_a_text_is_answered_from_the_file_alone(tmp_path: Path) -> None:
    """As a person asks it: a file, a list of texts."""
    path, asked = unpacked(tmp_path, "reviews.keras"), recorded("reviews", "in/")[:3]
    command = [sys.executable, "-m", "modelport", "predict", str(path), "--json", "-"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, input=json.dumps(asked.reshape(-1).tolist()), timeout=120)
    found = [row["prediction"] for row in json.loads(done.stdout)]
    np.testing.assert_allclose(found, recorded("reviews", "out/0")[:3], atol=1e-6)


def test_words_that_a_layer_has_no_place_for_are_not_taken(tmp_path: Path) -> None:
    """So that the warm-up asks for a word that there is."""
    path = tmp_path / "closed.keras"
    with zipfile.ZipFile(unpacked(tmp_path, "tags.keras")) as good, zipfile.ZipFile(path, "w") as out:
        for member in good.namelist():
            text = good.read(member)
            if member == "config.json":
                config = json.loads(text)
                layers = config["config"]["layers"]
                lookup = next(item for item in layers if item["class_name"] == "StringLookup")
                lookup["config"] |= {"num_oov_indices": 0, "mask_token": None, "output_mode": "int"}
                words = next(item for item in layers if item["name"] == "tags")
                words["config"]["batch_shape"] = [None, 1]
                config = {"class_name": "Functional", "config": {**config["config"], "layers": [words, lookup]}}
                config["config"] |= {"input_layers": [["tags", 0, 0]], "output_layers": [[lookup["name"], 0, 0]]}
                text = json.dumps(config).encode()
            out.writestr(member, text)
    predictor = load(path)
    assert predictor.schema.inputs == (Field("tags", "string", categories=("red", "green", "blue"), closed=True),)
    answer = predictor.predict(predictor.schema.sample(2), None)["prediction"]
    np.testing.assert_array_equal(answer, [[0], [0]])
