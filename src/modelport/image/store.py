"""Blobs by their digest, in a folder: what an OCI layout keeps, and our cache of layers."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from modelport.errors import TargetRefused, UnreadableFile
from modelport.image.reference import DIGEST

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob as manifests name it (OCI image specification, "descriptors")."""

    media: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return it as it stands in JSON."""
        out: dict[str, object] = {"mediaType": self.media, "digest": self.digest, "size": self.size}
        return out | ({"annotations": dict(self.annotations)} if self.annotations else {})


def descriptor(data: object, where: str) -> Descriptor:
    """Read a descriptor of JSON. Raises: TargetRefused if it is none, or names no SHA-256."""
    found = data if isinstance(data, dict) else {}
    media, digest, size = found.get("mediaType", ""), found.get("digest"), found.get("size")
    if not isinstance(media, str) or not isinstance(digest, str) or not DIGEST.match(digest):
        raise TargetRefused(f"{where}: a blob is named by {str(digest)[:80]!r}, a sha256 digest was expected; use another image")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise TargetRefused(f"{where}: a blob has the size {str(size)[:40]!r}, a number of bytes was expected; use another image")
    return Descriptor(media, digest, size)


def canonical(document: object) -> bytes:
    """Return the one way that we write a document as JSON."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def digest_of(data: bytes) -> str:
    """Return the digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Store:
    """A folder ``blobs/sha256`` below ``root``; only this user may enter what it makes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs" / "sha256"
        self._blobs.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, digest: str) -> Path:
        """Return where a blob lies, or would."""
        if not DIGEST.match(digest):
            raise UnreadableFile(f"{digest[:80]!r} is no digest; sha256: and 64 hexadecimal digits were expected")
        return self._blobs / digest.removeprefix("sha256:")

    def has(self, blob: Descriptor) -> bool:
        """Whether the blob is there, whole."""
        try:
            return self.path(blob.digest).stat().st_size == blob.size
        except OSError:
            return False

    def put(self, data: bytes, media: str) -> Descriptor:
        """Keep bytes."""
        blob = Descriptor(media, digest_of(data), len(data))
        if not self.has(blob):
            self.fill(blob, [data])
        return blob

    def fill(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Keep what a descriptor promises. Raises: TargetRefused if the chunks are something else."""
        with self.incoming() as path, path.open("wb") as file:
            hashed, size = hashlib.sha256(), 0
            for chunk in chunks:
                size += len(chunk)
                if size > blob.size:
                    break
                hashed.update(chunk)
                file.write(chunk)
            found = f"sha256:{hashed.hexdigest()}"
            if (size, found) != (blob.size, blob.digest):
                raise TargetRefused(
                    f"a blob was promised as {blob.digest} of {blob.size} bytes and came as {found} of {size}; "
                    "somebody changed it, or it was cut short: fetch the base anew"
                )
            file.flush()
            path.replace(self.path(blob.digest))

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """Give a file to be filled and moved to its place; it goes if it is still there afterwards."""
        handle, name = tempfile.mkstemp(prefix=".new-", dir=self._blobs)
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def chunks(self, blob: Descriptor, start: int = 0) -> Iterator[bytes]:
        """Yield a blob's bytes from ``start`` on. Raises: UnreadableFile if it is not there."""
        try:
            with self.path(blob.digest).open("rb") as file:
                file.seek(start)
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise UnreadableFile(f"{self.path(blob.digest)}: cannot be read ({error.strerror}); build the image anew") from error

    def read(self, blob: Descriptor, limit: int = 8 << 20) -> bytes:
        """Return a small blob, checked. Raises: UnreadableFile if it is missing; TargetRefused if it is too large or another one."""
        if blob.size > limit:
            raise TargetRefused(f"the blob {blob.digest} has {blob.size} bytes, at most {limit} were expected; use another image")
        data = b"".join(self.chunks(blob))
        if digest_of(data) != blob.digest:
            raise TargetRefused(f"the blob {blob.digest} holds {digest_of(data)}; somebody changed it: fetch the image anew")
        return data


def cache_folder() -> Path:
    """Return the folder that builds keep layers and dependencies in, made for this user alone."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelport" / "images"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
