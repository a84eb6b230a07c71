"""What counts as a version that has survived its trial, and what makes it another one."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from modelport.bundle import copying
from modelport.bundle.folder import open_bundle
from modelport.bundle.snapshot import take
from modelport.config import Settings
from modelport.server import proven
from modelport.server.workers import options

MANIFEST = """
format = 1
[hooks]
load = "own.py:load"
[resources]
words = "words.json"
[[inputs]]
name = "a"
type = "float64"
"""


def key(path: Path, settings: Settings) -> str:
    with take(open_bundle(path), options(settings)) as snapshot:
        return proven.key_of(snapshot, settings)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "bundle"
    root.mkdir()
    for name, text in (("model.toml", MANIFEST), ("own.py", "def load(folder): ..."), ("words.json", "{}"), ("other.py", "")):
        (root / name).write_text(text)
    return root


def test_a_version_is_proven_once_it_was_marked_in_a_folder_of_this_user_alone(folder: Path, cache: Path) -> None:
    first = key(folder, Settings())
    assert first and not proven.is_proven(first)
    proven.mark(first)
    assert proven.is_proven(first)
    assert stat.S_IMODE((cache / "modelport" / "proven").stat().st_mode) == 0o700
    assert key(folder, Settings(port=1, timeout=2.0, workers="3")) == first


@pytest.mark.parametrize("name", ["model.toml", "own.py", "words.json", "other.py"])
def test_a_changed_file_makes_another_version(folder: Path, name: str) -> None:
    """A module that a hook may import counts like the hook's own file."""
    first = key(folder, Settings())
    with (folder / name).open("a") as file:
        file.write("\n")
    assert key(folder, Settings()) not in ("", first)


@pytest.mark.parametrize("setting", [{"sandbox": "off"}, {"trust": ("a.B",)}])
def test_a_setting_about_loading_makes_another_version(folder: Path, setting: dict) -> None:
    assert key(folder, replace(Settings(), **setting)) not in ("", key(folder, Settings()))


@pytest.mark.parametrize("setting", [{"no_cache": True}, {"env": "auto"}])
def test_what_cannot_be_pinned_down_is_tried_every_time(folder: Path, setting: dict) -> None:
    assert key(folder, replace(Settings(), **setting)) == ""
    proven.mark("")
    assert not proven.is_proven("")


def test_so_is_what_reads_files_outside_or_too_large_to_copy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "model.toml").write_text(MANIFEST + '[sandbox]\nread = ["~/data"]\n')
    assert key(folder, Settings()) == ""
    (folder / "model.toml").write_text(MANIFEST)
    assert key(folder, Settings()) != ""
    (folder / "data.bin").write_bytes(b"data")
    monkeypatch.setattr(copying, "LIMIT_FILES", 0)
    assert key(folder, Settings()) == ""


def test_a_bare_file_counts_by_its_bytes_and_so_does_the_code_it_is_given(tmp_path: Path) -> None:
    pickle, code = tmp_path / "a.pkl", tmp_path / "own.py"
    pickle.write_bytes(b"\x80\x04N.")
    code.write_text("")
    first, with_code = key(pickle, Settings()), key(pickle, Settings(code=(str(code),)))
    code.write_text("1")
    changed = key(pickle, Settings(code=(str(code),)))
    pickle.write_bytes(b"\x80\x04K\x01.")
    assert len({"", first, with_code, changed, key(pickle, Settings())}) == 5


def test_where_nothing_can_be_written_nothing_is_remembered(folder: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    proven.mark(key(folder, Settings()))
    assert not proven.is_proven(key(folder, Settings()))
    assert os.listdir(cache.parent)


def test_another_version_of_a_library_is_another_version_of_the_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [key(folder, Settings())]
    for name in ("scikit_learn-99.1.dist-info", "scikit_learn-99.2.dist-info", "onnxruntime-99.1.egg-info"):
        place = tmp_path / name
        (place / name).mkdir(parents=True)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(place))
            keys.append(key(folder, Settings()))
            assert keys[-1] == key(folder, Settings())
    assert len(set(keys)) == len(keys)
    with monkeypatch.context() as patch:  # nothing is found in what is no folder, and what is not asked for changes nothing
        patch.setattr("sys.path", [*sys.path, str(tmp_path / "no.zip")])
        assert key(folder, Settings()) == keys[0]
