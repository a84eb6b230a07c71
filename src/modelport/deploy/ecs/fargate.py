"""How much CPU and memory a Fargate task can have: AWS takes certain pairs only, and refuses others late."""

from __future__ import annotations

from dataclasses import dataclass

from modelport.deploy.base import Size
from modelport.errors import UsageError

_GIB = 1024
# CPU units (1024 are a core) to the memory in MiB that goes with them, from "Task CPU and memory" of the ECS developer guide,
# as of November 2026: least, most, step.
_MEMORY: dict[int, tuple[int, int, int]] = {
    512: (1 * _GIB, 4 * _GIB, _GIB),
    1024: (2 * _GIB, 8 * _GIB, _GIB),
    2048: (4 * _GIB, 16 * _GIB, _GIB),
    4096: (8 * _GIB, 30 * _GIB, _GIB),
    8192: (16 * _GIB, 60 * _GIB, 4 * _GIB),
    16384: (32 * _GIB, 120 * _GIB, 8 * _GIB),
}
PAIRS: dict[int, tuple[int, ...]] = {
    256: (512, 1 * _GIB, 2 * _GIB),
    **{units: tuple(range(least, most + 1, step)) for units, (least, most, step) in _MEMORY.items()},
}
"""CPU units to the amounts of memory in MiB that AWS takes with them."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What a task gets, in AWS's units; ``note`` says how that differs from what was asked for, "" if it does not."""

    cpu_units: int
    memory_mib: int
    note: str = ""


def fit(size: Size) -> Pair:
    """Return the smallest valid pair that gives at least what was asked for: fewest cores first, then least memory.

    Raises: UsageError if none is large enough.
    """
    wanted = round(size.cpu * 1024)
    for units, memories in PAIRS.items():
        enough = [memory for memory in memories if memory >= size.memory_mb]
        if units >= wanted and enough:
            return Pair(units, enough[0], _note(size, units, enough[0]))
    raise UsageError(
        f"Fargate gives a task at most 16 cores and {PAIRS[16384][-1]} MiB, "
        f"found --cpu {size.cpu:g} --memory {size.memory_mb}; ask for less"
    )


def _note(size: Size, units: int, memory_mib: int) -> str:
    if units == round(size.cpu * 1024) and memory_mib == size.memory_mb:
        return ""
    return (
        f"Fargate has no task of {size.cpu:g} vCPU with {size.memory_mb} MiB; "
        f"the nearest that is large enough has {units / 1024:g} vCPU with {memory_mib} MiB"
    )
