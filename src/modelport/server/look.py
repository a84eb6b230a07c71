"""Looking at a file or bundle without executing anything of it: what ``inspect`` does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from modelport import formats
from modelport.bundle.environment import ERAS
from modelport.bundle.folder import Bundle, open_bundle, verify
from modelport.bundle.manifest import Manifest
from modelport.config import Settings
from modelport.errors import ModelportError
from modelport.formats.base import Global, Report, Step
from modelport.formats.summary import version_key
from modelport.schema import Schema
from modelport.server.workers import options

_PLANS = {
    "native": "answers with the library's own code in a worker process, or with a compiled form that is proven equal",
    "shimmed": "answers with the library's own code, repaired to answer as on its day, or with a compiled form proven equal to that",
    "converted": "answers with ONNX Runtime, on a conversion of the model",
    "keras": "answers with Keras itself, in a worker process",
    "tf_keras": "answers with tf_keras, the last Keras 2, in a worker process",
    "environment": "answers in an environment of the scikit-learn that wrote it, where --env auto is given",
    "none": "would not load it",
}
_EXIT = {"loadable": 0, "needs_trust": 3, "refused": 3}
_NOT_LOADABLE_HERE = 2


@dataclass(frozen=True, slots=True)
class Look:
    """What was found. ``manifest``: of a bundle folder. ``report`` is None for a bundle whose ``load`` hook makes the model."""

    file: Path
    manifest: Manifest | None
    report: Report | None
    schema: Schema | None

    @property
    def plan(self) -> str:
        """What ``serve`` would do: a plan of the report, or "environment" where only ``--env auto`` makes it possible."""
        if self.report is None:
            return "native"
        version = self.report.environment
        is_bare = self.manifest is None or not (self.manifest.hooks or self.manifest.inputs)
        return "environment" if version and is_bare and version_key(version)[:2] >= ERAS[-1].first else self.report.plan

    @property
    def exit_code(self) -> int:
        """What a command that found this ends with."""
        if self.report is None:
            return 0
        code = _EXIT[self.report.verdict]
        return _NOT_LOADABLE_HERE if code == 0 and self.report.plan == "none" else code

    @property
    def outlook(self) -> list[tuple[str, str]]:
        """What ``serve`` would do, and what stands in its way."""
        if self.report is None:
            return [("verdict", "loadable"), ("serve", "runs the load hook, in a worker process")]
        report = self.report
        serve = _PLANS[self.plan]
        if report.plan != "none" and self.manifest is not None and self.manifest.hooks:
            serve += f", through the {'hooks' if len(self.manifest.hooks) > 1 else 'hook'} {', '.join(self.manifest.hooks)}"
        verdict = report.verdict.replace("_", " ")
        repaired = [("repaired", note) for note in report.notes]
        return [("verdict", verdict), ("serve", serve), *repaired, ("problem", report.problem), ("cure", report.cure)]


def look(file: Path, settings: Settings) -> Look:
    """Read a file or bundle folder. Raises: UnreadableFile, ManifestError, RefusedFile, MissingExtra."""
    bundle = open_bundle(file)
    manifest = bundle.manifest if bundle.is_folder else None
    report = _report(bundle, settings)
    schema = report.schema if report is not None else None
    if manifest is not None and (manifest.inputs or schema is not None):
        schema = manifest.schema(schema)
    return Look(file, manifest, report, schema)


def document(seen: Look) -> str:
    """Return all of it as one JSON document."""
    out: dict[str, object] = {"file": str(seen.file)}
    if seen.report is None:
        out["verdict"] = "loadable"
    else:
        report = seen.report
        out |= {"format": report.format, "library": report.library, "library_version": report.library_version, "model": report.model}
        out |= {"verdict": report.verdict, "plan": seen.plan, "problem": report.problem, "cure": report.cure}
        out |= {"environment": report.environment if seen.plan == "environment" else "", "notes": report.notes}
        out |= {"size_bytes": report.size_bytes, "sha256": report.sha256, "features": report.features, "classes": report.classes}
        out |= {"steps": report.steps, "globals": report.globals, "companions": report.companions}
    out["schema"] = None if seen.schema is None else seen.schema.to_dict()
    if seen.manifest is not None:
        manifest = seen.manifest
        out["bundle"] = {
            "name": manifest.name,
            "version": manifest.version,
            "description": manifest.description,
            "route": manifest.route,
            "greeting": manifest.greeting,
            "hooks": dict(manifest.hooks),
            "resources": dict(manifest.resources),
        }
    return _json(out)


def failure(file: Path, error: ModelportError) -> str:
    """Return a JSON document for a file that could not be looked at."""
    verdict = "refused" if error.exit_code == _EXIT["refused"] else "unreadable"
    return _json({"file": str(file), "verdict": verdict, "code": error.code, "problem": error.message})


def _report(bundle: Bundle, settings: Settings) -> Report | None:
    path, pinned = bundle.artifact, bundle.manifest.artifact
    if path is None or pinned is None:
        return None
    if pinned.sha256:  # otherwise there is nothing to compare with, and the report has the digest of what it read
        verify(bundle)
    given = options(settings)
    return formats.inspect(path, replace(given, trust=given.trust | frozenset(pinned.trust)))


def _json(document: object) -> str:
    return orjson.dumps(_writable(document), option=orjson.OPT_INDENT_2).decode("utf-8")


def _writable(value: object) -> object:
    """Replace what a hostile file may hold and JSON cannot: lone surrogates, and integers of more than 64 bits."""
    if isinstance(value, Step | Global):
        value = asdict(value)
    if isinstance(value, dict):
        return {str(_writable(key)): _writable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(part) for part in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return str(value) if isinstance(value, int) and abs(value) >= 1 << 63 else value
