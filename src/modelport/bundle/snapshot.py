"""A private copy of all that a version is made of: what is hashed here is what every worker loads, however often one is started.

A path can be overwritten, renamed over or cut short between any two looks at it. So the files are copied once, hashed as copied,
and compared with what lies there when the last of them is copied; from then on nobody else's writing changes what runs.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import msgspec

from modelport import formats
from modelport.bundle import private
from modelport.bundle.copying import Copier
from modelport.bundle.folder import MANIFEST, Bundle, check_pin, open_bundle
from modelport.bundle.private import PrivateFolder
from modelport.errors import LoadError, RefusedFile, UnreadableFile
from modelport.formats.base import Options

_SMALL_BYTES = 64 << 20
_SIBLINGS = 100
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The copy. ``bundle`` and ``options`` lead to the copied files; ``digests``: their SHA-256 by name.

    ``sha256``: of the artifact, "" where a hook makes the predictor. ``elsewhere``: what a worker reads that was not copied, as
    it is too large; empty where the digests stand for all of the version.
    """

    bundle: Bundle
    options: Options
    digests: Mapping[str, str]
    sha256: str
    elsewhere: tuple[Path, ...]
    folder: PrivateFolder

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.folder.remove()


class Record(msgspec.Struct, frozen=True):
    """Where a snapshot lies, for another process of the same server, which loads from the same copy."""

    source: str
    folder: str
    sha256: str
    digests: dict[str, str]
    elsewhere: list[str]
    trust: list[str]
    code: list[str]
    architecture: str | None


def record(snapshot: Snapshot) -> Record:
    """Return what ``reopen`` needs."""
    bundle, options = snapshot.bundle, snapshot.options
    return Record(
        str(bundle.root if bundle.is_folder or bundle.artifact is None else bundle.artifact),
        str(snapshot.folder.path),
        snapshot.sha256,
        dict(snapshot.digests),
        [str(path) for path in snapshot.elsewhere],
        sorted(options.trust),
        [str(path) for path in options.code],
        None if options.architecture is None else str(options.architecture),
    )


def reopen(record: Record) -> Snapshot:
    """Open a copy that another process took and keeps. Raises: UnreadableFile if it is gone."""
    architecture = None if record.architecture is None else Path(record.architecture)
    return Snapshot(
        open_bundle(Path(record.source)),
        Options(frozenset(record.trust), tuple(Path(path) for path in record.code), architecture),
        record.digests,
        record.sha256,
        tuple(Path(path) for path in record.elsewhere),
        PrivateFolder.borrowed(Path(record.folder)),
    )


def take(bundle: Bundle, options: Options) -> Snapshot:
    """Copy a bundle, or a bare artifact with what belongs to it, and the code it is given.

    The copy lies in the folder for temporary files and takes as much room there as the model; it goes with this process.
    Raises: UnreadableFile if a file cannot be read, changes meanwhile, or is not the pinned one;
    RefusedFile for data of an ONNX model that is no plain file beside it;
    ManifestError for a path that leads out of the bundle; LoadError where there is no room. Cost: about a second a gigabyte.
    """
    size = bundle.artifact.stat().st_size if bundle.artifact is not None and bundle.artifact.is_file() else 0
    for parent in _parents(size):
        try:
            folder = PrivateFolder(parent)
        except OSError:
            continue
        try:
            return _filled(folder, bundle, options)
        except BaseException as error:
            folder.remove()
            if not isinstance(error, OSError) or error.errno not in _NO_ROOM:
                raise
    places = " or ".join(map(str, private.parents()))
    raise LoadError(
        f"workers load a private copy of the model, and there is no room for its {1 + (size >> 20)} MB in {places}; "
        "free some, or set TMPDIR to a folder that has it"
    )


