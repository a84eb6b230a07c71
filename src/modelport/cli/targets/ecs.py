"""``modelport deploy ecs`` and the other verbs of AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import click

from modelport.cli.targets.agreement import agree
from modelport.cli.targets.flags import common, resolved, service, variables
from modelport.deploy.base import check_name, emit
from modelport.deploy.ecs.options import Network, Options, Strategy
from modelport.errors import UsageError

if TYPE_CHECKING:
    from modelport.deploy.ecs.apply import Outcome, Talk

F = TypeVar("F", bound=Callable[..., object])

_KEYS = "MODELPORT_API_KEYS"
_OWN = (
    click.option("--base", default="", metavar="BASE", help="Base of the image that is built, as `modelport image --base` takes it."),
    click.option("--vpc", metavar="ID", help="Network; by default the account's default VPC."),
    click.option("--subnet", "balancer", multiple=True, metavar="ID", help="Subnet of the load balancer; two at least, in two zones."),
    click.option("--task-subnet", "tasks", multiple=True, metavar="ID", help="Subnet of the replicas; by default the load balancer's."),
    click.option("--private", "is_private", is_flag=True, help="Replicas without public addresses; needs a NAT gateway or endpoints."),
    click.option("--internal", "is_internal", is_flag=True, help="A load balancer that only the VPC reaches."),
    click.option("--from", "allowed_from", default="0.0.0.0/0", show_default=True, metavar="CIDR", help="Who may reach it."),
    click.option("--certificate", default="", metavar="ARN", help="HTTPS with this certificate; plain HTTP is sent there."),
    click.option(
        "--strategy", type=click.Choice(("rolling", "blue-green")), default="rolling", show_default=True, help="How it is updated."
    ),
    click.option("--bake", "bake_minutes", type=int, default=5, show_default=True, help="Minutes that blue-green keeps the old replicas."),
    click.option("--spot", "is_spot", is_flag=True, help="Replicas beyond the first on spare capacity: cheaper, taken back at any time."),
    click.option("--arch", type=click.Choice(("amd64", "arm64")), default="amd64", show_default=True, help="Processor of the replicas."),
    click.option("--insights", "is_watched", is_flag=True, help="Container Insights: more metrics, for a price."),
    click.option("--api-keys", metavar="ARN", help=f"Secret or parameter with API keys, one a line; becomes {_KEYS}."),
    click.option("--secret", "secrets", multiple=True, metavar="NAME=ARN", help="A variable from a secret; may be repeated."),
    click.option("--pull-secret", default="", metavar="ARN", help="Secret with the login of a registry that is not ECR."),
    click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag of everything that is made; may be repeated."),
    click.option("--requests-per-replica", type=int, default=1000, show_default=True, help="Requests a minute that more are for."),
    click.option("--log-days", type=int, default=30, show_default=True, help="Days that log lines are kept."),
    click.option("--grace", "grace_s", type=int, help="Seconds that a replica may take to load; by default by its memory."),
)


def _where(function: F) -> F:
    """Add the flags that say which account and region are meant."""
    function = click.option("--profile", metavar="NAME", help="Profile of the AWS configuration.")(function)
    return click.option("--region", metavar="NAME", help="Region; by default the AWS configuration's.")(function)


def _own(function: F) -> F:
    for flag in reversed(_OWN):
        function = flag(function)
    return function


@click.command("deploy", short_help="AWS: ECS on Fargate behind a load balancer.")
@common
@_where
@_own
@click.option("--json", "is_json", is_flag=True, help="Print one JSON document; what happens goes to standard error.")
def deploy(file: Path, image: str | None, region: str | None, profile: str | None, **given: object) -> int:
    """Bring FILE to AWS: a service of ECS on Fargate, made by a plain CloudFormation stack.

    What would be made or changed and what it costs is shown first. Without --image one is built and pushed to a repository of the
    service's own. With --emit the files are written that do the same with the AWS CLI.
    """
    from modelport.deploy.ecs.apply import UNBUILT

    own = _options(given)
    trust = cast("tuple[str, ...]", given.pop("trust"))
    described = service(file, image or UNBUILT, trust, **given)
    folder = cast("Path | None", given["emit"])
    if folder is not None:
        from modelport.deploy.ecs.files import render, unfilled
        from modelport.deploy.ecs.images import asker
        from modelport.deploy.ecs.options import check_service

        if image is None:
            raise UsageError("--emit writes files for an image that is there; give its reference with --image")
        check_service(described, own)
        described, said = resolved(described, given, asker(profile))
        _say(map(str, emit(render(described, own, region or ""), folder)))
        _say([*said, *unfilled(own)], err=True)
        return 0
    from modelport.deploy.ecs.account import Account
    from modelport.deploy.ecs.apply import Wish
    from modelport.deploy.ecs.apply import deploy as bring
    from modelport.deploy.ecs.images import Source
    from modelport.formats.base import Options as Reading

    source = Source(file, Reading(frozenset(trust)), described.version, f"linux/{given['arch']}", cast("str", given["base"]))
    wish = Wish(source, bool(given["is_plan"]), bool(given["is_agreed"]), bool(given["is_waiting"]), bool(given["is_resolved"]))
    return _report(bring(Account(region, profile), described, own, wish, _talk()), is_json=bool(given["is_json"]))


@click.command("status", short_help="AWS: state of the stack, replicas, why some stopped.")
@click.argument("name", metavar="NAME")
@_where
@click.option("--json", "is_json", is_flag=True, help="Print one JSON document.")
def status(name: str, region: str | None, profile: str | None, is_json: bool) -> int:
    """Say how the service NAME is doing; exit code 1 if not all that is wanted answers."""
    import msgspec

    from modelport.deploy.ecs.account import Account
    from modelport.deploy.ecs.look import status as look
    from modelport.deploy.ecs.look import told

    found = look(Account(region, profile), check_name(name))
    _say([json.dumps(msgspec.to_builtins(found), indent=2)] if is_json else told(found))
    return 0 if found.is_well else 1


@click.command("logs", short_help="AWS: the last lines of all replicas.")
@click.argument("name", metavar="NAME")
@_where
@click.option("--tail", "count", type=click.IntRange(min=1), default=100, show_default=True, help="Lines at most.")
@click.option("--minutes", type=click.IntRange(min=1), default=60, show_default=True, help="How far back.")
@click.option("--follow", "is_following", is_flag=True, help="Go on with new lines until Ctrl-C.")
def logs(name: str, region: str | None, profile: str | None, is_following: bool, **given: int) -> None:
    """Show the last log lines of the service NAME, of all its replicas by time."""
    from modelport.deploy.ecs.account import Account
    from modelport.deploy.ecs.look import logs as show

    try:
        pause = time.sleep if is_following else None
        _say(show(Account(region, profile), check_name(name), given["minutes"] * 60, given["count"], pause))
    except KeyboardInterrupt:
        return


@click.command("rollback", short_help="AWS: the revision before.")
@click.argument("name", metavar="NAME")
@_where
@click.option("--revision", type=click.IntRange(min=1), help="The revision to go back to; by default the one before.")
@click.option("--plan", "is_plan", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask before something is changed.")
@click.option("--wait/--no-wait", "is_waiting", default=True, show_default=True, help="Wait until the service answers.")
def rollback(name: str, region: str | None, profile: str | None, revision: int | None, **given: bool) -> int:
    """Bring back what the service NAME ran before: image, size and variables."""
    from modelport.deploy.ecs.account import Account
    from modelport.deploy.ecs.apply import Wish
    from modelport.deploy.ecs.rollback import rollback as go_back

    wish = Wish(None, given["is_plan"], given["is_agreed"], given["is_waiting"])
    return _report(go_back(Account(region, profile), check_name(name), revision, wish, _talk()), is_json=False)


@click.command("destroy", short_help="AWS: everything of a service.")
@click.argument("name", metavar="NAME")
@_where
@click.option("--keep-images", "are_images_kept", is_flag=True, help="Leave the repository with the images.")
@click.option("--logs", "are_logs_deleted", is_flag=True, help="Delete the log lines too; else they stay until they expire.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask before something is deleted.")
@click.option("--wait/--no-wait", "is_waiting", default=True, show_default=True, help="Wait until all is gone.")
def destroy(name: str, region: str | None, profile: str | None, **given: bool) -> int:
    """Take the service NAME away: its stack, and the repository that was made for its images."""
    from modelport.deploy.ecs.account import Account
    from modelport.deploy.ecs.destroy import Extent
    from modelport.deploy.ecs.destroy import destroy as take_away

    state = take_away(Account(region, profile), check_name(name), Extent(**given), _talk())
    _say([{"declined": "nothing was deleted", "begun": "AWS goes on with it", "done": f"{name} is gone"}[state]])
    return 1 if state == "declined" else 0


def _options(given: dict[str, object]) -> Options:
    is_private, tasks = bool(given["is_private"]), cast("tuple[str, ...]", given["tasks"])
    network = Network(
        cast("str | None", given["vpc"]) or "",
        cast("tuple[str, ...]", given["balancer"]),
        tasks,
        is_public=not is_private,
        is_internal=bool(given["is_internal"]),
    )
    secrets = variables(given["secrets"], "--secret")
    if (keys := cast("str | None", given["api_keys"])) is not None:
        secrets[_KEYS] = keys
    return Options(
        network,
        allowed_from=cast("str", given["allowed_from"]),
        certificate=cast("str", given["certificate"]),
        pull_secret=cast("str", given["pull_secret"]),
        bake_minutes=cast("int", given["bake_minutes"]),
        requests_per_replica=cast("int", given["requests_per_replica"]),
        log_days=cast("int", given["log_days"]),
        grace_s=cast("int | None", given["grace_s"]),
        strategy=cast("Strategy", given["strategy"]),
        is_spot=bool(given["is_spot"]),
        is_arm=given["arch"] == "arm64",
        is_watched=bool(given["is_watched"]),
        secrets=secrets,
        tags=variables(given["tags"], "--tag"),
    )


def _talk() -> Talk:
    from modelport.deploy.ecs.apply import Talk

    return Talk(lambda text: click.echo(text, err=True), _agree)


def _agree(question: str) -> bool:
    """Whether the person agrees; Ctrl-C is a no, after which what was prepared is taken back."""
    try:
        agree(question, is_agreed=False)
    except click.Abort:
        return False
    return True


_ENDS = {
    "planned": "nothing was changed",
    "declined": "nothing was changed",
    "unchanged": "{name} is as asked for already",
    "begun": "AWS goes on with it; `modelport status ecs {name} --region {region}` says how far it is",
    "done": "{name} is up",
}


def _report(outcome: Outcome, *, is_json: bool) -> int:
    facts = {"state": outcome.state, "name": outcome.name, "region": outcome.region, "image": outcome.image, "url": outcome.url}
    if is_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        click.echo(_ENDS[outcome.state].format(**facts))
        if outcome.url:
            _say([outcome.url, f"try it: curl {outcome.url}/readyz"])
    return 1 if outcome.state == "declined" else 0


def _say(lines: Iterable[str], *, err: bool = False) -> None:
    for line in lines:
        click.echo(line, err=err)
