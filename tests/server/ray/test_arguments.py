"""What a Serve config gives an application: read here, without Ray."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from modelport.errors import UnreadableFile, UsageError
from modelport.server.ray import Arguments, arguments, verify


def test_files_digests_and_settings_are_taken_as_they_are() -> None:
    found = arguments({"files": ["a b", "/c"], "digests": ["", "f" * 64], "settings": {"workers": 2, "trust": ["a.B"]}})
    assert found == Arguments(("a b", "/c"), ("", "f" * 64), {"workers": 2, "trust": ("a.B",)})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "needs files"),
        ({"files": []}, "needs files"),
        ({"files": "model.pkl"}, "files must be a list of texts"),
        ({"files": [1]}, "files must be a list of texts"),
        ({"files": ["a"], "digests": ["", ""]}, "1 files and 2 digests"),
        ({"files": ["a"], "settings": ["workers"]}, "must be a table, found list"),
        ({"files": ["a"], "settings": {"worker": 1}}, '"worker" is no setting'),
        ({"files": ["a"], "file": "a"}, '"file" is no argument'),
    ],
)
def test_anything_else_is_refused_by_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        arguments(given)


def test_another_file_than_the_one_deployed_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(b"one")
    digest = hashlib.sha256(b"one").hexdigest()
    verify(Arguments((str(file), str(tmp_path / "never read")), (digest, "")))
    file.write_bytes(b"two")
    with pytest.raises(UnreadableFile, match=f"{digest} was deployed"):
        verify(Arguments((str(file),), (digest,)))
    with pytest.raises(UnreadableFile, match="every node needs the file"):
        verify(Arguments((str(tmp_path / "none"),), (digest,)))
