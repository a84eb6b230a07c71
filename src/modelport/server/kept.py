"""Compiled forms kept between starts: one file a version, or the reason why it has none.

The name is the version's key, which holds the digests of its files, the options, and the versions of modelport and of the
libraries. A form is checked against its digest and tried on its rows whenever it is read; what does not hold is made anew.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from modelport.engine.probe import Compiled

_DIGEST_BYTES = 32
_FORM, _REASON = b"form", b"none"
_LARGEST_BYTES = 2 << 30


def find(key: str) -> Compiled | None:
    """Return what was kept for a version, None if nothing was or it is damaged."""
    path = _folder() / key
    try:
        if not key or path.stat().st_uid != os.getuid() or path.stat().st_size > _LARGEST_BYTES:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    digest, kind, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES : _DIGEST_BYTES + 4], content[_DIGEST_BYTES + 4 :]
    if hashlib.sha256(key.encode() + kind + data).digest() != digest or kind not in (_FORM, _REASON):
        return None
    return Compiled(data) if kind == _FORM else Compiled(reason=data.decode("utf-8", "replace"))


def keep(key: str, found: Compiled) -> None:
    """Keep it for the next start; several starts at once write one after the other, each the whole file.

    Where nothing can be written, nothing is kept.
    """
    if not key or not (found.data or found.reason):
        return
    kind, data = (_FORM, found.data) if found.data else (_REASON, found.reason.encode("utf-8", "replace"))
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=".new-")
    except OSError:
        return
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(hashlib.sha256(key.encode() + kind + data).digest() + kind + data)
        Path(name).replace(folder / key)
    except OSError:
        Path(name).unlink(missing_ok=True)


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelport" / "forms"
