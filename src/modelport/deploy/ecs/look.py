"""How a service is doing, and what it logged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from modelport.deploy.ecs import replicas, stack
from modelport.deploy.ecs.account import Account
from modelport.deploy.ecs.apply import url_of
from modelport.deploy.ecs.refusals import said
from modelport.deploy.ecs.stack import Pause
from modelport.errors import TargetRefused

_EVENTS, _STOPPED = 5, 3
_LATE_MS, _LOOK_S, _MOST_AT_ONCE = 20_000, 3.0, 10_000


class Health(msgspec.Struct, rename="pascal", frozen=True):
    """How the load balancer finds a replica."""

    state: str = ""
    reason: str = ""
    description: str = ""


class Target(msgspec.Struct, rename="pascal", frozen=True):
    """A replica as the load balancer knows it."""

    target_health: Health = Health()


class Targets(msgspec.Struct, rename="pascal", frozen=True):
    """All of them."""

    target_health_descriptions: list[Target] = []


class Rollout(msgspec.Struct, frozen=True):
    """A version of the service that is there now."""

    revision: str
    state: str
    reason: str
    running: int
    pending: int
    desired: int
    failed: int


class Status(msgspec.Struct, frozen=True):
    """How a service is doing."""

    name: str
    region: str
    state: str
    url: str
    image: str
    model: str
    version: str
    running: int
    pending: int
    desired: int
    healthy: int
    rollouts: list[Rollout]
    stopped: list[str]
    events: list[str]

    @property
    def is_well(self) -> bool:
        """Whether it answers with as many replicas as it is to have."""
        return self.healthy > 0 and self.running >= self.desired and self.state.endswith("_COMPLETE")


def status(account: Account, name: str) -> Status:
    """Say how a service is doing. Raises: TargetRefused if there is none."""
    found = stack.ours(account, name)
    parts = stack.resources(account, found.stack_id)
    arn = parts.get("Service", "")
    service = (replicas.service(account, arn) if arn else None) or replicas.EcsService()
    stopped = replicas.failed(replicas.tasks(account, arn, is_stopped=True)) if arn else []
    groups = [parts[key] for key in ("TargetGroup", "OtherTargetGroup") if key in parts]
    return Status(
        name=name,
        region=account.region,
        state=found.stack_status,
        url=url_of(account, found),
        image=found.values.get("Image", ""),
        model=found.values.get("ModelName", ""),
        version=found.values.get("ModelVersion", ""),
        running=service.running_count,
        pending=service.pending_count,
        desired=service.desired_count,
        healthy=sum(_healthy(account, group) for group in groups),
        rollouts=[_rollout(one) for one in service.deployments],
        stopped=[f"{one.task.id}: {one.sentence}" for one in stopped[:_STOPPED]],
        events=[_event(one) for one in service.events[:_EVENTS]],
    )


def told(found: Status) -> list[str]:
    """Return a status as lines."""
    lines = [
        f"{found.name}  {found.state}  {found.region}",
        f"  {found.url or 'no address yet'}",
        f"  model {found.model}, version {found.version}",
        f"  image {found.image}",
        f"  {found.running} running, {found.pending} starting, {found.desired} wanted; {found.healthy} healthy behind the load balancer",
    ]
    for one in found.rollouts:
        reason = f": {one.reason}" if one.reason else ""
        lines.append(f"  revision {one.revision}  {one.state}  {one.running} of {one.desired} running, {one.failed} failed{reason}")
    lines += [f"  stopped {one}" for one in found.stopped]
    return lines + [f"  {one}" for one in found.events]


def logs(account: Account, name: str, since_s: int, most: int, pause: Pause | None = None) -> Iterator[str]:
    """Yield the last log lines of a service's replicas, oldest first; with ``pause``, between two looks, new ones for ever.

    Raises: TargetRefused if there is no service, or no log group.
    """
    found = stack.ours(account, name)
    group = stack.resources(account, found.stack_id).get("LogGroup", "")
    if not group:
        raise TargetRefused(f"the stack {name} ({found.stack_status}) has no log group yet; see `modelport status ecs {name}`")
    since_ms = int((time.time() - since_s) * 1000)
    told: set[str] = set()
    while True:
        lines = replicas.lines(account, group, since_ms, most)
        yield from (said(line.message) for line in lines if line.event_id not in told)
        if pause is None:
            return
        if len(lines) == most:  # what is older was left out
            since_ms = lines[0].timestamp
        # Lines of several replicas do not arrive in the order of their times, so that each look goes back a little.
        since_ms = max([since_ms, *(line.timestamp - _LATE_MS for line in lines)])
        told = {line.event_id for line in lines}
        most = _MOST_AT_ONCE
        pause(_LOOK_S)


def _healthy(account: Account, group: str) -> int:
    found = account.ask("elbv2", "describe_target_health", Targets, {"TargetGroupArn": group}).target_health_descriptions
    return sum(one.target_health.state == "healthy" for one in found)


def _rollout(one: replicas.Deployment) -> Rollout:
    return Rollout(
        revision=one.task_definition.rsplit(":", 1)[-1],
        state=one.rollout_state or one.status,
        reason=said(one.rollout_state_reason),
        running=one.running_count,
        pending=one.pending_count,
        desired=one.desired_count,
        failed=one.failed_tasks,
    )


def _event(one: replicas.Event) -> str:
    when = f"{one.created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} " if isinstance(one.created_at, datetime) else ""
    return when + said(one.message)
