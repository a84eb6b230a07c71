"""`modelport image` as a command: what it prints, and what it says of flags that go together with nothing."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def made(tmp_path: Path, toy: Path) -> tuple[str, ...]:
    """Arguments of an image that takes no network: a base that only lists a Python, and a lock without libraries."""
    with tarfile.open(tmp_path / "base.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("usr/bin/python3.11"), io.BytesIO())
    (tmp_path / "lock").write_text('{"format": 1, "python": "3.11", "requirements": [], "platforms": {"linux/amd64": []}}')
    return ("image", "toy", "-t", "registry.test/toy:1", "--base", "base.tar", "--lock", "lock")


def test_it_says_what_was_made_and_what_to_run_next(modelport: Callable[..., object], made: tuple[str, ...], tmp_path: Path) -> None:
    home = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = modelport(*made, "--output", "toy.tar", env=home)
    assert done.code == 0, done.err
    assert "podman load -i toy.tar && podman run" in done.out
    assert all(
        word in done.out for word in ("registry.test/toy:1", "sha256:", "dependencies", "modelport", "model", "config", "wrote toy.tar")
    )
    again = json.loads(modelport(*made, "--output", "oci:out", "--json", env=home).out)
    assert (again["digest"] in done.out, again["output"]) == (True, "oci:out")
    assert [layer["name"] for layer in again["layers"]] == ["base", "dependencies", "modelport", "model", "config"]
    assert json.loads((tmp_path / "out" / "index.json").read_text())["manifests"][0]["digest"] == again["digest"]
    mode = (tmp_path / "cache" / "modelport" / "images").stat().st_mode & 0o777
    assert mode == 0o700


def test_the_dockerfile_is_printed(modelport: Callable[..., object], made: tuple[str, ...], tmp_path: Path) -> None:
    home = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = modelport(*made, "--dockerfile", "--engine", "podman", "--set", "A=$b", "--label", 'c="d"', env=home)
    assert done.code == 0, done.err
    assert 'A="\\$b"' in done.out
    assert 'c="\\"d\\""' in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "an image has to go somewhere"),
        (("--push", "--set", "A"), "--set must be NAME=VALUE"),
        (("--push", "--label", "A"), "--label must be NAME=VALUE"),
        (("--push", "--username", "a"), "--username and --password-stdin go together"),
        (("--push", "--username", "a", "--password-stdin"), "holds no password"),
        (("--output", "oci:x", "--platform", "linux/s390x"), "--platform must be linux/amd64 or linux/arm64"),
        (("--output", "oci:x", "--base", "absent.tar"), "there is no such file"),
        (("--output", "oci:x", "--base", "127.0.0.1:1/a:1", "--engine", "podman"), "podman is not installed"),
    ],
)
def test_a_mistake_is_one_sentence(
    modelport: Callable[..., object], made: tuple[str, ...], tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    done = modelport(*made, *arguments, env={"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": str(empty)})
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
