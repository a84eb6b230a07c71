"""Bringing an application to a cluster and back: what would change, the change, and waiting for it."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from modelport.deploy.documents import Data, document
from modelport.deploy.ray.cluster import Cluster, Facts, configuration, log_lines, ours, read, replicas, write
from modelport.errors import TargetRefused, UsageError

Say: TypeAlias = Callable[[str], None]
Pause: TypeAlias = Callable[[float], None]

_PREVIOUS = "previous"
_LOOK_S, _LOOKS = 1.0, 900
_LAST_LINES = 20
# Serve tries again what fails; while it says this, it has not given up.
_FAILED = ("DEPLOY_FAILED",)


@dataclass(frozen=True, slots=True)
class Plan:
    """What deploying would do. ``found``: the cluster as it was; ``difference``: as ``diff -u`` shows it, "" for none."""

    found: Facts
    difference: str


def plan(cluster: Cluster, asked: Facts) -> Plan:
    """Compare; nothing is changed. Raises: TargetRefused if the name is somebody else's or the cluster cannot be asked."""
    found = read(cluster)
    current = configuration(ours(found, str(asked["name"])))
    before = "" if not current else document(cast("Data", _like(_bare(current), asked)))
    after = document(cast("Data", asked))
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "deployed", "asked for", lineterm="")
    return Plan(found, "\n".join(lines))


def apply(cluster: Cluster, planned: Plan, asked: Facts, serve: Facts) -> None:
    """Deploy what was planned. What was there goes along, for a rollback. Raises: TargetRefused."""
    name = str(asked["name"])
    current = configuration(ours(planned.found, name))
    write(cluster, planned.found, name, _with(asked, current), serve)


def follow(cluster: Cluster, name: str, say: Say, pause: Pause = time.sleep) -> Facts:
    """Wait until the application runs, as what was asked for. Returns it. Raises: TargetRefused with Serve's words if it does not."""
    said = ""
    for _ in range(_LOOKS):
        application = ours(read(cluster), name)
        status, message = str(application.get("status")), str(application.get("message") or "")
        if status == "RUNNING":
            return application
        if status in _FAILED:
            raise TargetRefused(f"Serve could not run {name}: {_last(cluster, application, message)}; correct it and deploy again")
        if (now := f"{status.lower()}: {len([each for each in replicas(application) if each.get('state') == 'RUNNING'])} replicas") != said:
            said = now
            say(said)
        pause(_LOOK_S)
    raise TargetRefused(
        f"{name} does not run after {_LOOK_S * _LOOKS:.0f} s; it is {status} ({message[:300]}); see `modelport status ray {name}`"
    )


def previous(cluster: Cluster, name: str) -> tuple[Facts, Facts]:
    """Return the cluster as it is and the configuration before. Raises: UsageError if there is none."""
    found = read(cluster)
    application = ours(found, name)
    if not application:
        raise UsageError(f"there is no application {name} in the cluster; `ray status` and its dashboard list what there is")
    before = cast("Facts", cast("Facts", configuration(application).get("args") or {}).get(_PREVIOUS) or {})
    if not before:
        raise UsageError(f"{name} was deployed once only, so that there is nothing to go back to; deploy what you want to run")
    return found, before


def rollback(cluster: Cluster, found: Facts, name: str, before: Facts) -> None:
    """Put the configuration before in place; the one it replaces is then the one before. Raises: TargetRefused."""
    write(cluster, found, name, _with(before, configuration(ours(found, name))), {})


def destroy(cluster: Cluster, name: str) -> bool:
    """Take the application away; returns whether it was there. Raises: TargetRefused."""
    found = read(cluster)
    if not ours(found, name):
        return False
    write(cluster, found, name, None, {})
    return True


def _with(asked: Facts, before: Facts) -> Facts:
    arguments = {key: value for key, value in cast("Facts", asked["args"]).items() if key != _PREVIOUS}
    if before:
        arguments[_PREVIOUS] = _bare(before)
    return {**asked, "args": arguments}


def _bare(current: Facts) -> Facts:
    """A configuration without the one before it."""
    return {**current, "args": {key: value for key, value in cast("Facts", current.get("args") or {}).items() if key != _PREVIOUS}}


def _like(found: object, asked: object) -> object:
    """What was found, in the order and the notation of what is asked for: Serve says 5.0 for 5, and adds what nobody asked for."""
    if found == asked:
        return asked
    if isinstance(found, Mapping) and isinstance(asked, Mapping):
        known = {key: _like(found[key], value) for key, value in asked.items() if key in found}
        return known | {key: value for key, value in found.items() if key not in asked and value not in (None, {}, [])}
    if isinstance(found, list) and isinstance(asked, list) and len(found) == len(asked):
        return [_like(one, other) for one, other in zip(found, asked, strict=True)]
    return found


def _last(cluster: Cluster, application: Facts, message: str) -> str:
    """What Serve says, and the last lines of a replica that has any."""
    for replica in [each for each in replicas(application) if each.get("log_file_path")][:1]:
        try:
            return f"{message[-600:]} … {log_lines(cluster, replica, _LAST_LINES)[-600:]}"
        except TargetRefused:
            break
    return message[-900:] or "no reason given"
