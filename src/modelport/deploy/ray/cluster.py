"""A running Ray cluster by the API of its dashboard; Ray itself is not needed here.

Serve is told of all its applications at once, so that they are read, ours is put among them, and all are written again: two who write at
the same moment may undo each other's change. What was there before goes along in our application's arguments, for a rollback.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from modelport.deploy.ray.config import IMPORT_PATH
from modelport.errors import TargetRefused, UsageError

Facts: TypeAlias = Mapping[str, object]
TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105  # the variable that holds it
_APPLICATIONS = "/api/serve/applications/"
_REQUEST_S = 60
_WORDS_CHARACTERS = 1500
_OF_SERVE = ("proxy_location", "http_options", "grpc_options")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where: the address of the dashboard, such as http://127.0.0.1:8265."""

    address: str

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f'--address must be the URL of a Ray dashboard, such as http://127.0.0.1:8265, found "{self.address[:80]}"')


def call(cluster: Cluster, method: str, path: str, body: object = None) -> bytes:
    """Send one request. Raises: TargetRefused with the cluster's words, or if it cannot be reached."""
    headers = {"Content-Type": "application/json"}
    if token := os.environ.get(TOKEN):
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310  # http or https, checked above
        cluster.address.rstrip("/") + path, method=method, data=data, headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=_REQUEST_S) as answer:  # noqa: S310  # as above
            return cast("bytes", answer.read())
    except urllib.error.HTTPError as error:
        words = " ".join(error.read().decode(errors="replace").split())[-_WORDS_CHARACTERS:]
        cure = f"set {TOKEN} to the cluster's token" if error.code in (401, 403) else "correct what it names"
        raise TargetRefused(f"{cluster.address} answered {error.code}: {words or error.reason}; {cure}") from None
    except (OSError, ValueError) as error:
        said = getattr(error, "reason", None) or error
        raise TargetRefused(
            f"{cluster.address} cannot be reached ({said}); see that Ray's dashboard is there, or give --address"
        ) from error


def read(cluster: Cluster) -> Facts:
    """Return what Serve says of itself and its applications. Raises: TargetRefused."""
    try:
        found = json.loads(call(cluster, "GET", _APPLICATIONS))
    except ValueError as error:
        raise TargetRefused(f"{cluster.address} is no Ray dashboard: it answered with something else; give --address") from error
    return cast("Facts", found)


def applications(found: Facts) -> dict[str, Facts]:
    """Return the applications that ``read`` found, by name."""
    return cast("dict[str, Facts]", found.get("applications") or {})


def ours(found: Facts, name: str) -> Facts:
    """Return an application of ours; empty if there is none. Raises: TargetRefused if it is somebody else's."""
    there = applications(found).get(name)
    if there is None:
        return {}
    if configuration(there).get("import_path") != IMPORT_PATH:
        raise TargetRefused(f"the application {name} was not made by modelport, so that it is left alone; give another name with --name")
    return there


def configuration(application: Facts) -> Facts:
    """Return what an application was deployed with."""
    return cast("Facts", application.get("deployed_app_config") or {})


def replicas(application: Facts) -> list[Facts]:
    """Return the replicas of an application of ours."""
    deployments = cast("Mapping[str, Facts]", application.get("deployments") or {})
    return [each for deployment in deployments.values() for each in cast("list[Facts]", deployment.get("replicas") or [])]


def write(cluster: Cluster, found: Facts, name: str, asked: Facts | None, serve: Facts) -> None:
    """Put an application in place of the one of its name, or take that away; the others stay as they are.

    ``serve``: what is Serve's own, for where it does not run yet. Raises: TargetRefused.
    """
    there = applications(found).items()
    others = [configuration(each) for key, each in there if key != name and each.get("source", "declarative") == "declarative"]
    runs = bool(found.get("proxies"))
    own = {key: value for key in _OF_SERVE if (value := (found if runs else serve).get(key)) is not None}
    call(cluster, "PUT", _APPLICATIONS, {**own, "applications": [*others, *([] if asked is None else [asked])]})


def log_lines(cluster: Cluster, replica: Facts, count: int) -> str:
    """Return the last lines of a replica. Raises: TargetRefused."""
    query = {"node_id": replica["node_id"], "filename": str(replica["log_file_path"]).lstrip("/"), "lines": count}
    return call(cluster, "GET", f"/api/v0/logs/file?{urllib.parse.urlencode(query)}").decode(errors="replace")
