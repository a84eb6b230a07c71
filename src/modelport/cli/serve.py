"""``modelport serve``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from modelport.cli.flags import settings
from modelport.config import SETTINGS, Value
from modelport.errors import UsageError

DEFAULT_FILE = Path("/opt/ml/model")
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def _import_numpy() -> None:
    """Let numpy start no threads in this process, which computes small products only. It reads this once; workers are told their own."""
    ours = [name for name in _ONE_THREAD if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, "1"))
    try:
        import numpy  # noqa: F401  # for its being loaded now
    finally:
        for name in ours:
            del os.environ[name]


@click.command("serve", short_help="Serve a model file, bundle or folder as an HTTP API.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="FILE…")
@settings([setting.name for setting in SETTINGS])
def command(files: tuple[Path, ...], **flags: Value) -> None:
    """Serve each FILE, a model file or a bundle folder, as an HTTP API.

    Without FILE: the path in MODELPORT_FILE, else /opt/ml/model.
    """
    _import_numpy()
    from modelport.server.announce import Live, announcement
    from modelport.server.local import serve

    if not files:
        given = os.environ.get("MODELPORT_FILE")
        files = (Path(given) if given else DEFAULT_FILE,)
        if not files[0].exists():
            raise UsageError(f"there is no {files[0]}; name the model file: modelport serve FILE")

    def announce(live: Live) -> None:
        click.echo(announcement(live))

    serve(files, flags, announce)
