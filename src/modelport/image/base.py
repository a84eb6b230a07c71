"""The image that ours is put upon: found by platform, its layers brought here and named in OCI's words."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from modelport.errors import TargetRefused, UnreadableFile, UsageError
from modelport.image.layers import Layer, Sink, compressed, copy_into
from modelport.image.media import CONFIG, LAYERS
from modelport.image.order import Access
from modelport.image.reference import parse
from modelport.image.registry import Registry
from modelport.image.sources import OfArchive, OfLayout, OfRegistry, Source, loaded, unreadable
from modelport.image.store import Descriptor, Store, descriptor, digest_of
from modelport.image.unpack import inflate

ARCHITECTURES = ("amd64", "arm64")
_DEEPEST = 4
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Base:
    """A base for one platform. ``name``: as it was given; ``digest``: of its manifest, "" for a bare root file system.

    ``settings``: its config (Env, Labels, …). ``history``: one entry a layer. ``repository``: where a registry has it, else "".
    """

    name: str
    platform: str
    digest: str
    settings: Mapping[str, object]
    layers: tuple[Layer, ...]
    history: tuple[Mapping[str, object], ...]
    repository: str = ""


def open_base(name: str, platform: str, store: Store, access: Access, level: int = 6) -> Base:
    """Bring a base into the store: a reference, ``oci:DIR``, or ``FILE.tar``, which holds an image or a root file system.

    Raises: TargetRefused if it is none, not for the platform, or not what its digests say; UnreadableFile, UsageError.
    """
    if name.startswith("oci:"):
        return _resolved(OfLayout(Path(name.removeprefix("oci:"))), name, platform, store)
    path = Path(name)
    if name.endswith((".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")):
        if not path.is_file():
            raise UnreadableFile(f"--base {name}: there is no such file; give a tar of an image or of a root file system")
        archive = OfArchive(path)
        if archive.is_layout:
            return _resolved(archive, name, platform, store)
        if "manifest.json" in archive.members:
            return _saved(archive, (name, platform), store, level)
        return _root(path, platform, store, level)
    reference = parse(name, "--base")
    registry = Registry(reference, access)
    try:
        found = _resolved(OfRegistry(registry, reference.wanted), name, platform, store)
    finally:
        registry.close()
    return Base(found.name, platform, found.digest, found.settings, found.layers, found.history, reference.name)


def check_platform(platform: str) -> str:
    """Return the architecture. Raises: UsageError for what no wheels are made for."""
    system, _, architecture = platform.partition("/")
    architecture = architecture.removesuffix("/v8") if architecture.startswith("arm64") else architecture
    if system != "linux" or architecture not in ARCHITECTURES:
        raise UsageError(f'--platform must be linux/amd64 or linux/arm64, found "{platform[:40]}"')
    return architecture


def _resolved(source: Source, name: str, platform: str, store: Store) -> Base:
    data, digest = _manifest(source, source.top(), platform, name)
    manifest = loaded(data, f"the manifest of {name}")
    config = descriptor(manifest.get("config"), f"the manifest of {name}")
    blobs = [_layer(item, name) for item in _list(manifest.get("layers"), name)]
    image = loaded(_small(source, config, store), f"the config of {name}")
    _check_image(image, platform, name)
    for blob in blobs:
        source.fetch(blob, store)
    diff_ids = _diff_ids(image, len(blobs), name)
    layers = tuple(Layer(blob, diff_id) for blob, diff_id in zip(blobs, diff_ids, strict=True))
    return Base(name, platform, digest, _settings(image), layers, _history(image, len(layers), name))


def _manifest(source: Source, data: bytes, platform: str, name: str) -> tuple[bytes, str]:
    """Follow indexes to the manifest of the platform; returns it and its digest."""
    digest = digest_of(data)
    for _ in range(_DEEPEST):
        found = loaded(data, f"the manifest of {name}")
        if "manifests" not in found:
            return data, digest
        digest = _chosen(_list(found["manifests"], name), platform, name)
        data = source.document(digest)
    raise TargetRefused(f"{name}: its indexes name indexes {_DEEPEST} deep; use another image")


def _chosen(entries: Sequence[object], platform: str, name: str) -> str:
    wanted = platform.split("/")[:2]
    there: list[str] = []
    alike: list[str] = []
    for entry in entries:
        item = entry if isinstance(entry, dict) else {}
        place = item.get("platform")
        digest = descriptor(item, f"the index of {name}").digest
        if isinstance(place, dict) and place.get("os"):
            there.append(f"{place.get('os')}/{place.get('architecture')}")
            if [place.get("os"), place.get("architecture")] == wanted:
                alike.append(digest)
        else:
            alike.append(digest)  # it does not say; its config will
    if not alike:
        some = ", ".join(sorted(set(there))[:8]) or "nothing"
        raise TargetRefused(f"{name} is not there for {platform}, only for {some}; choose another --platform or --base")
    if len(set(alike)) > 1 and not there:
        raise TargetRefused(f"{name} holds {len(set(alike))} images; give one that holds one")
    return alike[0]


def _layer(item: object, name: str) -> Descriptor:
    blob = descriptor(item, f"the manifest of {name}")
    media = LAYERS.get(blob.media)
    if media is None:
        raise TargetRefused(f"{name}: has a layer of the kind {blob.media[:80]!r}; one of plain or gzip tar layers was expected")
    return Descriptor(media, blob.digest, blob.size)


def _small(source: Source, config: Descriptor, store: Store) -> bytes:
    source.fetch(Descriptor(CONFIG, config.digest, config.size), store)
    return store.read(config)


def _saved(archive: OfArchive, what: tuple[str, str], store: Store, level: int) -> Base:
    """Read what `docker save` writes: one image, its layers as tar files."""
    name, platform = what
    listed = loaded(b'{"images":' + archive.small("manifest.json") + b"}", f"manifest.json of {name}")["images"]
    images = _list(listed, name)
    first = images[0] if len(images) == 1 and isinstance(images[0], dict) else None
    if first is None:
        raise TargetRefused(f"{name} holds {len(images)} images; save the one that is to be the base")
    image = loaded(archive.small(str(first.get("Config"))), f"the config of {name}")
    _check_image(image, platform, name)
    names = [str(item) for item in _list(first.get("Layers"), name)]
    layers = []
    for member, diff_id in zip(names, _diff_ids(image, len(names), name), strict=True):

        def write(sink: Sink, member: str = member) -> None:
            for chunk in inflate(archive.chunks(member)):
                sink.write(chunk)

        layer = compressed(store, write, level)
        if layer.diff_id != diff_id:
            raise TargetRefused(f"{name}: a layer was promised as {diff_id} and is {layer.diff_id}; save the image anew")
        layers.append(layer)
    return Base(name, platform, "", _settings(image), tuple(layers), _history(image, len(layers), name))


def _root(path: Path, platform: str, store: Store, level: int) -> Base:
    """Make a layer of a root file system as it is."""

    def write(sink: Sink) -> None:
        try:
            with _opened(path) as file:
                copy_into(file, sink)
        except (OSError, EOFError, lzma.LZMAError) as error:
            raise unreadable(path, error) from error

    layer = compressed(store, write, level)
    return Base(path.name, platform, "", {}, (layer,), ({"created_by": "root file system"},))


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        magic = file.read(2)
    if magic == b"\x1f\x8b":
        return cast("BinaryIO", gzip.open(path))
    if magic == b"BZ":
        return cast("BinaryIO", bz2.open(path))
    return cast("BinaryIO", lzma.open(path)) if magic == b"\xfd7" else path.open("rb")


def _check_image(image: Mapping[str, object], platform: str, name: str) -> None:
    found = f"{image.get('os')}/{image.get('architecture')}"
    if found != "/".join(platform.split("/")[:2]):
        raise TargetRefused(f"{name} is made for {found[:60]}, {platform} was expected; choose another --platform or --base")


def _diff_ids(image: Mapping[str, object], count: int, name: str) -> list[str]:
    rootfs = image.get("rootfs")
    found = [str(item) for item in _list(rootfs.get("diff_ids") if isinstance(rootfs, dict) else None, name)]
    if len(found) != count:
        raise TargetRefused(f"{name}: has {count} layers, and its config names {len(found)}; use another image")
    return found


def _settings(image: Mapping[str, object]) -> Mapping[str, object]:
    found = image.get("config")
    return found if isinstance(found, dict) else {}


def _history(image: Mapping[str, object], count: int, name: str) -> tuple[Mapping[str, object], ...]:
    """Return an entry for each layer; those of steps that changed no file are left out."""
    found = image.get("history")
    entries = [item for item in found if isinstance(item, dict) and not item.get("empty_layer")] if isinstance(found, list) else []
    return tuple(entries) if len(entries) == count else ({"created_by": f"layer of {name}"},) * count


def _list(data: object, name: str) -> list[object]:
    if not isinstance(data, list) or len(data) > _MOST:
        raise TargetRefused(f"{name}: a list of at most {_MOST} was expected in its manifest, found something else; use another image")
    return data
