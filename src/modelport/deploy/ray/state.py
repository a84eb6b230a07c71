"""How an application is doing, and what its replicas last said."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from modelport.deploy.ray.cluster import Cluster, Facts, log_lines, ours, read, replicas
from modelport.errors import TargetRefused, UsageError


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica: its name, state, node and process there."""

    name: str
    state: str
    node: str
    address: str
    process: int


@dataclass(frozen=True, slots=True)
class State:
    """An application: Serve's status and words, and its replicas."""

    name: str
    status: str
    message: str
    route: str
    replicas: tuple[Replica, ...]

    def as_data(self) -> dict[str, object]:
        """The same for JSON."""
        return asdict(self)


def state(cluster: Cluster, name: str) -> State:
    """Return how an application is doing. Raises: UsageError if there is none, TargetRefused if it is somebody else's."""
    found = ours(read(cluster), name)
    if not found:
        raise UsageError(f"there is no application {name} in the cluster; deploy it with `modelport deploy ray FILE --name {name}`")
    there = tuple(_replica(each) for each in replicas(found))
    return State(name, str(found["status"]), str(found.get("message") or ""), str(found.get("route_prefix")), there)


def _replica(told: Facts) -> Replica:
    """One that is starting has no place and no process yet."""
    texts = [str(told.get(key) or "") for key in ("replica_id", "state", "node_id", "node_ip")]
    return Replica(texts[0], texts[1], texts[2], texts[3], int(str(told.get("pid") or 0)))


def lines(found: State) -> list[str]:
    """Return the same for a person."""
    told = [f"{found.name}: {found.status} at {found.route}, {len(found.replicas)} replicas"]
    told += [found.message] if found.message else []
    return told + [
        f"  {each.name}  {each.state}  node {each.node[:12]} ({each.address}), process {each.process}" for each in found.replicas
    ]


def logs(cluster: Cluster, name: str, count: int) -> list[str]:
    """Return the last lines of every replica; of one that cannot be read any more, why. Raises: as ``state`` does."""
    state(cluster, name)
    told = []
    for replica in replicas(ours(read(cluster), name)):
        told.append(f"== {replica['replica_id']}")
        if not replica.get("log_file_path"):
            told.append(f"nothing yet: {replica.get('state')}")
            continue
        try:
            told += log_lines(cluster, replica, count).rstrip().splitlines()
        except TargetRefused as error:
            told.append(str(error))
    return told
