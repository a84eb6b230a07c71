"""Compiled forms between starts: kept whole, found again, and never taken from a file that was changed."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from modelport.engine.probe import Compiled
from modelport.server import kept

KEY = "a" * 64


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "modelport" / "forms"


@pytest.mark.parametrize("found", [Compiled(b"\x00bytes"), Compiled(reason="SVC has no other form; é")], ids=["form", "reason"])
def test_what_was_kept_is_found(found: Compiled, cache: Path) -> None:
    kept.keep(KEY, found)
    assert kept.find(KEY) == found
    assert kept.find("b" * 64) is None
    assert cache.stat().st_mode & 0o777 == 0o700
    assert (cache / KEY).stat().st_mode & 0o777 == 0o600


def test_nothing_is_kept_of_a_version_without_a_key_or_a_finding(cache: Path) -> None:
    kept.keep("", Compiled(b"bytes"))
    kept.keep(KEY, Compiled())
    assert not cache.exists()
    assert kept.find("") is None


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:20], lambda data: data + b"x", lambda data: b"", bytes.upper]
)
def test_a_changed_file_is_not_taken(damage: object, cache: Path) -> None:
    kept.keep(KEY, Compiled(b"bytes"))
    (cache / KEY).write_bytes(damage((cache / KEY).read_bytes()))
    assert kept.find(KEY) is None


def test_a_form_of_one_version_is_not_taken_for_another(cache: Path) -> None:
    kept.keep(KEY, Compiled(b"bytes"))
    (cache / KEY).rename(cache / ("b" * 64))
    assert kept.find("b" * 64) is None


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kept.keep(KEY, Compiled(b"bytes"))
    assert kept.find(KEY) is None


def test_starts_at_once_leave_one_whole_file(cache: Path) -> None:
    found = [Compiled(bytes([at]) * 200_000) for at in range(8)]
    threads = [threading.Thread(target=kept.keep, args=(KEY, each)) for each in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.find(KEY) in found
    assert os.listdir(cache) == [KEY]


def test_a_form_is_mapped_and_begins_where_arrays_may() -> None:
    kept.keep(KEY, Compiled(b"bytes"))
    found = kept.find(KEY)
    assert found is not None
    assert isinstance(found.data, memoryview)
    assert found.data.readonly
    assert np.frombuffer(found.data, np.uint8).ctypes.data % 64 == 0


def test_a_shared_form_stays_when_the_kept_one_goes(tmp_path: Path, cache: Path) -> None:
    assert not kept.share(KEY, tmp_path / "form")
    kept.keep(KEY, Compiled(b"bytes"))
    assert kept.share(KEY, tmp_path / "form")
    assert (tmp_path / "form").stat().st_ino == (cache / KEY).stat().st_ino
    (cache / KEY).unlink()
    assert (tmp_path / "form").read_bytes()[kept.HEADER_BYTES :] == b"bytes"


def test_where_no_second_name_can_be_had_there_is_a_copy(tmp_path: Path, cache: Path) -> None:
    kept.keep(KEY, Compiled(b"bytes"))
    elsewhere = Path("/dev/shm") / f"modelport-test-{os.getpid()}"
    if not elsewhere.parent.is_dir() or elsewhere.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    try:
        assert kept.share(KEY, elsewhere)
        assert elsewhere.stat().st_ino != (cache / KEY).stat().st_ino
        assert elsewhere.read_bytes() == (cache / KEY).read_bytes()
    finally:
        elsewhere.unlink()
