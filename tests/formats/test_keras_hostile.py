"""Hostile and damaged Keras files: nothing outside the file is touched, and every one is called what it is in one sentence."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from modelport.errors import RefusedFile, UnreadableFile
from modelport.formats import keras
from modelport.formats.base import Options
from modelport.formats.keras_audit import audit
from modelport.formats.keras_real import obstacle

FOLDER = Path(__file__).parents[1] / "artifacts" / "keras"
Config = dict[str, object]


def hdf5(tmp_path: Path, change: Callable[[h5py.File], None], name: str = "sentiment.hdf5") -> Path:
    """Return a copy of a good file with a change made to it."""
    path = tmp_path / "changed.hdf5"
    path.write_bytes((FOLDER / name).read_bytes())
    with h5py.File(path, "a") as file:
        change(file)
    return path


def archive(tmp_path: Path, change: dict[str, bytes] | None = None, extra: list[tuple[str, bytes]] | None = None) -> Path:
    """Return a copy of a good archive with members replaced, or added whatever their name."""
    path = tmp_path / "changed.keras"
    with zipfile.ZipFile(FOLDER / "sentiment.keras") as good, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name in good.namelist():
            out.writestr(name, (change or {}).get(name, good.read(name)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile warns of a second member of one name
            for name, data in extra or []:
                out.writestr(name, data)
    return path


def assert_refused(path: Path, message: str) -> None:
    """Loading refuses, inspecting says the same."""
    with pytest.raises(RefusedFile, match=message):
        keras.load(path, Options())
    report = keras.inspect(path, Options())
    assert (report.verdict, report.plan) == ("refused", "none")
    assert report.problem
    assert report.cure


def assert_unreadable(path: Path, message: str) -> None:
    for function in (keras.load, keras.inspect):
        with pytest.raises(UnreadableFile, match=message):
            function(path, Options())


def test_an_external_link_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["kernel"] = np.zeros((6, 4), "float32")

    def change(file: h5py.File) -> None:
        group = file["model_weights/dense_1"]
        del group[group.attrs["weight_names"][0]]
        group[group.attrs["weight_names"][0]] = h5py.ExternalLink(str(secret), "/kernel")

    assert_refused(hdf5(tmp_path, change), "is a link to somewhere else")


def test_a_soft_link_is_refused(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file["model_weights/again"] = h5py.SoftLink("/model_weights")

    assert_refused(hdf5(tmp_path, change), "is a link to somewhere else")


def test_a_group_within_itself_is_refused(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file["model_weights/again"] = file["model_weights"]

    assert_refused(hdf5(tmp_path, change), "is stored under two names")


def test_external_storage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(bytes(96))

    def change(file: h5py.File) -> None:
        file.create_dataset("model_weights/raw", (24,), "f4", external=[(str(tmp_path / "raw"), 0, 96)])

    assert_refused(hdf5(tmp_path, change), "lies in another file")


def test_a_virtual_dataset_is_refused(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (4,))
        file.create_virtual_dataset("model_weights/virtual", layout)

    assert_refused(hdf5(tmp_path, change), "put together from other files")


def test_a_dataset_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file.create_dataset("model_weights/huge", (1 << 40,), "f4", chunks=(1 << 20,))

    assert_refused(hdf5(tmp_path, change), "far more than its size allows")


def test_doubled_members_are_refused(tmp_path: Path) -> None:
    assert_refused(archive(tmp_path, extra=[("config.json", b"{}")]), "two members of the archive have the same name")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    assert_refused(archive(tmp_path, extra=[("assets/zeros", bytes(64 << 20))]), "far more than weights do")


def test_a_member_that_points_out_of_the_archive_is_refused(tmp_path: Path) -> None:
    assert_refused(archive(tmp_path, extra=[("../escape", b"x")]), "points out of the archive")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["sentiment.hdf5", "sentiment.keras"])
def test_a_file_cut_short_is_unreadable(tmp_path: Path, name: str, share: float) -> None:
    data = (FOLDER / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: 9 + int(len(data) * share)])
    assert_unreadable(path, "damaged|cut short")


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    assert_unreadable(tmp_path / "nothing.hdf5", "cannot be opened")


def test_an_hdf5_file_of_something_else_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "table.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(3)
    assert_unreadable(path, "not one of Keras")


def test_attributes_of_the_wrong_type_are_unreadable(tmp_path: Path) -> None:
    def number(file: h5py.File) -> None:
        file.attrs["model_config"] = 5

    assert_unreadable(hdf5(tmp_path, number), 'attribute "model_config" is')

    def names(file: h5py.File) -> None:
        file["model_weights"].attrs["layer_names"] = [1, 2]

    assert_unreadable(hdf5(tmp_path, names), 'attribute "layer_names" is')


def test_weights_of_another_shape_type_or_number_are_unreadable(tmp_path: Path) -> None:
    def replace(data: object) -> Callable[[h5py.File], None]:
        def change(file: h5py.File) -> None:
            group = file["model_weights/dense"]
            name = next(label for label in group.attrs["weight_names"] if label.endswith("kernel"))
            del group[name]
            if data is not None:
                group[name] = data

        return change

    assert_unreadable(hdf5(tmp_path, replace(np.zeros((3, 6), "f4"))), r'weight "kernel" has shape \(3, 6\), expected \(10, 6\)')
    assert_unreadable(hdf5(tmp_path, replace("text")), "not an array of numbers")
    assert_unreadable(hdf5(tmp_path, replace(None)), "is missing")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "other", 'layer "other" has no weights in the file'),
        ("use_bias", False, 'layer "dense" has 2 weights in the file, expected 1'),
    ],
)
def test_layers_and_weights_that_do_not_belong_together_are_unreadable(tmp_path: Path, key: str, value: object, message: str) -> None:
    def change(file: h5py.File) -> None:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][3]["config"][key] = value
        file.attrs["model_config"] = json.dumps(config)

    assert_unreadable(hdf5(tmp_path, change), message)


def test_data_that_needs_a_filter_library_is_refused(tmp_path: Path) -> None:
    """HDF5 would look for a shared library that knows the filter's number."""

    def change(file: h5py.File) -> None:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((4,))
        plan.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (1,))
        h5py.h5d.create(file["model_weights"].id, b"packed", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4,)), plan)

    path = hdf5(tmp_path, change)
    assert keras.inspect(path, Options()).verdict == "loadable"
    message = b"deflate\x00"  # the filter's name in the object header, its number four fields before
    data = bytearray(path.read_bytes())
    at = data.index(message) - 8
    assert data[at : at + 2] == b"\x01\x00"
    data[at : at + 2] = (307).to_bytes(2, "little")
    path.write_bytes(data)
    assert_refused(path, "needs a filter library")


