"""Names of images: ``[host[:port]/]path[:tag][@digest]``, read as docker and podman read them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelport.errors import UsageError

HUB = "docker.io"
"""Where names without a host are looked for, as everybody does."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_CHARACTERS = 512
# The grammar of the OCI distribution specification, and docker's of hosts.
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_WHOLE = re.compile(
    rf"(?:(?P<host>{_HOST})/)?(?P<path>{_PART}(?:/{_PART})*)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?\Z"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One image's name. ``host``: with its port. ``tag`` and ``digest``: "" where none is given."""

    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def wanted(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag or "latest"

    @property
    def name(self) -> str:
        """Host and path, without tag and digest."""
        return f"{self.host}/{self.path}"

    def __str__(self) -> str:
        """As it is written."""
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(text: str, where: str = "-t") -> Reference:
    """Read a reference. Raises: UsageError naming the flag that held it."""
    found = _WHOLE.match(text) if len(text) <= _CHARACTERS else None
    if found is None:
        raise UsageError(f'{where} must be a reference such as registry.example.com/team/model:1, found "{text[:80]}"')
    host, path = found["host"], found["path"]
    # "team/model" is a path; a host has a dot, a port, or is this machine.
    if host is not None and not re.search(r"[.:\]]", host) and host != "localhost":
        if not re.fullmatch(_PART, host):
            raise UsageError(f'{where} must be a reference in lower case, such as registry.example.com/team/model:1, found "{text[:80]}"')
        host, path = None, f"{host}/{path}"
    if host is None or host in ("index.docker.io", "registry-1.docker.io"):
        host = HUB
    if host == HUB and "/" not in path:
        path = f"library/{path}"
    return Reference(host, path, found["tag"] or "", found["digest"] or "")