def _filled(folder: PrivateFolder, bundle: Bundle, options: Options) -> Snapshot:
    place = folder.path
    model = _model(place / "model", bundle)
    code = [_code(path, place / f"code{at}") for at, path in enumerate(options.code)]
    beside = Copier(place / "architecture")
    if options.architecture is not None:
        beside.file(options.architecture, options.architecture.name)
    copiers = {"model": model, "architecture": beside} | {f"code{at}": copier for at, (_, copier) in enumerate(code)}
    for copier in copiers.values():
        copier.settle()
    named = bundle.manifest.artifact
    sha256 = "" if named is None else model.digests[os.path.normpath(named.path)]
    check_pin(bundle, sha256)
    made = open_bundle(model.target if bundle.is_folder or named is None else model.target / named.path)
    if made.manifest != bundle.manifest:
        raise UnreadableFile(f"{bundle.root / MANIFEST}: changed while it was being read; wait until it is written, then try again")
    architecture = None if options.architecture is None else beside.target / options.architecture.name
    return Snapshot(
        made,
        replace(options, code=tuple(path for path, _ in code), architecture=architecture),
        {f"{label}/{name}": digest for label, copier in copiers.items() for name, digest in copier.digests.items()},
        sha256,
        tuple(path for copier in copiers.values() for path in copier.linked),
        folder,
    )


def _model(place: Path, bundle: Bundle) -> Copier:
    """Copy the artifact, what it keeps beside itself, and the rest of a bundle's folder."""
    # The folder keeps its name, which is the model's where the manifest gives it none.
    copier = Copier(place / (bundle.root.resolve().name or "model") if bundle.is_folder else place)
    copier.target.mkdir(parents=True, mode=0o700)
    manifest = bundle.manifest
    if manifest.artifact is not None:
        _artifact(copier, bundle, manifest.artifact.path)
    if bundle.is_folder:
        for name in (MANIFEST, *(spec.partition(":")[0] for spec in manifest.hooks.values()), *manifest.resources.values()):
            copier.named(bundle.root, name)
        copier.rest(bundle.root)
    return copier


def _artifact(copier: Copier, bundle: Bundle, name: str) -> None:
    """Copy the artifact first: its content, not its name, says what else belongs to it."""
    if bundle.is_folder:
        copier.named(bundle.root, name)
    else:
        copier.file(bundle.root / name, name)
    copied, folder = copier.target / name, (bundle.root / name).parent
    if formats.identify(copied).name == "onnx":
        _copy_data_beside(copier, name, folder)
    if not bundle.is_folder and _is_of_weights_only(copied):
        for path in sorted(folder.glob("*.json"))[:_SIBLINGS]:
            if path.is_file() and path.stat().st_size <= _SMALL_BYTES:
                copier.file(path, path.name)


def _copy_data_beside(copier: Copier, name: str, folder: Path) -> None:
    """Copy the files in which an ONNX model keeps tensors. Raises: RefusedFile for what is no plain name."""
    from modelport.formats.onnx_outside import check, opened  # a front of another kind of file needs neither
    from modelport.forms.onnx_proto import outline

    copied = copier.target / name
    outside = outline(copied.read_bytes()).outside
    try:
        check(outside)
    except RefusedFile as error:
        raise RefusedFile(f"{copied.name}: {error.message}") from error
    for other in sorted({item.location for item in outside}):
        with opened(folder, other) as file:
            copier.descriptor(file.fileno(), folder / other, os.path.normpath(Path(name).parent / other))


def _is_of_weights_only(path: Path) -> bool:
    """Whether a Keras HDF5 file names no architecture, which then lies in a JSON file beside it."""
    if formats.identify(path).name != "keras":
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data[:2] != b"PK" and data.find(b"model_config") < 0


def _code(path: Path, place: Path) -> tuple[Path, Copier]:
    """Copy a folder of the user's own modules, or of a file's folder the modules, which it may import."""
    folder = path if path.is_dir() else path.parent
    copier = Copier(place / (folder.resolve().name or "code"))
    copier.target.mkdir(parents=True, mode=0o700)
    if path.is_dir():
        copier.rest(path)
        return copier.target, copier
    copier.modules(folder)
    return copier.target / path.name, copier


def _parents(size: int) -> list[Path]:
    """Return where the copy may lie, the best first: a large one not in memory, if there is a choice."""
    places = private.parents()
    return sorted(places, key=_is_in_memory) if size > _SMALL_BYTES else places


def _is_in_memory(place: Path) -> bool:
    """Whether a folder's file system is one of memory (tmpfs), by the kernel's list of mounts."""
    device = place.stat().st_dev
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    return any(line.split(" ")[2] == wanted and line.partition(" - ")[2].startswith(("tmpfs ", "ramfs ")) for line in lines)
