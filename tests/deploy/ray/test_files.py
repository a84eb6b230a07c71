"""The files for Ray: what is in them, and that no value becomes anything but itself. Ray is not needed here."""

from __future__ import annotations

import importlib
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from modelport.deploy.base import Scale, Service, Size
from modelport.deploy.documents import document
from modelport.deploy.ray.config import ENVIRONMENT, REPLICAS, Options, application, serve_config
from modelport.deploy.ray.files import KUBE, NODES, SERVE, render
from modelport.deploy.ray.kuberay import Kube, ray_service
from modelport.errors import UsageError
from modelport.server.ray import arguments

IMAGE = f"host/path@sha256:{'a' * 64}"
DIGEST = "b" * 64
KUBERAY = Kube("redis:6379", "redis-password")
# Our own reading of ray.io/v1: only what is written here may be in the file. KubeRay's schema is not at hand.
TEXT, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}


def load(text: str) -> Any:
    return yaml.load(text, yaml.CSafeLoader)


def closed(**properties: object) -> dict[str, object]:
    """An object with these and no others; names that end with _ may lack."""
    needed = [name for name in properties if not name.endswith("_")]
    named = {name.removesuffix("_"): schema for name, schema in properties.items()}
    return {"type": "object", "properties": named, "required": needed, "additionalProperties": False}


VARIABLE = closed(name=TEXT, value_={"type": "string"}, valueFrom_={"type": "object"})
CONTAINER = closed(
    name=TEXT,
    image=TEXT,
    env={"type": "array", "items": VARIABLE},
    ports={"type": "array", "items": closed(name={"type": "string", "maxLength": 15}, containerPort=COUNT)},
    resources=closed(requests={"type": "object"}, limits={"type": "object"}),
    securityContext={"type": "object"},
)
POD = closed(
    spec=closed(
        containers={"type": "array", "items": CONTAINER, "minItems": 1},
        terminationGracePeriodSeconds_=COUNT,
        topologySpreadConstraints_={"type": "array"},
    )
)
PARAMETERS = {"type": "object", "additionalProperties": {"type": "string"}}
GROUP = closed(groupName=TEXT, replicas=COUNT, minReplicas=COUNT, maxReplicas=COUNT, rayStartParams=PARAMETERS, template=POD)
CLUSTER = closed(
    rayVersion=TEXT,
    enableInTreeAutoscaling={"type": "boolean"},
    authOptions=closed(mode={"const": "token"}),
    gcsFaultToleranceOptions=closed(redisAddress=TEXT, redisPassword_={"type": "object"}),
    headGroupSpec=closed(rayStartParams=PARAMETERS, template=POD),
    workerGroupSpecs={"type": "array", "items": GROUP},
)
RAY_SERVICE = closed(
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayService"},
    metadata=closed(name=TEXT, namespace_=TEXT, labels={"type": "object"}),
    spec=closed(serveConfigV2=TEXT, rayClusterConfig=CLUSTER),
)


def service(**facts: Any) -> Service:
    return Service(**{"name": "toy", "model": "toy", "version": "1", "image": IMAGE, "digest": DIGEST} | facts)


def options(**facts: Any) -> Options:
    return Options(**{"path": "/models/toy"} | facts)


def test_replicas_get_what_was_asked_for_and_time_to_finish() -> None:
    found = application(service(size=Size(2.5, 2048), scale=Scale(2, 6), drain_s=20), options(gpus=0.5, ongoing=9))
    assert found["args"] == {"files": ["/models/toy"], "digests": [DIGEST], "settings": {"drain": 20, "workers": "3"}}
    (deployment,) = found["deployments"]
    assert deployment["ray_actor_options"] == {"num_cpus": 2.5, "memory": 2048 << 20, "num_gpus": 0.5}
    assert deployment["autoscaling_config"] == {"min_replicas": 2, "max_replicas": 6, "target_ongoing_requests": 9}
    assert deployment["graceful_shutdown_timeout_s"] > 20
    assert application(service(scale=Scale(3, 3)), options())["deployments"][0]["num_replicas"] == 3
    told = application(service(environment={"MODELPORT_WORKERS": "8"}), options())
    assert "workers" not in told["args"]["settings"]


def test_what_ray_makes_for_the_replicas() -> None:
    found = application(service(environment={"A": "b"}), options(path="toy", working_dir="s3://a/b.zip", packages=("modelport[sklearn]",)))
    assert found["runtime_env"] == {"env_vars": REPLICAS | {"A": "b"}, "working_dir": "s3://a/b.zip", "pip": ["modelport[sklearn]"]}
    assert application(service(), options())["runtime_env"] == {"env_vars": REPLICAS}


