"""What is hashed is what is loaded: the private copy of a version, and files that are swapped at the worst instant."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from modelport.bundle import copying, private, snapshot
from modelport.bundle.folder import open_bundle
from modelport.bundle.snapshot import take
from modelport.errors import LoadError, ManifestError, ModelportError, RefusedFile, UnreadableFile
from modelport.formats.base import Options

KERAS = Path(__file__).parents[1] / "artifacts" / "keras"
MANIFEST = """
format = 1
[artifact]
path = "a.pkl"
[resources]
words = "data/words.json"
[hooks]
predict = "own.py:predict"
[[inputs]]
name = "a"
type = "float64"
"""
SWAPS: dict[str, Callable[[Path], object]] = {
    "overwritten": lambda path: path.write_bytes(b"B" * path.stat().st_size),
    "renamed over": lambda path: os.replace(_other(path), path),
    "cut short": lambda path: os.truncate(path, 3),
    "growing": lambda path: path.open("ab").write(b"more"),
    "removed": lambda path: path.unlink(),
}


def _other(path: Path) -> Path:
    other = path.with_name(f"new-{path.name}")
    other.write_bytes(b"B" * path.stat().st_size)
    return other


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle whose artifact is a pickle by its first bytes, with a module, a resource and more beside it."""
    root = tmp_path / "sums"
    (root / "data").mkdir(parents=True)
    (root / "package").mkdir()
    (root / "__pycache__").mkdir()
    files = {"a.pkl": b"\x80\x04N.", "model.toml": MANIFEST.encode(), "own.py": b"def predict(model, x): ...", "more.txt": b"more"}
    files |= {
        "data/words.json": b"{}",
        "data/extra.bin": b"extra",
        "package/__init__.py": b"",
        ".secret": b"s",
        "__pycache__/own.pyc": b"x",
    }
    for name, content in files.items():
        (root / name).write_bytes(content)
    return root


@pytest.fixture
def in_the_middle(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], object]], None]:
    """Have something done right after the bytes of a file of that name were copied."""

    def arrange(name: str, act: Callable[[], object]) -> None:
        real = os.copy_file_range

        def copy(source: int, target: int, count: int) -> int:
            copied = real(source, target, count)
            if not copied and os.readlink(f"/proc/self/fd/{source}").endswith(f"/{name}"):
                act()
            return copied

        monkeypatch.setattr(copying.os, "copy_file_range", copy)

    return arrange


def test_a_bundle_is_copied_with_its_modules_and_data_and_hashed_as_copied(folder: Path) -> None:
    with take(open_bundle(folder), Options()) as taken:
        copied = {name: hashlib.sha256((folder / name.removeprefix("model/")).read_bytes()).hexdigest() for name in taken.digests}
        assert taken.digests == copied
        wanted = ["a.pkl", "data/extra.bin", "data/words.json", "model.toml", "more.txt", "own.py", "package/__init__.py"]
        assert sorted(name.removeprefix("model/") for name in taken.digests) == wanted
        found = sorted(path.relative_to(taken.bundle.root).as_posix() for path in taken.bundle.root.rglob("*") if path.is_file())
        assert found == wanted  # hidden files and byte code are no part of it
        assert (taken.bundle.manifest.name, taken.bundle.is_folder, taken.elsewhere) == ("sums", True, ())
        assert taken.sha256 == hashlib.sha256(b"\x80\x04N.").hexdigest()
        assert taken.bundle.root.is_relative_to(taken.folder.path)
    assert not taken.folder.path.exists()


@pytest.mark.parametrize("how", SWAPS)
@pytest.mark.parametrize("name", ["a.pkl", "own.py", "data/words.json"])
def test_what_happens_to_a_file_afterwards_reaches_nobody(folder: Path, name: str, how: str) -> None:
    before = (folder / name).read_bytes()
    with take(open_bundle(folder), Options()) as taken:
        SWAPS[how](folder / name)
        assert (taken.bundle.root / name).read_bytes() == before


