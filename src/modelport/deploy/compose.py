"""Docker Compose: a Service with Prometheus and Grafana beside it, in one file that needs no other.

What those two are told, the dashboard included, stands in the file itself (``configs`` with ``content``, Compose 2.23.1 or newer). Compose
puts variables into every text of a file, so that a dollar which is none of ours is written twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelport.deploy.base import METRICS, PORT, USER, Service
from modelport.deploy.documents import Data, document
from modelport.deploy.monitoring.alerts import Limits, rules
from modelport.deploy.monitoring.dashboard import IDENTITY, dashboard
from modelport.errors import UsageError
from modelport.image.places import HEALTH

PROMETHEUS, GRAFANA = "prom/prometheus:v3.5.0", "grafana/grafana:12.1.0"
PASSWORD = "GRAFANA_PASSWORD"  # noqa: S105  # the variable's name; there is no password here
TAG = "modelport.image-tag"
"""The label that says which tag the image's digest was looked up for."""
_BEYOND_DRAIN_S = 10
_OURS = {"MODELPORT_HOST": "the target", "MODELPORT_PORT": "the target", "MODELPORT_DRAIN": "--drain"}
_RULES, _CONFIG = "/etc/prometheus/modelport.rules.yaml", "/etc/prometheus/prometheus.yml"
_PROVISIONING, _DASHBOARDS = "/etc/grafana/provisioning", "/etc/grafana/dashboards"


@dataclass(frozen=True, slots=True)
class Options:
    """What is Compose's own: the ports of this machine, on its loopback address alone. ``is_watched``: with Prometheus and Grafana."""

    port: int = PORT
    prometheus_port: int = 9090
    grafana_port: int = 3000
    is_watched: bool = True

    def __post_init__(self) -> None:
        ports = (self.port, self.prometheus_port, self.grafana_port)
        if not all(1 <= port <= 65_535 for port in ports) or (self.is_watched and len(set(ports)) < len(ports)):
            raise UsageError(f"--port, --prometheus-port and --grafana-port must be three ports from 1 to 65535, found {ports}")


def render(service: Service, options: Options) -> dict[str, str]:
    """Return the file. Raises: UsageError for variables that the target says itself."""
    for name, flag in _OURS.items():
        if name in service.environment:
            raise UsageError(f"{name} is said by {flag}, as other parts of the file hang on it; leave it out of --set")
    if service.scale.minimum != 1:
        raise UsageError(
            f"Compose runs one replica on one machine, found --min {service.scale.minimum}; give it more cores with --cpu instead"
        )
    services: dict[str, Data] = {"model": _model(service, options)}
    parts: dict[str, Data] = {"name": service.name, "services": services}
    if options.is_watched:
        services |= {"prometheus": _prometheus(options), "grafana": _grafana(options)}
        contents = {name: {"content": literal(text)} for name, text in _configs(service).items()}
        parts |= {"configs": contents, "volumes": {"prometheus": {}, "grafana": {}}}
    return {"compose.yaml": document(parts)}


def literal(text: str) -> str:
    """Return a text as Compose leaves it alone."""
    return text.replace("$", "$$")


def _model(service: Service, options: Options) -> Data:
    ours = {
        "MODELPORT_HOST": "0.0.0.0",  # noqa: S104  # in a container
        "MODELPORT_PORT": str(PORT),
        "MODELPORT_LOG_FORMAT": "json",
        "MODELPORT_DRAIN": str(service.drain_s),
        "MODELPORT_WORKERS": str(max(1, math.ceil(service.size.cpu))),
    }
    return {
        "image": service.image,
        **({"labels": {TAG: service.tag}} if service.tag else {}),
        "command": ["serve"],
        "environment": {name: literal(value) for name, value in (ours | dict(service.environment)).items()},
        "ports": [f"127.0.0.1:{options.port}:{PORT}"],
        "user": f"{USER}:{USER}",
        "read_only": True,
        **_locked(),
        "tmpfs": ["/tmp"],  # noqa: S108  # the container's
        "cpus": service.size.cpu,
        "mem_limit": f"{service.size.memory_mb}m",
        "memswap_limit": f"{service.size.memory_mb}m",
        "restart": "unless-stopped",
        "stop_grace_period": f"{service.drain_s + _BEYOND_DRAIN_S}s",
        "healthcheck": {
            "test": ["CMD", HEALTH],
            "interval": "10s",
            "timeout": "5s",
            "retries": 3,
            "start_period": "600s",
            "start_interval": "1s",
        },
    }


def _locked() -> dict[str, Data]:
    return {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}


def _prometheus(options: Options) -> Data:
    """Its root may be written, and Grafana's: Compose copies contents of configs into containers, and refuses to for a read-only one."""
    return {
        "image": PROMETHEUS,
        "command": [f"--config.file={_CONFIG}", "--storage.tsdb.path=/prometheus", "--storage.tsdb.retention.time=15d"],
        "ports": [f"127.0.0.1:{options.prometheus_port}:9090"],
        **_locked(),
        "configs": [{"source": "prometheus", "target": _CONFIG}, {"source": "rules", "target": _RULES}],
        "volumes": ["prometheus:/prometheus"],
        "depends_on": ["model"],
        "restart": "unless-stopped",
    }


def _grafana(options: Options) -> Data:
    return {
        "image": GRAFANA,
        "environment": {
            "GF_SECURITY_ADMIN_PASSWORD": f"${{{PASSWORD}:?set {PASSWORD}, the password of Grafana's user admin}}",
            "GF_USERS_ALLOW_SIGN_UP": "false",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        },
        "ports": [f"127.0.0.1:{options.grafana_port}:3000"],
        **_locked(),
        "tmpfs": ["/tmp"],  # noqa: S108  # the container's
        "configs": [
            {"source": "datasource", "target": f"{_PROVISIONING}/datasources/modelport.yaml"},
            {"source": "dashboards", "target": f"{_PROVISIONING}/dashboards/modelport.yaml"},
            {"source": "dashboard", "target": f"{_DASHBOARDS}/{IDENTITY}.json"},
        ],
        "volumes": ["grafana:/var/lib/grafana"],
        "depends_on": ["prometheus"],
        "restart": "unless-stopped",
    }


def _configs(service: Service) -> Mapping[str, str]:
    """Return the files of Prometheus and Grafana, by the name of their config."""
    targets: Sequence[Data] = [{"targets": [f"model:{PORT}"]}]
    scrape: Data = [{"job_name": service.name, "metrics_path": METRICS, "static_configs": targets}]
    times: Data = {"scrape_interval": "15s", "evaluation_interval": "15s"}
    source: Data = {"name": "Prometheus", "uid": "prometheus", "type": "prometheus", "access": "proxy", "url": "http://prometheus:9090"}
    provider: Data = {"name": IDENTITY, "type": "file", "options": {"path": _DASHBOARDS}}
    return {
        "prometheus": document({"global": times, "rule_files": [_RULES], "scrape_configs": scrape}),
        "rules": document(rules(Limits(job=service.name, memory_mb=service.size.memory_mb))),
        "datasource": document({"apiVersion": 1, "datasources": [source]}),
        "dashboards": document({"apiVersion": 1, "providers": [provider]}),
        "dashboard": json.dumps(dashboard(), indent=1) + "\n",
    }
