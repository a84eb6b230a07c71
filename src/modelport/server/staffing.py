"""How many fronts and workers ``auto`` means: one rule, from what the machine has and what the model was measured to take.

A front that computes a fast form itself is limited by its own 20 µs of Python a request, so another core wants another front. Where
the model takes most of the time, or is the library's own, one front feeds many workers. docs/performance.md has the measurements.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from modelport.config import Settings
from modelport.errors import UsageError

_MOST_WORKERS = 4  # of a model of which nothing is known yet: libraries take 100 MB and more in each
_SLOW_MS = 1.0
_WORKER_BYTES = 120 << 20
_COPIES = 2  # of the model's file in a worker's memory: what the library makes of it, and a part of what it read
_SHARE = 2  # at most one half of the memory that is free is given away by ``auto``
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Machine:
    """What this process may use. ``free_bytes``: memory that is not in use; 0 where the system does not tell."""

    cores: int
    free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a version was measured to take. ``row_ms``: of the processor a row, None if never measured.

    ``is_inline``: whether the front computes it itself. ``front_bytes``: memory of a front with all its versions.
    """

    is_inline: bool
    row_ms: float | None = None
    front_bytes: int = 0


def cores() -> int:
    """Return how many cores this process may use: those it may run on, as far as its control group's quota goes."""
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota, _, period_us = _cgroup("cpu.max").partition(" ")
    if quota.isdecimal() and period_us.isdecimal() and int(period_us):
        return max(1, min(allowed, math.ceil(int(quota) / int(period_us))))
    return allowed


def machine() -> Machine:
    """Look at what there is at this moment."""
    return Machine(cores(), _free_bytes())


def workers(settings: Settings, has: Machine, model_bytes: int, *, row_ms: float | None = None) -> int:
    """Return how many workers a model gets on all fronts together.

    ``auto``: one a core; at most four unless a row is known to take a millisecond and more, and as many as half of the free
    memory holds. ``row_ms``: what is known from an earlier start.
    Raises: UsageError for fewer workers than fronts, and for what is no number.
    """
    asked, fronts = settings.workers_asked(), settings.fronts_asked() or 1
    if asked is not None:
        if asked < fronts:
            raise UsageError(
                f"--workers {asked} are fewer than --fronts {fronts}, and each front has workers of its own; "
                f"give at least {fronts} workers, or fewer fronts"
            )
        return asked
    most = has.cores if row_ms is not None and row_ms >= _SLOW_MS else min(has.cores, _MOST_WORKERS)
    if has.free_bytes:
        most = min(most, has.free_bytes // _SHARE // (_WORKER_BYTES + _COPIES * model_bytes))
    return max(1, fronts, most)


def depends_on_cost(settings: Settings, has: Machine) -> bool:
    """Whether ``workers`` would say something else if it knew what a row takes."""
    return settings.workers_asked() is None and has.cores > _MOST_WORKERS


def fronts(has: Machine, costs: list[Cost]) -> int:
    """Return how many fronts ``auto`` means, once the first one has loaded everything: a front a core for fast forms, else one."""
    if not costs or not all(cost.is_inline and (cost.row_ms or 0.0) < _SLOW_MS for cost in costs):
        return 1
    most = has.cores
    if has.free_bytes and costs[0].front_bytes:
        most = min(most, 1 + has.free_bytes // _SHARE // costs[0].front_bytes)
    return max(1, most)


def share(total: int, fronts: int, number: int) -> int:
    """Return how many of all workers front ``number`` gets: equal parts, the first ones one more where they do not divide."""
    return total // fronts + (number < total % fronts)


def _free_bytes() -> int:
    found = [_meminfo()] if _meminfo() else []
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    if limit.isdecimal() and used.isdecimal():
        found.append(max(0, int(limit) - int(used)))
    return min(found, default=0)


def _meminfo() -> int:
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _cgroup(name: str) -> str:
    """Read a file of this process's control group (version 2); in a container that is the topmost one it can see."""
    own = next((line[3:] for line in _read(Path("/proc/self/cgroup")).splitlines() if line.startswith("0::")), "/")
    return (_read(_CGROUP / own.lstrip("/") / name) or _read(_CGROUP / name)).strip()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
