"""Service: what no target could run is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.deploy.base import Scale, Service, Size, emit, label_of
from modelport.errors import UsageError

DIGEST = "sha256:" + "a" * 64


def service(**facts: object) -> Service:
    return Service(**{"name": "sentiment", "model": "sentiment", "version": "1", "image": "registry.test:5000/a/b:1", **facts})


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "1a", "a" * 41, "a\n", "a b", "ä"])
def test_a_service_is_named_by_a_dns_label(name: str) -> None:
    with pytest.raises(UsageError, match="give one with --name"):
        service(name=name)


@pytest.mark.parametrize("image", ["a", "a:1", "host.test/a/b:v1.2", f"a@{DIGEST}", f"host:5000/a_b/c-d:1@{DIGEST}"])
def test_references_are_taken(image: str) -> None:
    assert service(image=image).image == image


@pytest.mark.parametrize("image", ["", "A", "a:", "a b", "a\nRUN x", "-a", "a:1:2", "https://a/b", "a@sha256:12", "a;b", "$(a)", "a" * 600])
def test_what_is_no_reference_is_refused(image: str) -> None:
    with pytest.raises(UsageError, match="--image must be a reference"):
        service(image=image)


@pytest.mark.parametrize(
    ("facts", "flag"),
    [
        ({"size": Size(cpu=0)}, "--cpu"),
        ({"size": Size(cpu=float("nan"))}, "--cpu"),
        ({"size": Size(memory_mb=1)}, "--memory"),
        ({"scale": Scale(3, 2)}, "--min"),
        ({"scale": Scale(0, 0)}, "--max"),
        ({"scale": Scale(1, 2, 0)}, "--scale-cpu"),
        ({"environment": {"A-B": ""}}, "--set"),
        ({"environment": {"A": "\0"}}, "--set"),
    ],
)
def test_sizes_and_variables_that_cannot_be(facts: dict[str, object], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        service(**facts)


@given(st.text(max_size=200))
def test_every_model_has_a_label(name: str) -> None:
    assert service(name=label_of(name)).name == label_of(name)


def test_labels_are_readable() -> None:
    assert [label_of(name) for name in ("sentiment", "best_model.v2", "2nd", "...")] == ["sentiment", "best-model-v2", "m-2nd", "m"]


def test_files_are_written_whole(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.yaml").write_text("old")
    written = emit({"a.yaml": "new\n", "overlays/b.yaml": "ä\n"}, tmp_path / "out")
    assert [path.read_text("utf-8") for path in written] == ["new\n", "ä\n"]
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == ["a.yaml", "b.yaml"]


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="--emit"):
        emit({"a.yaml": ""}, tmp_path / "out")
