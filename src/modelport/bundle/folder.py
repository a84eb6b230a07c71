"""Opening what the user named: a bundle folder with ``model.toml``, or a bare artifact that stands for one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from modelport.bundle import manifest as manifests
from modelport.bundle.manifest import Artifact, Manifest
from modelport.errors import ManifestError, UnreadableFile

MANIFEST = "model.toml"
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle. ``root`` is its folder; nothing outside of it is read for it. ``is_folder`` False: a bare artifact."""

    root: Path
    manifest: Manifest
    is_folder: bool

    @property
    def artifact(self) -> Path | None:
        """The model file, or None where a ``load`` hook makes the predictor."""
        return None if self.manifest.artifact is None else self.root / self.manifest.artifact.path


def open_bundle(path: Path) -> Bundle:
    """Open a bundle folder, its ``model.toml``, or an artifact. Reads no artifact bytes.

    Raises: UnreadableFile if there is no such file, ManifestError if ``model.toml`` is wrong.
    """
    try:
        if path.name == MANIFEST and path.is_file():
            path = path.parent
        if path.is_dir():
            return _open_folder(path)
        is_there, is_file = path.exists(), path.is_file()
    except OSError as error:  # a folder on the way that may not be searched, a name that is too long
        raise UnreadableFile(f"{path}: cannot be opened ({error.strerror}); give the path of a model file that you may read") from error
    if not is_there:
        raise UnreadableFile(f"{path}: there is no such file or folder; give the path of a model file or of a folder with {MANIFEST}")
    if not is_file:
        raise UnreadableFile(f"{path}: is not a regular file; give the path of a model file")
    return Bundle(path.parent, Manifest(manifests.name_from(path), artifact=Artifact(path.name)), is_folder=False)


def verify(bundle: Bundle) -> str:
    """Hash the artifact and compare it with the manifest's pin. Returns the SHA-256, "" without an artifact.

    Raises: UnreadableFile naming both digests if they differ.
    """
    if bundle.artifact is None or bundle.manifest.artifact is None:
        return ""
    digest = hashlib.sha256()
    try:
        with bundle.artifact.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise UnreadableFile(f"{bundle.artifact}: cannot be read ({error.strerror})") from error
    check_pin(bundle, digest.hexdigest())
    return digest.hexdigest()


def check_pin(bundle: Bundle, found: str) -> None:
    """Compare the artifact's SHA-256 with the manifest's pin, if it has one. Raises: UnreadableFile naming both if they differ."""
    pinned = "" if bundle.manifest.artifact is None else bundle.manifest.artifact.sha256
    if pinned and found != pinned:
        raise UnreadableFile(
            f"{bundle.artifact}: its SHA-256 is {found}, {MANIFEST} pins {pinned}; "
            "restore the file, or correct the pin if the change was meant"
        )


def inside(root: Path, name: str, what: str) -> Path:
    """Resolve a path of the manifest and make sure that it stays in the bundle and exists. Raises: ManifestError."""
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ManifestError(f'{what} "{name}" lies outside of the bundle; copy it into the folder and name it relative to {MANIFEST}')
    if not path.exists():
        raise ManifestError(f'{what} "{name}" is not in the bundle; add the file or correct {MANIFEST}')
    return path


def _open_folder(root: Path) -> Bundle:
    if not (root / MANIFEST).is_file():
        raise UnreadableFile(
            f"{root}: has no {MANIFEST}; give the path of a model file, or make a bundle with `modelport init FILE {root}`"
        )
    manifest = manifests.read(root / MANIFEST)
    if manifest.artifact is None and "load" not in manifest.hooks:
        raise ManifestError(f'{root / MANIFEST}: names neither an [artifact] nor a "load" hook; add `[artifact]` with `path = "…"`')
    if manifest.artifact is not None:
        inside(root, manifest.artifact.path, "artifact")
    for name in manifest.resources.values():
        inside(root, name, "resource")
    for spec in manifest.hooks.values():
        file, _, function = spec.partition(":")
        if not file or not function:
            raise ManifestError(f'{root / MANIFEST}: hook "{spec}" must be written "file.py:function"')
        inside(root, file, "hook file")
    return Bundle(root, manifest, is_folder=True)
