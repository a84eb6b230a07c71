"""What is in an image, and how it was made, in the formats that scanners read: CycloneDX, and in-toto with SLSA's provenance.

Both follow from the plan alone, so that the same image has the same documents. The bill of materials names the model, but not its
version and digest, which labels and the provenance hold: so a retrained model changes neither it nor the layer that it lies in.
"""

from __future__ import annotations

from collections.abc import Mapping

from modelport.image.lock import Pin
from modelport.image.plan import Plan
from modelport.image.store import canonical
from modelport.version import VERSION

SBOM = "application/vnd.cyclonedx+json"
PROVENANCE = "application/vnd.in-toto+json"


def bill(plan: Plan) -> bytes:
    """Return the bill of materials, CycloneDX 1.5 (ECMA-424)."""
    components = [_library(pin) for pin in sorted(plan.pins)]
    components.append(
        {
            "type": "machine-learning-model",
            "bom-ref": "model",
            "name": plan.model,
        }
    )
    components.append(
        {
            "type": "library",
            "bom-ref": "modelport",
            "name": "modelport",
            "version": VERSION,
            "purl": f"pkg:pypi/modelport@{VERSION}",
        }
    )
    if plan.base.digest:
        components.append({"type": "container", "bom-ref": "base", "name": plan.base.name, "version": plan.base.digest})
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": "image", "name": plan.model},
            "properties": [{"name": "modelport:platform", "value": plan.platform}, {"name": "modelport:python", "value": plan.python.text}],
        },
        "components": components,
        "dependencies": [{"ref": "image", "dependsOn": sorted(str(item["bom-ref"]) for item in components)}],
    }
    return canonical(document)


def predicate(plan: Plan, own: str) -> Mapping[str, object]:
    """Return how the image was made (slsa.dev/spec/v1.0/provenance). ``own``: the SHA-256 of modelport's files."""
    resolved: list[Mapping[str, object]] = []
    if plan.base.digest:
        resolved.append({"uri": f"oci:{plan.base.name}", "digest": _split(plan.base.digest)})
    if plan.sha256:
        resolved.append({"name": "artifact", "digest": {"sha256": plan.sha256}})
    return {
        "buildDefinition": {
            "buildType": "urn:modelport:image:1",
            "externalParameters": {"base": plan.base.name, "platform": plan.platform, "tag": str(plan.tag)},
            "internalParameters": {"python": plan.python.text},
            "resolvedDependencies": resolved,
        },
        "runDetails": {"builder": {"id": "urn:modelport:image", "version": {"modelport": VERSION, "files": f"sha256:{own}"}}},
    }


def statement(plan: Plan, digest: str, own: str) -> bytes:
    """Return an in-toto statement (version 1) that says of an image how it was made."""
    return canonical(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": plan.tag.name, "digest": _split(digest)}],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": predicate(plan, own),
        }
    )


def _library(pin: Pin) -> dict[str, object]:
    purl = f"pkg:pypi/{pin.name.lower().replace('_', '-')}@{pin.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": pin.name,
        "version": pin.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": pin.sha256}],
    }


def _split(digest: str) -> dict[str, str]:
    algorithm, _, value = digest.partition(":")
    return {algorithm: value}
