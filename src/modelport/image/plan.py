"""The plan: what an image will be for one platform, as data, before anything is written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelport.bundle.folder import Bundle
from modelport.bundle.manifest import name_from
from modelport.errors import TargetRefused, UsageError
from modelport.formats.base import Report
from modelport.image.base import Base
from modelport.image.lock import Pin
from modelport.image.order import Order
from modelport.image.places import CODE, HEALTH, LIBRARY, MODEL, PORT, PROGRAM
from modelport.image.python import Python
from modelport.image.reference import Reference
from modelport.version import VERSION

ENTRYPOINT, COMMAND = (PROGRAM,), ("serve",)
HEALTHCHECK = (HEALTH,)
HEALTH_S = (10, 5, 60)
"""Of docker's health check: seconds between two, for one, and at the start."""
_SCHEMA_CHARACTERS = 4000
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,254}\Z")
_LONGEST_VALUE = 16_000
_PROGRAM_PATH = re.compile(r"/[A-Za-z0-9._/+-]{1,100}\Z")


@dataclass(frozen=True, slots=True)
class Plan:
    """One image for one platform. ``environment`` and ``labels``: what is added to the base's. ``pins``: its libraries.

    ``sha256``: of the artifact, "" without one.
    """

    base: Base
    tag: Reference
    platform: str
    python: Python
    model: str
    version: str
    sha256: str
    pins: tuple[Pin, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be served: the snapshot's bundle, what its artifact says, its digest, and where user code was put."""

    bundle: Bundle
    report: Report | None
    sha256: str
    code: tuple[str, ...] = ()


def plan(order: Order, base: Base, python: Python, subject: Subject, tag: Reference) -> Plan:
    """Return the plan of an image; its libraries are still to be found. Raises: UsageError for variables or labels that cannot be."""
    if not _PROGRAM_PATH.match(python.path):
        raise TargetRefused(f"{base.name}: its Python lies at {python.path[:100]!r}, where no program starts it; choose another --base")
    manifest = subject.bundle.manifest
    environment = _environment(order, subject) | dict(order.environment)
    labels = _labels(base, subject) | dict(order.labels)
    check_values(environment, labels)
    return Plan(base, tag, order.platforms[0], python, manifest.name, manifest.version, subject.sha256, (), environment, labels)


def check_values(environment: Mapping[str, str], labels: Mapping[str, str]) -> None:
    """Raises: UsageError for a name or value that no image holds as it is."""
    for name in environment:
        if not _VARIABLE.match(name):
            raise UsageError(f"--set: a variable is named by letters, digits and _, found {name[:80]!r}; correct it")
    for name in labels:
        if not _LABEL.match(name):
            raise UsageError(f"--label: a label is named by letters, digits, and . _ / - after the first, found {name[:80]!r}; correct it")
    for name, value in [*environment.items(), *labels.items()]:
        if "\0" in value or len(value) > _LONGEST_VALUE or not _is_text(value):
            raise UsageError(
                f"the value of {name} must be text of at most {_LONGEST_VALUE} characters and no null, found {value[:60]!r}; correct it"
            )


def artifact_name(bundle: Bundle) -> str:
    """Return the name that a bare artifact gets in the image: its own, with only characters that mean nothing anywhere."""
    path = bundle.artifact
    assert path is not None  # noqa: S101  # a bare file is one
    suffix = path.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,16}", path.suffix) else ""
    return f"{name_from(path)}{suffix}"


def _environment(order: Order, subject: Subject) -> dict[str, str]:
    found = {
        "HOME": "/tmp",  # noqa: S108  # the user has none, and libraries ask for it
        "MODELPORT_FILE": MODEL if subject.bundle.is_folder else f"{MODEL}/{artifact_name(subject.bundle)}",
        "MODELPORT_HOST": "0.0.0.0",  # noqa: S104  # a container's own
        "MODELPORT_LOG_FORMAT": "json",
        "MODELPORT_PORT": str(PORT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": LIBRARY,
    }
    if order.options.trust:
        found["MODELPORT_TRUST"] = ",".join(sorted(order.options.trust))
    if subject.code:
        found["MODELPORT_CODE"] = ",".join(f"{CODE}/{name}" for name in subject.code)
    if order.options.architecture is not None:
        found["MODELPORT_ARCHITECTURE"] = f"{CODE}/architecture.json"
    return found


def _labels(base: Base, subject: Subject) -> dict[str, str]:
    manifest = subject.bundle.manifest
    found = {
        "modelport.model": manifest.name,
        "modelport.model.version": manifest.version,
        "modelport.version": VERSION,
        "org.opencontainers.image.title": manifest.name,
        "org.opencontainers.image.version": manifest.version,
    }
    if subject.sha256:
        found["modelport.artifact.sha256"] = subject.sha256
    if base.repository:
        found |= {"org.opencontainers.image.base.name": base.name, "org.opencontainers.image.base.digest": base.digest}
    if manifest.description and len(manifest.description) < _SCHEMA_CHARACTERS:
        found["org.opencontainers.image.description"] = manifest.description
    schema = _schema(subject)
    return found | ({"modelport.schema": schema} if schema else {})


def _schema(subject: Subject) -> str:
    """Return the columns as JSON, "" where nobody knows them without loading or they are too many for a label."""
    report, manifest = subject.report, subject.bundle.manifest
    own = None if report is None else report.schema
    if own is None and not manifest.inputs:
        return ""
    text = json.dumps(manifest.schema(own).to_dict(), sort_keys=True, separators=(",", ":"))
    return text if len(text) <= _SCHEMA_CHARACTERS else ""


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_order(order: Order) -> None:
    """Raises: UsageError for what goes together with nothing."""
    if not order.platforms or len(set(order.platforms)) != len(order.platforms):
        raise UsageError("--platform must name each platform once; leave one out")
    if len(order.platforms) > 1 and order.engine != "native":
        raise UsageError(f"--engine {order.engine} builds for one platform at a time; leave one out, or use --engine native")
    if order.engine == "native" and not (order.output or order.is_pushed):
        raise UsageError("an image has to go somewhere; add --push, --output oci:DIR or --output FILE.tar")
    if order.output and not _is_output(order.output):
        raise UsageError(f'--output must be oci:DIR or FILE.tar, found "{order.output[:80]}"')
    if order.sign_key is not None and not order.is_pushed:
        raise UsageError("--sign-key signs what is pushed; add --push")
    if order.sign_key is not None and order.engine != "native":
        raise UsageError(f"--sign-key goes with --engine native; leave one out, --engine {order.engine} signs by its own means")
    if not 1 <= order.level <= 9:
        raise UsageError(f"--level must be 1 to 9, found {order.level}")


def _is_output(text: str) -> bool:
    return len(text) > 4 and (text.startswith("oci:") or text.endswith(".tar"))
