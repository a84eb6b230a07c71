"""Where a base comes from: a registry, an OCI layout, or an archive of either kind; all of them give documents and blobs by digest.

Nothing is unpacked on this machine: blobs are read, hashed, and passed on as they are.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from modelport.errors import TargetRefused, UnreadableFile
from modelport.image.reference import DIGEST
from modelport.image.registry import Registry
from modelport.image.store import CHUNK_BYTES, Descriptor, Store, digest_of

_LARGEST_DOCUMENT = 4 << 20
_MOST_MEMBERS = 200_000


class Source(Protocol):
    """Something that holds images."""

    def top(self) -> bytes:
        """Return the document that everything else hangs on: an index, or a manifest."""
        ...

    def document(self, digest: str) -> bytes:
        """Return a manifest, index or config by its digest, checked."""
        ...

    def fetch(self, blob: Descriptor, store: Store) -> None:
        """Bring a blob into the store, checked."""
        ...


class OfRegistry:
    """A repository; ``wanted`` is a tag or digest."""

    def __init__(self, registry: Registry, wanted: str) -> None:
        self._registry = registry
        self._wanted = wanted

    def top(self) -> bytes:
        """Ask for the tag or digest. Raises: TargetRefused."""
        return self._registry.manifest(self._wanted)[0]

    def document(self, digest: str) -> bytes:
        """Ask for a manifest. Raises: TargetRefused."""
        return self._registry.manifest(digest)[0]

    def fetch(self, blob: Descriptor, store: Store) -> None:
        """Download a blob. Raises: TargetRefused."""
        self._registry.fetch(blob, store)


class OfLayout:
    """A folder as OCI's image layout specification has it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def top(self) -> bytes:
        """Read index.json. Raises: UnreadableFile."""
        return self._small(self._folder / "index.json")

    def document(self, digest: str) -> bytes:
        """Read a small blob. Raises: UnreadableFile, TargetRefused."""
        return matching(self._small(self._path(digest)), digest)

    def fetch(self, blob: Descriptor, store: Store) -> None:
        """Copy a blob. Raises: UnreadableFile, TargetRefused."""
        if not store.has(blob):
            store.fill(blob, self._chunks(self._path(blob.digest)))

    def _path(self, digest: str) -> Path:
        if not DIGEST.match(digest):
            raise TargetRefused(f"{self._folder}: names the blob {digest[:80]!r}; sha256: and 64 hexadecimal digits were expected")
        return self._folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def _small(self, path: Path) -> bytes:
        data = b""
        for chunk in self._chunks(path):
            data += chunk
            if len(data) > _LARGEST_DOCUMENT:
                raise TargetRefused(f"{path}: is larger than a manifest can be; use another image")
        return data

    def _chunks(self, path: Path) -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise UnreadableFile(f"{path}: cannot be read ({error.strerror}); an OCI layout was expected in {self._folder}") from error


class OfArchive:
    """A tar of a layout, or what `docker save` writes. ``members``: the plain files in it, by name; links count for nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.members: dict[str, tarfile.TarInfo] = {}
        try:
            self._tar = tarfile.open(path, "r:*")  # noqa: SIM115  # for as long as the source lives
            for count, member in enumerate(self._tar):
                if member.isreg():
                    self.members[member.name.removeprefix("./")] = member
                if count >= _MOST_MEMBERS:
                    raise TargetRefused(f"{path}: holds more than {_MOST_MEMBERS} files; use a smaller base")
        except (OSError, EOFError, tarfile.TarError, ValueError, RecursionError) as error:
            raise unreadable(path, error) from error

    @property
    def is_layout(self) -> bool:
        """Whether it holds an OCI layout."""
        return "oci-layout" in self.members and "index.json" in self.members

    def top(self) -> bytes:
        """Read index.json. Raises: UnreadableFile."""
        return self.small("index.json")

    def document(self, digest: str) -> bytes:
        """Read a small blob. Raises: UnreadableFile, TargetRefused."""
        return matching(self.small(self._name(digest)), digest)

    def fetch(self, blob: Descriptor, store: Store) -> None:
        """Copy a blob out. Raises: UnreadableFile, TargetRefused."""
        if not store.has(blob):
            store.fill(blob, self.chunks(self._name(blob.digest)))

    def small(self, name: str) -> bytes:
        """Read a document. Raises: UnreadableFile if it is not there, TargetRefused if it is too large."""
        member = self.members.get(name)
        if member is not None and member.size > _LARGEST_DOCUMENT:
            raise TargetRefused(f"{self._path}: {name} is larger than a manifest can be; use another image")
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield what a member holds. Raises: UnreadableFile if it is not there."""
        member = self.members.get(name)
        file = None if member is None else self._tar.extractfile(member)
        if file is None:
            raise UnreadableFile(f"{self._path}: names {name[:100]!r}, which is not in it; save the image anew")
        try:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
        except (OSError, EOFError, tarfile.TarError) as error:
            raise unreadable(self._path, error) from error

    def _name(self, digest: str) -> str:
        return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def unreadable(path: Path, error: BaseException) -> UnreadableFile:
    """Return the error for an archive that is none, or damaged."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return UnreadableFile(f"{path}: cannot be read as a tar archive ({said}); give a root file system, an OCI layout or a saved image")


def matching(data: bytes, digest: str) -> bytes:
    """Return the data if it is what its digest says. Raises: TargetRefused naming both."""
    if digest_of(data) != digest:
        raise TargetRefused(f"a document was promised as {digest} and is {digest_of(data)}; somebody changed it: fetch the base anew")
    return data


def loaded(data: bytes, what: str) -> dict[str, object]:
    """Return a JSON object. Raises: TargetRefused if it is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise TargetRefused(f"{what} is no JSON ({type(error).__name__}); use another image") from error
    if not isinstance(found, dict):
        raise TargetRefused(f"{what} is no JSON object; use another image")
    return found
