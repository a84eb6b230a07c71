"""Where a model runs: here, or in an environment of the scikit-learn that wrote it (``--env``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelport import formats
from modelport.bundle import environment
from modelport.bundle.environment import Interpreter
from modelport.bundle.snapshot import Snapshot
from modelport.config import Settings
from modelport.errors import NeedsTrust, RefusedFile, UsageError
from modelport.formats.base import Report

LOCAL, AUTO = "local", "auto"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the workers run. ``interpreter`` None is here. ``sha256``: of the artifact whose static reading allowed it."""

    interpreter: Interpreter | None = None
    sha256: str = ""


HERE = Place()


def place(snapshot: Snapshot, settings: Settings, say: Callable[[str], None]) -> Place:
    """Decide where a model runs; with ``auto`` only what would not answer here as on its day goes elsewhere.

    The file is read statically first, and goes nowhere unless every name in it is known or trusted. ``say`` is told what is made.
    Raises: NeedsTrust, RefusedFile, UsageError for what cannot run elsewhere, LoadError where no environment can be had.
    """
    if settings.env == LOCAL:
        return HERE
    bundle = snapshot.bundle
    report = _report(snapshot)
    if report is not None and settings.env == AUTO and report.plan != "none":
        return HERE
    written = None if report is None or report.library != "scikit-learn" else report.library_version
    if report is None or written is None:
        if settings.env == AUTO:
            return HERE  # the worker says what stands in the way
        raise UsageError("--env is for pickles that say which scikit-learn wrote them, and this is none; leave it out")
    if bundle.manifest.hooks or bundle.manifest.inputs:
        raise UsageError(
            "--env runs a bare model file; serve the artifact itself instead of the bundle, whose hooks need modelport beside them"
        )
    python = environment.matching(written, say) if settings.env == AUTO else environment.named(Path(settings.env), written)
    return Place(environment.interpreter(python), report.sha256)


def _report(snapshot: Snapshot) -> Report | None:
    artifact = snapshot.bundle.artifact
    if artifact is None or formats.identify(artifact).name != "pickle":
        return None
    report = formats.inspect(artifact, snapshot.options)
    if report.verdict == "needs_trust":
        raise NeedsTrust(f"{artifact.name}: {report.problem}; {report.cure}")
    if report.verdict == "refused":
        raise RefusedFile(f"{artifact.name}: {report.problem}")
    return report
