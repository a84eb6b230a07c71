"""What kind of file it is follows from its content; a name that says otherwise is an error."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from modelport import formats
from modelport.errors import LoadError, MissingExtra, ModelportError, RefusedFile, UnreadableFile
from modelport.formats.base import Options

HDF5 = b"\x89HDF\r\n\x1a\n"
# ir_version 8, producer "x", a graph of two bytes, an operator set: the outline of every ONNX file
ONNX = b"\x08\x08" + b"\x12\x01x" + b"\x3a\x02\x0a\x00" + b"\x42\x02\x10\x12"


def _zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        *((pickle.dumps({"a": 1}, protocol), "pickle") for protocol in range(6)),
        (gzip.compress(pickle.dumps([1]), mtime=0), "pickle"),
        (gzip.compress(pickle.dumps([1], 0), mtime=0), "pickle"),
        (HDF5 + bytes(100), "keras"),
        (bytes(512) + HDF5 + bytes(100), "keras"),
        (_zip("metadata.json", "config.json", "model.weights.h5"), "keras"),
        (_zip("schema.json", "1.npy"), "skops"),
        (ONNX, "onnx"),
        (b'{"learner": {}}', "xgboost"),
        (b'{\n  "version": [3, 2, 0],\n  "learner": {}}', "xgboost"),
        (b"{L" + (7).to_bytes(8, "big") + b"learner{", "xgboost"),
        (b"tree\nversion=v4\n", "lightgbm"),
        (b"tree\r\nversion=v4\r\n", "lightgbm"),
    ],
)
def test_content_decides_the_format(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    assert formats.identify(path).name == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.example/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"\x80\x07abc", "protocol 7"),
        (b"hello, world", "no format"),
        (b'{"a": {}}', "no format"),
        (b"binf" + bytes(200), "old binary format"),
        (bytes(136) + (15).to_bytes(8, "little") + b"binary:logistic" + bytes(40), "old binary format"),
        (b"(hello, world", "no format"),
        (b"\x93NUMPY\x01\x00", "numpy array"),
        (b"ZF0x1a            ", "before 0.10"),
        (_zip("archive/data.pkl", "archive/version"), "PyTorch"),
        (_zip("a.npy"), "npz"),
        (_zip("readme.txt"), "zip archive"),
        (b"PK\x03\x04 and nothing else", "cannot be listed"),
        (b"\x1f\x8b and nothing else", "damaged"),
        (ONNX[:-1], "no format"),
        (ONNX + b"\x0a\x01x", "no format"),
        (b"\x08\x08", "no format"),
    ],
)
def test_anything_else_is_named_for_what_it_is(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=words) as caught:
        formats.identify(path)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "content", "claimed"),
    [("m.pkl", HDF5 + bytes(9), "pickle"), ("m.h5", b"\x80\x04N.", "keras"), ("m.ONNX", b"\x80\x04N.", "onnx")],
)
def test_a_suffix_that_disagrees_is_an_error_that_names_both(name: str, content: bytes, claimed: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableFile) as caught:
        formats.identify(path)
    found = "keras" if claimed == "pickle" else "pickle"
    assert claimed in caught.value.message
    assert found in caught.value.message


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_zip_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(_zip("config.json", "config.json"))
    with pytest.raises(RefusedFile, match="same name"):
        formats.identify(path)


def test_what_is_no_file_is_said_to_be_none(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, words in ((tmp_path, "folder"), (pipe, "no regular file"), (tmp_path / "absent", "cannot be opened")):
        with pytest.raises(UnreadableFile, match=words):
            formats.identify(path)


def test_inspect_and_load_choose_the_module_by_content(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(pickle.dumps({"a": 1}))
    report = formats.inspect(path, Options())
    assert (report.format, report.size_bytes, len(report.sha256)) == ("pickle", path.stat().st_size, 64)
    with pytest.raises(LoadError, match="an estimator with predict or transform was expected"):
        formats.load(path, Options())


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(ONNX)
    chosen = formats.identify(path)
    module = tmp_path / "needs_absent.py"
    module.write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(formats, "FORMATS", (formats.Format(chosen.name, (), "needs_absent", "onnx", "data"),))
    with pytest.raises(MissingExtra, match=r"modelport\[onnx\]"):
        formats.inspect(path, Options())


def test_identifying_a_pickle_imports_no_framework(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps([1]))
    steps = (
        "import sys, json, pathlib",
        "from modelport import formats",
        f"formats.inspect(pathlib.Path({str(path)!r}), formats.Options())",
        "print(json.dumps(sorted(sys.modules)))",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(steps)], capture_output=True, text=True, check=True)
    assert not {"sklearn", "joblib", "pandas", "h5py", "onnxruntime", "scipy"} & set(json.loads(done.stdout))


def test_every_error_ends_the_command_with_its_documented_code() -> None:
    assert [error.exit_code for error in (UnreadableFile, RefusedFile, MissingExtra)] == [2, 3, 2]
    assert issubclass(UnreadableFile, ModelportError)
