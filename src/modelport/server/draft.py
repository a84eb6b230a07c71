"""Making a bundle of a bare model file: what ``init`` does."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from modelport import formats
from modelport.bundle.folder import MANIFEST, Bundle, open_bundle, verify
from modelport.bundle.manifest import NAME, Artifact, Manifest
from modelport.bundle.write import render
from modelport.config import Settings
from modelport.errors import LoadError, NeedsTrust, RefusedFile, UnreadableFile, UsageError
from modelport.formats.base import Report
from modelport.schema import Schema
from modelport.server import once
from modelport.server.workers import options


def draft(file: Path, folder: Path | None, settings: Settings) -> Path:
    """Write the bundle of a model file and return its folder; by default named like the model, in the current one.

    The folder appears at once, with everything in it. The model is loaded in a worker where its schema cannot be read.
    Raises: UsageError if the folder is taken, NeedsTrust or RefusedFile, and what stands in the way of loading the model.
    """
    bundle = open_bundle(file)
    if bundle.is_folder:
        raise UsageError(f"{file}: is a bundle already; give the path of a model file, or edit {bundle.root / MANIFEST}")
    name = settings.name or bundle.manifest.name
    if not NAME.match(name):
        raise UsageError(f'--name must be 1 to 128 of the characters A-Z a-z 0-9 . _ -, found "{name}"')
    folder = Path(name) if folder is None else folder
    _check_free(folder)
    report = _inspected(bundle, settings)
    schema = report.schema or once.describe(bundle, settings)
    manifest = replace(
        _with_schema(bundle.manifest, schema),
        name=name,
        artifact=Artifact(file.name, report.sha256, settings.trust),
        serve={"code": [str(Path(path).resolve()) for path in settings.code]} if settings.code else {},
    )
    _write(folder, manifest, [file, *_companions(file, report, settings)])
    return folder


def _check_free(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        what = "is not empty" if folder.is_dir() else "is a file"
        raise UsageError(f"{folder}: {what}, and nothing is overwritten; name another folder: modelport init FILE DIR")


def _inspected(bundle: Bundle, settings: Settings) -> Report:
    path = bundle.artifact
    assert path is not None  # noqa: S101  # a bare file is its own artifact
    report = formats.inspect(path, options(settings))
    kind = {"needs_trust": NeedsTrust, "refused": RefusedFile}.get(report.verdict)
    if report.plan == "none" and kind is None:
        kind = LoadError
    if kind is not None:
        raise kind(f"{path.name}: {report.problem}{'; ' if report.cure else ''}{report.cure}")
    return report


def _with_schema(manifest: Manifest, schema: Schema) -> Manifest:
    return replace(manifest, description=schema.description, inputs=schema.inputs, outputs=schema.outputs)


def _companions(file: Path, report: Report, settings: Settings) -> list[Path]:
    """Return the other files of the model. An architecture that was named may lie anywhere; in the bundle it is found by itself."""
    chosen = settings.architecture
    files = [chosen if chosen is not None and chosen.name == name else file.parent / name for name in report.companions]
    for path in files:
        if not path.is_file():
            raise UnreadableFile(f'{file.name}: keeps a part of the model in "{path.name}", which is not beside it; copy that file too')
    return files


def _write(folder: Path, manifest: Manifest, files: list[Path]) -> None:
    text = render(manifest)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as unfinished:
            made = Path(unfinished) / "bundle"
            made.mkdir()
            for file in files:
                shutil.copyfile(file, made / file.name)
            (made / MANIFEST).write_text(text, encoding="utf-8")
            verify(open_bundle(made))  # the copy is the file that was looked at
            made.rename(folder)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror}); name a folder that you may write to") from error
