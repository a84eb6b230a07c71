"""Opening a bundle: a folder, its model.toml or a bare file; nothing outside of it, nothing altered."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from modelport.bundle.folder import inside, open_bundle, verify
from modelport.bundle.manifest import Artifact, Manifest
from modelport.errors import ManifestError, UnreadableFile

HEAD = 'format = 1\n[artifact]\npath = "a.bin"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "bundle"
    root.mkdir()
    (root / "a.bin").write_bytes(b"artifact")
    (root / "model.toml").write_text(HEAD)
    (tmp_path / "outside.json").write_text("{}")
    return root


def test_a_folder_and_its_manifest_are_the_same_bundle(folder):
    bundle = open_bundle(folder)
    assert bundle == open_bundle(folder / "model.toml")
    assert (bundle.root, bundle.artifact, bundle.is_folder) == (folder, folder / "a.bin", True)
    assert bundle.manifest.name == "bundle"


def test_a_bare_file_stands_for_a_bundle_of_its_own(folder):
    bundle = open_bundle(folder / "a.bin")
    assert bundle.manifest == Manifest("a", artifact=Artifact("a.bin"))
    assert (bundle.artifact, bundle.is_folder) == (folder / "a.bin", False)


@pytest.mark.parametrize(
    ("name", "says"),
    [("nothing", "there is no such file or folder"), ("pipe", "is not a regular file"), ("empty", "has no model.toml; give the path")],
)
def test_what_is_no_bundle_is_named_with_what_to_give(tmp_path, name, says):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableFile, match=says):
        open_bundle(tmp_path / name)


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("format = 1", 'names neither an \\[artifact\\] nor a "load" hook'),
        ('format = 1\n[artifact]\npath = "b.bin"', 'artifact "b.bin" is not in the bundle'),
        ('format = 1\n[artifact]\npath = "../outside.json"', 'artifact "../outside.json" lies outside of the bundle'),
        ('format = 1\n[artifact]\npath = "/etc/hostname"', "lies outside of the bundle"),
        ('format = 1\n[artifact]\npath = "link.bin"', "lies outside of the bundle"),
        (HEAD + '[resources]\na = "../outside.json"', 'resource "../outside.json" lies outside'),
        (HEAD + '[resources]\na = "link.bin"', 'resource "link.bin" lies outside'),
        (HEAD + '[resources]\na = "no.json"', 'resource "no.json" is not in the bundle'),
        (HEAD + '[hooks]\npredict = "h.py"', 'hook "h.py" must be written "file.py:function"'),
        (HEAD + '[hooks]\npredict = "h.py:"', "must be written"),
        (HEAD + '[hooks]\npredict = ":f"', "must be written"),
        (HEAD + '[hooks]\npredict = "h.py:f"', 'hook file "h.py" is not in the bundle'),
        (HEAD + '[hooks]\npredict = "../h.py:f"', 'hook file "../h.py" lies outside'),
    ],
)
def test_what_is_missing_or_lies_outside_is_refused(folder, toml, says):
    (folder / "link.bin").symlink_to(folder.parent / "outside.json")
    (folder / "model.toml").write_text(toml)
    with pytest.raises(ManifestError, match=says):
        open_bundle(folder)


def test_a_link_within_the_bundle_is_fine(folder):
    (folder / "link.bin").symlink_to("a.bin")
    assert inside(folder, "link.bin", "artifact") == (folder / "a.bin").resolve()


def test_a_load_hook_needs_no_artifact(folder):
    (folder / "h.py").write_text("def load(folder): ...")
    (folder / "model.toml").write_text('format = 1\n[hooks]\nload = "h.py:load"')
    bundle = open_bundle(folder)
    assert bundle.artifact is None
    assert verify(bundle) == ""


def test_an_artifact_is_what_its_pin_says_or_it_is_not_served(folder):
    found = hashlib.sha256(b"artifact").hexdigest()
    assert verify(open_bundle(folder)) == found
    (folder / "model.toml").write_text(HEAD + f'sha256 = "{found}"')
    assert verify(open_bundle(folder)) == found
    (folder / "a.bin").write_bytes(b"artefact")
    with pytest.raises(UnreadableFile, match=f"its SHA-256 is {hashlib.sha256(b'artefact').hexdigest()}, model.toml pins {found}"):
        verify(open_bundle(folder))


def test_an_artifact_that_goes_between_opening_and_reading_is_named(folder):
    bundle = open_bundle(folder)
    (folder / "a.bin").unlink()
    with pytest.raises(UnreadableFile, match=r"a.bin: cannot be read \(No such file"):
        verify(bundle)
