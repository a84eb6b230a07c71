"""Folders that only this user may enter and that go with the process that made them, even if it is killed.

Each holds a file that its process keeps locked. The kernel undoes the lock when the process ends, however it ends; so whoever
starts next knows which folders nobody owns any more, and removes them.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

if sys.platform != "win32":
    import fcntl

PREFIX = "modelport-"
_LOCK = "owner.lock"


class PrivateFolder:
    """A folder of this process's own, at ``path``; gone after ``remove`` or the ``with`` block."""

    def __init__(self, parent: Path | None = None) -> None:
        """Make it in ``parent``, by default the system's folder for temporary files. Raises: OSError."""
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        unready = self.path / f"{_LOCK}-unready"
        self._lock = os.open(unready, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        if sys.platform != "win32":
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        unready.rename(self.path / _LOCK)  # locked before it can be found, so that nobody takes it for left over

    @classmethod
    def borrowed(cls, path: Path) -> PrivateFolder:
        """Return the folder of another process, which lives longer than this one; ``remove`` leaves it to that one."""
        folder = cls.__new__(cls)
        folder.path, folder._lock = path, -1
        return folder

    def remove(self) -> None:
        """Remove it with all that is in it. Removing it twice does nothing."""
        lock, self._lock = self._lock, -1  # two threads may end the same pool
        if lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(lock)

    def __enter__(self) -> PrivateFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()


def parents() -> list[Path]:
    """Return where private folders are made: the folder for temporary files, and the one for those that are large."""
    places = [Path(tempfile.gettempdir()), Path("/var/tmp")]  # noqa: S108  # made by mkdtemp, which nobody can foresee
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def sweep() -> None:
    """Remove the folders of this user whose process has ended without removing them (killed, or out of memory).

    Cost: one listing of the folders for temporary files.
    """
    if sys.platform == "win32":  # has no such locks
        return
    for folder in (folder for place in parents() for folder in _own(place)):
        try:
            lock = os.open(folder / _LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # being made, or being removed
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # its process lives
            continue
        finally:
            os.close(lock)


def _own(place: Path) -> Iterator[Path]:
    """Yield this user's folders there; a link, or a folder that somebody else made under such a name, is none."""
    try:
        entries = list(os.scandir(place))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(PREFIX):
            try:
                if entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid == os.getuid():
                    yield Path(entry.path)
            except OSError:  # gone meanwhile
                continue
