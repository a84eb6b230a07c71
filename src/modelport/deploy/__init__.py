"""Where a model can run: one row a target, its module imported when it is chosen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One place. ``commands``: the module that holds a command named like each of ``verbs``; ``extra``: what to install for it."""

    commands: str
    verbs: tuple[str, ...]
    extra: str
    summary: str


_ALL = ("deploy", "status", "logs", "rollback", "destroy")

TARGETS: dict[str, Target] = {
    "ecs": Target("modelport.cli.targets.ecs", _ALL, "aws", "AWS: ECS on Fargate behind a load balancer."),
    "compose": Target(
        "modelport.cli.targets.compose",
        ("deploy", "status", "logs", "destroy"),
        "deploy",
        "One machine with Docker Compose, with Prometheus and Grafana.",
    ),
    "k8s": Target("modelport.cli.targets.k8s", _ALL, "deploy", "A Kubernetes cluster, 1.30 or newer."),
    "ray": Target("modelport.cli.targets.ray", _ALL, "deploy", "Ray Serve: a running cluster, or KubeRay."),
}
