"""The file of Docker Compose: what the real Compose makes of it, and that a value stays a value on its way through."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelport.deploy.base import Scale, Service, Size
from modelport.deploy.compose import Options, literal, render
from modelport.deploy.compose_docker import down, lines, logs, plan, state, up
from modelport.deploy.monitoring.alerts import Limits, rules
from modelport.deploy.monitoring.dashboard import dashboard
from modelport.errors import TargetRefused, UsageError

DIGEST = "sha256:" + "a" * 64


def service(**facts: Any) -> Service:
    return Service(**{"name": "toy", "model": "toy", "version": "1", "image": f"registry.test/a/b@{DIGEST}", **facts})


@pytest.fixture
def composed(require_tool: Callable[[str], str], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Give what the real Compose reads in a file."""
    program = require_tool("docker-compose")

    def read(text: str, password: str = "secret") -> dict[str, Any]:
        line = [program, "--file=-", "config", "--format=json"]
        environment = {"GRAFANA_PASSWORD": password, "HOME": str(tmp_path), "A": "escaped", "PATH": str(tmp_path)}
        done = subprocess.run(
            line, input=text, capture_output=True, encoding="utf-8", cwd=tmp_path, env=environment, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr[-300:]
        return json.loads(done.stdout)

    return read


def unescaped(text: str) -> str:
    """Compose writes dollars as they have to stand in a file."""
    return text.replace("$$", "$")


def test_compose_reads_the_file_and_every_file_inside_it(composed: Callable[..., dict[str, Any]]) -> None:
    read = composed(render(service(size=Size(1, 2048)), Options())["compose.yaml"])
    assert set(read["services"]) == {"model", "prometheus", "grafana"}
    inside = {name: unescaped(each["content"]) for name, each in read["configs"].items()}
    assert json.loads(inside["dashboard"]) == json.loads(json.dumps(dashboard()))
    assert yaml.safe_load(inside["rules"]) == rules(Limits(job="toy", memory_mb=2048))
    assert yaml.safe_load(inside["prometheus"])["scrape_configs"][0]["static_configs"] == [{"targets": ["model:8080"]}]
    assert yaml.safe_load(inside["datasource"])["datasources"][0]["url"] == "http://prometheus:9090"
    granted = {each["source"] for name in ("prometheus", "grafana") for each in read["services"][name]["configs"]}
    assert granted == set(inside)


def test_the_service_may_do_nothing_that_it_need_not(composed: Callable[..., dict[str, Any]]) -> None:
    model = composed(render(service(drain_s=45), Options(port=5005))["compose.yaml"])["services"]["model"]
    assert (model["read_only"], model["cap_drop"], model["user"]) == (True, ["ALL"], "1000:1000")
    assert model["security_opt"] == ["no-new-privileges:true"]
    assert int(model["mem_limit"]) == 1024**3
    assert model["stop_grace_period"] == "55s"
    assert model["healthcheck"]["test"][0] == "CMD"  # no shell
    assert [(port["host_ip"], port["published"], port["target"]) for port in model["ports"]] == [("127.0.0.1", "5005", 8080)]


def test_no_port_is_open_to_others(composed: Callable[..., dict[str, Any]]) -> None:
    services = composed(render(service(), Options())["compose.yaml"])["services"]
    assert {port["host_ip"] for each in services.values() for port in each["ports"]} == {"127.0.0.1"}


def test_images_have_versions() -> None:
    services = yaml.safe_load(render(service(), Options())["compose.yaml"])["services"]
    assert all(re.search(r":v?\d+\.\d+\.\d+$|@sha256:", each["image"]) for each in services.values())


def test_without_a_password_grafana_does_not_start(require_tool: Callable[[str], str], tmp_path: Path) -> None:
    line = [require_tool("docker-compose"), "--file=-", "config"]
    text = render(service(), Options())["compose.yaml"]
    done = subprocess.run(
        line, input=text, capture_output=True, text=True, cwd=tmp_path, env={"HOME": str(tmp_path)}, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "GRAFANA_PASSWORD" in done.stderr


def test_alone_it_needs_no_password(composed: Callable[..., dict[str, Any]]) -> None:
    read = composed(render(service(), Options(is_watched=False))["compose.yaml"], password="")
    assert set(read["services"]) == {"model"}


def test_ten_thousand_nasty_values_arrive_as_they_are(nasty: Callable[[int], list[str]], composed: Callable[..., dict[str, Any]]) -> None:
    values = {f"V{number}": text for number, text in enumerate(nasty(10_000))}
    read = composed(render(service(environment=values), Options())["compose.yaml"])
    found = {name: unescaped(text) for name, text in read["services"]["model"]["environment"].items() if name in values}
    assert {name: (found.get(name), text) for name, text in values.items() if found.get(name) != text} == {}
    assert set(read["services"]) == {"model", "prometheus", "grafana"}


def test_dollars_are_written_twice() -> None:
    assert literal("${A} $$ $") == "$${A} $$$$ $$"


@pytest.mark.parametrize("name", ["MODELPORT_HOST", "MODELPORT_PORT", "MODELPORT_DRAIN"])
def test_what_the_target_says_is_not_said_twice(name: str) -> None:
    with pytest.raises(UsageError, match="leave it out of --set"):
        render(service(environment={name: "1"}), Options())


@pytest.mark.parametrize("ports", [(0, 1, 2), (1, 1, 2), (1, 2, 70_000)])
def test_ports_that_cannot_be_are_refused(ports: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="--prometheus-port"):
        Options(*ports)


UP = {"Service": "model", "State": "running", "Health": "healthy", "ExitCode": 0, "Image": "a/b:1", "Status": "Up 9 seconds (healthy)"}
UP["Publishers"] = [{"URL": "127.0.0.1", "PublishedPort": 8080}, {"URL": "", "PublishedPort": 0}]
DOWN = UP | {"State": "restarting", "Health": "", "Status": "Restarting (137) 2 seconds ago", "Publishers": []}
FOUND = [{"Service": "prometheus", "State": "running", "Image": "p:1"}, UP]


@pytest.fixture
def recorder(tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    """Give a program in docker's place that writes down what it is called with: there is no daemon, and no image of Grafana, here.

    ``found``: the containers that it knows of; ``said``: what it says on standard error.
    """

    def make(*, code: int = 0, said: str = "", found: Any = FOUND, lines: str = "") -> tuple[str, ...]:
        program = tmp_path / "docker"
        documents = "\n".join(json.dumps(each) for each in found)
        for name, text in (("found", documents), ("said", said), ("lines", lines)):
            (tmp_path / name).write_text(f"{text}\n" if text else "")
        program.write_text(
            f'#!/bin/sh\ncase "$*" in\n*" ps "*) exec cat {tmp_path}/found;;\n*" logs "*) cat {tmp_path}/lines;;\nesac\n'
            f"printf '%s\\n' \"$@\" > {tmp_path}/called\ncat > {tmp_path}/read\ncat {tmp_path}/said >&2\nexit {code}\n"
        )
        program.chmod(0o755)
        return (str(program), "compose")

    return make


def silent(text: str) -> None:
    del text


def test_compose_is_called_with_lists_and_reads_the_file_from_its_input(recorder: Callable[..., tuple[str, ...]], tmp_path: Path) -> None:
    program = recorder()
    calls = {
        "compose --file=- up --detach --remove-orphans --wait": lambda: up("a: b\n", "toy", silent, is_waiting=True, program=program),
        "compose --dry-run --file=- up --detach --remove-orphans": lambda: plan("a: b\n", "toy", silent, program=program),
    }
    for expected, call in calls.items():
        call()
        assert (tmp_path / "called").read_text().split() == expected.split()
        assert (tmp_path / "read").read_text() == "a: b\n"


def test_the_other_verbs_name_the_project_alone(recorder: Callable[..., tuple[str, ...]], tmp_path: Path) -> None:
    program = recorder()
    with Path("/dev/null").open() as nothing:
        before = os.dup(0)
        os.dup2(nothing.fileno(), 0)
        try:
            for call in (
                lambda: logs("toy", count=5, is_following=True, program=program),
                lambda: down("toy", silent, with_data=True, program=program),
            ):
                call()
                assert (tmp_path / "called").read_text().split()[:2] == ["compose", "--project-name=toy"]
        finally:
            os.dup2(before, 0)
            os.close(before)
    assert (tmp_path / "called").read_text().split()[2:] == ["down", "--remove-orphans", "--volumes"]


def test_each_step_is_told_once_and_as_it_is_done(recorder: Callable[..., tuple[str, ...]]) -> None:
    told: list[str] = []
    up(
        "",
        "toy",
        told.append,
        is_waiting=True,
        program=recorder(said=" Container a Starting \n Container a Starting \n Container a Started "),
    )
    assert told == ["Container a Starting", "Container a Started"]


def test_the_state_is_that_of_every_container(recorder: Callable[..., tuple[str, ...]]) -> None:
    found = state("toy", program=recorder())
    assert found.is_well
    assert lines(found) == ["toy: 2 of 2 containers are well", "  model       healthy  a/b:1  127.0.0.1:8080", "  prometheus  running  p:1"]
    assert state("toy", program=recorder(found=[FOUND])) == found  # as Compose said it before 2.21
    assert not state("toy", program=recorder(found=FOUND[:1])).is_well, "without its model a service is not well"
    for health in ("starting", "unhealthy"):
        assert not state("toy", program=recorder(found=[UP | {"Health": health}])).is_well
    ended = state("toy", program=recorder(found=[UP | {"State": "exited", "Status": "Exited (3) 1 minute ago"}]))
    assert "  exited, exit code 3  " in lines(ended)[1]
    assert json.loads(json.dumps(ended.as_data()))["containers"][0]["exit_code"] == 3


def test_a_service_that_is_not_there_is_said_to_be_absent(recorder: Callable[..., tuple[str, ...]]) -> None:
    program = recorder(found=[], said='time="x" level=warning msg="Warning: No resource found to remove for project \\"toy\\"."')
    for call in (
        lambda: state("toy", program=program),
        lambda: logs("toy", count=1, is_following=False, program=program),
        lambda: down("toy", silent, with_data=False, program=program),
    ):
        with pytest.raises(TargetRefused, match="there is no service toy on this machine"):
            call()


def test_a_start_that_fails_shows_why_the_model_ended(recorder: Callable[..., tuple[str, ...]]) -> None:
    program = recorder(code=1, said=" Container a Waiting \ncontainer a is unhealthy", found=[DOWN], lines="its last words")
    with pytest.raises(TargetRefused) as refused:
        up("", "toy", silent, is_waiting=True, program=program)
    first, *more = refused.value.message.splitlines()
    assert first == "docker compose: container a is unhealthy; see modelport logs compose toy"
    assert more[0].startswith("model: restarting, exit code 137 (killed, most likely for want of memory")
    assert more[1:] == ["    its last words"]
    never = recorder(code=1, said="x", found=[UP | {"State": "created", "Status": "Created"}])
    with pytest.raises(TargetRefused, match="model: not started"):
        up("", "toy", silent, is_waiting=True, program=never)


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("required variable GRAFANA_PASSWORD is missing", "--no-monitoring"),
        ("docker: unknown command: docker compose", "plug-in"),
        ("Cannot connect to the Docker daemon", "start the Docker daemon"),
        ("failed to connect to the docker API at unix:///x; check if the daemon is running", "start the Docker daemon"),
        ("Error response from daemon: Bind failed: port is already allocated", "--grafana-port"),
        ("Error response from daemon: listen tcp4 127.0.0.1:1: bind: address already in use", "--grafana-port"),
        ('Error response from daemon: Get "https://r.test/v2/": no such host', "docker login"),
        ("", "without a word; see modelport logs compose toy"),
    ],
)
def test_what_docker_refuses_is_quoted_with_what_to_do(recorder: Callable[..., tuple[str, ...]], said: str, cure: str) -> None:
    program = recorder(code=1, said=said, found=[])
    with pytest.raises(TargetRefused, match=cure):
        up("a: b\n", "toy", silent, is_waiting=True, program=program)


def test_the_other_verbs_quote_docker_as_well(recorder: Callable[..., tuple[str, ...]], tmp_path: Path) -> None:
    program = recorder(code=1, said="no")
    for call in (
        lambda: plan("", "toy", silent, program=program),
        lambda: logs("toy", count=1, is_following=False, program=program),
        lambda: down("toy", silent, with_data=False, program=program),
    ):
        with pytest.raises(TargetRefused, match="docker compose: no; see modelport status compose toy"):
            call()
    (tmp_path / "docker").write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    with pytest.raises(TargetRefused, match="docker compose: no; see whether Docker runs"):
        state("toy", program=program)


def test_a_program_that_ends_before_it_has_read_the_file_says_why(tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\nexec <&-\necho enough >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(TargetRefused, match="docker compose: enough"):
        plan("a: b\n" * 100_000, "toy", silent, program=(str(program), "compose"))


def test_without_docker_it_is_said_in_a_sentence() -> None:
    for call in (
        lambda: up("", "toy", silent, is_waiting=True, program=("/nowhere/docker", "compose")),
        lambda: state("toy", program=("/nowhere/docker", "compose")),
    ):
        with pytest.raises(UsageError, match="is not installed here"):
            call()


def test_several_replicas_are_for_other_targets() -> None:
    with pytest.raises(UsageError, match="one replica on one machine, found --min 2"):
        render(service(scale=Scale(2, 4)), Options())


def test_only_what_compose_copies_nothing_into_is_read_only() -> None:
    """Compose copies the content of a config into its container, and refuses to start one that is read-only: seen with Compose 5.6."""
    services = yaml.safe_load(render(service(), Options())["compose.yaml"])["services"]
    assert {name for name, each in services.items() if each.get("read_only")} == {"model"}
    assert {name for name, each in services.items() if "configs" in each} == {"prometheus", "grafana"}


@pytest.mark.slow
def test_the_command_writes_one_file(
    modelport: Callable[..., Any], toy: Path, tmp_path: Path, composed: Callable[..., dict[str, Any]]
) -> None:
    done = modelport("deploy", "compose", toy, "--image", f"a/b@{DIGEST}", "--emit", "out")
    assert done.code == 0, done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["compose.yaml"]
    assert composed((tmp_path / "out" / "compose.yaml").read_text("utf-8"))["name"] == "toy"
    assert "docker compose --file" in done.out


@pytest.mark.slow
def test_the_verbs_hand_over_to_docker(
    modelport: Callable[..., Any], toy: Path, tmp_path: Path, recorder: Callable[..., tuple[str, ...]]
) -> None:
    recorder(said=" Container toy-model-1 Started")
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    asked = ("deploy", "compose", toy, "--image", f"a/b@{DIGEST}", "--port", "5005")
    assert modelport(*asked, env=path).code == 2  # nobody to ask
    assert not (tmp_path / "called").exists()
    assert modelport(*asked, "--plan", env=path).code == 0
    assert "--dry-run" in (tmp_path / "called").read_text().split()
    done = modelport(*asked, "--yes", env=path)
    assert done.err == "Container toy-model-1 Started\n"
    assert (done.code, done.out) == (0, "answers at http://127.0.0.1:5005/; next: modelport status compose toy\n")
    assert yaml.safe_load((tmp_path / "read").read_text())["name"] == "toy"
    told = modelport("status", "compose", "toy", env=path)
    assert (told.code, told.out.splitlines()[0]) == (0, "toy: 2 of 2 containers are well")
    assert json.loads(modelport("status", "compose", "toy", "--json", env=path).out)["is_well"]
    assert modelport("logs", "compose", "toy", env=path).code == 0
    assert (tmp_path / "called").read_text().split()[-1] == "model"
    gone = modelport("destroy", "compose", "toy", "--yes", env=path)
    assert (gone.code, gone.out.partition(";")[0]) == (0, "toy is gone")
    recorder(found=[DOWN])
    assert modelport("status", "compose", "toy", env=path).code == 1