@pytest.mark.parametrize("how", SWAPS)
@pytest.mark.parametrize("name", ["a.pkl", "own.py", "data/words.json", "model.toml"])
def test_a_file_that_changes_while_it_is_copied_is_not_loaded(folder: Path, in_the_middle: Callable, name: str, how: str) -> None:
    in_the_middle(Path(name).name, lambda: SWAPS[how](folder / name))
    with pytest.raises(UnreadableFile, match="changed while it was being copied; wait until it is written, then try again"):
        take(open_bundle(folder), Options())


@pytest.mark.parametrize("how", SWAPS)
def test_a_file_that_changes_while_another_is_copied_is_not_loaded(folder: Path, in_the_middle: Callable, how: str) -> None:
    """Else the artifact of one version could meet the resources of the next."""
    in_the_middle("words.json", lambda: SWAPS[how](folder / "a.pkl"))
    with pytest.raises(UnreadableFile, match=r"a\.pkl: changed while it was being copied"):
        take(open_bundle(folder), Options())


def test_a_manifest_that_changed_since_it_was_read_is_not_mixed_with_it(folder: Path) -> None:
    bundle = open_bundle(folder)
    (folder / "model.toml").write_text(MANIFEST + "max_length = 3\n")
    with pytest.raises(UnreadableFile, match=r"model\.toml: changed while it was being read"):
        take(bundle, Options())


def test_a_resource_that_became_a_link_to_the_outside_is_not_followed(folder: Path, tmp_path: Path) -> None:
    bundle = open_bundle(folder)
    (tmp_path / "outside.json").write_text("{}")
    (folder / "data" / "words.json").unlink()
    (folder / "data" / "words.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(ManifestError, match="lies outside of the bundle"):
        take(bundle, Options())


@pytest.mark.parametrize("path", ["../sums/a.pkl", "{root}/a.pkl"])
def test_a_path_is_written_relative_to_the_manifest(folder: Path, path: str) -> None:
    (folder / "model.toml").write_text(MANIFEST.replace("a.pkl", path.format(root=folder)))
    with pytest.raises(ManifestError, match="is not written relative to"):
        take(open_bundle(folder), Options())


def test_an_artifact_that_is_not_the_pinned_one_is_refused_with_its_own_path(folder: Path) -> None:
    (folder / "model.toml").write_text(MANIFEST.replace('"a.pkl"', f'"a.pkl"\nsha256 = "{"0" * 64}"'))
    with pytest.raises(UnreadableFile, match=f"{folder}/a.pkl: its SHA-256 is"):
        take(open_bundle(folder), Options())


def test_what_is_large_is_reached_by_a_link_and_named_but_never_what_the_manifest_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "LIMIT_FILES", 1)
    (folder / "images").mkdir()
    for at in range(3):
        (folder / "images" / f"{at}.png").write_bytes(b"png")
    with take(open_bundle(folder), Options()) as taken:
        root = taken.bundle.root
        assert sorted(taken.elsewhere) == [folder / "images", folder / "more.txt"]
        assert (root / "images" / "1.png").read_bytes() == b"png"
        assert (root / "images").is_symlink()
        assert not (root / "data" / "words.json").is_symlink()
        assert not (root / "package" / "__init__.py").is_symlink()


def test_a_log_that_is_being_written_beside_the_model_stands_in_nobodys_way(folder: Path, in_the_middle: Callable) -> None:
    in_the_middle("more.txt", lambda: (folder / "more.txt").open("a").write("x"))
    with take(open_bundle(folder), Options()) as taken:
        assert taken.elsewhere == (folder / "more.txt",)
        assert (taken.bundle.root / "more.txt").read_text() == "morex"


def test_one_that_is_written_later_neither(folder: Path, in_the_middle: Callable) -> None:
    (folder / "zz.txt").write_text("z")
    in_the_middle("zz.txt", lambda: (folder / "more.txt").unlink())
    with take(open_bundle(folder), Options()) as taken:
        assert taken.elsewhere == (folder / "more.txt",)


def test_links_within_the_folder_work_and_those_out_of_it_are_left_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "again.json").symlink_to("data/words.json")
    (folder / "same").symlink_to(folder / "data")
    os.mkfifo(folder / "pipe")
    with take(open_bundle(folder), Options()) as taken:
        root = taken.bundle.root
        assert (root / "again.json").read_bytes() == b"{}" == (root / "same" / "words.json").read_bytes()
        assert (root / "same").resolve().is_relative_to(root)
        assert not os.path.lexists(root / "out")
        assert not os.path.lexists(root / "pipe")


