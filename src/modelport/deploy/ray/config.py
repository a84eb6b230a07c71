"""A Service as an application of Ray Serve, and the environment without which Serve loses requests."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from modelport.deploy.base import Service
from modelport.deploy.documents import Data
from modelport.errors import UsageError

IMPORT_PATH = "modelport.server.ray:application"
DEPLOYMENT = "modelport"
PORT = 8000
RAY_VERSION = "2.60.0"
"""The version that all this is tried with."""
ENVIRONMENT = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0",
    # Nothing is sent again of which a part was sent on before the rest had come, and many clients send head and body one after the other.
    # HAProxy waits for the whole request with that option. Serve has no setting for it, but writes this one into the file as it is.
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response\n    option http-buffer-request",
    "RAY_SERVE_HAPROXY_RETRIES": "3",
    # HAProxy sends again what fits in one of its buffers, headers and body, and its own are of 16 kB.
    "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": "131072",
    # For how long a replica that is to end serves on at least, while HAProxy hears of it, which takes it a second; else 30.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "5",
    # Serve ends a proxy that does not start within this, and then answers the first deployment with 500; 5 s are too few on a busy node.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "50",
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Of ``ray start`` on every node. Predictions are pure, so that one is sent again where a replica died before it answered."""
REPLICAS = {
    # By itself Serve runs applications in a thread of their own and hands each message of an answer over one by one.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    # HAProxy sends nothing again whose answer has begun, and uvicorn sends the head before the body: with this, both in one write, so that
    # a replica that is killed has answered or has not.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "modelport.server.whole:middlewares",
}
"""Of the replicas, so that other applications keep what they have."""

_BEYOND_DRAIN_S = 40  # 30 that a replica serves on if its node was started without that environment, and for the workers to end
_ONGOING = 512  # more than a batch and what waits for the next, so that batches are made by the engine and not by Serve
_MB = 1024 * 1024
_ROUTE = re.compile(r"/|(?:/[A-Za-z0-9._~-]+)+")
_OURS = {"MODELPORT_HOST": "Ray", "MODELPORT_PORT": "Ray", "MODELPORT_DRAIN": "--drain"}

Proxies = Literal["every", "head"]


@dataclass(frozen=True, slots=True)
class Options:
    """What is Ray's own. ``path``: of the model on every node, in ``working_dir`` (an archive's URI) if it is not absolute.

    ``packages``: requirements that Ray installs for the replicas, "" for none. ``proxies``: whether each node with a replica listens, or
    the head alone. ``ongoing``: requests in a replica, on average, that more replicas are for.
    """

    path: str
    working_dir: str | None = None
    packages: tuple[str, ...] = ()
    route: str = "/"
    proxies: Proxies = "every"
    ongoing: int = 32
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if not self.path or "\0" in self.path:
            raise UsageError("--path must be the model's path on every node, found nothing of the kind")
        if self.working_dir is None and not self.path.startswith("/"):
            raise UsageError(f'--path must be absolute without --working-dir, found "{self.path[:80]}"')
        if not _ROUTE.fullmatch(self.route):
            raise UsageError(f'--route must be "/" or such as /name, found "{self.route[:80]}"')
        if self.working_dir is not None and "://" not in self.working_dir:
            raise UsageError(f'--working-dir must be a URI of a .zip file that every node reaches, found "{self.working_dir[:80]}"')
        if not 1 <= self.ongoing <= _ONGOING:
            raise UsageError(f"--scale-ongoing must be 1 to {_ONGOING} requests, found {self.ongoing}")
        if not 0 <= self.gpus <= 64:
            raise UsageError(f"--gpus must be 0 to 64, found {self.gpus:g}")


def application(service: Service, options: Options) -> dict[str, Data]:
    """Return the application as Serve's configuration has it. Raises: UsageError for what Ray does not do."""
    _check(service)
    settings: dict[str, Data] = {"drain": service.drain_s}
    if "MODELPORT_WORKERS" not in service.environment:
        settings["workers"] = str(max(1, math.ceil(service.size.cpu)))  # a replica sees all cores of its node
    arguments: dict[str, Data] = {"files": [options.path], "digests": [service.digest], "settings": settings}
    return {
        "name": service.name,
        "route_prefix": options.route,
        "import_path": IMPORT_PATH,
        "runtime_env": runtime_env(service, options),
        "args": arguments,
        "logging_config": {"enable_access_log": False},
        "deployments": [_deployment(service, options)],
    }


def runtime_env(service: Service, options: Options) -> dict[str, Data]:
    """Return what Ray makes for the replicas."""
    found: dict[str, Data] = {"env_vars": {**REPLICAS, **service.environment}}
    if options.working_dir is not None:
        found["working_dir"] = options.working_dir
    if options.packages:
        found["pip"] = list(options.packages)
    return found


def serve_config(service: Service, options: Options) -> dict[str, Data]:
    """Return the configuration that ``serve deploy`` takes."""
    return {
        "proxy_location": "EveryNode" if options.proxies == "every" else "HeadOnly",
        "http_options": {"host": "0.0.0.0", "port": PORT, "keep_alive_timeout_s": 90},  # noqa: S104  # others bring the requests
        "applications": [application(service, options)],
    }


def _deployment(service: Service, options: Options) -> dict[str, Data]:
    scale = service.scale
    actor: dict[str, Data] = {"num_cpus": service.size.cpu, "memory": service.size.memory_mb * _MB}
    if options.gpus:
        actor["num_gpus"] = options.gpus
    replicas: dict[str, Data] = {"num_replicas": scale.minimum}
    if scale.minimum < scale.maximum:
        bounds = {"min_replicas": scale.minimum, "max_replicas": scale.maximum, "target_ongoing_requests": options.ongoing}
        replicas = {"autoscaling_config": bounds}
    return {
        "name": DEPLOYMENT,
        **replicas,
        "max_ongoing_requests": _ONGOING,
        "max_surge_percent": 25,  # at least one more, so that a single replica is there until the next one answers
        "health_check_period_s": 5,
        "health_check_timeout_s": 15,
        "graceful_shutdown_wait_loop_s": 1,
        "graceful_shutdown_timeout_s": service.drain_s + _BEYOND_DRAIN_S,
        "ray_actor_options": actor,
    }


def _check(service: Service) -> None:
    if service.scale.minimum < 1:
        raise UsageError("a service on Ray keeps 1 replica or more, found --min 0; give --min 1 or more")
    for name, flag in _OURS.items():
        if name in service.environment:
            raise UsageError(f"{name} is set by {flag}; leave it out of --set")
