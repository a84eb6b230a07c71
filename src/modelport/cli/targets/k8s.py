"""``modelport deploy k8s`` and the other verbs of Kubernetes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar, cast

import click

from modelport.cli.targets.agreement import agree
from modelport.cli.targets.flags import common, resolved, service
from modelport.deploy.base import Service, check_name, emit
from modelport.deploy.kubernetes import EXTRAS, Options, check
from modelport.deploy.kubernetes_kubectl import Cluster

F = TypeVar("F", bound=Callable[..., object])

_OWN = (
    click.option("--with", "extras", multiple=True, type=click.Choice(EXTRAS), help="Apply an extra too; may be repeated."),
    click.option("--ingress-host", metavar="HOST", help="The name that an Ingress answers to, with TLS; implies --with ingress."),
    click.option("--ingress-class", metavar="NAME", help="Whose Ingress it is; by default the cluster's choice."),
    click.option("--tls-secret", metavar="NAME", help="Secret with the certificate of --ingress-host.  [default NAME-tls]"),
    click.option("--pull-secret", metavar="NAME", help="Secret with the registry's login."),
    click.option("--api-key-secret", metavar="NAME", help='Secret whose entry "keys" holds API keys, one a line.'),
    click.option("--queue-rows", type=int, default=100, show_default=True, help="Rows waiting on a replica that more are for."),
)


def _where(function: F) -> F:
    """Add the flags that say which cluster is meant."""
    function = click.option("--context", metavar="NAME", help="Context of kubectl's configuration; by default the current one.")(function)
    return click.option("--namespace", metavar="NAME", help="Namespace; by default the context's.")(function)


def _own(function: F) -> F:
    for flag in reversed(_OWN):
        function = flag(function)
    return function


@click.command("deploy", short_help="Kubernetes: manifests, or a running service.")
@common
@_where
@_own
def deploy(file: Path, image: str | None, context: str | None, **given: object) -> None:
    """Bring FILE to a Kubernetes cluster, 1.30 or newer, with kubectl.

    With --emit the manifests are written, kinds of every cluster in base/, extras as overlays. Without it, what would change is shown, and
    changed if that is agreed to.
    """
    from modelport.deploy.kubernetes_files import render
    from modelport.deploy.kubernetes_words import cautions, needs, written

    own = _options(given)
    described = service(file, image or "", cast("tuple[str, ...]", given.pop("trust")), **given)
    check(described, own)
    described, said = resolved(described, given)
    folder = cast("Path | None", given["emit"])
    if folder is not None:
        _say(written(folder, emit(render(described, own), folder)))
        _say([*needs(described, own), *said, *cautions(described)])
        return
    _say([*needs(described, own), *said, *cautions(described)], err=True)
    _apply(described, own, Cluster(context, own.namespace), **given)


def _apply(described: Service, own: Options, cluster: Cluster, **given: object) -> None:
    from modelport.deploy.kubernetes_apply import apply, plan
    from modelport.deploy.kubernetes_files import objects
    from modelport.deploy.kubernetes_rollout import follow
    from modelport.deploy.kubernetes_words import planned, reached

    asked = objects(described, own)
    found = plan(cluster, described, asked)
    _say(planned(found))
    if given["is_plan"]:
        return
    if not found.is_empty:
        agree("Change this?", is_agreed=bool(given["is_agreed"]))
        click.echo(apply(cluster, asked, found.surplus).rstrip())
    if given["is_waiting"]:
        follow(cluster, described.name, lambda text: click.echo(text, err=True))
    _say(reached(described, own, cluster))


@click.command("status", short_help="Kubernetes: replicas, image, scale, troubles.")
@click.argument("name", metavar="NAME")
@_where
@click.option("--json", "is_json", is_flag=True, help="Print one JSON document.")
def status(name: str, context: str | None, namespace: str | None, is_json: bool) -> int:
    """Say how the service NAME is doing; exit code 1 if not all that is wanted answers."""
    from modelport.deploy.kubernetes_state import lines, state

    found = state(Cluster(context, namespace), check_name(name))
    _say([json.dumps(found.as_data(), indent=2)] if is_json else lines(found))
    return 0 if found.is_well else 1


@click.command("logs", short_help="Kubernetes: the last lines of every replica.")
@click.argument("name", metavar="NAME")
@_where
@click.option("--tail", "count", type=click.IntRange(min=0), default=100, show_default=True, help="Lines of each replica.")
@click.option("--follow", "is_following", is_flag=True, help="Go on with new lines until Ctrl-C.")
def logs(name: str, context: str | None, namespace: str | None, count: int, is_following: bool) -> None:
    """Show the last log lines of the service NAME."""
    from modelport.deploy.kubernetes_state import logs as show

    show(Cluster(context, namespace), check_name(name), count=count, is_following=is_following)


@click.command("rollback", short_help="Kubernetes: the revision before.")
@click.argument("name", metavar="NAME")
@_where
@click.option("--revision", type=click.IntRange(min=1), help="The revision to go back to; by default the one before.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask before something is changed.")
def rollback(name: str, context: str | None, namespace: str | None, **given: object) -> None:
    """Go back to what the service NAME ran before, and wait until it answers."""
    from modelport.deploy.kubernetes_rollout import follow, undo
    from modelport.deploy.kubernetes_state import check_revision, revisions

    cluster, revision = Cluster(context, namespace), cast("int | None", given["revision"])
    known = revisions(cluster, check_name(name))
    check_revision(known, revision, name)
    _say([f"revisions of {name}: {', '.join(map(str, known))}"])
    agree(f"Go back to {'the one before' if revision is None else revision}?", is_agreed=bool(given["is_agreed"]))
    click.echo(undo(cluster, name, revision).rstrip())
    follow(cluster, name, lambda text: click.echo(text, err=True))


@click.command("destroy", short_help="Kubernetes: everything of a service.")
@click.argument("name", metavar="NAME")
@_where
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask before something is changed.")
def destroy(name: str, context: str | None, namespace: str | None, is_agreed: bool) -> None:
    """Take the service NAME away; Secrets and the namespace stay, as they were made elsewhere."""
    from modelport.deploy.kubernetes_state import destroy as take_away
    from modelport.deploy.kubernetes_state import everything

    cluster = Cluster(context, namespace)
    found = everything(cluster, check_name(name))
    _say(found)
    agree("Take these away?", is_agreed=is_agreed)
    click.echo(take_away(cluster, name, found).rstrip())


def _options(given: dict[str, object]) -> Options:
    extras = set(cast("tuple[str, ...]", given["extras"]))
    if given["ingress_host"] is not None:
        extras.add("ingress")
    names = ("namespace", "ingress_host", "ingress_class", "tls_secret", "pull_secret", "api_key_secret")
    texts = {name: cast("str | None", given[name]) for name in names}
    return Options(**texts, queue_rows=cast("int", given["queue_rows"]), extras=frozenset(extras))


def _say(said: Iterable[str], *, err: bool = False) -> None:
    for line in said:
        click.echo(line, err=err)
