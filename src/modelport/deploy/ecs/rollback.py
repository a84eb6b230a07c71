"""Going back to what ran before: ECS keeps every revision of a task definition, CloudFormation makes the change.

The stack's own template stays; image, size and variables are taken from the older revision. So a rollback is a change like any
other: with a diff, a circuit breaker, and a revision of its own that can be gone back from.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from modelport.deploy.documents import Data
from modelport.deploy.ecs import plan, replicas, stack
from modelport.deploy.ecs.account import Account
from modelport.deploy.ecs.apply import Outcome, Talk, Wish, carry_out
from modelport.deploy.ecs.parameters import numbered, repository
from modelport.deploy.ecs.refusals import Refusal
from modelport.deploy.ecs.stack import Stack
from modelport.errors import TargetRefused

_LOOKED_BACK = 20
_VARIABLE = re.compile(r"Variable\d+")
_BY_HAND = "deploy the version that you want again instead, with `modelport deploy ecs FILE`"


class Variable(msgspec.Struct, frozen=True):
    """A variable of a container."""

    name: str
    value: str = ""


class Container(msgspec.Struct, rename="camel", frozen=True):
    """A container of a revision."""

    image: str = ""
    environment: list[Variable] = []


class Revision(msgspec.Struct, rename="camel", frozen=True):
    """A task definition."""

    family: str
    revision: int
    cpu: str = ""
    memory: str = ""
    container_definitions: list[Container] = []


class Tag(msgspec.Struct, frozen=True):
    """A tag of a revision."""

    key: str
    value: str = ""


class Described(msgspec.Struct, rename="camel", frozen=True):
    """A revision with its tags."""

    task_definition: Revision
    tags: list[Tag] = []


def rollback(account: Account, name: str, to: int | None, wish: Wish, talk: Talk) -> Outcome:
    """Go back to a revision, by default to the one before. Raises: TargetRefused if there is none, or AWS refuses."""
    found = stack.ours(account, name)
    stack.check_free(found)
    now = _running(account, found)
    old = _read(account, f"{now.family}:{to}") if to is not None else _before(account, now)
    body, values = _going_back(account, found, old)
    proposal = stack.propose(account, name, body, values, talk.pause)
    image = values["Image"]
    talk.say(f"{name} would go back from revision {now.revision} to what revision {old.task_definition.revision} was:")
    for line in plan.rows(plan.differing(found.values, values)):
        talk.say(line)
    if wish.is_plan or not (wish.is_agreed or talk.agree("do this?")):
        stack.discard(account, proposal)
        return Outcome("planned" if wish.is_plan else "declined", name, account.region, image)
    return carry_out(account, proposal, Outcome("done" if wish.is_waiting else "begun", name, account.region, image), talk)


def with_variables(template: Mapping[str, Data], variables: Mapping[str, str]) -> tuple[dict[str, Data], dict[str, str]]:
    """Return the template with other variables in its container, and the values of their parameters. Raises: TargetRefused."""
    try:
        changed = copy.deepcopy(dict(template))
        container = changed["Resources"]["Task"]["Properties"]["ContainerDefinitions"][0]  # type: ignore[index,call-overload]  # or KeyError
        declared = changed["Parameters"]
        named = numbered("Variable", variables)
        container["Environment"] = [{"Name": name, "Value": {"Ref": parameter}} for name, parameter in named.items()]  # type: ignore[index]
        kept = {name: one for name, one in declared.items() if not _VARIABLE.fullmatch(name)}  # type: ignore[union-attr]
        changed["Parameters"] = {**kept, **{parameter: {"Type": "String"} for parameter in named.values()}}
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise TargetRefused(f"the stack's template was edited beyond what a rollback understands (no {error}); {_BY_HAND}") from error
    return changed, {parameter: variables[name] for name, parameter in named.items()}


def _going_back(account: Account, found: Stack, old: Described) -> tuple[str, dict[str, str]]:
    task = old.task_definition
    container = next(iter(task.container_definitions), Container())
    template, variables = with_variables(_template(account, found), {one.name: one.value for one in container.environment})
    tags = {tag.key: tag.value for tag in old.tags}
    values = {name: value for name, value in found.values.items() if not _VARIABLE.fullmatch(name)} | variables
    values |= {"Image": container.image, "Cpu": task.cpu or values["Cpu"], "Memory": task.memory or values["Memory"]}
    for parameter, tag in (("ModelVersion", "modelport:version"), ("ModelDigest", "modelport:sha256")):
        values[parameter] = tags.get(tag, values[parameter])
    place = repository(container.image)
    if (place is not None) != ("RepositoryArn" in values):
        raise TargetRefused(f"revision {task.revision} has its image from a registry of another kind, {container.image}; {_BY_HAND}")
    if place is not None:
        values["RepositoryArn"] = place.arn
    return json.dumps(template), values


def _template(account: Account, found: Stack) -> Mapping[str, Data]:
    """A template that came as JSON is data already; one that came as YAML, by AWS's own tools, is text."""
    body = stack.template_of(account, found)
    if isinstance(body, str):
        try:
            body = yaml.safe_load(body)
        except yaml.YAMLError as error:
            raise TargetRefused(
                f"the stack's template was edited beyond what a rollback understands (no plain YAML); {_BY_HAND}"
            ) from error
    return msgspec.convert(body, dict[str, Any]) if isinstance(body, dict) else {}


def _running(account: Account, found: Stack) -> Revision:
    arn = stack.resources(account, found.stack_id).get("Service", "")
    service = replicas.service(account, arn) if arn else None
    if service is None:
        raise TargetRefused(f"the stack {found.stack_name} has no service to go back with; deploy it again")
    return _read(account, service.task_definition).task_definition


def _before(account: Account, now: Revision) -> Described:
    """Return the newest revision before this one. Those that are gone for good are passed over."""
    for number in range(now.revision - 1, max(0, now.revision - 1 - _LOOKED_BACK), -1):
        try:
            return _read(account, f"{now.family}:{number}")
        except Refusal as refusal:
            if refusal.aws_code != "ClientException":
                raise
    raise TargetRefused(f"{now.family} has no revision before {now.revision}; {_BY_HAND}")


def _read(account: Account, name: str) -> Described:
    return account.ask("ecs", "describe_task_definition", Described, {"taskDefinition": name, "include": ["TAGS"]})
