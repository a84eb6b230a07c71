"""The manifests of kinds that every cluster knows, as data."""

from __future__ import annotations

import math

from modelport.deploy.base import LIVE, METRICS, PORT, READY, USER, Service
from modelport.deploy.documents import Data
from modelport.deploy.kubernetes import PRE_STOP_S, Options, grace_s, is_scaled, labels, literal, metadata, selector

STARTED = "/healthz"
TAG = "modelport/image-tag"
KEYS_FOLDER, KEYS_FILE = "/etc/modelport", "keys"
_LOADING_S = 600  # a version that is not ready by then is given up; what ran before runs on


def core(service: Service, options: Options) -> dict[str, Data]:
    """Return the objects of the base, by kind."""
    found: dict[str, Data] = {"deployment": _deployment(service, options), "service": _service(service, options)}
    if is_scaled(service):
        found["horizontalpodautoscaler"] = _autoscaler(service, options)
    return found | {"poddisruptionbudget": _budget(service, options)}


def environment(service: Service, options: Options) -> dict[str, str]:
    """Return the variables of the container: ours, and over them the user's.

    Without a limit of processor time a replica sees all cores of its node, so that what it asked for is said in numbers.
    """
    cores = str(max(1, math.ceil(service.size.cpu)))
    ours = {
        "MODELPORT_HOST": "0.0.0.0",  # noqa: S104  # in a pod
        "MODELPORT_PORT": str(PORT),
        "MODELPORT_LOG_FORMAT": "json",
        "MODELPORT_DRAIN": str(service.drain_s),
        "MODELPORT_WORKERS": cores,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "XDG_CACHE_HOME": "/tmp/cache",  # noqa: S108  # a container that is restarted in its pod finds it again
    }
    if options.api_key_secret is not None:
        ours["MODELPORT_API_KEY_FILE"] = f"{KEYS_FOLDER}/{KEYS_FILE}"
    return ours | dict(service.environment)


def quantities(service: Service) -> tuple[str, str]:
    """Return processor time and memory as the cluster would write them, so that no difference is shown where there is none."""
    milli, mib = round(service.size.cpu * 1000), service.size.memory_mb
    return (f"{milli}m" if milli % 1000 else str(milli // 1000)), (f"{mib}Mi" if mib % 1024 else f"{mib // 1024}Gi")


def _deployment(service: Service, options: Options) -> Data:
    fixed: dict[str, Data] = {} if is_scaled(service) else {"replicas": service.scale.minimum}  # else the autoscaler's
    facts = {"modelport/model": service.model, "modelport/version": service.version, "modelport/artifact-sha256": service.digest}
    if options.api_key_secret is None:  # else whoever scrapes needs a key, which nobody is told here
        facts |= {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": METRICS}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata(service, options), **_noted(service)},
        "spec": {
            **fixed,
            "revisionHistoryLimit": 5,
            "progressDeadlineSeconds": _LOADING_S,
            "selector": {"matchLabels": dict(selector(service.name))},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": dict(labels(service.name)), "annotations": {k: v for k, v in facts.items() if v}},
                "spec": _pod(service, options),
            },
        },
    }


def _noted(service: Service) -> dict[str, Data]:
    """Say which tag the digest was looked up for: beside the pods, as another tag for the same image is no reason to replace them."""
    return {"annotations": {TAG: service.tag}} if service.tag else {}


def _pod(service: Service, options: Options) -> dict[str, Data]:
    volumes: list[Data] = [{"name": "tmp", "emptyDir": {}}]
    if options.api_key_secret is not None:
        items: Data = [{"key": KEYS_FILE, "path": KEYS_FILE}]
        volumes.append({"name": "keys", "secret": {"secretName": options.api_key_secret, "defaultMode": 0o440, "items": items}})
    secrets: dict[str, Data] = {} if options.pull_secret is None else {"imagePullSecrets": [{"name": options.pull_secret}]}
    return {
        **secrets,
        "automountServiceAccountToken": False,
        # Else a Service that is called modelport would give every pod a MODELPORT_PORT of its own.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_s(service),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [_spread(service, key) for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")],
        "containers": [_container(service, options)],
        "volumes": volumes,
    }


def _spread(service: Service, key: str) -> Data:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": dict(selector(service.name))},
        "matchLabelKeys": ["pod-template-hash"],  # a new version is spread by itself, wherever the old one stands
    }


def _container(service: Service, options: Options) -> Data:
    cpu, memory = quantities(service)
    mounts: list[Data] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108  # the container's
    if options.api_key_secret is not None:
        mounts.append({"name": "keys", "mountPath": KEYS_FOLDER, "readOnly": True})
    return {
        "name": "modelport",
        "image": service.image,
        "imagePullPolicy": "IfNotPresent" if "@sha256:" in service.image else "Always",
        "args": ["serve"],
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": name, "value": literal(value)} for name, value in environment(service, options).items()],
        "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}},
        # The port is open while the model loads. So the first is about the process, the second about the model, the third about a hang.
        "startupProbe": _probe(STARTED, period_s=1, timeout_s=5, failures=120),
        "readinessProbe": _probe(READY, period_s=5, timeout_s=3, failures=2),
        "livenessProbe": _probe(LIVE, period_s=10, timeout_s=5, failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_S}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _probe(path: str, *, period_s: int, timeout_s: int, failures: int) -> Data:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period_s,
        "timeoutSeconds": timeout_s,
        "failureThreshold": failures,
    }


def _service(service: Service, options: Options) -> Data:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(service, options),
        "spec": {
            "selector": dict(selector(service.name)),
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"}],
        },
    }


def _autoscaler(service: Service, options: Options) -> Data:
    scale = service.scale
    cpu: Data = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": scale.cpu_percent}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(service, options),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name},
            "minReplicas": scale.minimum,
            "maxReplicas": scale.maximum,
            "metrics": [{"type": "Resource", "resource": cpu}],
            # Up at once, for requests wait; down slowly, for a replica that comes back has to load its model.
            "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 30}]},
                "scaleDown": {"stabilizationWindowSeconds": 300, "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}]},
            },
        },
    }


def _budget(service: Service, options: Options) -> Data:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(service, options),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",  # a replica that cannot start keeps no node from being emptied
            "selector": {"matchLabels": dict(selector(service.name))},
        },
    }
