"""The files of ``modelport deploy ray --emit``: Serve's configuration, the nodes' environment, a RayService if asked for."""

from __future__ import annotations

import shlex

from modelport.deploy.base import Service
from modelport.deploy.documents import document
from modelport.deploy.ray.config import ENVIRONMENT, Options, serve_config
from modelport.deploy.ray.kuberay import Kube, ray_service

SERVE, NODES, KUBE = "serve.yaml", "ray.env", "rayservice.yaml"


def render(service: Service, options: Options, kube: Kube | None = None) -> dict[str, str]:
    """Return the files; the RayService only with ``kube``. Raises: UsageError for what Ray does not do."""
    files = {SERVE: document(serve_config(service, options)), NODES: environment_file()}
    if kube is not None:
        files[KUBE] = document(ray_service(service, options, kube))
    return files


def environment_file() -> str:
    """Return what is to be sourced before ``ray start``, on every node."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in ENVIRONMENT.items()]
    return "# On every node: . ./ray.env && ray start …, with the same RAY_AUTH_TOKEN everywhere.\n" + "\n".join(lines) + "\n"
