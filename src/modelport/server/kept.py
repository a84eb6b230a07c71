"""Compiled forms kept between starts: one file a version, or the reason why it has none.

The name is the version's key, which holds the digests of its files, the options, and the versions of modelport and of the
libraries. A form is checked against its digest and tried on its rows whenever it is read; what does not hold is made anew.
Files are mapped, not read: workers and further starts share what they hold of large arrays. Nobody writes into one in place.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import tempfile
from pathlib import Path

from modelport.engine.probe import Compiled

HEADER_BYTES = 64
"""Where a form begins in its file: arrays that are mapped have to lie at multiples of this."""
_DIGEST_BYTES = 32
_FORM, _REASON = b"form", b"none"
_LARGEST_BYTES = 2 << 30


def find(key: str, folder: Path | None = None) -> Compiled | None:
    """Return what was kept for a version, None if nothing was or it is damaged. The data is a view of the mapped file.

    ``folder``: where one run keeps it for its own processes, instead of between starts.
    """
    try:
        with ((folder or _folder()) / key).open("rb") as file:
            status = os.fstat(file.fileno())
            if not key or status.st_uid != os.getuid() or not HEADER_BYTES <= status.st_size <= _LARGEST_BYTES:
                return None
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError:
        return None
    header, data = bytes(content[:HEADER_BYTES]), content[HEADER_BYTES:]
    kind = header[_DIGEST_BYTES : _DIGEST_BYTES + len(_FORM)]
    if header != _header(key, kind, data) or kind not in (_FORM, _REASON):
        return None
    return Compiled(data) if kind == _FORM else Compiled(reason=bytes(data).decode("utf-8", "replace"))


def keep(key: str, found: Compiled, folder: Path | None = None) -> Compiled:
    """Keep it for the next start; several starts at once write one after the other, each the whole file.

    Returns it as it is kept, so that its arrays are in memory once for all processes; where nothing can be written, as it was.
    """
    if not key or not (found.data or found.reason):
        return found
    kind, data = (_FORM, found.data) if found.data else (_REASON, found.reason.encode("utf-8", "replace"))
    folder = folder or _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=".new-")
    except OSError:
        return found
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_header(key, kind, data))
            file.write(data)
        Path(name).replace(folder / key)
    except OSError:
        Path(name).unlink(missing_ok=True)
        return found
    return find(key, folder) or found


def share(key: str, path: Path, folder: Path | None = None) -> bool:
    """Give the kept file a second name, which stays where the first one goes; a copy on another file system.

    Returns whether it is there. Several processes may ask for the same name.
    """
    kept = (folder or _folder()) / key
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        beside.unlink(missing_ok=True)
        try:
            beside.hardlink_to(kept)
        except OSError:
            shutil.copyfile(kept, beside)
        beside.replace(path)  # of two names of one file it removes neither
        beside.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _header(key: str, kind: bytes, data: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(key.encode() + kind)
    digest.update(data)
    return (digest.digest() + kind).ljust(HEADER_BYTES, b"\0")


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelport" / "forms"
