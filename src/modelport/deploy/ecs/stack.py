"""A CloudFormation stack: looked at, changed by change sets, deleted."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import msgspec

from modelport.deploy.ecs.account import Account
from modelport.deploy.ecs.refusals import Refusal, said
from modelport.deploy.ecs.template import DESCRIPTION, check_size
from modelport.errors import TargetRefused

Pause: TypeAlias = Callable[[float], None]

_SERVICE = "cloudformation"
_POLL_S, _POLLS = 2.0, 150
_PARAMETERS = {"Image", "ModelName", "ModelVersion", "ModelDigest"}
_MARK = DESCRIPTION.split(":", 1)[0] + ":"
# What CloudFormation says of a change set without changes; it has changed its words over the years.
_NOTHING = ("didn't contain changes", "no updates are to be performed", "no changes")


class Parameter(msgspec.Struct, rename="pascal", frozen=True):
    """A value that was given to a stack."""

    parameter_key: str
    parameter_value: str = ""


class Stack(msgspec.Struct, rename="pascal", frozen=True):
    """A stack as CloudFormation describes it."""

    stack_id: str
    stack_name: str
    stack_status: str
    stack_status_reason: str = ""
    description: str = ""
    parameters: list[Parameter] = []

    @property
    def values(self) -> dict[str, str]:
        """Its parameters."""
        return {one.parameter_key: one.parameter_value for one in self.parameters}

    @property
    def is_moving(self) -> bool:
        """Whether something is being done to it."""
        return self.stack_status.endswith("_IN_PROGRESS") and self.stack_status != "REVIEW_IN_PROGRESS"


class Stacks(msgspec.Struct, rename="pascal", frozen=True):
    """The answer that holds stacks."""

    stacks: list[Stack] = []


class Resource(msgspec.Struct, rename="pascal", frozen=True):
    """A part of a stack, with the name that AWS gave it."""

    logical_resource_id: str = ""
    resource_type: str = ""
    physical_resource_id: str = ""
    resource_status: str = ""


class Resources(msgspec.Struct, rename="pascal", frozen=True):
    """The parts of a stack."""

    stack_resources: list[Resource] = []


class ResourceChange(msgspec.Struct, rename="pascal", frozen=True):
    """What a change set does to a part."""

    action: str
    logical_resource_id: str
    resource_type: str = ""
    replacement: str = ""


class Change(msgspec.Struct, rename="pascal", frozen=True):
    """An entry of a change set."""

    resource_change: ResourceChange | None = None


class ChangeSet(msgspec.Struct, rename="pascal", frozen=True):
    """A change set as CloudFormation describes it."""

    status: str
    status_reason: str = ""
    execution_status: str = ""
    changes: list[Change] = []
    next_token: str = ""


class Made(msgspec.Struct, rename="pascal", frozen=True):
    """What creating a change set gives."""

    id: str
    stack_id: str


class Body(msgspec.Struct, rename="pascal", frozen=True):
    """A stack's template: data if it came as JSON, text if as YAML."""

    template_body: dict[str, object] | str


class Nothing(msgspec.Struct, frozen=True):
    """An answer of which nothing matters."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change set that waits to be executed.

    ``is_new``: the stack would be new. ``is_shell``: the change set itself made the stack's empty shell. ``is_empty``: AWS says that
    nothing would change; ``changes`` may be empty besides, where only outputs differ.
    """

    change_set: str
    stack_id: str
    is_new: bool
    is_shell: bool
    is_empty: bool = False
    changes: tuple[ResourceChange, ...] = ()


def find(account: Account, name: str) -> Stack | None:
    """Return the stack of a name (or id); None if there is none, or nothing of it but its name."""
    try:
        stacks = account.ask(_SERVICE, "describe_stacks", Stacks, {"StackName": name}).stacks
    except Refusal as refusal:
        if refusal.aws_code == "ValidationError" and "does not exist" in refusal.words:
            return None
        raise
    return stacks[0] if stacks and stacks[0].stack_status != "DELETE_COMPLETE" else None


def ours(account: Account, name: str) -> Stack:
    """Return the stack of a service. Raises: TargetRefused if there is none, or it is somebody else's."""
    stack = find(account, name)
    if stack is None:
        raise TargetRefused(
            f'there is no service "{name}" in {account.region}; give another region with --region, or deploy it with `modelport deploy ecs`'
        )
    check_ours(stack)
    return stack


def check_ours(stack: Stack) -> None:
    """Raises: TargetRefused if the stack was not made from our template: nothing of other people's is touched."""
    # Who edited the description keeps the parameters.
    if not stack.description.startswith(_MARK) and not stack.values.keys() >= _PARAMETERS:
        raise TargetRefused(f'the name "{stack.stack_name}" is taken by a stack of another kind; choose another with --name')


