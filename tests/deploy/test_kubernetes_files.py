"""Manifests: valid for every version claimed, the same through kustomize, as safe as they are said to be, and values stay values."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from modelport.deploy.base import Scale, Service, Size, emit
from modelport.deploy.kubernetes import EXTRAS, Options, check_namespace, grace_s, literal
from modelport.deploy.kubernetes_core import environment
from modelport.deploy.kubernetes_files import objects, render
from modelport.errors import UsageError

DIGEST = "sha256:" + "a" * 64
OLDEST, NEWEST = "1.30", "1.37"
EVERYTHING = Options("ml", "api.example.test", "nginx", "cert", "pull", "keys", 50, frozenset(EXTRAS))


def service(**facts: Any) -> Service:
    return Service(**{"name": "toy", "model": "toy", "version": "1", "image": f"registry.test/a/b@{DIGEST}", "digest": "b" * 64, **facts})


SERVICES = {
    "as it comes": service(),
    "fixed": service(scale=Scale(3, 3)),
    "large": service(size=Size(2.5, 6000), scale=Scale(2, 50, 80), environment={"A": "no", "B": "$(A)"}, drain_s=120),
    "by tag": service(image="registry.test/a/b:1", size=Size(0.25, 512)),
}
OPTIONS = {
    "plain": Options(),
    "everything": EVERYTHING,
    "keys": Options(api_key_secret="keys"),
    "ingress": Options(ingress_host="*.example.test", extras=frozenset({"ingress"})),
}


def matrix() -> list[Any]:
    pairs = itertools.product(SERVICES, OPTIONS)
    possible = [pair for pair in pairs if pair != ("fixed", "everything")]  # nothing to scale by the queue
    return [pytest.param(SERVICES[one], OPTIONS[other], id=f"{one}, {other}") for one, other in possible]


def pod(of: list[Any]) -> dict[str, Any]:
    return next(each for each in of if each["kind"] == "Deployment")["spec"]["template"]["spec"]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize(("described", "options"), matrix())
def test_objects_are_valid_for_the_oldest_and_the_newest_version(
    described: Service, options: Options, version: str, require_module: Callable[[str], ModuleType]
) -> None:
    checker = require_module("kubernetes_validate")
    for each in objects(described, options):
        if "monitoring.coreos.com" not in each["apiVersion"]:
            checker.validate(each, version, strict=True)


def test_a_field_that_is_none_would_be_found(require_module: Callable[[str], ModuleType]) -> None:
    checker = require_module("kubernetes_validate")
    broken = objects(service(), Options())[0]
    broken["spec"]["template"]["spec"]["containers"][0]["memory"] = "1Gi"
    with pytest.raises(checker.ValidationError):
        checker.validate(broken, NEWEST, strict=True)


class Loader(yaml.SafeLoader):
    """Reads what Go wrote: there, "=" and "<<" are texts like any other."""

    yaml_implicit_resolvers = {first: known for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items() if first not in "=<"}


def built(kubectl: str, folder: Path) -> list[Any]:
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-300:]
    return list(yaml.load_all(done.stdout, Loader))


def by_kind(of: list[Any]) -> dict[str, Any]:
    return {each["kind"]: each for each in of}


@pytest.mark.parametrize("options", [Options(), EVERYTHING], ids=["plain", "everything"])
def test_kustomize_makes_of_the_files_what_is_applied(options: Options, tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    emit(render(service(), options), tmp_path)
    assert by_kind(built(require_tool("kubectl"), tmp_path)) == by_kind(json.loads(json.dumps(objects(service(), options))))


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_overlay_is_the_base_and_its_extra(extra: str, tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    emit(render(service(), Options(ingress_host="a.test")), tmp_path)
    expected = objects(service(), Options(ingress_host="a.test", extras=frozenset({extra})))
    assert by_kind(built(require_tool("kubectl"), tmp_path / "overlays" / extra)) == by_kind(json.loads(json.dumps(expected)))


def test_the_base_holds_kinds_of_every_cluster_alone(tmp_path: Path) -> None:
    files = render(service(), EVERYTHING)
    kinds = {yaml.safe_load(text)["kind"] for path, text in files.items() if path.startswith("base/")}
    assert kinds == {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Kustomization"}
    assert yaml.safe_load(render(service(), Options())["kustomization.yaml"])["resources"] == ["base"]
    assert "components" not in yaml.safe_load(render(service(), Options())["kustomization.yaml"])


def test_without_what_they_need_extras_are_not_written() -> None:
    assert not any("ingress" in path or "queue-scaling" in path for path in render(service(scale=Scale(2, 2)), Options()))


def test_a_replica_may_do_nothing_that_it_need_not() -> None:
    spec = pod(objects(service(), EVERYTHING))
    container = spec["containers"][0]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 1000
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert container["resources"] == {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp", "/etc/modelport"]
    assert spec["volumes"][1]["secret"]["secretName"] == "keys"


@pytest.mark.parametrize("drain_s", [0, 30, 3600])
def test_a_replica_has_the_time_to_serve_on_and_to_drain(drain_s: int) -> None:
    described = service(drain_s=drain_s)
    spec = pod(objects(described, Options()))
    serves_on = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] == grace_s(described) > serves_on + drain_s
    assert {"name": "MODELPORT_DRAIN", "value": str(drain_s)} in spec["containers"][0]["env"]


def test_probes_ask_three_paths() -> None:
    container = pod(objects(service(), Options()))["containers"][0]
    assert [container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")] == [
        "/healthz",
        "/readyz",
        "/livez",
    ]


def test_the_autoscaler_alone_says_how_many_replicas_there_are() -> None:
    assert "replicas" not in objects(service(), Options())[0]["spec"]
    fixed = objects(service(scale=Scale(3, 3)), Options())
    assert fixed[0]["spec"]["replicas"] == 3
    assert "HorizontalPodAutoscaler" not in by_kind(fixed)


def test_a_tag_is_pulled_anew_and_a_digest_is_not() -> None:
    assert pod(objects(service(), Options()))["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert pod(objects(service(image="a/b:1"), Options()))["containers"][0]["imagePullPolicy"] == "Always"


def test_with_keys_nobody_is_told_to_scrape_without_one() -> None:
    annotations = objects(service(), EVERYTHING)[0]["spec"]["template"]["metadata"]["annotations"]
    assert not any(key.startswith("prometheus.io") for key in annotations)
    monitor = by_kind(objects(service(), EVERYTHING))["ServiceMonitor"]
    assert monitor["spec"]["endpoints"][0]["authorization"] == {"credentials": {"name": "keys", "key": "metrics"}}


def test_services_of_one_name_in_two_namespaces_are_told_apart() -> None:
    rules = by_kind(objects(service(), EVERYTHING))["PrometheusRule"]["spec"]["groups"][0]["rules"]
    assert all(name + '{job="toy", namespace="ml"' in rule["expr"] for rule in rules for name in re.findall(r"modelport_\w+", rule["expr"]))


def test_alerts_of_a_service_are_about_it_alone() -> None:
    described = service(size=Size(1, 2048), environment={"MODELPORT_MAX_QUEUED_ROWS": "600"})
    rules = by_kind(objects(described, Options(extras=frozenset({"service-monitor"}))))["PrometheusRule"]["spec"]["groups"][0]["rules"]
    assert all(name + '{job="toy"' in rule["expr"] for rule in rules for name in re.findall(r"modelport_\w+", rule["expr"]))
    assert next(rule for rule in rules if rule["alert"] == "ModelportQueueFilling")["expr"].endswith("> 300")
    assert next(rule for rule in rules if rule["alert"] == "ModelportMemory")["expr"].endswith(f"> {2048 * 1024 * 1024 * 9 // 10}")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"namespace": "a.b"}, "--namespace"),
        ({"namespace": "a" * 64}, "--namespace"),
        ({"ingress_host": "A.b"}, "--ingress-host"),
        ({"ingress_host": "a..b"}, "--ingress-host"),
        ({"ingress_host": "a/b"}, "--ingress-host"),
        ({"ingress_class": "a b"}, "--ingress-class"),
        ({"tls_secret": "-a"}, "--tls-secret"),
        ({"pull_secret": "a_b"}, "--pull-secret"),
        ({"api_key_secret": ""}, "--api-key-secret"),
        ({"queue_rows": 0}, "--queue-rows"),
        ({"extras": frozenset({"helm"})}, 'no extra "helm"'),
        ({"extras": frozenset({"ingress"})}, "--ingress-host"),
    ],
)
def test_names_that_no_cluster_takes_are_refused(facts: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Options(**facts)


@pytest.mark.parametrize(
    ("facts", "extras", "said"),
    [
        ({"scale": Scale(0, 2)}, (), "--min 1"),
        ({"scale": Scale(2, 2)}, ("queue-scaling",), "--max above --min"),
        ({"environment": {"MODELPORT_DRAIN": "1"}}, (), "--drain"),
        ({"environment": {"MODELPORT_PORT": "1"}}, (), "leave it out of --set"),
        ({"environment": {"A": "a\x85b"}}, (), "kustomize does not carry"),
        ({"environment": {"A": "\x7f"}}, (), "kustomize does not carry"),
        ({"version": "\x9f"}, (), "kustomize does not carry"),
    ],
)
def test_what_a_cluster_does_not_do_is_refused(facts: dict[str, Any], extras: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        render(service(**facts), Options(extras=frozenset(extras)))
    with pytest.raises(UsageError, match=said):
        objects(service(**facts), Options(extras=frozenset(extras)))


def test_cores_are_said_in_numbers_as_a_replica_sees_those_of_its_node() -> None:
    assert environment(service(size=Size(2.5, 512)), Options())["MODELPORT_WORKERS"] == "3"
    assert environment(service(environment={"MODELPORT_WORKERS": "8"}), Options())["MODELPORT_WORKERS"] == "8"


def expanded(text: str, variables: dict[str, str]) -> str:
    """What a kubelet makes of a variable's value: $$ is a dollar, $(NAME) a variable that there is, all else itself."""
    return re.sub(r"\$(?:(\$)|\(([^)]*)\))", lambda m: "$" if m[1] else variables.get(m[2], m[0]), text, flags=re.DOTALL)


