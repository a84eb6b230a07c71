"""Real registries for the tests of images and targets: Debian's docker-registry, each on a port of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_LOGIN = "AWS:$2b$04$1dcP6B0g0Yz1ZKZdDQQWM.G8G4iVTz0Z8kNBTScJL7LC4XQFM60dC\n"  # bcrypt of "secret"
_NAME = "X-Registry"


@dataclass(frozen=True)
class LiveRegistry:
    """A docker-registry process."""

    port: int

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextlib.contextmanager
def running(program: str, folder: Path, auth: dict[str, object] | None = None) -> Iterator[LiveRegistry]:
    """Start a registry, and end it. A port that was free may be taken before the registry has it, which then ends: another is tried."""
    for _ in range(5):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            found = LiveRegistry(int(probe.getsockname()[1]))
        config = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": found.host, "headers": {_NAME: [str(folder)]}},
        }
        (folder / "config.yml").write_text(json.dumps(config | ({"auth": auth} if auth else {})))
        with (
            (folder / "log").open("ab") as log,
            subprocess.Popen([program, "serve", folder / "config.yml"], stdout=log, stderr=log) as process,
        ):
            try:
                if _is_up(process, found, str(folder)):
                    yield found
                    return
            finally:
                process.terminate()
    pytest.fail(f"the registry did not start on five free ports: {(folder / 'log').read_text()[-500:]}")


def _is_up(process: subprocess.Popen[bytes], registry: LiveRegistry, name: str) -> bool:
    """Wait until it answers by its name, or ends. The pause between two tries is a wait for its end."""
    for _ in range(1200):
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            if _name_of(registry) == name:  # else somebody else has the port, and it is about to end
                return True
            continue
        return False
    return False


def _name_of(registry: LiveRegistry) -> str | None:
    try:
        with urllib.request.urlopen(f"http://{registry.host}/v2/", timeout=5) as answer:
            return answer.headers.get(_NAME)
    except urllib.error.HTTPError as refusal:  # it wants a login
        with refusal:
            return refusal.headers.get(_NAME)
    except OSError:
        return None


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, require_program: Callable[..., str]) -> Iterator[LiveRegistry]:
    """A registry that takes everything from everybody."""
    with running(require_program("docker-registry"), tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="session")
def locked_registry(tmp_path_factory: pytest.TempPathFactory, require_program: Callable[..., str]) -> Iterator[LiveRegistry]:
    """A registry that wants the login AWS:secret, as ECR gives it."""
    folder = tmp_path_factory.mktemp("locked-registry")
    (folder / "users").write_text(_LOGIN)
    auth = {"htpasswd": {"realm": "test", "path": str(folder / "users")}}
    with running(require_program("docker-registry"), folder, auth) as found:
        yield found


@pytest.fixture(scope="session")
def push_index() -> Callable[..., str]:
    """Push an index with one image of no layers, as one that is built for several platforms; gives its reference by digest."""
    return _push_index


def _push_index(host: str, folder: Path, tag: str, access: Any = None) -> str:
    from modelport.image.media import CONFIG, INDEX, MANIFEST
    from modelport.image.order import Access
    from modelport.image.reference import parse
    from modelport.image.registry import Registry
    from modelport.image.store import Store, canonical

    store = Store(folder / "store")
    reference = parse(f"{host}/team/model:{tag}")
    registry = Registry(reference, access or Access())
    config = store.put(
        canonical({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "tag": tag}), CONFIG
    )
    registry.upload(config, store)
    manifest = canonical({"schemaVersion": 2, "mediaType": MANIFEST, "config": config.to_dict(), "layers": []})
    one = store.put(manifest, MANIFEST)
    registry.put_manifest(manifest, MANIFEST, one.digest)
    listed = one.to_dict() | {"platform": {"os": "linux", "architecture": "amd64"}}
    index = canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": [listed]})
    registry.put_manifest(index, INDEX, tag)
    registry.close()
    return f"{reference.name}@sha256:{hashlib.sha256(index).hexdigest()}"
