"""Bringing a service to a cluster: what would change, the change, and nothing of anybody else's.

Applied by the server (server-side apply), so that fields which others own stay theirs: an autoscaler's number of replicas, for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from modelport.deploy.base import Service
from modelport.deploy.documents import Data, stream
from modelport.deploy.kubernetes import MANAGER, labels, query
from modelport.deploy.kubernetes_kubectl import Cluster, call, check_version, get, items, part, refused, run
from modelport.errors import TargetRefused

KINDS = ("deployment", "service", "horizontalpodautoscaler", "poddisruptionbudget", "ingress", "networkpolicy")
"""What a service may consist of on every cluster, in kubectl's words."""
OF_OPERATOR = {"servicemonitor": "servicemonitors.monitoring.coreos.com", "prometheusrule": "prometheusrules.monitoring.coreos.com"}
"""What it may consist of where Prometheus' operator is installed."""
# A rollback makes kubectl the owner of what it brings back, and an edit by hand whoever made it; the plan shows what of theirs goes.
_SERVER_SIDE = ("--server-side", f"--field-manager={MANAGER}", "--force-conflicts")


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying would do. ``difference``: as ``diff -u`` shows it; ``surplus``: of ours, and no longer asked for."""

    version: str
    difference: str
    surplus: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether everything is as it shall be."""
        return not self.difference.strip() and not self.surplus


def plan(cluster: Cluster, service: Service, objects: Sequence[Data]) -> Plan:
    """Compare what is asked for with what the cluster has; nothing is changed.

    Raises: TargetRefused with kubectl's words, or if the name belongs to somebody else.
    """
    version = check_version(cluster)
    check_ours(cluster, service.name)
    done = call(cluster, "diff", *_SERVER_SIDE, "--filename=-", stdin=stream(objects))
    if done.code > 1:  # 1 is a difference
        raise refused(("diff",), done.err)
    return Plan(version, done.out, tuple(_surplus(cluster, service.name, objects)))


def apply(cluster: Cluster, objects: Sequence[Data], surplus: Iterable[str]) -> str:
    """Change what differs and take away what is no longer asked for; returns what kubectl said. Raises: TargetRefused."""
    said = run(cluster, "apply", *_SERVER_SIDE, "--filename=-", stdin=stream(objects))
    gone = [run(cluster, "delete", "--ignore-not-found", "--wait=false", name) for name in surplus]
    return "".join([said, *gone])


def check_ours(cluster: Cluster, name: str) -> None:
    """Raises: TargetRefused if a Deployment or Service of that name is there that was not made here."""
    for kind in ("deployment", "service"):
        found = get(cluster, f"{kind}/{name}")
        if found and not labels(name).items() <= part(found, "metadata", "labels").items():
            raise TargetRefused(
                f"the {kind} {name} was not made by modelport (it lacks its labels), so that it is left alone; "
                "give this service another name with --name, or another namespace with --namespace"
            )


def ours(cluster: Cluster, name: str) -> list[str]:
    """Return everything that belongs to a service, as kind/name. Raises: TargetRefused."""
    kinds = [*KINDS, *_kinds_of_operator(cluster)]
    found = items(get(cluster, ",".join(kinds), f"--selector={query(name)}"))
    named = []
    for each in found:
        kind = str(each.get("kind", "")).lower()
        named.append(f"{OF_OPERATOR.get(kind, kind)}/{part(each, 'metadata').get('name')}")
    return named


def _kinds_of_operator(cluster: Cluster) -> list[str]:
    done = call(cluster, "api-resources", "--api-group=monitoring.coreos.com", "--output=name", "--no-headers")
    known = done.out.split() if not done.code else []
    return [kind for kind in OF_OPERATOR.values() if kind in known]


def _surplus(cluster: Cluster, name: str, objects: Sequence[Data]) -> list[str]:
    kinds = [str(cast("Mapping[str, Data]", each)["kind"]).lower() for each in objects]
    wanted = {f"{OF_OPERATOR.get(kind, kind)}/{name}" for kind in kinds}
    return [each for each in ours(cluster, name) if each not in wanted]
