"""The worker processes that a bundle gets under some settings; what every verb that loads a model shares."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from modelport.bundle.folder import Bundle
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


def pool(bundle: Bundle, listener: Listener, settings: Settings, staff: Staff) -> Pool:
    """Return the pool that will load the bundle; the workers' numeric libraries share the cores."""
    workers = staff.workers
    is_here = not staff.place.interpreter
    load: dict[str, object] = {
        "source": str(bundle.root if bundle.is_folder and is_here else bundle.artifact),
        "sha256": staff.place.sha256,
        "trust": list(settings.trust),
        "code": list(settings.code),
        "architecture": None if settings.architecture is None else str(settings.architecture),
        "debug": settings.debug,
    }
    asked = PoolSettings(
        workers,
        load,
        threads=max(1, cores() // workers),
        load_timeout_s=settings.load_timeout,
        confinement=confinement(bundle, settings),
        is_probed=staff.is_probed,
        interpreter=staff.place.interpreter,
    )
    return Pool(asked, listener)


def confinement(bundle: Bundle, settings: Settings) -> Confinement:
    """Return how the bundle's workers are held: they read the bundle, the code they were given, and what its manifest opens up.

    Of a bare artifact's folder only the artifact is read, unless its kind keeps data in files beside it.
    """
    opened = bundle.manifest.sandbox
    read = [bundle.root if bundle.is_folder or bundle.artifact is None or bundle.artifact.suffix == ".onnx" else bundle.artifact]
    if bundle.artifact is not None:
        read.append(bundle.artifact)  # it may be a link to a place outside
    read += [path if path.is_dir() else path.parent for path in map(Path, settings.code)]  # a file is imported from its folder
    read += [Path(path).expanduser() for path in opened.read]
    if settings.architecture is not None:
        read.append(settings.architecture)
    return Confinement(cast("Setting", settings.sandbox), tuple(read), opened.environment, opened.network, opened.gpu)
