"""What is wrong with the replicas of a service, as their cluster tells it, in words of cause and cure."""

from __future__ import annotations

from dataclasses import dataclass

from modelport.deploy.kubernetes import query
from modelport.deploy.kubernetes_kubectl import Cluster, Facts, call, get, items, part, parts

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
_LINES = 10
_KILLED, _TERMINATED = 137, 143
# Reasons of a container that waits: what they mean here, and what to do. Nothing but a change ends any of them.
_FINAL = {
    "ErrImagePull": "the image cannot be pulled; see that it was pushed, and that the cluster may pull it (--pull-secret)",
    "ImagePullBackOff": "the image cannot be pulled; see that it was pushed, and that the cluster may pull it (--pull-secret)",
    "InvalidImageName": "the image's name is none; correct --image",
    "CreateContainerConfigError": "a Secret that the container needs is not there; make it, or correct --api-key-secret",
    "CreateContainerError": "the container cannot be made from the image; build it with `modelport image`",
    "RunContainerError": "the container cannot be started; build the image with `modelport image`",
    "CrashLoopBackOff": "the server ends again and again; its last lines say why",
}
_IS_PULLING = ("ErrImagePull",)  # the first failure may be the registry's; the next one has another name


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps a replica from answering. ``is_final``: whether waiting will not help. ``lines``: the last ones of its log."""

    pod: str
    reason: str
    is_final: bool
    lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join([f"{self.pod}: {self.reason}", *(f"    {line}" for line in self.lines)])


def newest(cluster: Cluster, name: str) -> str:
    """Return the hash that the pods of the newest revision are labelled with; empty where there is none yet."""
    found = items(get(cluster, "replicasets", f"--selector={query(name)}"))
    by_revision = sorted(found, key=lambda each: int(str(part(each, "metadata", "annotations").get(REVISION, "0"))))
    return str(part(by_revision[-1], "metadata", "labels").get(HASH, "")) if by_revision else ""


def troubles(cluster: Cluster, name: str, *, only_newest: bool = True) -> list[Trouble]:
    """Return what is wrong with the replicas, the Deployment's own troubles first. Raises: TargetRefused."""
    deployment = get(cluster, f"deployment/{name}")
    if only_newest and not is_observed(deployment):
        return []  # what is there is still what was there before
    found = _of_deployment(deployment, name)
    wanted = newest(cluster, name) if only_newest else ""
    for pod in items(get(cluster, "pods", f"--selector={query(name)}")):
        if not wanted or part(pod, "metadata", "labels").get(HASH) == wanted:
            found += _of_pod(cluster, pod)
    return found


def unready(cluster: Cluster, name: str) -> list[str]:
    """Return the replicas of the newest revision that run and do not answer."""
    wanted = newest(cluster, name)
    pods = items(get(cluster, "pods", f"--selector={query(name)}"))
    return [_name(pod) for pod in pods if part(pod, "metadata", "labels").get(HASH) == wanted and not is_ready(pod)]


def is_observed(deployment: Facts) -> bool:
    """Whether the cluster has begun with what was last asked of it."""
    seen, asked = part(deployment, "status").get("observedGeneration"), part(deployment, "metadata").get("generation")
    return isinstance(seen, int) and isinstance(asked, int) and seen >= asked


def is_ready(pod: Facts) -> bool:
    """Whether a replica gets requests."""
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in parts(pod, "status", "conditions"))


def _of_deployment(deployment: Facts, name: str) -> list[Trouble]:
    """Return why no pod is made at all: a quota, a policy of the namespace."""
    failures = [each for each in parts(deployment, "status", "conditions") if each.get("type") == "ReplicaFailure"]
    reason = "no replica can be made: {}; change what the cluster refuses, or the policy that does"
    return [Trouble(name, reason.format(each.get("message")), True) for each in failures if each.get("status") == "True"]


def _of_pod(cluster: Cluster, pod: Facts) -> list[Trouble]:
    name = _name(pod)
    for condition in parts(pod, "status", "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return [Trouble(name, f"no node has room for it: {condition.get('message')}; ask for less with --cpu and --memory", False)]
    found = []
    for container in parts(pod, "status", "containerStatuses"):
        waiting = str(part(container, "state", "waiting").get("reason", ""))
        ended = part(container, "state", "terminated") or part(container, "lastState", "terminated")
        if waiting in _FINAL:
            said = str(part(container, "state", "waiting").get("message", "")).strip()
            cause = _ended(ended) if waiting == "CrashLoopBackOff" else said
            reason = f"{waiting}: {cause or said}; {_FINAL[waiting]}"
            found.append(Trouble(name, reason, waiting not in _IS_PULLING, _last_lines(cluster, name, has_run=bool(ended))))
        elif ended:
            found.append(Trouble(name, f"it ended: {_ended(ended)}", False, _last_lines(cluster, name, has_run=True)))
    return found


def _ended(facts: Facts) -> str:
    code = facts.get("exitCode")
    if facts.get("reason") == "OOMKilled":
        return "out of memory; give it more with --memory"
    if code == _KILLED:
        return "exit code 137, killed: out of memory, or hung as /livez no longer answered"
    if code == _TERMINATED:
        return "exit code 143, told to end"
    return f"exit code {code} ({facts.get('reason')})"


def _last_lines(cluster: Cluster, pod: str, *, has_run: bool) -> tuple[str, ...]:
    """Return the end of a pod's log, of the container that ended if that is still kept; nothing where nothing ran."""
    if not has_run:
        return ()
    for which in (["--previous"], []):
        done = call(cluster, "logs", pod, f"--tail={_LINES}", *which)
        if not done.code and done.out.strip():
            return tuple(done.out.rstrip().splitlines()[-_LINES:])
    return ()


def _name(pod: Facts) -> str:
    return str(part(pod, "metadata").get("name", ""))
