"""The flags that every target takes, and the Service that they and the file make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from modelport.deploy.base import Scale, Service
from modelport.errors import UsageError

if TYPE_CHECKING:
    from modelport.deploy.pinning import Ask

F = TypeVar("F", bound=Callable[..., object])

_FLAGS = (
    click.option("--image", metavar="REF", help="The image that runs, as `modelport image` pushed it; by digest where possible."),
    click.option(
        "--resolve/--no-resolve",
        "is_resolved",
        default=True,
        help="Look a tag's digest up in its registry and deploy that, which is the default.",
    ),
    click.option("--name", metavar="NAME", help="Name of the service; by default the model's."),
    click.option("--min", "minimum", type=int, default=1, show_default=True, help="Fewest replicas."),
    click.option("--max", "maximum", type=int, default=4, show_default=True, help="Most replicas."),
    click.option("--scale-cpu", "cpu_percent", type=int, default=60, show_default=True, help="CPU use, in per cent, that more are for."),
    click.option("--cpu", type=float, help="Cores of a replica.  [default 1]"),
    click.option("--memory", "memory_mb", type=int, metavar="MIB", help="Memory of a replica; by default by the model's size."),
    click.option("--drain", "drain_s", type=int, default=30, show_default=True, help="Seconds for what is in flight when one stops."),
    click.option("--set", "variables", multiple=True, metavar="NAME=VALUE", help="A variable of the container; may be repeated."),
    click.option("--trust", multiple=True, metavar="NAME", help="A name that the pickle may import beyond the built-in list."),
    click.option("--emit", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write the files, and do nothing else."),
    click.option("--plan", "is_plan", is_flag=True, help="Show what would change, and change nothing."),
    click.option("--yes", "is_agreed", is_flag=True, help="Do not ask before something is changed."),
    click.option("--wait/--no-wait", "is_waiting", default=True, show_default=True, help="Wait until the service answers."),
)


def common(function: F) -> F:
    """Add FILE and the flags of every target to a command; ``service`` makes a Service of those that are its own."""
    for flag in reversed(_FLAGS):
        function = flag(function)
    return click.argument("file", type=click.Path(path_type=Path), metavar="FILE")(function)


def service(file: Path, image: str, trust: Sequence[str], **asked: object) -> Service:
    """Return the Service. ``asked``: name, cpu, memory_mb, minimum, maximum, cpu_percent, drain_s and variables, as the flags gave them.

    Raises: UsageError, and what reading the file raises.
    """
    from modelport.deploy.service import Asked, describe  # brings numpy, which help need not wait for
    from modelport.formats.base import Options

    scale = Scale(_whole(asked["minimum"]), _whole(asked["maximum"]), _whole(asked["cpu_percent"]))
    name, cpu, memory_mb = asked["name"], asked["cpu"], asked["memory_mb"]
    given = Asked(
        image,
        name if isinstance(name, str) else None,
        cpu if isinstance(cpu, float) else None,
        memory_mb if isinstance(memory_mb, int) else None,
        scale,
        variables(asked["variables"]),
        _whole(asked["drain_s"]),
    )
    return describe(file, Options(frozenset(trust)), given)


def resolved(described: Service, given: Mapping[str, object], ask: Ask | None = None) -> tuple[Service, list[str]]:
    """Return the service with its image by digest, and what is to be said of that. ``given``: is_resolved and emit, as the flags gave them.

    Files are written even where no registry answers, with the tag and a warning; nothing is deployed then.
    Raises: TargetRefused.
    """
    from modelport.deploy.pinning import by_registry, caution, is_pinned, pinned

    if not given["is_resolved"]:
        return described, [] if is_pinned(described.image) else [caution(described.image)]
    found, said = pinned(described, ask or by_registry, is_lenient=given["emit"] is not None)
    return found, [said] if said else []


def variables(given: object, flag: str = "--set") -> dict[str, str]:
    """Return ``NAME=VALUE`` texts as a dict. Raises: UsageError for one without "="."""
    found = {}
    for text in given if isinstance(given, list | tuple) else ():
        name, is_there, value = str(text).partition("=")
        if not is_there:
            raise UsageError(f'{flag} must be NAME=VALUE, found "{str(text)[:80]}"')
        found[name] = value
    return found


def _whole(value: object) -> int:
    assert isinstance(value, int)  # noqa: S101  # click made it one
    return value