def test_what_serve_puts_around_the_application_is_there_and_gives_way_to_another() -> None:
    name = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
    module, _, function = REPLICAS[name].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    asked = service(environment={name: "theirs.module:both"})
    assert application(asked, options())["runtime_env"]["env_vars"] == REPLICAS | {name: "theirs.module:both"}


@pytest.mark.parametrize("kube", [KUBERAY, Kube("rediss://r:1", None, "apps")])
@pytest.mark.parametrize("facts", [{}, {"gpus": 1.0}])
def test_a_ray_service_has_only_what_its_kind_knows(kube: Kube, facts: dict[str, Any]) -> None:
    found = load(render(service(), options(**facts), kube)[KUBE])
    Draft202012Validator(RAY_SERVICE).validate(found)
    assert found == ray_service(service(), options(**facts), kube)
    assert load(found["spec"]["serveConfigV2"]) == serve_config(service(), options(**facts))
    assert found["metadata"].get("namespace") == kube.namespace
    cluster = found["spec"]["rayClusterConfig"]
    assert ("redisPassword" in cluster["gcsFaultToleranceOptions"]) == (kube.redis_secret is not None)
    (workers,) = cluster["workerGroupSpecs"]
    assert (workers["minReplicas"], workers["maxReplicas"], cluster["enableInTreeAutoscaling"]) == (1, 4, True)
    for group in (cluster["headGroupSpec"], workers):
        (container,) = group["template"]["spec"]["containers"]
        variables = {each["name"]: each["value"] for each in container["env"]}
        assert variables.items() >= {name: value for name, value in ENVIRONMENT.items() if name != "RAY_AUTH_MODE"}.items()
        assert container["image"] == IMAGE


def test_a_shell_reads_the_environment_of_the_nodes_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ray.env"
    file.write_text(render(service(), options())[NODES])
    done = subprocess.run(["sh", "-c", f". {shlex.quote(str(file))} && env -0"], capture_output=True, text=True, check=True, env={})
    assert dict(line.split("=", 1) for line in done.stdout.split("\0") if line).items() >= ENVIRONMENT.items()
    assert KUBE not in render(service(), options())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: options(path=""), "--path"),
        (lambda: options(path="a"), "--path must be absolute"),
        (lambda: options(path="/a\0"), "--path"),
        (lambda: options(route="a"), "--route"),
        (lambda: options(route="/a/"), "--route"),
        (lambda: options(working_dir="/a"), "--working-dir"),
        (lambda: options(ongoing=0), "--scale-ongoing"),
        (lambda: options(gpus=-1), "--gpus"),
        (lambda: Kube("a b"), "--redis"),
        (lambda: Kube("redis", "A_b"), "--redis-secret"),
        (lambda: Kube("redis", None, "a.b"), "--namespace"),
        (lambda: application(service(scale=Scale(0, 2)), options()), "--min 1"),
        (lambda: application(service(environment={"MODELPORT_DRAIN": "1"}), options()), "--drain"),
    ],
)
def test_what_ray_does_not_take_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()


def test_ten_thousand_nasty_values_arrive_as_they_are(nasty: Callable[[int], list[str]]) -> None:
    texts = nasty(10_000)
    environment = {f"V{number}": text for number, text in enumerate(texts)}
    described = service(environment=environment, model=texts[7], version=texts[9])
    files = render(described, options(packages=tuple(texts)), KUBERAY)
    alone = load(files[SERVE])
    inside = load(load(files[KUBE])["spec"]["serveConfigV2"])
    for found in (alone, inside):
        assert found == serve_config(described, options(packages=tuple(texts)))
        (each,) = found["applications"]
        assert each["runtime_env"] == {"env_vars": REPLICAS | environment, "pip": texts}
    paths = [f"/{text}" for text in texts]
    written = document([application(service(), options(path=path))["args"] for path in paths])
    escaped = sum(arguments(found).files != (path,) for found, path in zip(load(written), paths, strict=True))
    assert escaped == 0


def test_ten_thousand_nasty_names_are_refused_or_harmless(nasty: Callable[[int], list[str]]) -> None:
    taken = 0
    for text in nasty(10_000):
        for make in (
            lambda text=text: options(route=f"/{text}").route,
            lambda text=text: Kube(text).redis,
            lambda text=text: Kube("r", text).redis_secret,
        ):
            try:
                name = make()
            except UsageError:
                continue
            taken += 1
            assert not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._~:-")
    assert taken > 0
