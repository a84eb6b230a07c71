"""Copies files and folders for a snapshot: hashed as copied, and held against what lies there when all are copied."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelport.errors import ManifestError, UnreadableFile

# What a bundle's folder may hold beside the files that its manifest names and stays in one piece with them. A project's folder of
# training data is neither copied nor hashed at every start.
LIMIT_FILES = 2_000
LIMIT_BYTES = 256 << 20
_CHUNK_BYTES = 1 << 20
_RANGE_BYTES = 1 << 30
_NOT_IN_THE_KERNEL = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)

_Facts = tuple[int, int, int, int, int]


class Copier:
    """Fills one folder. ``digests``: SHA-256 by path in it; ``linked``: what was too large to copy and is reached by a link."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.digests: dict[str, str] = {}
        self.linked: list[Path] = []
        self._seen: dict[str, tuple[Path, _Facts]] = {}
        self._loose: set[str] = set()
        self._files = LIMIT_FILES
        self._bytes = LIMIT_BYTES

    def file(self, source: Path, name: str, *, root: Path | None = None) -> None:
        """Copy a file to ``name``. ``root``: the folder that it has to lie in, links followed.

        Raises: UnreadableFile if it cannot be read, is no regular file, or changes; ManifestError if it lies elsewhere; OSError
        where the copy cannot be written.
        """
        with _opened(source, root) as handle:
            self.descriptor(handle, source, name)

    def descriptor(self, handle: int, source: Path, name: str) -> None:
        """Copy a file that is open already; ``source`` is its path. Raises: as ``file``."""
        before = os.fstat(handle)
        target = self.target / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy = os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o400)
        with os.fdopen(copy, "r+b", buffering=0) as file:
            size = _transfer(handle, copy)
            file.seek(0)
            self.digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
        facts = _facts(os.fstat(handle))
        if facts != _facts(before) or size != before.st_size:
            raise _changed(source)
        self._seen[name] = source, facts

    def named(self, root: Path, name: str) -> None:
        """Copy what a manifest names: a file, or a folder with all that is in it. Raises: as ``file``."""
        name = os.path.normpath(name)
        if name.startswith(("..", "/")):
            raise ManifestError(f'"{name}" is not written relative to model.toml; write it as a path within the folder')
        if name in self.digests:
            return
        if not (root / name).is_dir():
            self.file(root / name, name, root=root)
            return
        for folder, _, files in os.walk(root / name):
            for file in sorted(files):
                path = Path(folder) / file
                if path.is_file():
                    self.named(root, path.relative_to(root).as_posix())

    def rest(self, root: Path, inner: str = "") -> None:
        """Copy what else lies in a folder, or link what is too large; hidden entries and byte code are no part of it.

        Modules are always copied. What cannot be read, and links that lead out of the folder, are left out; what changes
        meanwhile, such as a log, is linked. Raises: UnreadableFile for a module that changes.
        """
        for entry in sorted(_entries(root / inner), key=lambda entry: (not entry.name.endswith(".py"), entry.name)):
            name = f"{inner}/{entry.name}".lstrip("/")
            path = root / name
            if name in self.digests or entry.name.startswith(".") or entry.name == "__pycache__" or not os.access(path, os.R_OK):
                continue
            if entry.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
                continue
            if entry.is_dir():
                self._folder(root, name, is_link=entry.is_symlink())
            elif entry.is_file():
                self._one(root, name)

    def modules(self, folder: Path) -> None:
        """Copy the modules and packages of a folder, as far as they are not too large; nothing else of it. Raises: as ``file``."""
        for path in sorted(folder.iterdir()):
            if path.suffix == ".py" and path.is_file():
                self.file(path, path.name)
            elif (path / "__init__.py").is_file() and self._fits(path):
                (self.target / path.name).mkdir(mode=0o700)
                self.rest(folder, path.name)

    def settle(self) -> None:
        """Make sure that what was copied is what lies there now, all of it. Raises: UnreadableFile naming what changed."""
        for name, (path, facts) in self._seen.items():
            try:
                found = _facts(os.stat(path))  # noqa: PTH116
            except OSError:
                found = None
            if found == facts:
                continue
            if name not in self._loose:
                raise _changed(path)
            self._instead(path, name)

    def _one(self, root: Path, name: str) -> None:
        path = root / name
        if name.endswith(".py"):
            self.file(path, name, root=root)
            return
        size = _size(path)
        if self._files <= 0 or size > self._bytes:
            self._link(path, name)
            return
        self._files -= 1
        self._bytes -= size
        self._loose.add(name)
        try:
            self.file(path, name, root=root)
        except UnreadableFile:  # it is being written
            self._instead(path, name)

    def _folder(self, root: Path, name: str, *, is_link: bool) -> None:
        if is_link:  # to a place within the root, where its files are copied under their own names
            inside = os.path.relpath((root / name).resolve(), (root / name).parent.resolve())
            (self.target / name).symlink_to(inside)
        elif self._fits(root / name) or any(known.startswith(f"{name}/") for known in self.digests):
            (self.target / name).mkdir(mode=0o700, exist_ok=True)
            self.rest(root, name)
        else:
            self._link(root / name, name)

    def _fits(self, folder: Path) -> bool:
        files, size = self._files, self._bytes
        for where, _, names in os.walk(folder):
            files -= sum(not name.endswith(".py") for name in names)
            size -= sum(_size(Path(where) / name) for name in names)
            if files < 0 or size < 0:
                return False
        return True

    def _instead(self, path: Path, name: str) -> None:
        """Link a file whose copy is not what lies there."""
        (self.target / name).unlink(missing_ok=True)
        self.digests.pop(name, None)
        self._link(path, name)

    def _link(self, path: Path, name: str) -> None:
        place = path.absolute()
        (self.target / name).symlink_to(place)
        self.linked.append(place)


@contextmanager
def _opened(path: Path, root: Path | None) -> Iterator[int]:
    try:
        # Not to wait where somebody put a named pipe.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UnreadableFile(f"{path}: cannot be opened ({error.strerror}); give the path of a model file that you may read") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise UnreadableFile(f"{path}: is no regular file; a file was expected here")
        if root is not None and sys.platform == "linux":  # what was opened, not what its path leads to now
            found = Path(os.readlink(f"/proc/self/fd/{handle}"))  # noqa: PTH115
            if not found.is_relative_to(root.resolve()):
                raise ManifestError(f'"{path.name}" lies outside of the bundle; copy it into the folder')
        yield handle
    finally:
        os.close(handle)


def _transfer(source: int, target: int) -> int:
    """Copy all bytes, in the kernel where it can: it shares the blocks on file systems that do (Btrfs, XFS)."""
    total = 0
    try:
        while count := os.copy_file_range(source, target, _RANGE_BYTES):
            total += count
    except AttributeError:  # not on macOS
        pass
    except OSError as error:
        if error.errno not in _NOT_IN_THE_KERNEL:
            raise
    while chunk := os.read(source, _CHUNK_BYTES):
        view = memoryview(chunk)
        while view:
            view = view[os.write(target, view) :]
        total += len(chunk)
    return total


def _facts(status: os.stat_result) -> _Facts:
    """Return what changes when a file does; nobody can set the time of the last change (ctime) back."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _changed(path: Path) -> UnreadableFile:
    return UnreadableFile(f"{path}: changed while it was being copied; wait until it is written, then try again")