def check_free(stack: Stack | None) -> None:
    """Raises: TargetRefused if the stack is in a state in which AWS takes no change."""
    if stack is None or stack.stack_status == "REVIEW_IN_PROGRESS":
        return
    check_ours(stack)
    name, state = stack.stack_name, stack.stack_status
    if stack.is_moving:
        raise TargetRefused(f"the stack {name} is still being changed ({state}); wait until `modelport status ecs {name}` says it is done")
    if state in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
        raise TargetRefused(
            f"the stack {name} is what a failed attempt left ({state}) and takes no change; remove it with `modelport destroy ecs {name}`"
        )
    if state == "UPDATE_ROLLBACK_FAILED":
        raise TargetRefused(
            f"the stack {name} could not go back after a failed change ({state}); run `aws cloudformation continue-update-rollback "
            f"--stack-name {name}`, then the same command again"
        )


def propose(account: Account, name: str, body: str, values: Mapping[str, str], pause: Pause = time.sleep) -> Proposal:
    """Create a change set and wait until AWS has worked it out. Nothing is changed yet.

    Raises: UsageError if the template is too large; TargetRefused if the stack takes no change, or AWS refuses this one.
    """
    check_size(body)
    stack = find(account, name)
    check_free(stack)
    is_new = stack is None or stack.stack_status == "REVIEW_IN_PROGRESS"
    arguments = {
        "StackName": name,
        "ChangeSetName": f"modelport-{secrets.token_hex(6)}",
        "ChangeSetType": "CREATE" if is_new else "UPDATE",
        "TemplateBody": body,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
        "Capabilities": ["CAPABILITY_IAM"],
    }
    made = account.ask(_SERVICE, "create_change_set", Made, arguments)
    return _worked_out(account, Proposal(made.id, made.stack_id, is_new, stack is None), pause)


def _worked_out(account: Account, made: Proposal, pause: Pause) -> Proposal:
    named = {"StackName": made.stack_id, "ChangeSetName": made.change_set}
    for _ in range(_POLLS):
        found = account.ask(_SERVICE, "describe_change_set", ChangeSet, named)
        if found.status == "FAILED":
            if any(words in found.status_reason.lower() for words in _NOTHING):
                return replace(made, is_empty=True)
            discard(account, made)
            raise TargetRefused(
                f'AWS refused the change: "{said(found.status_reason)}"; correct what it names and run the same command again'
            )
        if found.status == "CREATE_COMPLETE":
            return replace(made, changes=tuple(_all_changes(account, named, found)))
        pause(_POLL_S)
    raise TargetRefused(
        f"AWS did not work out the change set {made.change_set} within {_POLL_S * _POLLS:.0f} s; run the same command again"
    )


def _all_changes(account: Account, named: Mapping[str, str], first: ChangeSet) -> list[ResourceChange]:
    found, page = list(first.changes), first
    while page.next_token:
        page = account.ask(_SERVICE, "describe_change_set", ChangeSet, {**named, "NextToken": page.next_token})
        found += page.changes
    return [one.resource_change for one in found if one.resource_change is not None]


def discard(account: Account, proposal: Proposal) -> None:
    """Take a change set back; with one that would have made a new stack goes the stack's empty shell."""
    account.ask(_SERVICE, "delete_change_set", Nothing, {"StackName": proposal.stack_id, "ChangeSetName": proposal.change_set})
    if proposal.is_shell:
        account.ask(_SERVICE, "delete_stack", Nothing, {"StackName": proposal.stack_id})


def execute(account: Account, proposal: Proposal) -> None:
    """Let AWS begin with the change."""
    account.ask(_SERVICE, "execute_change_set", Nothing, {"StackName": proposal.stack_id, "ChangeSetName": proposal.change_set})


def delete(account: Account, stack: Stack) -> None:
    """Let AWS begin to delete the stack."""
    account.ask(_SERVICE, "delete_stack", Nothing, {"StackName": stack.stack_id})


def resources(account: Account, stack_id: str) -> dict[str, str]:
    """Return the parts of a stack that exist: the template's name to AWS's."""
    found = account.ask(_SERVICE, "describe_stack_resources", Resources, {"StackName": stack_id}).stack_resources
    return {one.logical_resource_id: one.physical_resource_id for one in found if one.physical_resource_id}


def template_of(account: Account, stack: Stack) -> dict[str, object] | str:
    """Return the stack's template as it was given."""
    arguments = {"StackName": stack.stack_id, "TemplateStage": "Original"}
    return account.ask(_SERVICE, "get_template", Body, arguments).template_body
