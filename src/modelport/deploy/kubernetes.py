"""Kubernetes: what is its own, beside what every target takes, and how the objects of a service are named and found.

Oldest cluster: 1.30, the first that has a preStop hook that sleeps. Without it there are two ways to serve on while load balancers take
note, a shell in the image or a server that ignores SIGTERM for a while, and neither is to be had.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from modelport.deploy.base import Service
from modelport.deploy.documents import Data
from modelport.errors import UsageError

OLDEST = (1, 30)
MANAGER = "modelport"
EXTRAS = ("ingress", "network-policy", "queue-scaling", "service-monitor")

PRE_STOP_S = 5
"""How long a replica that is to end serves on, so that everybody who balances load has heard of it."""
_BEYOND_DRAIN_S = 10  # for the workers to end

_OURS = {
    "MODELPORT_HOST": "the target",
    "MODELPORT_PORT": "the target",
    "MODELPORT_DRAIN": "--drain",
    "MODELPORT_API_KEY_FILE": "--api-key-secret",
}

# kustomize writes them as they are, and then reads something else, or nothing.
_UNCARRIED = re.compile("[\\x7f-\\x9f\\ufffe\\uffff]")
_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DNS_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_DNS_CHARACTERS = 253


@dataclass(frozen=True, slots=True)
class Options:
    """What is Kubernetes' own. ``extras``: of EXTRAS, those that are applied. The secrets are names; what is in them is made elsewhere.

    ``queue_rows``: rows waiting on each replica, on average, from which on ``queue-scaling`` starts more.
    """

    namespace: str | None = None
    ingress_host: str | None = None
    ingress_class: str | None = None
    tls_secret: str | None = None
    pull_secret: str | None = None
    api_key_secret: str | None = None
    queue_rows: int = 100
    extras: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        host = None if self.ingress_host is None else self.ingress_host.removeprefix("*.")
        names = (("--ingress-host", host), ("--ingress-class", self.ingress_class), ("--tls-secret", self.tls_secret))
        for flag, name in (*names, ("--pull-secret", self.pull_secret), ("--api-key-secret", self.api_key_secret)):
            if name is not None and (len(name) > _DNS_CHARACTERS or not _DNS_NAME.fullmatch(name)):
                raise UsageError(f'{flag} must be a DNS name of a-z, 0-9, "-" and ".", found "{name[:80]}"')
        check_namespace(self.namespace)
        if unknown := sorted(self.extras - set(EXTRAS)):
            raise UsageError(f'there is no extra "{unknown[0][:80]}"; the extras are {", ".join(EXTRAS)}')
        if "ingress" in self.extras and self.ingress_host is None:
            raise UsageError("the extra ingress needs the name that it answers to; give --ingress-host HOST")
        if self.queue_rows < 1:
            raise UsageError(f"--queue-rows must be at least 1, found {self.queue_rows}")


def check_namespace(namespace: str | None) -> None:
    """Raises: UsageError if it is no name of a namespace."""
    if namespace is not None and not _DNS_LABEL.fullmatch(namespace):
        raise UsageError(f'--namespace must be 1 to 63 of a-z, 0-9 and "-", found "{namespace[:80]}"')


def check(service: Service, options: Options) -> None:
    """Raises: UsageError for what a cluster does not do."""
    if service.scale.minimum < 1:
        raise UsageError("Kubernetes scales to no fewer than 1 replica, found --min 0; give --min 1 or more")
    for name, flag in _OURS.items():
        if name in service.environment:
            raise UsageError(f"{name} is said by {flag}, as other parts of the manifests hang on it; leave it out of --set")
    for name, value in {**service.environment, "the model's name": service.model, "its version": service.version}.items():
        if _UNCARRIED.search(value):
            raise UsageError(f"{name} holds a control character that kustomize does not carry, found {value[:80]!r}; leave it out")
    if "queue-scaling" in options.extras and not is_scaled(service):
        raise UsageError("the extra queue-scaling needs room to scale; give a --max above --min")


def is_scaled(service: Service) -> bool:
    """Whether there is a HorizontalPodAutoscaler: only between two bounds that differ."""
    return service.scale.minimum < service.scale.maximum


def grace_s(service: Service) -> int:
    """Return how long a replica may take to end: what it serves on, its drain, and the end of its processes."""
    return PRE_STOP_S + service.drain_s + _BEYOND_DRAIN_S


def selector(name: str) -> dict[str, str]:
    """Return the labels that a service's pods are found by. They never change: a Deployment's selector cannot."""
    return {"app.kubernetes.io/name": "modelport", "app.kubernetes.io/instance": name}


def labels(name: str) -> dict[str, str]:
    """Return the labels of everything that belongs to a service."""
    return selector(name) | {"app.kubernetes.io/managed-by": MANAGER}


def query(name: str) -> str:
    """Return the labels as a selector for kubectl."""
    return ",".join(f"{key}={value}" for key, value in labels(name).items())


def metadata(service: Service, options: Options) -> dict[str, Data]:
    """Return the metadata of each of a service's objects; all are named alike."""
    named: dict[str, Data] = {"name": service.name}
    if options.namespace is not None:
        named["namespace"] = options.namespace
    return named | {"labels": dict(labels(service.name))}


def literal(text: str) -> str:
    """Return a value of a variable as Kubernetes leaves it alone: it replaces ``$(NAME)``, and every ``$$`` by one ``$``."""
    return text.replace("$", "$$")
