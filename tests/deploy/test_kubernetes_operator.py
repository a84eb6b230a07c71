"""What Prometheus' operator reads, held to what its definitions of ServiceMonitor and PrometheusRule (v1) say; unknown fields are refused.

The schemas are ours: the fields that there are, the types of those that are written, and what is required.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from modelport.deploy.base import Scale, Service, Size
from modelport.deploy.kubernetes import Options
from modelport.deploy.kubernetes_files import objects

# What the operator takes for a time: years to milliseconds, each at most once, from the largest on.
DURATION = {"type": "string", "pattern": r"^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$", "minLength": 1}
TEXT: dict[str, Any] = {"type": "string"}
TEXTS = {"type": "object", "additionalProperties": TEXT}


def closed(required: list[str], **fields: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": fields, "additionalProperties": False}


def whole(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = closed(["name"], name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS)
    fixed = {"apiVersion": {"const": "monitoring.coreos.com/v1"}, "kind": {"const": kind}}
    return closed(["apiVersion", "kind", "metadata", "spec"], **fixed, metadata=metadata, spec=spec)


KEY_OF_SECRET = closed(["key", "name"], name={"type": "string", "minLength": 1}, key=TEXT, optional={"type": "boolean"})
ENDPOINT = closed(
    [],
    port=TEXT,
    path=TEXT,
    scheme={"enum": ["http", "https", "HTTP", "HTTPS"]},
    interval=DURATION,
    scrapeTimeout=DURATION,
    honorLabels={"type": "boolean"},
    authorization=closed([], type=TEXT, credentials=KEY_OF_SECRET),
)
MONITOR = closed(
    ["endpoints", "selector"],
    endpoints={"type": "array", "items": ENDPOINT, "minItems": 1},
    selector=closed([], matchLabels=TEXTS),
    namespaceSelector=closed([], any={"type": "boolean"}, matchNames={"type": "array", "items": TEXT}),
    jobLabel=TEXT,
    targetLabels={"type": "array", "items": TEXT},
    podTargetLabels={"type": "array", "items": TEXT},
)
RULE = closed(["expr"], alert=TEXT, record=TEXT, expr={"type": ["string", "integer"]}, labels=TEXTS, annotations=TEXTS)
RULE["properties"] |= {"for": DURATION, "keep_firing_for": DURATION}
GROUP = closed(["name"], name={"type": "string", "minLength": 1}, interval=DURATION, rules={"type": "array", "items": RULE})
SCHEMAS = {
    "ServiceMonitor": whole("ServiceMonitor", MONITOR),
    "PrometheusRule": whole("PrometheusRule", closed([], groups={"type": "array", "items": GROUP})),
}


def written(described: Service, options: Options) -> dict[str, Any]:
    found = json.loads(json.dumps(objects(described, options)))
    return {each["kind"]: each for each in found if each["kind"] in SCHEMAS}


def service(**facts: Any) -> Service:
    return Service(**{"name": "toy", "model": "toy", "version": "1", "image": f"registry.test/a@sha256:{'a' * 64}", **facts})


@pytest.mark.parametrize("options", [Options(), Options(namespace="ml", api_key_secret="keys")], ids=["plain", "keys"])
@pytest.mark.parametrize("described", [service(), service(size=Size(2, 4096), scale=Scale(3, 3))], ids=["as it comes", "fixed"])
def test_what_the_operator_reads_has_no_field_that_it_lacks(
    described: Service, options: Options, require_module: Callable[[str], ModuleType]
) -> None:
    jsonschema = require_module("jsonschema")
    own = Options(options.namespace, api_key_secret=options.api_key_secret, extras=frozenset({"service-monitor"}))
    found = written(described, own)
    assert set(found) == set(SCHEMAS)
    for kind, each in found.items():
        jsonschema.validate(each, SCHEMAS[kind])


def _unknown(found: dict[str, Any]) -> None:
    found["spec"]["endpoints"][0]["paths"] = "/metrics"


def _late(found: dict[str, Any]) -> None:
    found["spec"]["endpoints"][0]["interval"] = "15 s"


def _nobody(found: dict[str, Any]) -> None:
    del found["spec"]["selector"]


@pytest.mark.parametrize("spoil", [_unknown, _late, _nobody])
def test_what_the_operator_would_refuse_is_found(spoil: Callable[[Any], None], require_module: Callable[[str], ModuleType]) -> None:
    jsonschema = require_module("jsonschema")
    found = copy.deepcopy(written(service(), Options(extras=frozenset({"service-monitor"})))["ServiceMonitor"])
    spoil(found)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, SCHEMAS["ServiceMonitor"])


def test_the_monitor_finds_the_service_and_its_port() -> None:
    of = {each["kind"]: each for each in json.loads(json.dumps(objects(service(), Options(extras=frozenset({"service-monitor"})))))}
    wanted = of["ServiceMonitor"]["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= of["Service"]["metadata"]["labels"].items()
    assert of["ServiceMonitor"]["spec"]["endpoints"][0]["port"] in {port["name"] for port in of["Service"]["spec"]["ports"]}
    # Without a jobLabel, the name of the Service is the label "job" that the rules ask for.
    assert "jobLabel" not in of["ServiceMonitor"]["spec"]
    rules = of["PrometheusRule"]["spec"]["groups"][0]["rules"]
    assert all(f'job="{of["Service"]["metadata"]["name"]}"' in rule["expr"] for rule in rules)
