"""Which versions a throw-away process has been survived by on this machine, so that only the first load of each pays for it.

A version is everything that decides what a worker runs: the bundle's files, the settings about loading, Python and the
libraries. A mark is an empty file named by the digest of all that, in a folder that only this user may enter.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib import metadata
from pathlib import Path

from modelport.bundle.folder import MANIFEST, Bundle
from modelport.config import Settings
from modelport.server.environments import LOCAL

_LIBRARIES = (
    "modelport",
    "numpy",
    "scipy",
    "scikit-learn",
    "joblib",
    "pandas",
    "h5py",
    "onnxruntime",
    "keras",
    "tensorflow",
    "torch",
    "jax",
)
_LIMIT_FILES = 200


def key_of(bundle: Bundle, settings: Settings) -> str:
    """Return the digest of a version, "" for one that is tried at every start.

    That is one with code or an interpreter from elsewhere, or of too many files.
    Cost: reads the bundle's files once, about a second a gigabyte.
    """
    files = _files(bundle)
    if settings.no_cache or settings.code or settings.env != LOCAL or files is None:
        return ""
    if settings.architecture is not None:
        files.append(settings.architecture)
    digest = hashlib.sha256()
    facts = [sys.version, sys.platform, settings.sandbox, *sorted(settings.trust)]
    for fact in [*facts, *(f"{name} {_version(name)}" for name in _LIBRARIES)]:
        digest.update(fact.encode("utf-8", "replace") + b"\0")
    try:
        for path in files:
            with path.open("rb") as file:
                digest.update(str(path).encode("utf-8", "replace") + b"\0" + hashlib.file_digest(file, "sha256").digest())
    except OSError:
        return ""  # whoever loads it says what is wrong
    return digest.hexdigest()


def is_proven(key: str) -> bool:
    """Whether the version has survived before."""
    return bool(key) and (_folder() / key).is_file()


def mark(key: str) -> None:
    """Remember that the version has survived; where nothing can be written, nothing is remembered."""
    if not key:
        return
    try:
        _folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        (_folder() / key).touch(mode=0o600)
    except OSError:
        return


def _files(bundle: Bundle) -> list[Path] | None:
    """Return the files that make the version; None for a folder of so many that hashing them would be slower than the trial."""
    if not bundle.is_folder:
        beside = sorted(bundle.root.glob("*.json")) if bundle.artifact is not None and bundle.artifact.suffix in (".h5", ".hdf5") else []
        if bundle.artifact is None or bundle.artifact.suffix == ".onnx":  # data may lie in files beside it
            return None
        return None if len(beside) > _LIMIT_FILES else [bundle.artifact, *beside]
    own = [MANIFEST, *(spec.partition(":")[0] for spec in bundle.manifest.hooks.values()), *bundle.manifest.resources.values()]
    named = [bundle.root / name for name in own] + ([bundle.artifact] if bundle.artifact is not None else [])
    modules = sorted(bundle.root.rglob("*.py"))
    found = sorted({path for path in [*named, *modules] if path.is_file()})
    return None if len(found) > _LIMIT_FILES or any(path.is_dir() for path in named) else found


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "-"


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelport" / "proven"
