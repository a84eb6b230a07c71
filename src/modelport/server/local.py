"""The service on one machine, put together top to bottom: what is served, under which settings, by one front or by several."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from modelport.bundle.folder import open_bundle
from modelport.bundle.private import sweep
from modelport.bundle.snapshot import take
from modelport.config import Value, resolve
from modelport.server.front import Announce, run, serve_front
from modelport.server.versions import Part, versions
from modelport.server.workers import options
from modelport.telemetry import logs


def serve(paths: Sequence[Path], flags: dict[str, Value], announce: Announce) -> None:
    """Serve until SIGTERM or Ctrl-C, then drain. ``announce`` is called once, when every model answers.

    Raises: UsageError, ManifestError, and whatever stands in the way of loading a model.
    """
    sweep()
    bundles = [open_bundle(path) for path in paths]
    first = bundles[0].manifest if bundles else None
    settings = resolve(flags, first.serve if first is not None and len(bundles) == 1 else {})
    logs.configure("json" if settings.log_format == "json" else "text", "debug" if settings.debug else "info")
    with ExitStack() as held:
        snapshots = [held.enter_context(take(bundle, options(settings))) for bundle in bundles]
        run(serve_front(versions(snapshots, settings, Part()), settings, announce))
