"""The worker processes that a bundle gets under some settings; what every verb that loads a model shares."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from modelport.bundle.snapshot import Snapshot
from modelport.config import Settings
from modelport.engine.confinement import Confinement, Setting
from modelport.engine.executor import Listener
from modelport.engine.pool import Pool, PoolSettings
from modelport.formats.base import Options
from modelport.server.environments import HERE, Place


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def options(settings: Settings) -> Options:
    """Return how a file may be read under these settings."""
    return Options(frozenset(settings.trust), tuple(Path(path) for path in settings.code), settings.architecture)


@dataclass(frozen=True, slots=True)
class Staff:
    """How many workers a bundle gets, where they run, and whether a throw-away process goes first."""

    workers: int
    place: Place = HERE
    is_probed: bool = True


def pool(snapshot: Snapshot, listener: Listener, settings: Settings, staff: Staff) -> Pool:
    """Return the pool that will load what the snapshot holds; the workers' numeric libraries share the cores."""
    bundle, given = snapshot.bundle, snapshot.options
    workers = staff.workers
    is_here = staff.place.interpreter is None
    load: dict[str, object] = {
        "source": str(bundle.root if bundle.is_folder and is_here else bundle.artifact),
        "sha256": staff.place.sha256,
        "trust": sorted(given.trust),
        "code": [str(path) for path in given.code],
        "architecture": None if given.architecture is None else str(given.architecture),
        "debug": settings.debug,
    }
    asked = PoolSettings(
        workers,
        load,
        threads=max(1, cores() // workers),
        load_timeout_s=settings.load_timeout,
        confinement=confinement(snapshot, settings),
        is_probed=staff.is_probed,
        interpreter=staff.place.interpreter,
    )
    return Pool(asked, listener)


def confinement(snapshot: Snapshot, settings: Settings) -> Confinement:
    """Return how the workers are held: they read the snapshot, what was too large for it, and what the manifest opens up."""
    opened = snapshot.bundle.manifest.sandbox
    read = (snapshot.folder.path, *snapshot.elsewhere, *(Path(path).expanduser() for path in opened.read))
    folder = snapshot.bundle.root if snapshot.bundle.is_folder else None
    return Confinement(cast("Setting", settings.sandbox), read, opened.environment, opened.network, opened.gpu, folder)