def test_a_named_folder_is_copied_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "LIMIT_FILES", 0)
    (folder / "model.toml").write_text(MANIFEST.replace("data/words.json", "data/"))
    with take(open_bundle(folder), Options()) as taken:
        assert (taken.bundle.root / "data" / "extra.bin").read_bytes() == b"extra"
        assert not (taken.bundle.root / "data" / "extra.bin").is_symlink()


def test_of_a_bare_files_folder_only_the_file_is_copied(folder: Path) -> None:
    with take(open_bundle(folder / "a.pkl"), Options()) as taken:
        assert list(taken.digests) == ["model/a.pkl"]
        assert taken.bundle.manifest.name == "a"


def test_a_file_of_weights_brings_the_json_files_beside_it_and_a_whole_model_none(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    shutil.copy(KERAS / "weights_only.weights.h5", tmp_path / "w.h5")
    shutil.copy(KERAS / "weights_only.json", tmp_path / "net.json")
    shutil.copy(KERAS / "dense.hdf5", tmp_path / "whole.hdf5")
    shutil.copy(KERAS / "dense.keras", tmp_path / "whole.keras")
    for name, wanted in {"w.h5": ["net.json", "w.h5"], "whole.hdf5": ["whole.hdf5"], "whole.keras": ["whole.keras"]}.items():
        with take(open_bundle(tmp_path / name), Options()) as taken:
            assert sorted(key.removeprefix("model/") for key in taken.digests) == wanted
    with take(open_bundle(tmp_path / "whole.hdf5"), Options(architecture=tmp_path / "net.json")) as taken:
        assert taken.options.architecture is not None
        assert taken.options.architecture.read_bytes() == (tmp_path / "net.json").read_bytes()
        assert "architecture/net.json" in taken.digests


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """An ONNX model that keeps its one tensor in ``w.bin`` beside it: y = x * 3."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    weight = helper.make_tensor("w", onnx.TensorProto.FLOAT, [1], np.array([3], np.float32).tobytes(), raw=True)
    onnx.external_data_helper.set_external_data(weight, "w.bin")
    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", ports[:1], ports[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="w.bin", size_threshold=0)
    return tmp_path / "m.onnx"


def test_data_beside_an_onnx_model_is_copied_with_it_and_is_the_old_data_ever_after(outside: Path) -> None:
    from modelport.bundle.model import load_model

    (outside.parent / "unrelated.json").write_text("{}")
    with take(open_bundle(outside), Options()) as taken:
        assert sorted(taken.digests) == ["model/m.onnx", "model/w.bin"]
        (outside.parent / "w.bin").write_bytes(np.array([9], np.float32).tobytes())
        model = load_model(taken.bundle, taken.options)
        assert model.predict(model.warm_up[1], None)["prediction"].tolist() == [[3.0]]


@pytest.mark.parametrize("how", SWAPS)
def test_data_that_changes_while_the_model_is_copied_is_not_loaded(outside: Path, in_the_middle: Callable, how: str) -> None:
    in_the_middle("w.bin", lambda: SWAPS[how](outside.parent / "w.bin"))
    with pytest.raises(UnreadableFile, match=r"w\.bin: changed while it was being copied"):
        take(open_bundle(outside), Options())


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("is_bundle", [False, True])
def test_data_of_an_onnx_model_that_is_a_link_is_not_copied(outside: Path, link: Callable, is_bundle: bool) -> None:
    (outside.parent / "secret").write_bytes((outside.parent / "w.bin").read_bytes())
    (outside.parent / "w.bin").unlink()
    link(outside.parent / "secret", outside.parent / "w.bin")
    if is_bundle:
        (outside.parent / "model.toml").write_text('format = 1\n[artifact]\npath = "m.onnx"\n')
    with pytest.raises(RefusedFile, match=r'the data file "w\.bin"'):
        take(open_bundle(outside.parent if is_bundle else outside), Options())


def test_data_of_an_onnx_model_elsewhere_is_refused(outside: Path) -> None:
    data = outside.read_bytes()
    outside.write_bytes(data.replace(b"w.bin", b"/.bin"))
    with pytest.raises(RefusedFile, match=r"m\.onnx: the tensor .* lies in '/\.bin', expected the plain name"):
        take(open_bundle(outside), Options())


def test_code_is_copied_too_a_folder_whole_and_of_a_files_folder_what_it_may_import(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "tools").mkdir(parents=True)
    (home / "photos").mkdir()
    for name in ("tok.py", "near.py", "letter.txt", "tools/__init__.py", "tools/words.txt", "photos/a.jpg"):
        (home / name).write_text(name)
    with take(open_bundle(folder / "a.pkl"), Options(code=(home / "tok.py", home / "tools"))) as taken:
        file, whole = taken.options.code
        assert file.read_text() == "tok.py"
        assert sorted(path.name for path in file.parent.rglob("*")) == ["__init__.py", "near.py", "tok.py", "tools", "words.txt"]
        assert sorted(path.name for path in whole.iterdir()) == ["__init__.py", "words.txt"]
        assert {"code0/tok.py", "code1/words.txt"} <= set(taken.digests)


@pytest.mark.parametrize("number", [None, errno.EXDEV])
def test_it_is_copied_by_hand_where_the_kernel_does_not(folder: Path, monkeypatch: pytest.MonkeyPatch, number: int | None) -> None:
    def refuse(*_: object) -> int:
        raise AttributeError if number is None else OSError(number, os.strerror(number))

    (folder / "a.pkl").write_bytes(b"\x80\x04" + bytes(3 << 20) + b".")
    monkeypatch.setattr(copying.os, "copy_file_range", refuse)
    with take(open_bundle(folder), Options()) as taken:
        assert taken.sha256 == hashlib.sha256((folder / "a.pkl").read_bytes()).hexdigest()


def test_a_disk_that_fails_is_not_taken_for_a_full_one(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(copying.os, "copy_file_range", fail)
    with pytest.raises(OSError, match="Input/output error"):
        take(open_bundle(folder), Options())
    assert list(tmp_path.glob("modelport-*")) == []


def test_where_there_is_no_room_the_next_place_is_tried_and_then_it_is_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / "full", tmp_path / "free"]
    for place in places:
        place.mkdir()
    real = os.copy_file_range

    def copy(source: int, target: int, count: int) -> int:
        if "/full/" in os.readlink(f"/proc/self/fd/{target}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(source, target, count)

    monkeypatch.setattr(copying.os, "copy_file_range", copy)
    monkeypatch.setattr(private, "parents", lambda: places)
    with take(open_bundle(folder), Options()) as taken:
        assert taken.folder.path.parent == places[1]
    monkeypatch.setattr(private, "parents", lambda: [places[0], tmp_path / "gone"])
    with pytest.raises(LoadError, match=r"there is no room for its 1 MB in .*full or .*gone; free some, or set TMPDIR"):
        take(open_bundle(folder), Options())
    assert list(places[0].iterdir()) == []


def test_a_large_copy_does_not_lie_in_memory_if_there_is_a_choice(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or os.stat(memory).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is no file system of memory besides the one for temporary files")
    monkeypatch.setattr(private, "parents", lambda: [memory, tmp_path])
    with take(open_bundle(folder), Options()) as taken:
        assert taken.folder.path.parent == memory
    monkeypatch.setattr(snapshot, "_SMALL_BYTES", 1)
    with take(open_bundle(folder), Options()) as taken:
        assert taken.folder.path.parent == tmp_path


def test_what_is_no_model_is_said_before_anything_is_started(folder: Path) -> None:
    (folder / "a.pkl").write_bytes(b"<html>")
    with pytest.raises(ModelportError, match=r"a\.pkl: is a web page, not a model"):
        take(open_bundle(folder), Options())


def test_what_cannot_be_opened_or_is_no_file_is_named(folder: Path) -> None:
    bundle = open_bundle(folder / "a.pkl")
    (folder / "a.pkl").unlink()
    with pytest.raises(UnreadableFile, match=r"a\.pkl: cannot be opened \(No such file"):
        take(bundle, Options())
    os.mkfifo(folder / "a.pkl")
    with pytest.raises(UnreadableFile, match=r"a\.pkl: is no regular file"):
        take(bundle, Options())
