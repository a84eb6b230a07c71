"""A tag becomes the digest that a real registry has for it, for every target; what is done where none answers."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelport.deploy.base import Service
from modelport.deploy.compose import TAG, Options, render
from modelport.deploy.pinning import by_registry, names_a_registry, pinned
from modelport.errors import MissingExtra, TargetRefused
from modelport.image.order import Access, Credentials
from modelport.image.reference import parse
from modelport.image.registry import Registry

NOBODY = "127.0.0.1:1/team/model:1"


def service(image: str) -> Service:
    return Service("toy", "toy", "1", image)


def test_a_tag_becomes_the_digest_of_the_index_that_the_registry_has(registry: Any, push_index: Callable[..., str], tmp_path: Path) -> None:
    first = push_index(registry.host, tmp_path, "moved")
    tag = f"{registry.host}/team/model:moved"
    found, said = pinned(service(tag))
    assert (found.image, found.tag) == (first, tag)
    assert said == f"{tag} is {first.partition('@')[2]} now, which is deployed"
    assert pinned(found) == (found, ""), "what is by digest is asked of nobody"


def test_without_a_tag_the_newest_is_meant(registry: Any, push_index: Callable[..., str], tmp_path: Path) -> None:
    pushed = push_index(registry.host, tmp_path, "latest")
    assert by_registry(f"{registry.host}/team/model:latest") == by_registry(f"{registry.host}/team/model") == pushed


def test_the_login_that_docker_keeps_is_used(
    locked_registry: Any, push_index: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = push_index(locked_registry.host, tmp_path, "1", Access(Credentials("AWS", "secret")))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    image = f"{locked_registry.host}/team/model:1"
    with pytest.raises(TargetRefused, match="wants a login and none is known"):
        by_registry(image)
    (tmp_path / "config.json").write_text(json.dumps({"auths": {locked_registry.host: {"auth": "QVdTOnNlY3JldA=="}}}))
    assert by_registry(image) == pushed


@pytest.mark.parametrize("fault", [TargetRefused("no such image; push it"), MissingExtra("it takes boto3; install it")])
def test_a_tag_whose_digest_is_not_to_be_had_stays_only_where_that_is_enough(fault: Exception) -> None:
    def ask(image: str) -> str:
        raise fault

    described = service("registry.test/a:1")
    found, said = pinned(described, ask, is_lenient=True)
    assert found == described
    assert str(fault) in said
    assert "may become another image later" in said
    with pytest.raises(TargetRefused, match=r"registry\.test/a:1 is not known: .*; or give the image by digest .*--no-resolve"):
        pinned(described, ask)


@pytest.mark.parametrize(
    ("image", "expected"),
    [("churn:1", False), ("team/churn", False), ("localhost/churn:1", False), ("r.test/churn", True), ("a:5000/b", True)],
)
def test_names_that_docker_looks_for_at_home(image: str, expected: bool) -> None:
    assert names_a_registry(image) is expected


def test_the_file_of_compose_says_which_tag_it_was() -> None:
    found = Service("toy", "toy", "1", f"registry.test/a@sha256:{'a' * 64}", tag="registry.test/a:1")
    model = yaml.safe_load(render(found, Options())["compose.yaml"])["services"]["model"]
    assert model["labels"] == {TAG: "registry.test/a:1"}


EMITTED = {"k8s": "base/deployment.yaml", "compose": "compose.yaml", "ray": "rayservice.yaml"}
NEEDS = {"ray": ("--redis", "redis:6379")}


@pytest.mark.slow
@pytest.mark.parametrize("target", EMITTED)
def test_files_hold_the_digest_and_the_command_says_which_tag_it_was(
    target: str, registry: Any, push_index: Callable[..., str], modelport: Callable[..., Any], toy: Path, tmp_path: Path
) -> None:
    pushed = push_index(registry.host, tmp_path, "1")
    tag = f"{registry.host}/team/model:1"
    common = ("deploy", target, toy, "--emit", "out", *NEEDS.get(target, ()))
    done = modelport(*common, "--image", tag)
    assert done.code == 0, done.err
    assert f"{tag} is {pushed.partition('@')[2]} now" in done.out
    text = (tmp_path / "out" / EMITTED[target]).read_text()
    assert pushed in text
    if target != "ray":
        assert tag in text
    as_it_is = modelport(*common, "--image", tag, "--no-resolve")
    assert (as_it_is.code, as_it_is.err) == (0, "")
    assert f"{tag} may become another image later" in as_it_is.out
    assert pushed not in (tmp_path / "out" / EMITTED[target]).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("target", EMITTED)
def test_without_an_answer_files_are_written_with_a_warning_and_nothing_is_deployed(
    target: str, modelport: Callable[..., Any], toy: Path, tmp_path: Path
) -> None:
    common = ("deploy", target, toy, "--image", NOBODY, *NEEDS.get(target, ()))
    written = modelport(*common, "--emit", "out")
    assert written.code == 0, written.err
    assert f"the digest of {NOBODY} is not known: 127.0.0.1:1 cannot be reached" in written.out
    assert NOBODY in (tmp_path / "out" / EMITTED[target]).read_text()
    for more in (("--yes",), ("--plan",)):
        done = modelport(*common, *more, env={"DOCKER_HOST": "tcp://127.0.0.1:1"})
        assert done.code == 4
        assert "--no-resolve" in done.err
        assert done.err.count("\n") == 1


def test_a_registry_that_hangs_is_not_waited_for_long() -> None:
    """It takes the connection and says nothing: two tries, and an error of one sentence."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        registry = Registry(parse(f"{host}/a:1"), Access(tries=2, timeout_s=0.2), pause=lambda seconds: None)
        with pytest.raises(TargetRefused, match=r"cannot be reached \(no answer in time\), 2 times"):
            registry.manifest("1")
        registry.close()
