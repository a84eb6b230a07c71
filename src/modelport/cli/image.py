"""``modelport image``."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelport.errors import UsageError

if TYPE_CHECKING:
    from modelport.image.order import Access, Built, Order

_ENGINES = click.Choice(["native", "docker", "podman"])


def _say(text: str) -> None:
    """Tell of a step on a terminal; warnings are told everywhere."""
    if sys.stderr.isatty() or text.startswith(("warning:", "left out")):
        click.echo(text, err=True)


@click.command("image", short_help="Build a container image, without Docker if need be.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("-t", "--tag", required=True, metavar="TAG", help="Reference of the image, such as registry.example.com/team/model:1.")
@click.option("--engine", type=_ENGINES, default="native", show_default=True, help="What builds: modelport itself, docker or podman.")
@click.option("--base", default="", metavar="REF|oci:DIR|FILE.tar", help="What it is put upon.  [default python:3.x-slim]")
@click.option("--output", default="", metavar="oci:DIR|FILE.tar", help="Where the image is written.")
@click.option("--push", "is_pushed", is_flag=True, help="Push it to the registry of its tag.")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="linux/amd64 (default) or linux/arm64; may be repeated.")
@click.option("--dockerfile", "is_dockerfile", is_flag=True, help="Print the Dockerfile of --engine docker and podman, and build nothing.")
@click.option("--lock", type=click.Path(path_type=Path), metavar="FILE", help="Libraries as this file names them; written if absent.")
@click.option("--level", type=int, default=6, show_default=True, help="Compression, 1 (fast) to 9 (small).")
@click.option("--set", "variables", multiple=True, metavar="NAME=VALUE", help="A variable of the container; may be repeated.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label of the image; may be repeated.")
@click.option("--username", metavar="NAME", help="Login of the registry; by default what docker, podman or AWS know.")
@click.option("--password-stdin", "is_password_read", is_flag=True, help="Read the login's password from standard input.")
@click.option("--insecure", "is_insecure", is_flag=True, help="Speak plain HTTP to registries other than this machine.")
@click.option("--sign-key", type=click.Path(path_type=Path), metavar="FILE", help="Sign what is pushed, as cosign does (P-256, PEM).")
@click.option("--trust", multiple=True, metavar="NAME", help="A name that the pickle may import beyond the built-in list.")
@click.option("--code", multiple=True, type=click.Path(path_type=Path), metavar="PATH", help="The user's own modules that a pickle needs.")
@click.option("--architecture", type=click.Path(path_type=Path), metavar="FILE", help="The JSON of a weights-only Keras file.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON document.")
def command(file: Path, is_json: bool, is_dockerfile: bool, **flags: object) -> None:
    """Build a container image that serves FILE, a model file or a bundle folder.

    The image holds a base, the libraries that the model needs, modelport and the model, each in a layer of its own. It runs as user
    1000 on a read-only file system and listens on port 8080. Nothing of the model is executed for it, and no Docker is needed:
    --engine docker and podman are there for those who want them.
    """
    from modelport.image.build import build, dockerfile

    order = _order(file, flags)
    if is_dockerfile:
        click.echo(dockerfile(order, _say), nl=False)
        return
    built = build(order, _say)
    click.echo(json.dumps(asdict(built), indent=2) if is_json else _text(built, order))


def _order(file: Path, flags: dict[str, object]) -> Order:
    from modelport.formats.base import Options
    from modelport.image.order import Order

    def take(name: str) -> tuple[str, ...]:
        return tuple(str(item) for item in _many(flags[name]))

    architecture, lock, key = (_path(flags[name]) for name in ("architecture", "lock", "sign_key"))
    return Order(
        file=file,
        tag=str(flags["tag"]),
        options=Options(frozenset(take("trust")), tuple(Path(item) for item in take("code")), architecture),
        base=str(flags["base"]),
        engine="docker" if flags["engine"] == "docker" else "podman" if flags["engine"] == "podman" else "native",
        platforms=take("platforms") or ("linux/amd64",),
        output=str(flags["output"]),
        is_pushed=bool(flags["is_pushed"]),
        access=_access(flags["username"], is_password_read=bool(flags["is_password_read"]), is_insecure=bool(flags["is_insecure"])),
        lock=lock,
        level=int(str(flags["level"])),
        environment=_pairs("--set", take("variables")),
        labels=_pairs("--label", take("labels")),
        sign_key=key,
    )


def _access(username: object, *, is_password_read: bool, is_insecure: bool) -> Access:
    from modelport.image.order import Access, Credentials

    if (username is None) == is_password_read:
        raise UsageError("--username and --password-stdin go together; give both, or neither for the login that docker or podman keep")
    if username is None:
        return Access(None, is_insecure)
    password = sys.stdin.read().rstrip("\r\n")
    if not password:
        raise UsageError("--password-stdin: standard input holds no password; pipe it in")
    return Access(Credentials(str(username), password), is_insecure)


def _pairs(flag: str, texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, is_there, value = text.partition("=")
        if not is_there:
            raise UsageError(f'{flag} must be NAME=VALUE, found "{text[:80]}"')
        found[name] = value
    return found


def _many(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _path(value: object) -> Path | None:
    return value if isinstance(value, Path) else None


def _text(built: Built, order: Order) -> str:
    from modelport.cli.text import aligned, size

    lines = aligned([("image", built.reference), ("digest", built.digest), ("platforms", ", ".join(built.platforms))])
    lines += ["", *aligned([(layer.name, size(layer.size_bytes), layer.digest[:19]) for layer in built.layers])]
    lines += aligned([("in all", size(sum(layer.size_bytes for layer in built.layers)))])
    if order.is_pushed and order.engine == "native":
        lines += ["", f"pushed {size(built.sent_bytes)}; {size(built.kept_bytes)} were there already"]
    if built.output:
        lines += ["", f"wrote {built.output}"]
    return "\n".join([*lines, "", *_next(built, order)])


def _next(built: Built, order: Order) -> list[str]:
    """What to run next, with what was made."""
    run = "--rm --read-only --cap-drop all -p 8080:8080"
    if order.is_pushed:
        return [f"podman run {run} {built.reference}", f"modelport deploy k8s {shlex.quote(str(order.file))} --image {built.reference}"]
    if order.engine != "native":
        return [f"{order.engine} run {run} {built.tag}"]
    if built.output.startswith("oci:"):
        return [f"podman run {run} $(podman pull {shlex.quote(built.output)})"]
    return [f"podman load -i {shlex.quote(built.output)} && podman run {run} {built.tag}"]
