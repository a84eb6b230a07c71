"""Sending images to a registry, the least first: what is there already is not sent, and the tag moves last."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelport.errors import TargetRefused
from modelport.image.media import CONFIG, EMPTY, INDEX, MANIFEST
from modelport.image.oci import Image
from modelport.image.reference import Reference
from modelport.image.registry import Registry
from modelport.image.sbom import PROVENANCE, SBOM, bill, statement
from modelport.image.sign import ANNOTATION, PAYLOAD, payload, sign
from modelport.image.store import Descriptor, Store, canonical, digest_of

Say = Callable[[str], None]


@dataclass(slots=True)
class Sent:
    """Bytes that went, and bytes that were there."""

    sent: int = 0
    kept: int = 0


class Push:
    """One push of images to the repository of ``tag``."""

    def __init__(self, registry: Registry, store: Store, tag: Reference, say: Say) -> None:
        self._registry = registry
        self._store = store
        self._tag = tag
        self._say = say
        self.done = Sent()

    def images(self, images: Sequence[Image], top: Descriptor) -> None:
        """Send layers, configs, manifests, the index, and move the tag. Raises: TargetRefused."""
        for image in images:
            base = {layer.blob.digest for layer in image.plan.base.layers}
            for blob in image.blobs:
                self._blob(blob, self._mount(image) if blob.digest in base else "")
        for image in images if len(images) > 1 else ():
            self._manifest(image.manifest, image.manifest.digest)
        self._manifest(top, self._tag.tag or top.digest)

    def documents(self, images: Sequence[Image], own: str) -> None:
        """Attach the bill of materials and the provenance to each image (OCI 1.1, "referrers")."""
        for image in images:
            self._attach(image.manifest, bill(image.plan), SBOM)
            self._attach(image.manifest, statement(image.plan, image.manifest.digest, own), PROVENANCE)

    def signature(self, top: Descriptor, key: Path) -> None:
        """Attach a signature where cosign looks for it: a tag made of the digest."""
        signed = payload(self._tag, top.digest)
        blob = self._store.put(signed, PAYLOAD)
        layer = Descriptor(blob.media, blob.digest, blob.size, {ANNOTATION: sign(key, signed)})
        config = self._store.put(
            canonical({"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": [blob.digest]}}), CONFIG
        )
        self._blob(config)
        self._blob(layer)
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config.to_dict(), "layers": [layer.to_dict()]}
        self._document(canonical(document), MANIFEST, f"{top.digest.replace(':', '-')}.sig")

    def _mount(self, image: Image) -> str:
        """Return the repository of the same registry that has the base, "" if none has."""
        host, _, path = image.plan.base.repository.partition("/")
        return path if host == self._tag.host and path != self._tag.path else ""

    def _blob(self, blob: Descriptor, mount: str = "") -> None:
        if self._registry.upload(blob, self._store, mount):
            self.done.sent += blob.size
            self._say(f"sent {blob.digest[:19]} ({blob.size} bytes)")
        else:
            self.done.kept += blob.size

    def _manifest(self, manifest: Descriptor, wanted: str) -> None:
        self._document(self._store.read(manifest), manifest.media, wanted)

    def _document(self, data: bytes, media: str, wanted: str) -> None:
        self._registry.put_manifest(data, media, wanted)
        self.done.sent += len(data)

    def _attach(self, subject: Descriptor, data: bytes, media: str) -> None:
        empty, blob = self._store.put(b"{}", EMPTY), self._store.put(data, media)
        self._blob(empty)
        self._blob(blob)
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": media,
            "config": empty.to_dict(),
            "layers": [blob.to_dict()],
            "subject": subject.to_dict(),
        }
        manifest = canonical(document)
        self._document(manifest, MANIFEST, digest_of(manifest))
        entry = Descriptor(MANIFEST, digest_of(manifest), len(manifest)).to_dict() | {"artifactType": media}
        self._list(subject, entry)

    def _list(self, subject: Descriptor, entry: Mapping[str, object]) -> None:
        """Name an attached document in the index of those of its subject, which registries without the referrers API are asked for."""
        tag = subject.digest.replace(":", "-")
        try:
            known = json.loads(self._registry.manifest(tag)[0]).get("manifests", [])
        except (TargetRefused, ValueError, AttributeError):
            known = []
        if any(isinstance(item, dict) and item.get("digest") == entry["digest"] for item in known):
            return
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*known, entry]}
        self._document(canonical(document), INDEX, tag)
