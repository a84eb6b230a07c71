"""What is asked for and what came of it, as data: the order of an image, and the built image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from modelport.formats.base import Options

Engine: TypeAlias = Literal["native", "docker", "podman"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login of a registry. ``password`` never shows up in a repr."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """How registries are spoken to.

    ``credentials`` None: what docker's ``config.json`` says of the host, for ECR what the AWS account gives, else nobody.
    ``is_insecure``: plain HTTP also to hosts other than this machine. ``tries``: how often what broke is tried; ``timeout_s``: how long
    an answer is waited for.
    """

    credentials: Credentials | None = None
    is_insecure: bool = False
    tries: int = 6
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """One image to be built. ``file``: an artifact or a bundle folder. ``tag``: the reference it gets, such as host/team/model:1.

    ``options``: how the file may be read (``--trust`` …). ``base``: a reference, ``oci:DIR`` or ``FILE.tar``; "" for the default.
    ``platforms``: such as linux/amd64; several make an index. ``output``: ``oci:DIR`` or ``FILE.tar``; "" for none.
    ``lock``: a file of resolved dependencies from an earlier build, instead of resolving anew. ``environment`` and ``labels``:
    added to the image's own. ``sign_key``: a PEM file with a P-256 key; what is pushed is then signed.
    """

    file: Path
    tag: str
    options: Options = field(default_factory=Options)
    base: str = ""
    engine: Engine = "native"
    platforms: tuple[str, ...] = ("linux/amd64",)
    output: str = ""
    is_pushed: bool = False
    access: Access = field(default_factory=Access)
    lock: Path | None = None
    level: int = 6
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    sign_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a built image: what it holds (base, dependencies, modelport, model), its digest and its size as it is sent."""

    name: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Built:
    """A built image.

    ``reference``: the tag's name with ``@sha256:…`` once it is pushed, else the tag. ``digest``: of the manifest, or of the index
    where there are several platforms. ``layers``: of the first platform. ``sent_bytes``, ``kept_bytes``: what the push sent, and
    what the registry had. ``output``: where it was written, "" if nowhere.
    """

    reference: str
    digest: str
    tag: str
    platforms: tuple[str, ...]
    layers: tuple[Layer, ...]
    sent_bytes: int = 0
    kept_bytes: int = 0
    output: str = ""
