"""Real TensorFlow answers what is not converted, as on the day it was saved, in an environment of its own that CI makes."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from modelport.columns import Array

HERE = Path(__file__).parent
SRC = HERE.parents[1] / "src"
FOLDER = HERE.parent / "artifacts" / "keras"
PYTHON = os.environ.get("MODELPORT_TENSORFLOW_PYTHON", "")
LIBRARIES = {"tf244": "tf_keras", "tf284": "tf_keras", "tf2121": "tf_keras", "tf2151": "tf_keras", "keras3": "keras"}
# Attention of TensorFlow 2.4 does not say its shapes, and tf_keras does not know what Keras 3 called an operation in HDF5.
CONVERTED, NOT_OPENED = "masked_heads", [("tf244", "both_axes.hdf5"), ("keras3", "calculated.hdf5")]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="set MODELPORT_TENSORFLOW_PYTHON to a Python with modelport, tensorflow and tf_keras"),
]


def members(generation: str) -> list[str]:
    with zipfile.ZipFile(FOLDER / f"rest_{generation}.zip") as archive:
        return sorted(name for name in archive.namelist() if name.endswith((".hdf5", ".keras")))


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KERAS", "TF_", "JAX"))}
    return kept | {"HOME": str(home), "PYTHONPATH": str(SRC), "CUDA_VISIBLE_DEVICES": ""} | more


def load_all(path: Path) -> dict[str, Array]:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.parametrize("generation", LIBRARIES)
def test_keras_answers_what_it_answered_on_the_day_the_files_were_saved(tmp_path: Path, generation: str) -> None:
    """Or says in a sentence that it does not open one. One process for all files of a generation: starting it takes seconds."""
    with zipfile.ZipFile(FOLDER / f"rest_{generation}.zip") as archive:
        archive.extractall(tmp_path)
    files = [str(tmp_path / name) for name in members(generation)]
    command = [PYTHON, str(HERE / "answer_with_keras.py"), str(tmp_path / "expected.npz"), str(tmp_path / "answers.npz"), *files]
    subprocess.run(command, check=True, env=environment(tmp_path), timeout=600, stderr=subprocess.DEVNULL)
    assert not (tmp_path / ".keras").exists()  # Keras writes its settings to the home folder where nobody stops it
    found, recorded = load_all(tmp_path / "answers.npz"), load_all(tmp_path / "expected.npz")
    for name in members(generation):
        network = name.split(".")[0]
        if (generation, name) in NOT_OPENED or (generation == "tf2121" and name.endswith(".keras") and network != CONVERTED):
            message = str(found[f"{name}/error"])
            assert " is not converted, and " in message
            assert "\n" not in message
            continue
        assert str(found.get(f"{name}/error", "")) == ""
        assert str(found[f"{name}/form"]) == ("onnx" if network == CONVERTED else LIBRARIES[generation])
        wanted = [value for key, value in recorded.items() if key.startswith(f"{network}/out/")]
        assert wanted
        for at, value in enumerate(wanted):
            np.testing.assert_allclose(found[f"{name}/out/{at}"], value, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A folder with one file for each library, and a home that nobody has written to."""
    for generation, name in (("keras3", "crossed.keras"), ("tf2151", "bent.hdf5")):
        with zipfile.ZipFile(FOLDER / f"rest_{generation}.zip") as archive:
            archive.extract(name, tmp_path)
    (tmp_path / "home").mkdir()
    return tmp_path


def run(folder: Path, *arguments: str, data: object = None) -> object:
    command = [PYTHON, "-m", "modelport", *arguments]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, input=json.dumps(data), env=environment(folder / "home"), timeout=300
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "plan", "data", "rows"),
    [
        ("crossed.keras", "keras", {"colour": ["red", "été"], "size": ["", "red"]}, 2),
        ("bent.hdf5", "tf_keras", [np.ones((5, 3)).tolist()], 1),
    ],
)
def test_keras_works_inside_the_sandbox_and_leaves_nothing_behind(served: Path, name: str, plan: str, data: object, rows: int) -> None:
    report = run(served, "inspect", str(served / name), "--json")
    assert isinstance(report, dict)
    assert report["plan"] == plan
    answer = run(served, "predict", str(served / name), "--sandbox", "require", "--json", "-", data=data)
    assert isinstance(answer, list)
    assert len(answer) == rows
    assert np.isfinite(answer[0]["prediction"]).all()
    assert not (served / "home" / ".keras").exists()
