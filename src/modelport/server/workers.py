"""The worker processes that a bundle gets under some settings; what every verb that loads a model shares."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from modelport.bundle.folder import Bundle
from modelport.config import Settings
from modelport.engine.executor import Listener
from modelport.engine.pool import Pool, PoolSettings
from modelport.formats.base import Options


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def options(settings: Settings) -> Options:
    """Return how a file may be read under these settings."""
    return Options(frozenset(settings.trust), tuple(Path(path) for path in settings.code), settings.architecture)


def pool(bundle: Bundle, listener: Listener, settings: Settings, *, workers: int) -> Pool:
    """Return the pool that will load the bundle in so many workers; its numeric libraries share the cores."""
    load: dict[str, object] = {
        "source": str(bundle.root if bundle.is_folder else bundle.artifact),
        "trust": list(settings.trust),
        "code": list(settings.code),
        "architecture": None if settings.architecture is None else str(settings.architecture),
        "debug": settings.debug,
    }
    return Pool(PoolSettings(workers, load, threads=max(1, cores() // workers)), listener)
