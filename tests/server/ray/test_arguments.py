"""What a Serve config gives an application: read here, without Ray."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from modelport.errors import MissingExtra, UsageError
from modelport.server.ray import Arguments, application, arguments


def test_files_digests_and_settings_are_taken_as_they_are() -> None:
    found = arguments({"files": ["a b", "/c"], "digests": ["", "f" * 64], "settings": {"workers": 2, "trust": ["a.B"]}, "previous": {}})
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


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"modelport\[ray\]"):
        application({"files": ["a"]})
