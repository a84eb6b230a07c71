"""From the user's file and flags to a Service. Reads the file without executing anything of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelport import formats
from modelport.bundle.folder import Bundle, open_bundle, verify
from modelport.deploy.base import Scale, Service, Size, label_of
from modelport.errors import NeedsTrust, RefusedFile
from modelport.formats.base import Options, Report

_LEAST_MB, _STEP_MB = 512, 256
_BESIDE_MB = 256
_COPIES = 4  # the file, what is loaded of it, and room for a batch: measured 2 to 3 times the size for forests and networks


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says of a service; None where it says nothing."""

    image: str
    name: str | None = None
    cpu: float | None = None
    memory_mb: int | None = None
    scale: Scale = field(default_factory=Scale)
    environment: Mapping[str, str] = field(default_factory=dict)
    drain_s: int = 30


def describe(file: Path, options: Options, asked: Asked) -> Service:
    """Return the service that a file is to become.

    Raises: UnreadableFile, ManifestError, MissingExtra, UsageError; NeedsTrust or RefusedFile if the server would not load it.
    """
    bundle = open_bundle(file)
    manifest = bundle.manifest
    report = read(bundle, options)
    size = Size(asked.cpu or 1.0, asked.memory_mb or memory_mb(0 if report is None else report.size_bytes))
    name = asked.name or label_of(manifest.name)
    digest = verify(bundle) if report is None else report.sha256
    return Service(name, manifest.name, manifest.version, asked.image, digest, size, asked.scale, asked.environment, asked.drain_s)


def read(bundle: Bundle, options: Options) -> Report | None:
    """Return what the artifact says of itself; None without one. Raises: NeedsTrust or RefusedFile if it would not be loaded."""
    if bundle.artifact is None:
        return None
    pinned = () if bundle.manifest.artifact is None or not bundle.is_folder else bundle.manifest.artifact.trust
    given = Options(options.trust | frozenset(pinned), options.code, options.architecture)
    report = formats.inspect(bundle.artifact, given)
    if report.verdict == "needs_trust":
        raise NeedsTrust(f"{bundle.artifact.name}: {report.problem}; {report.cure}")
    if report.verdict == "refused":
        raise RefusedFile(f"{bundle.artifact.name}: {report.problem}")
    return report


def memory_mb(artifact_bytes: int) -> int:
    """Return how much memory a replica is given if nobody says: room for the server and for the model several times."""
    needed = _BESIDE_MB + _COPIES * artifact_bytes // (1024 * 1024)
    return max(_LEAST_MB, -(-needed // _STEP_MB) * _STEP_MB)
