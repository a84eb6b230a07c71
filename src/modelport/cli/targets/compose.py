"""``modelport deploy compose`` and the other verbs of Docker Compose."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import cast

import click

from modelport.cli.targets.agreement import agree
from modelport.cli.targets.flags import common, resolved, service
from modelport.deploy.base import check_name, emit


@click.command("deploy", short_help="Docker Compose: one file, with Prometheus and Grafana.")
@common
@click.option("--port", type=int, default=8080, show_default=True, help="Port of the service, on this machine's loopback address.")
@click.option("--prometheus-port", type=int, default=9090, show_default=True, help="Port of Prometheus, likewise.")
@click.option("--grafana-port", type=int, default=3000, show_default=True, help="Port of Grafana, likewise.")
@click.option("--monitoring/--no-monitoring", "is_watched", default=True, help="With Prometheus and Grafana, which is the default.")
def deploy(file: Path, image: str | None, port: int, **given: object) -> None:
    """Run FILE on one machine with Docker Compose 2.23.1 or newer: the service, Prometheus with alerts, Grafana with a dashboard.

    With --emit the one file is written. Grafana's password is the variable GRAFANA_PASSWORD; there is none by default.
    """
    from modelport.deploy.compose import PASSWORD, Options, render
    from modelport.deploy.compose_docker import plan, up
    from modelport.deploy.pinning import names_a_registry

    is_watched = bool(given["is_watched"])
    own = Options(port, cast("int", given["prometheus_port"]), cast("int", given["grafana_port"]), is_watched)
    described = service(file, image or "", cast("tuple[str, ...]", given.pop("trust")), **given)
    if image is None or not names_a_registry(image):  # such as churn:1, which may be of this machine's Docker alone
        given["is_resolved"] = False
    described, said = resolved(described, given)
    files = render(described, own)
    folder = cast("Path | None", given["emit"])
    for line in said:
        click.echo(line, err=folder is None)
    if folder is not None:
        written = emit(files, folder)
        before = f"{PASSWORD}=… " if is_watched else ""
        click.echo(f"{written[0]}; started by: {before}docker compose --file {shlex.quote(str(written[0]))} up --detach --wait")
        return
    if given["is_plan"]:
        plan(files["compose.yaml"], described.name, click.echo)
        return
    agree(f"Start {described.name} here?", is_agreed=bool(given["is_agreed"]))
    up(files["compose.yaml"], described.name, _tell, is_waiting=bool(given["is_waiting"]))
    click.echo(f"answers at http://127.0.0.1:{port}/; next: modelport status compose {described.name}")


@click.command("status", short_help="Docker Compose: the containers.")
@click.argument("name", metavar="NAME")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON document.")
def status(name: str, is_json: bool) -> int:
    """Say how the service NAME is doing; exit code 1 if not all of its containers are well."""
    from modelport.deploy.compose_docker import lines, state

    found = state(check_name(name))
    for line in [json.dumps(found.as_data(), indent=2)] if is_json else lines(found):
        click.echo(line)
    return 0 if found.is_well else 1


@click.command("logs", short_help="Docker Compose: the model's last lines.")
@click.argument("name", metavar="NAME")
@click.option("--tail", "count", type=click.IntRange(min=0), default=100, show_default=True, help="Lines.")
@click.option("--follow", "is_following", is_flag=True, help="Go on with new lines until Ctrl-C.")
def logs(name: str, count: int, is_following: bool) -> None:
    """Show the last log lines of the service NAME."""
    from modelport.deploy.compose_docker import logs as show

    show(check_name(name), count=count, is_following=is_following)


@click.command("destroy", short_help="Docker Compose: the containers, and with --data what they kept.")
@click.argument("name", metavar="NAME")
@click.option("--data", "with_data", is_flag=True, help="And what Prometheus and Grafana kept.")
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask before something is changed.")
def destroy(name: str, with_data: bool, is_agreed: bool) -> None:
    """Take the service NAME away from this machine."""
    from modelport.deploy.compose_docker import down

    agree(f"Take {check_name(name)} away{', with what was kept' if with_data else ''}?", is_agreed=is_agreed)
    down(name, _tell, with_data=with_data)
    click.echo(f"{name} is gone{'' if with_data else '; what Prometheus and Grafana kept stays, --data takes it away'}")


def _tell(text: str) -> None:
    click.echo(text, err=True)
