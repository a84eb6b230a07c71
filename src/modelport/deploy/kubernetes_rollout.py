"""Following a rollout to its end: what goes wrong is told while it does, and what cannot get better is not waited for."""

from __future__ import annotations

import subprocess

from modelport.deploy.kubernetes_kubectl import Cluster, Say, missing, refused, run
from modelport.deploy.kubernetes_pods import Trouble, troubles, unready
from modelport.errors import TargetRefused

LIMIT_S = 660  # a little longer than the Deployment's own limit, which says more
_LOOK_S = 1.5


def follow(cluster: Cluster, name: str, say: Say, *, look_s: float = _LOOK_S) -> None:
    """Wait until the newest revision has replaced all others. ``look_s``: how often the pods are looked at.

    Raises: TargetRefused, naming the pod, the reason and its last lines, if it will not; what ran before runs on.
    """
    line = cluster.line("rollout", "status", f"deployment/{name}", f"--timeout={LIMIT_S}s")
    told: set[tuple[str, str]] = set()
    try:
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise missing(cluster) from None
    with process:
        try:
            while True:
                try:
                    _, err = process.communicate(timeout=look_s)
                    break
                except subprocess.TimeoutExpired:
                    _tell(cluster, name, say, told)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise _failed(cluster, name, err)


def undo(cluster: Cluster, name: str, revision: int | None) -> str:
    """Go back to a revision, by default the one before; returns what kubectl said. Raises: TargetRefused."""
    which = [] if revision is None else [f"--to-revision={revision}"]
    return run(cluster, "rollout", "undo", f"deployment/{name}", *which)


def _tell(cluster: Cluster, name: str, say: Say, told: set[tuple[str, str]]) -> None:
    """Tell what is newly wrong. Raises: TargetRefused for what waiting does not cure."""
    for trouble in troubles(cluster, name):
        if trouble.is_final:
            raise _given_up(cluster, name, trouble)
        if (trouble.pod, trouble.reason) not in told:
            told.add((trouble.pod, trouble.reason))
            say(trouble.text)


def _given_up(cluster: Cluster, name: str, trouble: Trouble) -> TargetRefused:
    return TargetRefused(f"the rollout of {name} does not get on: {trouble.text}\n{_what_then(cluster, name)}")


def _failed(cluster: Cluster, name: str, words: str) -> TargetRefused:
    found = troubles(cluster, name)
    if not found and "exceeded its progress deadline" not in words and "timed out" not in words:
        return refused(("rollout",), words)
    slow = [Trouble(pod, "it runs, and /readyz says no; its log says what it waits for", False) for pod in unready(cluster, name)]
    said = "\n".join(trouble.text for trouble in found or slow)
    return TargetRefused(f"the rollout of {name} did not end in time: {said or words.strip()}\n{_what_then(cluster, name)}")


def _what_then(cluster: Cluster, name: str) -> str:
    return (
        "What ran before, if anything did, runs on. Correct the cause and deploy again, or go back with "
        f"`modelport rollback k8s {name}{cluster.said}`."
    )
