"""The lock: which distributions an image holds, by version and SHA-256, for each platform."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelport.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?\Z")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]{0,126}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_FORMAT = 1


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One distribution: name, version, and the SHA-256 of the wheel."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Lock:
    """``python``: such as "3.11". ``requirements``: what was asked for. ``pins``: by platform, in the order of their names."""

    python: str
    requirements: tuple[str, ...]
    pins: Mapping[str, tuple[Pin, ...]] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Return it as it is written."""
        pins = {
            platform: [{"name": pin.name, "version": pin.version, "sha256": pin.sha256} for pin in sorted(listed)]
            for platform, listed in sorted(self.pins.items())
        }
        document = {"format": _FORMAT, "python": self.python, "requirements": list(self.requirements), "platforms": pins}
        return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def read(path: Path) -> Lock:
    """Read a lock. Raises: UsageError naming what is wrong with it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        pins = {
            str(platform): tuple(sorted(Pin(str(pin["name"]), str(pin["version"]), str(pin["sha256"])) for pin in listed))
            for platform, listed in data["platforms"].items()
        }
        lock = Lock(str(data["python"]), tuple(str(item) for item in data["requirements"]), pins)
        is_known = data["format"] == _FORMAT
    except OSError as error:
        raise UsageError(f"--lock {path}: cannot be read ({error.strerror}); give a file that you may read") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"--lock {path}: is no lock of modelport ({type(error).__name__}); remove it, and it is written anew") from error
    for pin in (pin for listed in lock.pins.values() for pin in listed):
        if not (_NAME.match(pin.name) and _VERSION.match(pin.version) and _DIGEST.match(pin.sha256)):
            raise UsageError(
                f"--lock {path}: {str(pin)[:120]} names no distribution with its SHA-256; remove the file, and it is written anew"
            )
    if not is_known:
        raise UsageError(f"--lock {path}: is of another format than {_FORMAT}; remove it, and it is written anew")
    return lock
