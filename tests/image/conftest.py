"""What tests of images share: small bases made by hand, a real registry, a real podman, and what is made once for the whole run."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelport.image.store import Store

HERE = Path(__file__).parent
PYTHON_FILES = {"usr/bin/python3.11": b"#!", "usr/bin/python3": "python3.11", "etc/os-release": b"NAME=test\n"}


def tarball(files: Mapping[str, bytes | str], *, types: Mapping[str, bytes] | None = None) -> bytes:
    """Make a tar of files (bytes), links (text) and folders (names that end in /)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            if types and name in types:
                member.type = types[name]
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            elif not name.endswith("/"):
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content if isinstance(content, bytes) else b""))
    return out.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def root_tar(tmp_path: Path) -> Path:
    """A base that only lists a Python; nothing in it runs."""
    path = tmp_path / "root.tar"
    path.write_bytes(tarball(PYTHON_FILES))
    return path


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Make a folder of a name once for all processes of a test run; whoever comes second waits for the first."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared

    def give(name: str, make: Callable[[Path], object]) -> Path:
        folder = shared / f"once-{name}"
        with (shared / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "made").exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                (folder / "made").touch()
        return folder

    return give


@pytest.fixture(scope="session")
def cache(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A cache folder that all processes share, so that libraries are fetched and packed once."""
    return once("cache", lambda folder: (folder / "modelport").mkdir(mode=0o700))


@pytest.fixture
def cached(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return cache


@pytest.fixture(scope="session")
def debian(once: Callable[[str, Callable[[Path], object]], Path], require_program: Callable[..., str]) -> Path:
    """A root file system with Debian's Python, made of its packages."""
    for program in ("apt-get", "dpkg-deb"):
        require_program(program)

    def make(folder: Path) -> None:
        subprocess.run(["sh", HERE / "debian_base.sh", folder / "debian.tar"], check=True, capture_output=True, timeout=300)

    return once("debian", make) / "debian.tar"


@dataclass
class Podman:
    """podman with a storage of its own. ``environment``: what other programs need to use the same."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        line = ["podman", *map(str, arguments)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=self.environment, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory, require_program: Callable[..., str]) -> Iterator[Podman]:
    """A podman that runs containers by runc in the network of this machine, and asks for no more limits than it may have."""
    for program in ("podman", "runc"):
        require_program(program)
    folder = tmp_path_factory.mktemp("podman")
    (folder / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\nnetns = "host"\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )
    (folder / "storage.conf").write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n')
    environment = os.environ | {"CONTAINERS_CONF": f"{folder}/containers.conf", "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf"}
    made = Podman(folder, environment)
    yield made
    made("rm", "--all", "--force", check=False)
    made("rmi", "--all", "--force", check=False)


@pytest.fixture
def toy_bundle(tmp_path: Path) -> Path:
    """A bundle that needs nothing but modelport."""
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "toy.py").write_text(
        "from modelport.columns import Columns\n\n\ndef load(folder):\n    return None\n\n\n"
        'def predict(model, x: Columns):\n    return Columns({"twice": x["a"] * 2})\n'
    )
    (folder / "model.toml").write_text(
        'format = 1\nname = "toy"\n[hooks]\nload = "toy.py:load"\npredict = "toy.py:predict"\n'
        '[[inputs]]\nname = "a"\ntype = "float64"\n[[outputs]]\nname = "twice"\ntype = "float64"\n'
    )
    return folder


def layout(folder: Path, architectures: Mapping[str, bytes]) -> Path:
    """Write an OCI layout by hand, with an index and one layer for each architecture."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

    kind = "application/vnd.oci.image"
    listed = []
    for name, layer in architectures.items():
        rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
        config = put(json.dumps({"os": "linux", "architecture": name, "rootfs": rootfs, "config": {}}).encode(), f"{kind}.config.v1+json")
        layers = [put(gzip.compress(layer, mtime=0), f"{kind}.layer.v1.tar+gzip")]
        manifest = {"schemaVersion": 2, "config": config, "layers": layers}
        entry = put(json.dumps(manifest).encode(), f"{kind}.manifest.v1+json")
        listed.append(entry | {"platform": {"os": "linux", "architecture": name}})
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": listed}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return folder


@pytest.fixture
def write_layout() -> Callable[[Path, Mapping[str, bytes]], Path]:
    return layout


@pytest.fixture
def write_tar() -> Callable[..., bytes]:
    return tarball


@pytest.fixture
def two_bases(tmp_path: Path) -> Path:
    root = tarball(PYTHON_FILES)
    return layout(tmp_path / "bases", {"amd64": root, "arm64": root})
