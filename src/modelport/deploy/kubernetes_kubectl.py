"""kubectl as a process: argument lists, its answers as JSON, and what it refuses in a sentence of ours with its own words in it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from modelport.deploy.kubernetes import OLDEST, check_namespace
from modelport.errors import TargetRefused, UsageError

_REQUEST_S, _COMMAND_S = 30, 300
_WORDS_CHARACTERS = 600
_ASIDE = re.compile(r"Warning:|[EWI]\d{4} ")  # klog's lines repeat what the last one says
# What kubectl and the API server are known to say, and what to do then. The first that fits counts.
_CURES = (
    (r"context was not found|context \S+ does not exist|no context exists",
     "name one that `kubectl config get-contexts` lists with --context"),
    (r"must be logged in|Unauthorized|provide credentials|executable \S+ (?:not found|failed)", "log in to the cluster again"),
    (r"orbidden", "ask for that right in the namespace, or name another one with --namespace"),
    (r"namespaces? \"?[^ \"]+\"? not found", "make it with `kubectl create namespace`, or name another one with --namespace"),
    (r"no matches for kind|could not find the requested resource|doesn't have a resource type",
     "the cluster lacks that kind; install what brings it, or leave the extra out"),
    (r"exceeded quota", "ask for less with --cpu, --memory and --max, or for a larger quota"),
    (r"refused|Unable to connect|no such host|i/o timeout|TLS handshake|certificate|timed? ?out|EOF",
     "see that the cluster runs and can be reached from here: kubectl cluster-info"),
)  # fmt: skip


Facts: TypeAlias = Mapping[str, object]
"""An object of the cluster, as it tells it."""
Say: TypeAlias = Callable[[str], None]
"""Whom progress is told."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a call of kubectl ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where: the context of kubectl's configuration and the namespace, None for those that it has chosen. ``program``: kubectl."""

    context: str | None = None
    namespace: str | None = None
    program: str = "kubectl"

    def __post_init__(self) -> None:
        check_namespace(self.namespace)

    @property
    def flags(self) -> list[str]:
        """What says so to kubectl; with "=", so that no value is ever taken for a flag."""
        context = [] if self.context is None else [f"--context={self.context}"]
        return [*context, *([] if self.namespace is None else [f"--namespace={self.namespace}"])]

    @property
    def said(self) -> str:
        """The same as a person types it after a command of ours, with a space before."""
        flags = (("context", self.context), ("namespace", self.namespace))
        return "".join(f" --{name} {value}" for name, value in flags if value is not None)

    def line(self, *arguments: str) -> list[str]:
        """Return the command."""
        return [self.program, *self.flags, *arguments]


def call(cluster: Cluster, *arguments: str, stdin: str | None = None) -> Done:
    """Run kubectl. Raises: UsageError if it is not there, TargetRefused if it does not end."""
    line = cluster.line(f"--request-timeout={_REQUEST_S}s", *arguments)
    try:
        done = subprocess.run(line, input=stdin, capture_output=True, encoding="utf-8", errors="replace", timeout=_COMMAND_S, check=False)
    except FileNotFoundError:
        raise missing(cluster) from None
    except subprocess.TimeoutExpired:
        raise TargetRefused(
            f"kubectl {arguments[0]} did not end within {_COMMAND_S} s; see that the cluster can be reached: kubectl cluster-info"
        ) from None
    return Done(done.returncode, done.stdout, done.stderr)


def run(cluster: Cluster, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl and return what it printed. Raises: TargetRefused with its words if it failed."""
    done = call(cluster, *arguments, stdin=stdin)
    if done.code:
        raise refused(arguments, done.err)
    return done.out


def get(cluster: Cluster, *arguments: str) -> Facts:
    """Return what ``kubectl get`` finds, as data; empty for nothing. Raises: TargetRefused."""
    text = run(cluster, "get", "--output=json", "--ignore-not-found", *arguments)
    return cast("Facts", json.loads(text)) if text.strip() else {}


def items(found: Facts) -> Sequence[Facts]:
    """Return the objects of a list that ``get`` found."""
    return cast("Sequence[Facts]", found.get("items") or [])


def part(facts: Facts, *path: str) -> Facts:
    """Return what lies at a path of keys; empty where nothing does."""
    for key in path:
        facts = cast("Facts", facts.get(key) or {})
    return facts


def parts(facts: Facts, *path: str) -> Sequence[Facts]:
    """Return the list at a path of keys; empty where nothing does."""
    return cast("Sequence[Facts]", part(facts, *path[:-1]).get(path[-1]) or [])


def missing(cluster: Cluster) -> UsageError:
    """Return what is said where there is no kubectl."""
    return UsageError(
        f"{cluster.program}, the program that speaks to clusters, is not installed here; install it, or write the files with --emit DIR "
        "and apply them where it is"
    )


def refused(arguments: Sequence[str], words: str) -> TargetRefused:
    """Return the sentence for what kubectl refused, with its own words."""
    told = [line.strip() for line in words.strip().splitlines()]
    said = " ".join(line for line in told if not _ASIDE.match(line)) or " ".join(told)
    said = re.sub(r"^(?:error: |Error from server )", "", said)
    shown = said if len(said) <= _WORDS_CHARACTERS else said[: _WORDS_CHARACTERS - 1] + "…"
    cure = next((cure for pattern, cure in _CURES if re.search(pattern, said)), "see what it says, and kubectl's own log with -v=6")
    return TargetRefused(f"kubectl {arguments[0]}: {shown or 'it failed without a word'}; {cure}")


def check_version(cluster: Cluster) -> str:
    """Return the cluster's version. Raises: TargetRefused if it cannot be reached or is older than what the manifests need."""
    answer = json.loads(run(cluster, "version", "--output=json"))
    version = answer.get("serverVersion") or {}
    found = re.match(r"v?(\d+)\.(\d+)", str(version.get("gitVersion", "")))
    if found is None:
        raise refused(("version",), "the cluster did not say which version it is")
    if (int(found[1]), int(found[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise TargetRefused(
            f"the cluster is Kubernetes {found[1]}.{found[2]}, and the manifests need {oldest} or newer (its preStop hook that sleeps, "
            "without which a rollout loses requests); update the cluster, or name another one with --context"
        )
    return str(version["gitVersion"])
