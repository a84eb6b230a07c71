"""The application on Kubernetes: a RayService of KubeRay, whose head survives by what Redis keeps for it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from modelport.deploy.base import Service
from modelport.deploy.documents import Data, document
from modelport.deploy.kubernetes import check_namespace
from modelport.deploy.ray.config import ENVIRONMENT, PORT, RAY_VERSION, Options, serve_config
from modelport.errors import UsageError

_SECRET = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_REDIS = re.compile(r"(?:rediss?://)?[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})(?::[0-9]{1,5})?")
_BY_OPERATOR = ("RAY_AUTH_MODE",)  # which makes the token, too, and shows it itself
_HEAD_MB = 2048
_HEAD: dict[str, Data] = {"num-cpus": "0", "dashboard-host": "0.0.0.0"}  # noqa: S104  # in a Pod, for the operator


@dataclass(frozen=True, slots=True)
class Kube:
    """Where and with what. ``redis``: its address; ``redis_secret``: Secret whose entry "password" is Redis' own, None without one."""

    redis: str
    redis_secret: str | None = None
    namespace: str | None = None

    def __post_init__(self) -> None:
        check_namespace(self.namespace)
        if not _REDIS.fullmatch(self.redis):
            raise UsageError(f'--redis must be an address such as redis:6379, found "{self.redis[:80]}"')
        if self.redis_secret is not None and not _SECRET.fullmatch(self.redis_secret):
            raise UsageError(f'--redis-secret must be the name of a Secret, found "{self.redis_secret[:80]}"')


def ray_service(service: Service, options: Options, kube: Kube) -> dict[str, Data]:
    """Return the RayService. Raises: UsageError for what Ray does not do."""
    metadata: dict[str, Data] = {"name": service.name, "labels": {"app.kubernetes.io/managed-by": "modelport"}}
    if kube.namespace is not None:
        metadata["namespace"] = kube.namespace
    fault: dict[str, Data] = {"redisAddress": kube.redis}
    if kube.redis_secret is not None:
        fault["redisPassword"] = {"valueFrom": {"secretKeyRef": {"name": kube.redis_secret, "key": "password"}}}
    cluster: dict[str, Data] = {
        "rayVersion": RAY_VERSION,
        "enableInTreeAutoscaling": service.scale.minimum < service.scale.maximum,
        "authOptions": {"mode": "token"},
        "gcsFaultToleranceOptions": fault,
        "headGroupSpec": {"rayStartParams": _HEAD, "template": _head(service)},
        "workerGroupSpecs": [
            {
                "groupName": "replicas",
                "replicas": service.scale.minimum,
                "minReplicas": service.scale.minimum,
                "maxReplicas": service.scale.maximum,
                "rayStartParams": {},
                "template": _worker(service, options),
            }
        ],
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": metadata,
        "spec": {"serveConfigV2": document(serve_config(service, options)), "rayClusterConfig": cluster},
    }


def _head(service: Service) -> dict[str, Data]:
    ports: list[Data] = [
        {"name": name, "containerPort": port}
        for name, port in (("gcs-server", 6379), ("dashboard", 8265), ("client", 10001), ("serve", PORT))
    ]
    return {"spec": {"containers": [_container("ray-head", service, ports, {"cpu": "1", "memory": f"{_HEAD_MB}Mi"})]}}


def _worker(service: Service, options: Options) -> dict[str, Data]:
    # Beside the replica there are Ray's own processes: 300 to 450 MB, and its object store in /dev/shm.
    asked: dict[str, Data] = {"cpu": str(math.ceil(service.size.cpu)), "memory": f"{service.size.memory_mb + 1024}Mi"}
    if options.gpus:
        asked["nvidia.com/gpu"] = str(math.ceil(options.gpus))
    container = _container("ray-worker", service, [{"name": "serve", "containerPort": PORT}], asked)
    spread: dict[str, Data] = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"ray.io/group": "replicas"}},
    }
    grace_s = service.drain_s + 30
    return {"spec": {"terminationGracePeriodSeconds": grace_s, "topologySpreadConstraints": [spread], "containers": [container]}}


def _container(name: str, service: Service, ports: list[Data], asked: dict[str, Data]) -> dict[str, Data]:
    variables: list[Data] = [{"name": key, "value": value} for key, value in ENVIRONMENT.items() if key not in _BY_OPERATOR]
    return {
        "name": name,
        "image": service.image,
        "env": variables,
        "ports": ports,
        "resources": {"requests": dict(asked), "limits": {key: value for key, value in asked.items() if key != "cpu"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
