"""``modelport serve``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from modelport.cli.flags import settings
from modelport.config import SETTINGS, Value
from modelport.errors import UsageError
from modelport.server.single import import_libraries

DEFAULT_FILE = Path("/opt/ml/model")


@click.command("serve", short_help="Serve a model file, bundle or folder as an HTTP API.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="FILE…")
@settings([setting.name for setting in SETTINGS])
def command(files: tuple[Path, ...], **flags: Value) -> None:
    """Serve each FILE, a model file or a bundle folder, as an HTTP API.

    Without FILE: the path in MODELPORT_FILE, else /opt/ml/model.
    """
    import_libraries()
    from modelport.server.announce import announcement
    from modelport.server.live import Live
    from modelport.server.local import serve

    if not files:
        given = os.environ.get("MODELPORT_FILE")
        files = (Path(given) if given else DEFAULT_FILE,)
        if not files[0].exists():
            raise UsageError(f"there is no {files[0]}; name the model file: modelport serve FILE")

    def announce(live: Live) -> None:
        click.echo(announcement(live))

    serve(files, flags, announce)
