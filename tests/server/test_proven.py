"""What counts as a version that has survived its trial, and what makes it another one."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from modelport.bundle.folder import open_bundle
from modelport.config import Settings
from modelport.server import proven

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
    key = proven.key_of(open_bundle(folder), Settings())
    assert key and not proven.is_proven(key)
    proven.mark(key)
    assert proven.is_proven(key)
    assert stat.S_IMODE((cache / "modelport" / "proven").stat().st_mode) == 0o700
    assert proven.key_of(open_bundle(folder), Settings(port=1, timeout=2.0, workers="3")) == key


@pytest.mark.parametrize("name", ["model.toml", "own.py", "words.json", "other.py"])
def test_a_changed_file_makes_another_version(folder: Path, name: str) -> None:
    """A module that a hook may import counts like the hook's own file."""
    key = proven.key_of(open_bundle(folder), Settings())
    with (folder / name).open("a") as file:
        file.write("\n")
    assert proven.key_of(open_bundle(folder), Settings()) not in ("", key)


@pytest.mark.parametrize("setting", [{"sandbox": "off"}, {"trust": ("a.B",)}])
def test_a_setting_about_loading_makes_another_version(folder: Path, setting: dict) -> None:
    assert proven.key_of(open_bundle(folder), replace(Settings(), **setting)) not in ("", proven.key_of(open_bundle(folder), Settings()))


def test_other_libraries_make_another_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = proven.key_of(open_bundle(folder), Settings())
    monkeypatch.setattr(proven.metadata, "version", lambda name: f"{name}-next")
    assert proven.key_of(open_bundle(folder), Settings()) not in ("", key)


@pytest.mark.parametrize("setting", [{"no_cache": True}, {"code": ("own",)}, {"env": "auto"}])
def test_what_cannot_be_pinned_down_is_tried_every_time(folder: Path, setting: dict) -> None:
    assert proven.key_of(open_bundle(folder), replace(Settings(), **setting)) == ""
    proven.mark("")
    assert not proven.is_proven("")


def test_a_bare_file_counts_by_its_bytes_and_an_onnx_file_never(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"1")
    (tmp_path / "a.onnx").write_bytes(b"1")
    key = proven.key_of(open_bundle(tmp_path / "a.pkl"), Settings())
    (tmp_path / "a.pkl").write_bytes(b"2")
    assert proven.key_of(open_bundle(tmp_path / "a.pkl"), Settings()) not in ("", key)
    assert proven.key_of(open_bundle(tmp_path / "a.onnx"), Settings()) == ""


def test_where_nothing_can_be_written_nothing_is_remembered(folder: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    proven.mark(proven.key_of(open_bundle(folder), Settings()))
    assert not proven.is_proven(proven.key_of(open_bundle(folder), Settings()))
    assert os.listdir(cache.parent)
