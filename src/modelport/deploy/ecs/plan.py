"""What is going to be made or changed, and what it costs, as lines for the person who decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelport.deploy.documents import Data
from modelport.deploy.ecs.prices import Estimate, told
from modelport.deploy.ecs.stack import ResourceChange
from modelport.telemetry.logs import escape

_SIGNS = {"Add": "+", "Remove": "-", "Modify": "~"}
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """``parts``: sign, name and type of each resource, and what happens to it. ``values``: name, before and after of each parameter."""

    title: str
    parts: tuple[tuple[str, ...], ...]
    values: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    cost: Estimate


def made(template: Mapping[str, Data]) -> tuple[tuple[str, ...], ...]:
    """Return the parts of a stack that is not there yet."""
    resources = template["Resources"]
    assert isinstance(resources, Mapping)  # noqa: S101  # of our own making
    return tuple(("+", name, str(one["Type"])) for name, one in resources.items() if isinstance(one, Mapping))


def changed(changes: Sequence[ResourceChange]) -> tuple[tuple[str, ...], ...]:
    """Return what a change set does."""
    return tuple(
        (_SIGNS.get(one.action, one.action), one.logical_resource_id, one.resource_type, "made anew" if one.replacement == "True" else "")
        for one in changes
    )


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """Return the parameters that are not as they were."""
    names = [*after, *(name for name in before if name not in after)]
    return tuple(
        (name, _cut(before.get(name, "-")), "->", _cut(after.get(name, "-"))) for name in names if before.get(name) != after.get(name)
    )


def lines(plan: Plan) -> list[str]:
    """Return the plan to be read."""
    found = [plan.title, *rows(plan.parts)]
    if plan.values:
        found += ["parameters:", *rows(plan.values)]
    return [*found, *told(plan.cost), *(f"note: {note}" for note in plan.notes)]


def _cut(value: str) -> str:
    return value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"


def rows(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return cells under each other. What the user gave may hold anything, so control characters are escaped."""
    clean = [[escape(cell) for cell in row] for row in cells]
    widths = [max(len(cell) for cell in column) for column in zip(*clean, strict=True)]
    return ["  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in clean]
