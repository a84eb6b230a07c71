"""What is said beside the files and the changes: what has to be there already, and what a choice means."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from modelport.deploy.base import Service
from modelport.deploy.kubernetes import Options
from modelport.deploy.kubernetes_apply import Plan
from modelport.deploy.kubernetes_core import KEYS_FILE
from modelport.deploy.kubernetes_kubectl import Cluster


def needs(service: Service, options: Options) -> list[str]:
    """Return the secrets that must be in the namespace: they are named in the manifests, and made by whoever holds them."""
    where = "" if options.namespace is None else f" --namespace {options.namespace}"
    said = []
    if options.pull_secret is not None:
        said.append(f"needs the Secret {options.pull_secret}: kubectl create secret docker-registry {options.pull_secret}{where} …")
    if options.api_key_secret is not None:
        name = options.api_key_secret
        monitor = " --from-file=metrics=FILE" if "service-monitor" in options.extras else ""
        said.append(f"needs the Secret {name}: kubectl create secret generic {name}{where} --from-file={KEYS_FILE}=FILE{monitor}")
    if options.ingress_host is not None:
        name = options.tls_secret or f"{service.name}-tls"
        said.append(f"needs the Secret {name} with the certificate of {options.ingress_host}: kubectl create secret tls {name}{where} …")
    return said


def cautions(service: Service) -> list[str]:
    """Return what the choices mean that one may not have meant."""
    said = []
    if service.scale.minimum == 1:
        said.append("with one replica, the loss or the emptying of a node interrupts the service; --min 2 avoids that")
    return said


def written(folder: Path, files: list[Path]) -> list[str]:
    """Return the closing lines of ``--emit``."""
    overlays = sorted(path.parent.name for path in files if path.parent.parent.name == "overlays")
    return [
        f"{len(files)} files in {folder}; applied by: kubectl apply --server-side -k {shlex.quote(str(folder))}",
        *([f"with an extra: -k {shlex.quote(str(folder / 'overlays' / name))}" for name in overlays]),
    ]


def planned(plan: Plan) -> list[str]:
    """Return what would change, as lines."""
    if plan.is_empty:
        return ["nothing would change"]
    # diff names the files that kubectl compared; what they stand for says more.
    shown = [re.sub(r"^(---|\+\+\+) \S*/(?:LIVE|MERGED)-\d+/(\S+)\t.*", r"\1 \2", line) for line in plan.difference.rstrip().splitlines()]
    return [*(line for line in shown if not line.startswith("diff ")), *(f"- {name} is no longer asked for" for name in plan.surplus)]


def reached(service: Service, options: Options, cluster: Cluster) -> list[str]:
    """Return the closing lines of a deployment: how to reach it, and what to type next."""
    forward = shlex.join(cluster.line("port-forward", f"service/{service.name}", "8080:80"))
    where = [f"answers at https://{options.ingress_host}/"] if "ingress" in options.extras else []
    inside = f"http://{service.name}" + ("" if options.namespace is None else f".{options.namespace}") + "/"
    return [
        *where,
        f"answers in the cluster at {inside}, and here at http://127.0.0.1:8080/ with: {forward}",
        f"next: modelport status k8s {service.name}{cluster.said}",
    ]
