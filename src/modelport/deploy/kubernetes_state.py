"""How a deployed service is doing, its log, and its end."""

from __future__ import annotations

import subprocess
from dataclasses import asdict, dataclass

from modelport.deploy.kubernetes import query
from modelport.deploy.kubernetes_apply import check_ours, ours
from modelport.deploy.kubernetes_core import TAG
from modelport.deploy.kubernetes_kubectl import Cluster, Facts, get, items, missing, part, parts, refused, run
from modelport.deploy.kubernetes_pods import REVISION, is_ready, troubles
from modelport.errors import TargetRefused

_STOPPED_BY_USER = 130


@dataclass(frozen=True, slots=True)
class State:
    """A service in a cluster. ``ready`` of ``wanted`` replicas answer, ``updated`` of them are the newest; ``troubles``: what is wrong.

    ``tag``: the reference that the image's digest was looked up for, "" where it was given by digest.
    """

    name: str
    image: str
    tag: str
    model: str
    version: str
    revision: str
    wanted: int
    updated: int
    ready: int
    scale: str
    pods: tuple[str, ...]
    troubles: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Whether all that is wanted answers, from the newest revision."""
        return self.ready >= self.wanted == self.updated and not self.troubles

    def as_data(self) -> dict[str, object]:
        """Return it for ``--json``."""
        return asdict(self) | {"is_well": self.is_well}


def state(cluster: Cluster, name: str) -> State:
    """Ask the cluster. Raises: TargetRefused with kubectl's words, or if there is no such service of ours."""
    deployment = _deployment(cluster, name)
    status, spec = part(deployment, "status"), part(deployment, "spec")
    facts = part(spec, "template", "metadata", "annotations")
    pods = items(get(cluster, "pods", f"--selector={query(name)}"))
    return State(
        name=name,
        image=str(parts(spec, "template", "spec", "containers")[0].get("image", "")),
        tag=str(part(deployment, "metadata", "annotations").get(TAG, "")),
        model=str(facts.get("modelport/model", "")),
        version=str(facts.get("modelport/version", "")),
        revision=str(part(deployment, "metadata", "annotations").get(REVISION, "")),
        wanted=_count(spec, "replicas", 1),
        updated=_count(status, "updatedReplicas"),
        ready=_count(status, "readyReplicas"),
        scale=_scale(get(cluster, f"horizontalpodautoscaler/{name}")),
        pods=tuple(f"{part(pod, 'metadata').get('name')} {'ready' if is_ready(pod) else _phase(pod)}" for pod in pods),
        troubles=tuple(each.text for each in troubles(cluster, name, only_newest=False)),
    )


def lines(found: State) -> list[str]:
    """Return a state as lines for people."""
    head = f"{found.name}: {found.ready} of {found.wanted} replicas answer, {found.updated} of them the newest (revision {found.revision})"
    said = [
        head,
        f"  model   {found.model} {found.version}".rstrip(),
        f"  image   {found.image}" + (f" ({found.tag})" if found.tag else ""),
    ]
    return [
        *said,
        *([f"  scale   {found.scale}"] if found.scale else []),
        *(f"  pod     {pod}" for pod in found.pods),
        *(f"  trouble {line}" for each in found.troubles for line in each.splitlines()),
    ]


def logs(cluster: Cluster, name: str, *, count: int, is_following: bool) -> None:
    """Print the last lines of every replica, and go on with new ones if they are followed. Raises: TargetRefused."""
    _deployment(cluster, name)
    follow = ["--follow", "--max-log-requests=50"] if is_following else []
    line = cluster.line("logs", f"--selector={query(name)}", "--prefix", f"--tail={count}", *follow)
    try:
        done = subprocess.run(line, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", check=False)
    except FileNotFoundError:
        raise missing(cluster) from None
    except KeyboardInterrupt:
        return
    if done.returncode not in (0, _STOPPED_BY_USER):
        raise refused(("logs",), done.stderr)


def revisions(cluster: Cluster, name: str) -> list[int]:
    """Return what can be gone back to, the newest last. Raises: TargetRefused if the service is not there, or not ours."""
    _deployment(cluster, name)
    found = items(get(cluster, "replicasets", f"--selector={query(name)}"))
    numbers = [str(part(each, "metadata", "annotations").get(REVISION, "")) for each in found]
    return sorted(int(number) for number in numbers if number.isdecimal())


def check_revision(known: list[int], wanted: int | None, name: str) -> None:
    """Raises: TargetRefused if there is nothing to go back to; ``wanted`` None is the revision before the newest."""
    again = "deploy the version that you want with `modelport deploy k8s FILE`"
    if wanted is not None and wanted not in known:
        raise TargetRefused(f"{name} has no revision {wanted}, only {', '.join(map(str, known)) or 'none'}; name one of these, or {again}")
    if len(known) < 2:
        raise TargetRefused(f"{name} has no revision before {known[0] if known else 'its first'}; {again}")


def destroy(cluster: Cluster, name: str, found: list[str]) -> str:
    """Take everything away that ``everything`` named; returns what kubectl said. Raises: TargetRefused."""
    check_ours(cluster, name)
    return run(cluster, "delete", "--ignore-not-found", *found)


def everything(cluster: Cluster, name: str) -> list[str]:
    """Return all that belongs to a service. Raises: TargetRefused if that is nothing."""
    found = ours(cluster, name)
    if not found:
        raise _absent(cluster, name)
    return found


def _deployment(cluster: Cluster, name: str) -> Facts:
    found = get(cluster, f"deployment/{name}")
    if not found:
        raise _absent(cluster, name)
    check_ours(cluster, name)
    return found


def _absent(cluster: Cluster, name: str) -> TargetRefused:
    where = "" if cluster.namespace is None else f' in the namespace "{cluster.namespace}"'
    return TargetRefused(
        f"there is no service {name} of modelport's{where}; name another with --namespace or --context, or deploy it: "
        "modelport deploy k8s FILE"
    )


def _count(facts: Facts, key: str, otherwise: int = 0) -> int:
    found = facts.get(key)
    return found if isinstance(found, int) else otherwise


def _phase(pod: Facts) -> str:
    return "ending" if part(pod, "metadata").get("deletionTimestamp") else str(part(pod, "status").get("phase", "unknown")).lower()


def _scale(autoscaler: Facts) -> str:
    if not autoscaler:
        return ""
    spec, status = part(autoscaler, "spec"), part(autoscaler, "status")
    wanted = status.get("desiredReplicas")
    return f"{spec.get('minReplicas')} to {spec.get('maxReplicas')} replicas" + (f", {wanted} wanted now" if wanted is not None else "")