def test_ten_thousand_nasty_values_arrive_as_they_are(
    nasty: Callable[[int], list[str]], tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    carried = [text for text in nasty(12_000) if not re.search("[\x7f-\x9f]", text)][:10_000]
    values = {f"V{number}": text for number, text in enumerate(carried)}
    assert len(values) == 10_000
    variables = {"HOME": "/root", "A": "escaped"}
    assert sum(expanded(text, variables) != text for text in values.values()) > 500  # they would not arrive by themselves
    emit(render(service(environment=values, model=values["V7"] + "$", version=values["V9"]), Options()), tmp_path)
    of_python = list(yaml.safe_load_all((tmp_path / "base" / "deployment.yaml").read_text("utf-8")))
    of_go = built(require_tool("kubectl"), tmp_path / "base")
    for found in (of_python, of_go):
        read = {each["name"]: expanded(each["value"], variables) for each in pod(found)["containers"][0]["env"]}
        assert {name: text for name, text in read.items() if name in values} == values
        annotations = by_kind(found)["Deployment"]["spec"]["template"]["metadata"]["annotations"]
        assert annotations["modelport/model"] == values["V7"] + "$"
    assert len(of_go) == 4  # no value became a document of its own
    assert all(expanded(literal(text), variables) == text for text in values.values())


def test_ten_thousand_nasty_names_are_refused_or_harmless(nasty: Callable[[int], list[str]]) -> None:
    """Names are checked, not escaped: what is taken is a DNS name and nothing else."""
    taken = 0
    for text in nasty(10_000):
        for make in (
            lambda text=text: service(name=text).name,
            lambda text=text: service(image=text).image,
            lambda text=text: check_namespace(text) or text,
            lambda text=text: Options(ingress_host=text).ingress_host,
            lambda text=text: Options(pull_secret=text).pull_secret,
        ):
            try:
                name = make()
            except UsageError:
                continue
            taken += 1
            assert re.fullmatch(r"(\*\.)?[a-z0-9.:/_@-]+", name, re.ASCII | re.IGNORECASE)
    assert taken > 0
