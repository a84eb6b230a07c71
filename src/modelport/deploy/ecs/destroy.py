"""Taking a service away: the stack, then the repository of its images; the log lines stay until they expire, unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from modelport.deploy.ecs import images, stack, watch
from modelport.deploy.ecs.account import Account
from modelport.deploy.ecs.apply import Talk
from modelport.deploy.ecs.stack import Nothing, Stack
from modelport.errors import TargetRefused


@dataclass(frozen=True, slots=True)
class Extent:
    """How much goes, and whether it is agreed to already."""

    is_agreed: bool = False
    is_waiting: bool = True
    are_images_kept: bool = False
    are_logs_deleted: bool = False


def destroy(account: Account, name: str, extent: Extent, talk: Talk) -> str:
    """Delete a service, and return what came of it: declined, begun or done. Raises: TargetRefused if there is none or AWS refuses."""
    found = stack.find(account, name)
    repository = None if extent.are_images_kept else images.find(account, name)
    if found is None and repository is None:
        stack.ours(account, name)
    if found is not None and found.stack_status != "REVIEW_IN_PROGRESS":
        stack.check_ours(found)
    log_group = stack.resources(account, found.stack_id).get("LogGroup", "") if found else ""
    parts = _parts(name, log_group, extent)
    for part in (parts[0] if found else "", parts[1] if repository else "", parts[2] if log_group else ""):
        if part:
            talk.say(part)
    if not extent.is_agreed and not talk.agree("delete all this?"):
        return "declined"
    if found is not None:
        _delete(account, found, extent, talk)
        if not extent.is_waiting:
            return "begun"
    if repository is not None and images.remove(account, name):
        talk.say(f"deleted the repository {images.repository_name(name)}")
    if log_group and extent.are_logs_deleted:
        account.ask("logs", "delete_log_group", Nothing, {"logGroupName": log_group})
        talk.say(f"deleted the log group {log_group}")
    return "done"


def _delete(account: Account, found: Stack, extent: Extent, talk: Talk) -> None:
    seen = watch.begin(account, found.stack_id, talk.say)
    stack.delete(account, found)
    if not extent.is_waiting:
        return
    state = watch.until_done(seen, talk.pause)
    if state != "DELETE_COMPLETE":
        reason = seen.failures[0] if seen.failures else "AWS gave no reason"
        name = found.stack_name
        raise TargetRefused(f"the stack {name} could not be deleted ({state}): {reason}; remove what holds it, then run the same again")


def _parts(name: str, log_group: str, extent: Extent) -> tuple[str, str, str]:
    """What there may be: the stack, the repository, the log group."""
    return (
        f"the stack {name}: load balancer, service, roles, security groups",
        f"the repository {images.repository_name(name)} with all images in it (--keep-images keeps it)",
        f"the log group {log_group} {'too' if extent.are_logs_deleted else 'stays until its lines expire (--logs deletes it)'}",
    )
