"""Our images as OCI documents: config, manifest and index, and the layout or archive that holds them."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from modelport.errors import UnreadableFile, UsageError
from modelport.image.layers import Layer, epoch
from modelport.image.media import CONFIG, INDEX, MANIFEST
from modelport.image.places import PORT, SCRATCH, USER
from modelport.image.plan import COMMAND, ENTRYPOINT, HEALTH_S, HEALTHCHECK, Plan
from modelport.image.python import search_path
from modelport.image.store import Descriptor, Store, canonical

_SECOND_NS = 10**9
_INHERITED = ("StopSignal", "WorkingDir", "Shell")


@dataclass(frozen=True, slots=True)
class Image:
    """One platform's image in a store: its manifest, its config, and all layers with their names, the base's first."""

    plan: Plan
    manifest: Descriptor
    config: Descriptor
    layers: tuple[tuple[str, Layer], ...]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What a registry needs before the manifest."""
        return (*(layer.blob for _, layer in self.layers), self.config)


def assemble(store: Store, plan: Plan, layers: Sequence[tuple[str, Layer]]) -> Image:
    """Write config and manifest of an image whose layers are in the store."""
    every = [*(("base", layer) for layer in plan.base.layers), *layers]
    config = store.put(canonical(config_of(plan, layers)), CONFIG)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.to_dict(),
        "layers": [layer.blob.to_dict() for _, layer in every],
    }
    return Image(plan, store.put(canonical(document), MANIFEST), config, tuple(every))


def config_of(plan: Plan, layers: Sequence[tuple[str, Layer]]) -> Mapping[str, object]:
    """Return the config: what the base says where it does not matter to us, else the contract (``places``)."""
    base = plan.base.settings
    created = datetime.fromtimestamp(epoch(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    architecture = plan.platform.split("/")[1]
    interval, longest, start = HEALTH_S
    settings: dict[str, object] = {name: base[name] for name in _INHERITED if base.get(name)} | {
        "User": USER,
        "ExposedPorts": {f"{PORT}/tcp": {}},
        "Volumes": _volumes(base) | {SCRATCH: {}},
        "Env": [f"{name}={value}" for name, value in _environment(plan).items()],
        "Entrypoint": list(ENTRYPOINT),
        "Cmd": list(COMMAND),
        "Labels": _labels(base) | dict(plan.labels),
        # No part of OCI's format: docker reads it, others leave it alone.
        "Healthcheck": {
            "Test": ["CMD", *HEALTHCHECK],
            "Interval": interval * _SECOND_NS,
            "Timeout": longest * _SECOND_NS,
            "StartPeriod": start * _SECOND_NS,
        },
    }
    history = [*plan.base.history, *({"created": created, "created_by": f"modelport image: {name}"} for name, _ in layers)]
    return {
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in (*plan.base.layers, *(layer for _, layer in layers))]},
        "history": history,
    } | ({"variant": "v8"} if architecture == "arm64" else {})


def join(store: Store, images: Sequence[Image]) -> Descriptor:
    """Return what names all of them: the manifest itself, or an index where there are several."""
    if len(images) == 1:
        return images[0].manifest
    listed = [image.manifest.to_dict() | {"platform": _platform(image)} for image in images]
    return store.put(canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}), INDEX)


