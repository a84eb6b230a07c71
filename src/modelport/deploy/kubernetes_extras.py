"""What depends on the cluster: a way in from outside, a network policy, scaling by the queue, what Prometheus' operator reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from modelport.config import Settings
from modelport.deploy.base import METRICS, PORT, Service
from modelport.deploy.documents import Data, document
from modelport.deploy.kubernetes import Options, metadata, selector
from modelport.deploy.monitoring.alerts import Limits, rules
from modelport.telemetry.metrics import QUEUE_ROWS

_COMPONENT: dict[str, Data] = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}


def component(extra: str, service: Service, options: Options) -> dict[str, str]:
    """Return the files of an extra's component."""
    if extra == "queue-scaling":
        patch: Data = [{"op": "add", "path": "/spec/metrics/-", "value": queue_metric(options)}]
        target: Data = {"kind": "HorizontalPodAutoscaler", "name": service.name}
        kustomization: dict[str, Data] = {**_COMPONENT, "patches": [{"target": target, "path": "queue-metric.yaml"}]}
        return {
            "kustomization.yaml": document(kustomization),
            "queue-metric.yaml": document(patch),
            "prometheus-adapter-values.yaml": document(_adapter()),
        }
    files = {f"{kind}.yaml": document(each) for kind, each in extra_objects(extra, service, options).items()}
    return {"kustomization.yaml": document({**_COMPONENT, "resources": list(files)}), **files}


def extra_objects(extra: str, service: Service, options: Options) -> dict[str, Data]:
    """Return the objects that an extra adds, by kind; none for ``queue-scaling``, which changes one."""
    if extra == "ingress":
        return {"ingress": _ingress(service, options)}
    if extra == "network-policy":
        return {"networkpolicy": _policy(service, options)}
    if extra == "service-monitor":
        return {"servicemonitor": _monitor(service, options), "prometheusrule": _rules(service, options)}
    return {}


def queue_metric(options: Options) -> Data:
    """Return the metric that scales by the rows that wait."""
    target: Data = {"type": "AverageValue", "averageValue": str(options.queue_rows)}
    return {"type": "Pods", "pods": {"metric": {"name": QUEUE_ROWS.name}, "target": target}}


def with_queue_metric(autoscaler: Data, options: Options) -> Data:
    """Return an autoscaler that looks at the rows that wait as well; the larger wish counts."""
    whole = cast("Mapping[str, Data]", autoscaler)
    spec = cast("Mapping[str, Data]", whole["spec"])
    return {**whole, "spec": {**spec, "metrics": [*cast("list[Data]", spec["metrics"]), queue_metric(options)]}}


def _adapter() -> Data:
    """Return what the adapter that gives Prometheus' metrics to autoscalers is told: values of its Helm chart."""
    rule: dict[str, Data] = {
        "seriesQuery": f'{QUEUE_ROWS.name}{{namespace!="", pod!=""}}',
        "resources": {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}},
        "name": {"matches": "", "as": ""},
        "metricsQuery": "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
    }
    return {"rules": {"custom": [rule]}}


def _ingress(service: Service, options: Options) -> Data:
    host = options.ingress_host or ""
    chosen: dict[str, Data] = {} if options.ingress_class is None else {"ingressClassName": options.ingress_class}
    backend: Data = {"service": {"name": service.name, "port": {"name": "http"}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata(service, options),
        "spec": {
            **chosen,
            "tls": [{"hosts": [host], "secretName": options.tls_secret or f"{service.name}-tls"}],
            "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
        },
    }


def _policy(service: Service, options: Options) -> Data:
    """Let everybody in to the one port, and nothing out: a model that is served calls nobody."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(service, options),
        "spec": {
            "podSelector": {"matchLabels": dict(selector(service.name))},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [{"port": PORT, "protocol": "TCP"}]}],
            "egress": [],
        },
    }


def _monitor(service: Service, options: Options) -> Data:
    keys: dict[str, Data] = {}
    if options.api_key_secret is not None:  # metrics need a key as well; the Secret holds one for Prometheus alone
        keys = {"authorization": {"credentials": {"name": options.api_key_secret, "key": "metrics"}}}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": metadata(service, options),
        "spec": {
            "selector": {"matchLabels": dict(selector(service.name))},
            "endpoints": [{"port": "http", "path": METRICS, "interval": "15s", **keys}],
        },
    }


def _rules(service: Service, options: Options) -> Data:
    waiting = service.environment.get("MODELPORT_MAX_QUEUED_ROWS", "")
    queued = int(waiting) if waiting.isdecimal() and waiting.isascii() and len(waiting) < 10 else Settings().max_queued_rows
    limits = Limits(job=service.name, namespace=options.namespace, memory_mb=service.size.memory_mb, queued_rows=queued)
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata(service, options),
        "spec": rules(limits),
    }
