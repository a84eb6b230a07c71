"""Which versions a throw-away process has been survived by on this machine, so that only the first load of each pays for it.

A version is everything that decides what a worker runs: the bundle's files, the settings about loading, Python and the
libraries. A mark is an empty file named by the digest of all that, in a folder that only this user may enter.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from modelport.bundle.snapshot import Snapshot
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
    "tf_keras",
    "tensorflow",
    "torch",
    "jax",
)


def key_of(snapshot: Snapshot, settings: Settings) -> str:
    """Return the digest of a version, "" for one that is tried at every start.

    That is one whose workers read what the snapshot does not hold, or run in an environment of their own.
    """
    if settings.no_cache or settings.env != LOCAL or snapshot.elsewhere or snapshot.bundle.manifest.sandbox.read:
        return ""
    digest = hashlib.sha256()
    facts = [sys.version, sys.platform, settings.sandbox, *sorted(settings.trust)]
    facts += _versions(_LIBRARIES)
    facts += [f"{name} {sha256}" for name, sha256 in sorted(snapshot.digests.items())]
    for fact in facts:
        digest.update(fact.encode("utf-8", "replace") + b"\0")
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


def _versions(names: Iterable[str]) -> list[str]:
    """Say which versions of the libraries are installed, by the names of the folders that say so.

    ``importlib.metadata`` would read what is in there, for which it brings the reader of e-mails: 2 MB of every front.
    """
    found: dict[str, str] = {}
    for place in reversed(sys.path):  # the first place counts
        try:
            entries = sorted(entry.name for entry in os.scandir(place or "."))
        except OSError:  # an archive, or nothing
            continue
        for entry in entries:
            if entry.endswith((".dist-info", ".egg-info")):
                name, _, version = entry.partition("-")
                found[name.lower().replace("_", "-")] = version
    return [f"{name} {found.get(name.replace('_', '-'), '-')}" for name in names]


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelport" / "proven"