def write_layout(store: Store, images: Sequence[Image], top: Descriptor, folder: Path) -> None:
    """Write images as an OCI layout; into one that is there already their blobs are added, and its index is replaced.

    Raises: UsageError if the folder holds something else or cannot be written.
    """
    try:
        if folder.exists() and any(folder.iterdir()) and not (folder / "oci-layout").is_file():
            raise UsageError(f"--output oci:{folder}: holds something that is no OCI layout; give an empty or a new folder")
        (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        for blob in _blobs(images, top):
            _copy(store, blob, folder / "blobs" / "sha256" / blob.digest.removeprefix("sha256:"))
        for name, content in (("oci-layout", _LAYOUT), ("index.json", _index(images[0].plan, top, images))):
            new = folder / f".{name}.new"
            new.write_bytes(content)
            new.replace(folder / name)
    except OSError as error:
        raise UsageError(f"--output oci:{folder}: cannot be written ({error.strerror}); give a folder that you may write") from error


def write_archive(store: Store, images: Sequence[Image], top: Descriptor, path: Path) -> None:
    """Write images as one tar: an OCI layout that also says what docker's older versions read (of the first platform).

    Raises: UsageError if it cannot be written.
    """
    first = images[0]
    listed = [{"Config": _member(first.config), "RepoTags": [_tagged(first.plan)], "Layers": [_member(x.blob) for _, x in first.layers]}]
    documents = {"oci-layout": _LAYOUT, "index.json": _index(first.plan, top, images), "manifest.json": canonical(listed)}
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with tarfile.open(new, "w", format=tarfile.PAX_FORMAT) as archive:
            for name in ("blobs", "blobs/sha256"):
                archive.addfile(_entry(name, 0, tarfile.DIRTYPE))
            for blob in sorted(_blobs(images, top), key=lambda blob: blob.digest):
                with store.path(blob.digest).open("rb") as file:
                    archive.addfile(_entry(_member(blob), blob.size), file)
            for name, content in documents.items():
                archive.addfile(_entry(name, len(content)), BytesIO(content))
        new.replace(path)
    except OSError as error:
        said = error.strerror or "a layer is cut short"
        raise UsageError(f"--output {path}: cannot be written ({said}); give a file that you may write") from error
    finally:
        new.unlink(missing_ok=True)


_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def _environment(plan: Plan) -> dict[str, str]:
    """Return the base's variables and ours over them."""
    listed = plan.base.settings.get("Env")
    texts = [text.partition("=") for text in listed if isinstance(text, str)] if isinstance(listed, list) else []
    inherited = {name: value for name, _, value in texts if name}
    return {"PATH": search_path(plan.base.settings)} | inherited | dict(sorted(plan.environment.items()))


def _labels(base: Mapping[str, object]) -> dict[str, str]:
    found = base.get("Labels")
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _volumes(base: Mapping[str, object]) -> dict[str, object]:
    found = base.get("Volumes")
    return {str(path): {} for path in found} if isinstance(found, dict) else {}


def _platform(image: Image) -> dict[str, str]:
    architecture = image.plan.platform.split("/")[1]
    return {"os": "linux", "architecture": architecture} | ({"variant": "v8"} if architecture == "arm64" else {})


def _blobs(images: Sequence[Image], top: Descriptor) -> Iterator[Descriptor]:
    """Yield every blob once."""
    every = [blob for image in images for blob in (*image.blobs, image.manifest)]
    yield from {blob.digest: blob for blob in [*every, top]}.values()


def _index(plan: Plan, top: Descriptor, images: Sequence[Image]) -> bytes:
    named = {"io.containerd.image.name": _tagged(plan), "org.opencontainers.image.ref.name": plan.tag.tag or "latest"}
    entry = top.to_dict() | {"annotations": named} | ({"platform": _platform(images[0])} if len(images) == 1 else {})
    return canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})


def _tagged(plan: Plan) -> str:
    return f"{plan.tag.name}:{plan.tag.tag or 'latest'}"


def _member(blob: Descriptor) -> str:
    return f"blobs/sha256/{blob.digest.removeprefix('sha256:')}"


def _entry(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.mtime, member.mode = size, kind, epoch(), 0o755 if kind == tarfile.DIRTYPE else 0o644
    return member


def _copy(store: Store, blob: Descriptor, target: Path) -> None:
    if target.is_file() and target.stat().st_size == blob.size:
        return
    new = target.with_name(f".{target.name}.{os.getpid()}.new")
    size = 0
    with new.open("wb") as file:
        for chunk in store.chunks(blob):
            size += file.write(chunk)
    if size != blob.size:
        new.unlink()
        raise UnreadableFile(f"a layer in {store.root} has {size} bytes and should have {blob.size}; remove that folder and build anew")
    new.replace(target)