def test_long_lists_of_names_are_read_from_their_numbered_parts(tmp_path: Path) -> None:
    """HDF5 holds 64 kB an attribute; Keras cuts longer lists into name0, name1 …"""

    def change(file: h5py.File) -> None:
        root = file["model_weights"]
        names = [name.encode() for name in root.attrs["layer_names"]]
        del root.attrs["layer_names"]
        root.attrs["layer_names0"], root.attrs["layer_names1"] = names[:2], names[2:]

    assert keras.inspect(hdf5(tmp_path, change), Options()).plan == "converted"


def test_a_missing_list_of_names_is_unreadable(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        del file["model_weights"].attrs["layer_names"]

    assert_unreadable(hdf5(tmp_path, change), 'attribute "layer_names" is missing')


@pytest.mark.parametrize(
    "change",
    [
        {"class_name": "Dense", "module": "os"},
        {"class_name": "Dense", "module": "keras.src.saving"},
        {"class_name": "Dense", "registered_name": "mine>Dense"},
        {"class_name": "TorchModuleWrapper", "module": "keras.layers"},
        {"class_name": "function", "module": "builtins", "config": "os.system"},
        {"class_name": "LSTM", "config": {"stateful": True}},
    ],
)
def test_keras_itself_is_given_its_own_plain_classes_only(change: dict[str, object]) -> None:
    assert obstacle({"class_name": "Sequential", "module": "keras", "registered_name": None, "config": {"layers": [change]}})


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.keras")), ids=lambda path: path.stem)
def test_what_keras_writes_itself_has_no_obstacle(path: Path) -> None:
    with zipfile.ZipFile(path) as good:
        assert obstacle(json.loads(good.read("config.json"))) == ""


def test_a_list_of_words_is_no_path_and_a_path_to_one_is_refused() -> None:
    audit({"class_name": "StringLookup", "config": {"name": "s", "vocabulary": ["/", "~", "a://b", "../c"]}})
    with pytest.raises(RefusedFile, match='the field "vocabulary"'):
        audit({"class_name": "StringLookup", "config": {"name": "s", "vocabulary": "words.txt"}})
