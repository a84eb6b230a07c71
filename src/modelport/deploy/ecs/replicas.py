"""The replicas of a service as ECS tells of them: running, stopped and why, and what they logged last."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from modelport.deploy.ecs.account import Account
from modelport.deploy.ecs.refusals import Refusal, said
from modelport.deploy.ecs.task import CONTAINER, STREAM

_TASKS_EACH = 100
_OUT_OF_MEMORY = 137

_REASONS: tuple[tuple[str, str], ...] = (
    (
        r"descriptor matching platform|exec format error|platform.*does not match",
        "the image is for another processor: build it with --platform linux/amd64, or give --arch arm64",
    ),
    (
        r"CannotPull|pull image|ImageNotFound",
        "the image cannot be fetched: see that it exists, that its registry lets the account in (--pull-secret), and its way out",
    ),
    (
        r"ResourceInitializationError.*(?:secret|ssm|parameter)",
        "a secret cannot be read: see that its ARN is right, in this region, and that the subnets have a way out",
    ),
    (r"ResourceInitializationError", "the replica could not reach AWS's services: see that its subnets have a way out"),
    (r"OutOfMemory", "the model needs more memory: give more with --memory"),
    (
        r"health check",
        "it did not answer /readyz with 200 in time: its last lines say why; a model that takes long to load needs --grace",
    ),
    (r"[Ss]pot", "AWS took its spot capacity back: another is started"),
    (
        r"[Cc]apacity is unavailable|no capacity|lacks capacity",
        "AWS has no capacity for it now: try again, or other subnets or another size",
    ),
)
_EXITS = {
    2: "the server could not read the model or a setting",
    3: "the model needs trust or is refused",
    _OUT_OF_MEMORY: "it was killed: most often for want of memory, so give more with --memory",
    139: "it crashed",
}


class Named(msgspec.Struct, rename="camel", frozen=True):
    """A container of a task."""

    name: str = ""
    exit_code: int | None = None
    reason: str = ""


class Task(msgspec.Struct, rename="camel", frozen=True):
    """A replica."""

    task_arn: str
    last_status: str = ""
    health_status: str = ""
    stop_code: str = ""
    stopped_reason: str = ""
    task_definition_arn: str = ""
    containers: list[Named] = []

    @property
    def id(self) -> str:
        """What its log stream ends with."""
        return self.task_arn.rsplit("/", 1)[-1]


class Tasks(msgspec.Struct, rename="camel", frozen=True):
    """Replicas."""

    tasks: list[Task] = []


class Arns(msgspec.Struct, rename="camel", frozen=True):
    """Names of replicas."""

    task_arns: list[str] = []


class Event(msgspec.Struct, rename="camel", frozen=True):
    """What happened to a service."""

    id: str
    message: str = ""
    created_at: datetime | None = None


class Deployment(msgspec.Struct, rename="camel", frozen=True):
    """A version of a service that is being brought up, serves, or is taken away."""

    status: str = ""
    task_definition: str = ""
    desired_count: int = 0
    running_count: int = 0
    pending_count: int = 0
    failed_tasks: int = 0
    rollout_state: str = ""
    rollout_state_reason: str = ""


class EcsService(msgspec.Struct, rename="camel", frozen=True):
    """The service of ECS."""

    service_arn: str = ""
    status: str = ""
    desired_count: int = 0
    running_count: int = 0
    pending_count: int = 0
    task_definition: str = ""
    deployments: list[Deployment] = []
    events: list[Event] = []


class EcsServices(msgspec.Struct, rename="camel", frozen=True):
    """Services of ECS."""

    services: list[EcsService] = []


class Line(msgspec.Struct, rename="camel", frozen=True):
    """A log line; ``timestamp`` in milliseconds since 1970."""

    event_id: str = ""
    timestamp: int = 0
    message: str = ""


class Lines(msgspec.Struct, rename="camel", frozen=True):
    """Log lines."""

    events: list[Line] = []
    next_token: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A replica that ended, and why, in AWS's words and in ours ("" where they speak for themselves)."""

    task: Task
    words: str
    advice: str

    @property
    def sentence(self) -> str:
        """Both together."""
        return f'"{self.words}"; {self.advice}' if self.advice else f'"{self.words}"'


def service(account: Account, service_arn: str) -> EcsService | None:
    """Return the service; None if it is gone."""
    arguments = {"cluster": cluster_of(service_arn), "services": [service_arn]}
    found = account.ask("ecs", "describe_services", EcsServices, arguments).services
    return found[0] if found else None


def tasks(account: Account, service_arn: str, *, is_stopped: bool) -> list[Task]:
    """Return the replicas that run, or those that stopped within the last hour."""
    cluster = cluster_of(service_arn)
    wanted = {"cluster": cluster, "serviceName": service_arn, "desiredStatus": "STOPPED" if is_stopped else "RUNNING"}
    names = account.ask("ecs", "list_tasks", Arns, wanted).task_arns[:_TASKS_EACH]
    return account.ask("ecs", "describe_tasks", Tasks, {"cluster": cluster, "tasks": names}).tasks if names else []


def failed(found: Sequence[Task]) -> list[Stopped]:
    """Return those of the stopped replicas that did not stop because they were told to."""
    return [why(task) for task in found if task.stop_code not in ("ServiceSchedulerInitiated", "UserInitiated") or _is_unhealthy(task)]


def why(task: Task) -> Stopped:
    """Say why a replica stopped."""
    container = next((one for one in task.containers if one.name == CONTAINER), Named())
    code = "" if container.exit_code is None else f"exit code {container.exit_code}"
    words = said(", ".join(dict.fromkeys(part for part in (task.stopped_reason, container.reason, code) if part)) or "no reason given")
    for pattern, advice in _REASONS:
        if re.search(pattern, words):
            return Stopped(task, words, advice)
    return Stopped(task, words, _EXITS.get(container.exit_code or 0, ""))


def last_lines(account: Account, log_group: str, task: Task, most: int) -> list[str]:
    """Return what a replica logged last, oldest first; nothing if it logged nothing."""
    arguments = {"logGroupName": log_group, "logStreamName": f"{STREAM}/{CONTAINER}/{task.id}", "limit": most, "startFromHead": False}
    try:
        return [said(line.message) for line in account.ask("logs", "get_log_events", Lines, arguments).events]
    except Refusal as refusal:
        if refusal.aws_code == "ResourceNotFoundException":
            return []
        raise


def lines(account: Account, log_group: str, since_ms: int, most: int) -> list[Line]:
    """Return log lines of all replicas since a time, the last ``most`` of them, oldest first."""
    found: list[Line] = []
    arguments: dict[str, object] = {"logGroupName": log_group, "startTime": since_ms}
    while True:
        page = account.ask("logs", "filter_log_events", Lines, arguments)
        found = sorted([*found, *page.events], key=lambda line: line.timestamp)[-most:]
        if not page.next_token:
            return found
        arguments["nextToken"] = page.next_token


def cluster_of(service_arn: str) -> str:
    """Return the cluster's name of a service's ARN: …:service/CLUSTER/NAME."""
    return service_arn.split("/")[-2] if service_arn.count("/") >= 2 else "default"


def _is_unhealthy(task: Task) -> bool:
    return "health check" in task.stopped_reason
