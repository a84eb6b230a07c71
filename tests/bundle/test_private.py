"""Folders of a process's own: private, and gone with it, however it ends."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from modelport.bundle import private
from modelport.bundle.private import PrivateFolder, sweep


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of the test's own; nothing else is looked at."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    monkeypatch.setattr(private, "parents", lambda: [place])
    return place


def owner(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that makes a private folder with something in it, and waits."""
    code = (
        "import sys; from modelport.bundle.private import PrivateFolder; folder = PrivateFolder(); "
        "(folder.path / 'model').mkdir(); (folder.path / 'model' / 'a.bin').touch(0o400); print(folder.path, flush=True); sys.stdin.read()"
    )
    env = os.environ | {"TMPDIR": str(place)}
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_is_for_this_user_alone_and_goes_with_the_block(temporary: Path) -> None:
    with PrivateFolder() as folder:
        assert folder.path.parent == temporary
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert not folder.path.exists()
    folder.remove()  # a second time, as when two ends of a pool meet
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_whoever_starts_next(temporary: Path) -> None:
    process, left = owner(temporary)
    with process:
        sweep()
        assert (left / "model" / "a.bin").exists()  # its process lives
        process.kill()
    assert (left / "model" / "a.bin").exists()
    sweep()
    assert list(temporary.iterdir()) == []


def test_only_what_is_certain_to_be_left_over_is_removed(temporary: Path, tmp_path: Path) -> None:
    """Not folders of other names, links, files, or one that has no lock yet because it is being made."""
    other = tmp_path / "somebody's"
    other.mkdir()
    (other / "owner.lock").touch()
    (temporary / "modelport-link").symlink_to(other)
    (temporary / "modelport-unready").mkdir()
    (temporary / "modelport-file").touch()
    (temporary / "else").mkdir()
    (temporary / "else" / "owner.lock").touch()
    linked = temporary / "modelport-with-link"
    linked.mkdir()
    (linked / "owner.lock").symlink_to(other / "owner.lock")
    with PrivateFolder() as own:
        sweep()
        assert own.path.exists()
    assert sorted(path.name for path in temporary.iterdir()) == [
        "else",
        "modelport-file",
        "modelport-link",
        "modelport-unready",
        "modelport-with-link",
    ]
    assert (other / "owner.lock").exists()


def test_a_folder_that_cannot_be_listed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "parents", lambda: [tmp_path / "gone"])
    sweep()
