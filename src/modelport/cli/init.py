"""``modelport init``."""

from __future__ import annotations

from pathlib import Path

import click

from modelport.cli.flags import settings
from modelport.config import Value, resolve


@click.command("init", short_help="Write the bundle folder that a model file stands for.")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
@settings(["name", "trust", "code", "architecture", "debug"])
def command(file: Path, folder: Path | None, **flags: Value) -> None:
    """Write DIR, a bundle: a copy of FILE, and a model.toml to edit that says what the model takes and answers.

    DIR is by default the model's name, in the current folder. It must not exist yet, or be empty.
    """
    from modelport.server.draft import draft

    folder = draft(file, folder, resolve(flags))
    click.echo(f"wrote {folder}; edit {folder / 'model.toml'}, then run: modelport serve {folder}")
