"""Which image runs: the digest that a tag stands for now, asked of its registry. A tag may be moved, a digest cannot."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from modelport.deploy.base import Service
from modelport.errors import MissingExtra, TargetRefused
from modelport.image.order import Access
from modelport.image.reference import parse
from modelport.image.registry import Registry

Ask: TypeAlias = Callable[[str], str]
"""From a reference with a tag to the one with its digest. Raises: TargetRefused, MissingExtra."""

_ACCESS = Access(tries=2, timeout_s=10.0)
"""There is a way out of not knowing the digest, so that nobody waits long for it."""


def by_registry(image: str) -> str:
    """Return the reference by digest, asked of the registry with the login that docker, podman or AWS know.

    The digest is of what the registry answered, the index where there is one: so every platform finds its own image by it.
    Raises: TargetRefused with the registry's words; MissingExtra if its login takes boto3.
    """
    reference = parse(image, "--image")
    registry = Registry(reference, _ACCESS)
    try:
        document, _ = registry.manifest(reference.wanted)
    finally:
        registry.close()
    return f"{reference.name}@sha256:{hashlib.sha256(document).hexdigest()}"


def pinned(service: Service, ask: Ask = by_registry, *, is_lenient: bool = False) -> tuple[Service, str]:
    """Return the service with its image by digest, and a sentence on that; "" if it was by digest already.

    Raises: TargetRefused if the digest is not to be had, unless ``is_lenient``: then the tag stays, and the sentence says why.
    """
    image = service.image
    if is_pinned(image):
        return service, ""
    try:
        found = ask(image)
    except (TargetRefused, MissingExtra) as error:
        said = f"the digest of {image} is not known: {error.message}"
        if is_lenient:
            return service, f"{said}; {caution(image)}"
        raise TargetRefused(f"{said}; or give the image by digest (NAME@sha256:…), or take the tag as it is with --no-resolve") from error
    return replace(service, image=found, tag=image), f"{image} is {found.partition('@')[2]} now, which is deployed"


def is_pinned(image: str) -> bool:
    """Whether a reference has a digest."""
    return "@sha256:" in image


def caution(image: str) -> str:
    """Return what it means to deploy a tag."""
    return f"{image} may become another image later, and replicas then differ; give it with its digest (@sha256:…)"


def names_a_registry(image: str) -> bool:
    """Whether a reference says where its image is from; others Docker looks for on its own machine first, such as churn:1."""
    host, is_there, _ = image.partition("/")
    return bool(is_there) and ("." in host or ":" in host)
