"""Watching AWS work: events of the stack and of the service, and why replicas stopped, while that can still be seen.

When a change fails, CloudFormation takes the new service or its new version away and with it every trace of the reason. So each
look also asks for stopped replicas and their last log lines, and tells what is new at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from modelport.deploy.ecs import replicas, stack
from modelport.deploy.ecs.account import Account
from modelport.deploy.ecs.refusals import Refusal, said
from modelport.deploy.ecs.stack import Pause
from modelport.errors import TargetRefused

_POLL_S = 5.0
_LINES_EACH = 10
_MOST_TOLD = 5
_CAUSES_KEPT = 20


class StackEvent(msgspec.Struct, rename="pascal", frozen=True):
    """What happened to a part of a stack."""

    event_id: str
    logical_resource_id: str = ""
    resource_status: str = ""
    resource_status_reason: str = ""
    timestamp: datetime | None = None


class StackEvents(msgspec.Struct, rename="pascal", frozen=True):
    """What happened to a stack, newest first."""

    stack_events: list[StackEvent] = []


@dataclass(slots=True)
class Watch:
    """What was told already, and the reasons seen for a failure."""

    account: Account
    stack_id: str
    say: Callable[[str], None]
    seen: set[str] = field(default_factory=set)
    causes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    lines_told: int = 0


def begin(account: Account, stack_id: str, say: Callable[[str], None]) -> Watch:
    """Return a watch that tells only what happens from now on."""
    watch = Watch(account, stack_id, _silent)
    _look_at_stack(watch)
    _look_at_service(watch)
    return Watch(account, stack_id, say, watch.seen)


def until_done(watch: Watch, pause: Pause = time.sleep) -> str:
    """Tell of what happens until AWS is done, and return the state that the stack is left in, DELETE_COMPLETE if it is gone."""
    while True:
        found = stack.find(watch.account, watch.stack_id)
        look(watch)
        if found is None:
            return "DELETE_COMPLETE"
        # Right after a change set was executed, a new stack is still under review.
        if not found.stack_status.endswith("_IN_PROGRESS"):
            return found.stack_status
        pause(_POLL_S)


def look(watch: Watch) -> None:
    """Tell what is new of the stack and of its service."""
    _look_at_stack(watch)
    _look_at_service(watch)


def check_success(watch: Watch, name: str, state: str) -> None:
    """Raises: TargetRefused with the reason that was seen, if the stack did not end where it was to go."""
    if state in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"):
        return
    cause = watch.causes[-1] if watch.causes else watch.failures[0] if watch.failures else "AWS gave no reason"
    what = (
        "and what ran before runs on" if state.startswith("UPDATE_ROLLBACK") else f"and `modelport destroy ecs {name}` clears what is left"
    )
    raise TargetRefused(f"the stack {name} ended as {state}, {what}: {cause}")


def _silent(text: str) -> None:
    del text


def _look_at_stack(watch: Watch) -> None:
    found = watch.account.ask("cloudformation", "describe_stack_events", StackEvents, {"StackName": watch.stack_id}).stack_events
    for event in reversed(found):
        if event.event_id in watch.seen:
            continue
        watch.seen.add(event.event_id)
        reason = said(event.resource_status_reason)
        watch.say(f"{event.resource_status:<28} {event.logical_resource_id}{f'  {reason}' if reason else ''}")
        # What is cancelled because another part failed is no reason.
        if event.resource_status.endswith("_FAILED") and "cancelled" not in reason:
            watch.failures.append(f'{event.logical_resource_id}: "{reason}"')


def _look_at_service(watch: Watch) -> None:
    """What cannot be seen is not worth stopping for: the stack goes on all the same."""
    try:
        parts = stack.resources(watch.account, watch.stack_id)
        if not (arn := parts.get("Service", "")):
            return
        _tell_events(watch, arn)
        _tell_stopped(watch, arn, parts.get("LogGroup", ""))
    except Refusal as refusal:
        if refusal.message not in watch.seen:
            watch.seen.add(refusal.message)
            watch.say(f"the service cannot be looked at: {refusal.message}")


def _tell_events(watch: Watch, arn: str) -> None:
    found = replicas.service(watch.account, arn)
    for event in reversed(found.events if found else []):
        if event.id not in watch.seen:
            watch.seen.add(event.id)
            watch.say(f"service: {said(event.message)}")


def _tell_stopped(watch: Watch, arn: str, log_group: str) -> None:
    for one in replicas.failed(replicas.tasks(watch.account, arn, is_stopped=True)):
        if one.task.task_arn in watch.seen:
            continue
        watch.seen.add(one.task.task_arn)
        watch.causes = [*watch.causes[-_CAUSES_KEPT:], f"a replica stopped: {one.sentence}"]
        watch.say(f"replica {one.task.id} stopped: {one.sentence}")
        if log_group and watch.lines_told < _MOST_TOLD:
            watch.lines_told += 1
            for line in replicas.last_lines(watch.account, log_group, one.task, _LINES_EACH):
                watch.say(f"  | {line}")
