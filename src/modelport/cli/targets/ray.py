"""``modelport deploy ray`` and the other verbs of Ray Serve."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import click

from modelport.cli.targets.agreement import agree
from modelport.cli.targets.flags import common, resolved, service
from modelport.deploy.base import Service, check_name, emit
from modelport.errors import UsageError

if TYPE_CHECKING:
    from modelport.deploy.ray.cluster import Cluster
    from modelport.deploy.ray.config import Options, Proxies
    from modelport.deploy.ray.kuberay import Kube

F = TypeVar("F", bound=Callable[..., object])
_UNUSED_IMAGE = "none"  # a Service has an image; Ray's own nodes run without
_IN_IMAGE = "/opt/modelport/model"

_OWN = (
    click.option("--path", metavar="PATH", help="The model on every node, in --working-dir if not absolute.  [default FILE's own path]"),
    click.option("--working-dir", metavar="URI", help="Archive (.zip) that Ray unpacks on every node, with the model in it."),
    click.option("--pip", "packages", multiple=True, metavar="SPEC", help="What Ray installs for the replicas; may be repeated."),
    click.option("--route", default="/", show_default=True, metavar="PATH", help="Where the application answers."),
    click.option("--proxies", type=click.Choice(["every", "head"]), default="every", show_default=True, help="Which nodes listen."),
    click.option("--scale-ongoing", "ongoing", type=int, default=32, show_default=True, help="Requests in a replica that more are for."),
    click.option("--gpus", type=float, default=0.0, show_default=True, help="GPUs of a replica."),
    click.option("--redis", metavar="ADDRESS", help="KubeRay: Redis that the head survives by; with --image, writes a RayService."),
    click.option("--redis-secret", metavar="NAME", help='KubeRay: Secret whose entry "password" is that of Redis.'),
    click.option("--namespace", metavar="NAME", help="KubeRay: namespace of the RayService."),
)


def _own(function: F) -> F:
    for flag in reversed(_OWN):
        function = flag(function)
    return function


def _where(function: F) -> F:
    """Add the flag that says which cluster is meant."""
    text = "Dashboard of the cluster; by default RAY_API_SERVER_ADDRESS, else http://127.0.0.1:8265. RAY_AUTH_TOKEN is its token."
    return click.option("--address", metavar="URL", help=text)(function)


@click.command("deploy", short_help="Ray Serve: files, or a running application.")
@common
@_where
@_own
def deploy(file: Path, image: str | None, address: str | None, **given: object) -> None:
    """Bring FILE to Ray Serve: replicas that answer as `modelport serve` does, on the nodes of a cluster.

    With --emit the files are written: serve.yaml, ray.env for every node, and with --image and --redis a RayService for KubeRay. Without
    it, what would change in the cluster is shown, and changed if that is agreed to.
    """
    from modelport.deploy.ray.files import render

    own, kube = _options(file, image, given), _kube(image, given)
    described = service(file, image or _UNUSED_IMAGE, cast("tuple[str, ...]", given.pop("trust")), **given)
    folder = cast("Path | None", given["emit"])
    if image is not None:
        described, said = resolved(described, given)
        _say(said)
    if folder is not None:
        written = emit(render(described, own, kube), folder)
        _say([f"{len(written)} files in {folder}: {', '.join(path.name for path in written)}"])
        return
    _apply(described, own, address, given)


def _apply(described: Service, own: Options, address: str | None, given: dict[str, object]) -> None:
    from modelport.deploy.ray.apply import apply, follow, plan
    from modelport.deploy.ray.config import application, serve_config

    cluster, asked = _cluster(address), application(described, own)
    planned = plan(cluster, asked)
    _say([planned.difference or "nothing would change"])
    if given["is_plan"]:
        return
    if planned.difference:
        agree("Change this?", is_agreed=bool(given["is_agreed"]))
        apply(cluster, planned, asked, serve_config(described, own))
    if given["is_waiting"]:
        follow(cluster, described.name, lambda text: click.echo(text, err=True))
        _say([f"{described.name} answers at {own.route} on port 8000 of the cluster's proxies"])


@click.command("status", short_help="Ray Serve: replicas, where they run, troubles.")
@click.argument("name", metavar="NAME")
@_where
@click.option("--json", "is_json", is_flag=True, help="Print one JSON document.")
def status(name: str, address: str | None, is_json: bool) -> int:
    """Say how the application NAME is doing; exit code 1 if it does not run."""
    from modelport.deploy.ray.state import lines, state

    found = state(_cluster(address), check_name(name))
    _say([json.dumps(found.as_data(), indent=2)] if is_json else lines(found))
    return 0 if found.status == "RUNNING" else 1


@click.command("logs", short_help="Ray Serve: the last lines of every replica.")
@click.argument("name", metavar="NAME")
@_where
@click.option("--tail", "count", type=click.IntRange(min=1), default=100, show_default=True, help="Lines of each replica.")
def logs(name: str, address: str | None, count: int) -> None:
    """Show the last log lines of the application NAME."""
    from modelport.deploy.ray.state import logs as show

    _say(show(_cluster(address), check_name(name), count))


@click.command("rollback", short_help="Ray Serve: the configuration before.")
@click.argument("name", metavar="NAME")
@_where
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask before something is changed.")
def rollback(name: str, address: str | None, is_agreed: bool) -> None:
    """Go back to what the application NAME ran before, and wait until it answers."""
    from modelport.deploy.ray.apply import follow, previous
    from modelport.deploy.ray.apply import rollback as go_back

    cluster = _cluster(address)
    found, before = previous(cluster, check_name(name))
    agree("Go back to the configuration before?", is_agreed=is_agreed)
    go_back(cluster, found, name, before)
    follow(cluster, name, lambda text: click.echo(text, err=True))
    _say([f"{name} runs what it ran before; the same again undoes it"])


@click.command("destroy", short_help="Ray Serve: the application.")
@click.argument("name", metavar="NAME")
@_where
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask before something is changed.")
def destroy(name: str, address: str | None, is_agreed: bool) -> None:
    """Take the application NAME away; others, and the cluster, stay."""
    from modelport.deploy.ray.apply import destroy as take_away

    agree(f"Take {check_name(name)} away?", is_agreed=is_agreed)
    _say([f"{name} is gone" if take_away(_cluster(address), name) else f"there is no application {name}"])


def _cluster(address: str | None) -> Cluster:
    from modelport.deploy.ray.cluster import Cluster

    return Cluster(address or os.environ.get("RAY_API_SERVER_ADDRESS") or "http://127.0.0.1:8265")


def _options(file: Path, image: str | None, given: dict[str, object]) -> Options:
    from modelport.deploy.ray.config import Options

    working_dir = cast("str | None", given.pop("working_dir"))
    inside = file.name if working_dir is not None else str(file.absolute())
    return Options(
        cast("str | None", given.pop("path")) or (_IN_IMAGE if image and working_dir is None else inside),
        working_dir,
        cast("tuple[str, ...]", given.pop("packages")),
        cast("str", given.pop("route")),
        cast("Proxies", given.pop("proxies")),
        cast("int", given.pop("ongoing")),
        cast("float", given.pop("gpus")),
    )


def _kube(image: str | None, given: dict[str, object]) -> Kube | None:
    """What KubeRay needs; None where no RayService is asked for. Raises: UsageError for half of it."""
    from modelport.deploy.ray.kuberay import Kube

    names = ("redis", "redis_secret", "namespace")
    redis, secret, namespace = (cast("str | None", given.pop(name)) for name in names)
    if (image is None) != (redis is None):
        raise UsageError("a RayService needs both --image, with Ray and the model in it, and --redis, that its head survives by; give both")
    return None if redis is None else Kube(redis, secret, namespace)


def _say(said: Iterable[str]) -> None:
    for line in said:
        click.echo(line)
