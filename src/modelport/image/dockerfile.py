"""A plan as a Dockerfile, for those who build with docker or podman: pure text, in which every value is quoted data.

The layers come as archives that the engine unpacks (ADD), so no step runs anything and none needs a network or a shell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from modelport.errors import UsageError
from modelport.image.places import PORT, SCRATCH, USER
from modelport.image.plan import COMMAND, ENTRYPOINT, HEALTH_S, HEALTHCHECK, Plan

LAYERS = ("dependencies", "modelport", "model", "config")
"""Our layers, from what changes least to what changes most."""


def render(plan: Plan, base: str) -> Mapping[str, str]:
    """Return the build context's texts; the archives ``<layer>.tar`` of LAYERS go beside them. ``base``: the reference after FROM.

    Raises: UsageError for a value that a Dockerfile cannot hold.
    """
    interval, longest, start = HEALTH_S
    lines = [f"FROM {base}", *(f"ADD {name}.tar /" for name in LAYERS)]
    lines += _pairs("ENV", plan.environment) + _pairs("LABEL", plan.labels)
    lines += [f"USER {USER}", f"EXPOSE {PORT}/tcp"]
    lines += [f"HEALTHCHECK --interval={interval}s --timeout={longest}s --start-period={start}s CMD {json.dumps(list(HEALTHCHECK))}"]
    lines += [f"ENTRYPOINT {json.dumps(list(ENTRYPOINT))}", f"CMD {json.dumps(list(COMMAND))}"]
    lines += [f"VOLUME {json.dumps([SCRATCH])}"]  # last, as podman saves and restores it in each step after it
    return {"Dockerfile": "".join(f"{line}\n" for line in lines), ".dockerignore": ""}


def _pairs(keyword: str, values: Mapping[str, str]) -> list[str]:
    """Return one instruction for all of them: podman commits an image after each."""
    words = [f"{name}={quoted(value, name)}" for name, value in sorted(values.items())]
    return [f"{keyword} " + " \\\n    ".join(words)] if words else []


def quoted(value: str, name: str) -> str:
    """Return a value as a double-quoted word of a Dockerfile. Raises: UsageError for what ends a line, as no quotes hold that."""
    if any(char in value for char in "\n\r\0"):
        raise UsageError(f"the value of {name} has more than one line, which a Dockerfile cannot hold; use --engine native")
    return '"' + "".join(f"\\{char}" if char in '\\"$' else char for char in value) + '"'
