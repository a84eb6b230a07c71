"""Service: what is to run, as data; and the files that targets render from it.

Every target is a function from a Service and its own options to ``{path: text}``. Values reach those texts through serialisers
only. What a serialiser cannot make safe (names of things) is checked here, once, against what all targets take.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelport.errors import UsageError

PORT = 8080
"""What containers listen on."""
USER = 1000
"""Whom they run as, and the group."""
LIVE, READY, METRICS = "/livez", "/readyz", "/metrics"

NAME_CHARACTERS = 40
_LABEL = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
# The grammar of references: [host[:port]/]path[:tag][@digest] (OCI distribution specification, "pulling manifests").
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]{1,5})?/)?"
_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
_REFERENCE = re.compile(rf"{_HOST}{_PATH}(?::[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?")
_REFERENCE_CHARACTERS = 512
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Size:
    """What one replica gets: ``cpu`` in cores, ``memory_mb`` in MiB."""

    cpu: float = 1.0
    memory_mb: int = 1024


@dataclass(frozen=True, slots=True)
class Scale:
    """How many replicas there are, and what more are started for: CPU use in per cent of what was asked for."""

    minimum: int = 1
    maximum: int = 4
    cpu_percent: int = 60


@dataclass(frozen=True, slots=True)
class Service:
    """One model as a service.

    ``name``: a DNS label that every target takes. ``model``, ``version``: as the server names them. ``image``: a reference,
    with its digest where one is known. ``digest``: SHA-256 of the artifact, "" without one. ``environment``: of the container.
    ``drain_s``: how long what is in flight may take after SIGTERM. ``tag``: the reference that the image's digest was looked up for.
    """

    name: str
    model: str
    version: str
    image: str
    digest: str = ""
    size: Size = Size()
    scale: Scale = Scale()
    environment: Mapping[str, str] = field(default_factory=dict)
    drain_s: int = 30
    tag: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        check_reference(self.image)
        if self.tag:
            check_reference(self.tag)
        check_size(self.size)
        check_scale(self.scale)
        check_environment(self.environment)
        if not 0 <= self.drain_s <= 3600:
            raise UsageError(f"--drain must be 0 to 3600 seconds, found {self.drain_s}")


def label_of(name: str) -> str:
    """Return the DNS label for a model's name, such as best-model for best_model; models named alike need a name of their own."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not plain or not plain[0].isalpha():
        plain = f"m-{plain}"
    return plain[:NAME_CHARACTERS].rstrip("-")


def check_name(name: str) -> str:
    """Return the name of a service. Raises: UsageError if it is none."""
    if not _LABEL.fullmatch(name):
        raise UsageError(
            f"a service is named by 1 to {NAME_CHARACTERS} of a-z, 0-9 and -, from a letter to a letter or digit, "
            f'found "{name[:80]}"; give one with --name'
        )
    return name


def check_reference(image: str) -> None:
    """Raises: UsageError if it is no reference of an image."""
    if len(image) > _REFERENCE_CHARACTERS or not _REFERENCE.fullmatch(image):
        raise UsageError(
            f'--image must be a reference such as host/path:tag or host/path@sha256:…, found "{image[:80]}"; '
            "make one with `modelport image FILE -t TAG --push`"
        )


def check_size(size: Size) -> None:
    """Raises: UsageError if no target could give that much."""
    if not 0.05 <= size.cpu <= 256:
        raise UsageError(f"--cpu must be from 0.05 to 256 cores, found {size.cpu:g}")
    if not 64 <= size.memory_mb <= 4 * _MB:
        raise UsageError(f"--memory must be from 64 MiB to 4 TiB, found {size.memory_mb} MiB")


def check_scale(scale: Scale) -> None:
    """Raises: UsageError if the bounds are no bounds."""
    if not 0 <= scale.minimum <= scale.maximum <= 1000 or scale.maximum < 1:
        raise UsageError(
            f"--min and --max must be 0 to 1000 replicas with the smaller first, found --min {scale.minimum} --max {scale.maximum}"
        )
    if not 1 <= scale.cpu_percent <= 100:
        raise UsageError(f"--scale-cpu must be 1 to 100 per cent, found {scale.cpu_percent}")


def check_environment(environment: Mapping[str, str]) -> None:
    """Raises: UsageError for a name that is no variable, or a value that none can hold."""
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name):
            raise UsageError(f'a variable is named by letters, digits and _, found "{name[:80]}"; correct --set')
        if "\0" in value:
            raise UsageError(f"the value of {name} holds a null character, which no variable can; correct --set")


def emit(files: Mapping[str, str], folder: Path) -> list[Path]:
    """Write rendered files below a folder, each whole or not at all; what is there already is written over.

    Raises: UsageError if the folder cannot be written.
    """
    written = []
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.new")
            new.write_text(text, encoding="utf-8", newline="\n")
            new.replace(path)
        except OSError as error:
            raise UsageError(f"--emit {folder}: {name} cannot be written ({error.strerror}); give a folder that you may write") from error
        written.append(path)
    return written
