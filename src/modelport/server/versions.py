"""The model versions that a front serves: from their copied files to engines and what computes for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog

from modelport.bundle.folder import Bundle
from modelport.bundle.manifest import NAME, Manifest
from modelport.bundle.snapshot import Snapshot
from modelport.config import Settings
from modelport.engine.batcher import BatchLimits
from modelport.engine.engine import Engine
from modelport.engine.executor import Executor, Identity
from modelport.errors import LoadError, UsageError
from modelport.forms.facts import ROW_MS
from modelport.server import kept, staffing
from modelport.server.environments import place
from modelport.server.proven import is_proven, key_of, mark
from modelport.server.workers import Staff, executor

_log = structlog.get_logger(__name__)
SHELF = "forms"
"""Folder within a snapshot's where forms are kept for one run, where nothing is kept between runs."""


@dataclass(frozen=True, slots=True)
class Part:
    """A front's part of the service. ``is_first``: it is the one that tries new versions and compiles them, for all.

    ``run_key``: names what is kept for this run only; "" where nothing is to be shared.
    """

    number: int = 0
    fronts: int = 1
    is_first: bool = True
    run_key: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """A version that is to be served: its files, its workers, and the key of what is kept of it."""

    snapshot: Snapshot
    staff: Staff
    key: str

    def executor(self, engine: Engine, settings: Settings) -> Executor:
        """Return what will compute it."""
        return executor(self.snapshot, engine, settings, self.staff, self.key)

    def mark(self) -> None:
        """Remember that it has been loaded and has predicted."""
        if self.staff.shelf is None:
            mark(self.key)


def versions(snapshots: Sequence[Snapshot], settings: Settings, part: Part) -> list[Version]:
    """Decide where each version runs, with how many workers, and whether it is tried first. Raises: what ``place`` raises."""
    return [_version(snapshot, settings, part, at) for at, snapshot in enumerate(snapshots)]


def _version(snapshot: Snapshot, settings: Settings, part: Part, at: int) -> Version:
    say = partial(_log.warning, "environment")
    where = place(snapshot, settings, lambda text: say(what=text))
    key, shelf = key_of(snapshot, settings), None
    is_probed = part.is_first and not is_proven(key)
    if not key and part.run_key:
        key, shelf = f"{part.run_key}-{at}", snapshot.folder.path / SHELF
    artifact = snapshot.bundle.artifact
    model_bytes = _size(artifact) if artifact is not None else 0
    has = staffing.machine()
    row_ms = _known_row_ms(key, shelf) if staffing.depends_on_cost(settings, has) else None
    total = staffing.workers(settings, has, model_bytes, row_ms=row_ms)
    own = max(1, staffing.share(total, part.fronts, part.number))
    return Version(snapshot, Staff(own, where, is_probed, fronts=part.fronts, shelf=shelf), key)


def _known_row_ms(key: str, shelf: Path | None) -> float | None:
    """Return what a row was measured to take at an earlier start. Cost: reads the kept form once more."""
    found = kept.find(key, shelf)
    if found is None or not found.data:
        return None
    from modelport.forms.program.form import load  # brings all operations of forms, which a front of workers need not have

    try:
        row_ms = load(found.data).facts.get(ROW_MS)
    except LoadError:
        return None
    return float(row_ms) if isinstance(row_ms, int | float) else None


def _size(artifact: Path) -> int:
    try:
        return artifact.stat().st_size
    except OSError:
        return 0


def engine(bundle: Bundle, settings: Settings, *, is_only: bool) -> Engine:
    """Return a version's engine, not started. Raises: UsageError for a name or route that cannot be."""
    manifest = _named(bundle.manifest, settings, is_only=is_only)
    limits = BatchLimits(
        max_rows=manifest.batch.max_rows,
        max_wait_ms=manifest.batch.max_wait_ms,
        is_batched=manifest.batch.is_enabled,
        max_queued_rows=settings.max_queued_rows,
    )
    return Engine(Identity(manifest.name, manifest.version, manifest.route, manifest.greeting), limits)


def _named(manifest: Manifest, settings: Settings, *, is_only: bool) -> Manifest:
    if not is_only:
        if settings.name or settings.route:
            raise UsageError("--name and --route are for one model; with several, name them in each bundle's model.toml")
        return manifest
    if settings.name is not None and not NAME.match(settings.name):
        raise UsageError(f'--name must be 1 to 128 of the characters A-Z a-z 0-9 . _ -, found "{settings.name}"')
    if settings.route is not None and not settings.route.startswith("/"):
        raise UsageError(f'--route must be a path such as /sentiment, found "{settings.route}"')
    return replace(manifest, name=settings.name or manifest.name, route=settings.route or manifest.route)
