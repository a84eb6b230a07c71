"""Bases, also hostile ones: what is passed on is what was promised, and a Python is found as a container would find it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from modelport.errors import TargetRefused, UnreadableFile, UsageError
from modelport.image.base import Base, check_platform, open_base
from modelport.image.layers import LAYER, Layer
from modelport.image.order import Access
from modelport.image.python import Python, find
from modelport.image.store import Store, digest_of
from modelport.image.unpack import members

AMD = "linux/amd64"


def stack(store: Store, *tars: bytes, path: str = "") -> Base:
    """Put layers into a store, as a base."""
    layers = []
    for data in tars:
        blob = store.put(gzip.compress(data, mtime=0), LAYER)
        layers.append(Layer(blob, digest_of(data)))
    settings = {"Env": [f"PATH={path}"]} if path else {}
    return Base("test", AMD, "", settings, tuple(layers), ({},) * len(layers))


@pytest.mark.parametrize(
    ("layers", "path", "expected"),
    [
        ([{"usr/bin/python3": "python3.11", "usr/bin/python3.11": b""}], "", "/usr/bin/python3.11"),
        (
            [{"./usr/local/bin/python3": "python3.13", "./usr/local/bin/python3.13": b"", "usr/bin/python3.11": b""}],
            "",
            "/usr/local/bin/python3.13",
        ),
        (
            [
                {
                    "bin": "usr/bin",
                    "usr/bin/python3": "/etc/alternatives/p",
                    "etc/alternatives/p": "/usr/bin/python3.12",
                    "usr/bin/python3.12": b"",
                }
            ],
            "/bin",
            "/usr/bin/python3.12",
        ),
        ([{"usr/bin/python3.12": b"", "usr/bin/python3.11": b""}], "", "/usr/bin/python3.12"),
        ([{"usr/bin/python3": "python3.9", "usr/bin/python3.9": b"", "usr/bin/python3.11": b""}], "", "/usr/bin/python3.11"),
        ([{"usr/bin/python3.12": b""}, {"usr/bin/.wh.python3.12": b"", "usr/bin/python3.11": b""}], "", "/usr/bin/python3.11"),
        ([{"usr/bin/python3.12": b""}, {"usr/bin/.wh..wh..opq": b"", "usr/bin/python3.11": b""}], "", "/usr/bin/python3.11"),
        ([{"usr/bin/python3.12": b""}, {"usr/.wh.bin": b""}, {"usr/bin/python3.11": b""}], "", "/usr/bin/python3.11"),
        ([{"opt/conda/bin/python3.11": b""}], "/opt/conda/bin:/bin", "/opt/conda/bin/python3.11"),
    ],
)
def test_the_python_of_a_base_is_the_one_that_its_path_finds(
    store: Store, write_tar: Callable[..., bytes], layers: list[dict[str, bytes | str]], path: str, expected: str
) -> None:
    assert find(stack(store, *map(write_tar, layers), path=path), store).path == expected


@pytest.mark.parametrize(
    ("files", "there"),
    [
        ({"etc/passwd": b""}, "no Python at all"),
        ({"usr/bin/python3": "python3.9", "usr/bin/python3.9": b""}, "has 3.9"),
        ({"usr/bin/python3": "python3", "usr/bin/a": "b", "usr/bin/b": "a"}, "no Python at all"),
        ({"usr/bin/python3": "../../../../x/python3.11"}, "no Python at all"),
        ({"opt/bin/python3.11": b""}, "no Python at all"),
    ],
)
def test_a_base_without_a_python_for_us_is_refused_with_what_it_has(
    store: Store, write_tar: Callable[..., bytes], files: dict[str, bytes | str], there: str
) -> None:
    with pytest.raises(TargetRefused, match=there):
        find(stack(store, write_tar(files)), store)


def test_the_c_library_decides_which_wheels_fit(store: Store, write_tar: Callable[..., bytes]) -> None:
    base = stack(store, write_tar({"usr/bin/python3.12": b"", "lib/ld-musl-x86_64.so.1": b""}))
    assert find(base, store) == Python("/usr/bin/python3.12", (3, 12), "musl")


def test_devices_and_links_out_of_the_root_are_listed_and_harm_nobody(store: Store, write_tar: Callable[..., bytes]) -> None:
    """They belong to root file systems; nothing is unpacked here, and engines make of them what they allow."""
    files: dict[str, bytes | str] = {"usr/bin/python3.11": b"", "dev/sda": b"", "etc/x": "/etc/shadow", "up": "../../../.."}
    data = write_tar(files, types={"dev/sda": tarfile.BLKTYPE})
    assert find(stack(store, data), store).text == "3.11"


@pytest.mark.parametrize("name", ["../etc/passwd", "a/../../b", "/etc/passwd", ".."])
def test_paths_that_lead_out_are_refused(store: Store, write_tar: Callable[..., bytes], name: str) -> None:
    with pytest.raises(TargetRefused, match="leads out of it"):
        find(stack(store, write_tar({name: b""})), store)


def test_a_layer_that_unpacks_to_nearly_nothing_but_size_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelport.image.unpack._FREE_BYTES", 1 << 20)
    bomb = b"\0" * (64 << 20)
    with pytest.raises(TargetRefused, match="unpacks to more than 200 times"):
        find(stack(store, bomb), store)


def test_a_header_that_claims_gigabytes_of_name_is_refused(store: Store) -> None:
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, 8 << 30
    with pytest.raises(TargetRefused, match="no tar archive"):
        find(stack(store, member.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096), store)


@pytest.mark.parametrize("data", [b"", b"x" * 600, b"\x1f\x8bdamaged"])
def test_what_is_no_archive_is_refused(store: Store, data: bytes) -> None:
    blob = store.put(data, LAYER)
    with pytest.raises(TargetRefused):
        find(Base("t", AMD, "", {}, (Layer(blob, digest_of(b"other")),), ({},)), store)


def test_a_layer_that_is_not_what_its_config_says_is_refused(store: Store, write_tar: Callable[..., bytes]) -> None:
    data = write_tar({"usr/bin/python3.11": b""})
    blob = store.put(gzip.compress(data), LAYER)
    with pytest.raises(TargetRefused, match="somebody changed it"):
        list(members(Layer(blob, "sha256:" + "0" * 64), store))


def test_layers_in_several_gzip_members_are_read_whole(store: Store, write_tar: Callable[..., bytes]) -> None:
    data = write_tar({"usr/bin/python3.11": b"x" * 5000})
    blob = store.put(gzip.compress(data[:3000]) + gzip.compress(data[3000:]), LAYER)
    assert [item.name for item in members(Layer(blob, digest_of(data)), store)] == ["usr/bin/python3.11"]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_root_file_system_is_one_layer_as_it_is(store: Store, root_tar: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"other{suffix}"
    data = root_tar.read_bytes()
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    base = open_base(str(path), AMD, store, Access())
    assert [layer.diff_id for layer in base.layers] == [digest_of(data)]


def test_a_saved_image_is_read_whichever_way_it_was_saved(store: Store, tmp_path: Path, write_tar: Callable[..., bytes]) -> None:
    layer = write_tar({"usr/bin/python3.11": b""})
    config = {
        "os": "linux",
        "architecture": "amd64",
        "rootfs": {"diff_ids": [digest_of(layer)]},
        "config": {"Env": ["PATH=/usr/bin", "A=b"]},
    }
    listed = [{"Config": "c.json", "RepoTags": ["x:1"], "Layers": ["l/layer.tar"]}]
    path = tmp_path / "saved.tar"
    files = {"manifest.json": json.dumps(listed).encode(), "c.json": json.dumps(config).encode(), "l/layer.tar": layer}
    path.write_bytes(write_tar(files))
    base = open_base(str(path), AMD, store, Access())
    assert (find(base, store).path, base.settings["Env"]) == ("/usr/bin/python3.11", ["PATH=/usr/bin", "A=b"])
    path.write_bytes(write_tar(files | {"l/layer.tar": layer + b"\0" * 512}))
    with pytest.raises(TargetRefused, match="save the image anew"):
        open_base(str(path), AMD, store, Access())
    path.write_bytes(write_tar(files | {"manifest.json": json.dumps([*listed, *listed]).encode()}))
    with pytest.raises(TargetRefused, match="holds 2 images"):
        open_base(str(path), AMD, store, Access())
    path.write_bytes(write_tar({name: data for name, data in files.items() if name != "l/layer.tar"} | {"l/layer.tar": "/etc/passwd"}))
    with pytest.raises(UnreadableFile, match="which is not in it"):
        open_base(str(path), AMD, store, Access())


def test_an_index_is_followed_to_the_platform(store: Store, two_bases: Path, tmp_path: Path) -> None:
    found = [open_base(f"oci:{two_bases}", platform, store, Access()).digest for platform in (AMD, "linux/arm64", "linux/arm64/v8")]
    assert found[0] != found[1] == found[2]
    archive = tmp_path / "layout.tar"
    with tarfile.open(archive, "w") as out:
        out.add(two_bases, ".")
    assert open_base(str(archive), AMD, store, Access()).digest == found[0]


def test_a_platform_that_is_not_there_is_refused_with_those_that_are(
    store: Store, tmp_path: Path, write_layout: Callable[[Path, Mapping[str, bytes]], Path], write_tar: Callable[..., bytes]
) -> None:
    folder = write_layout(tmp_path / "one", {"s390x": write_tar({"usr/bin/python3.11": b""})})
    with pytest.raises(TargetRefused, match="only for linux/s390x"):
        open_base(f"oci:{folder}", AMD, store, Access())
    index = json.loads((folder / "index.json").read_text())
    del index["manifests"][0]["platform"]
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(TargetRefused, match="is made for linux/s390x"):
        open_base(f"oci:{folder}", AMD, store, Access())


def _index(folder: Path, change: Callable[[dict], object]) -> None:
    index = json.loads((folder / "index.json").read_text())
    change(index)
    (folder / "index.json").write_text(json.dumps(index))


def test_indexes_of_indexes_end_somewhere(store: Store, two_bases: Path) -> None:
    for _ in range(6):
        data = (two_bases / "index.json").read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        (two_bases / "blobs" / "sha256" / digest).write_bytes(data)
        entry = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": f"sha256:{digest}", "size": len(data)}
        (two_bases / "index.json").write_text(json.dumps({"manifests": [entry]}))
    with pytest.raises(TargetRefused, match="indexes name indexes"):
        open_base(f"oci:{two_bases}", AMD, store, Access())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("../../../../etc/passwd", "a sha256 digest was expected"),
        ("sha256:../../../../../../etc/passwd", "a sha256 digest was expected"),
        ("sha512:" + "0" * 128, "a sha256 digest was expected"),
        (7, "a sha256 digest was expected"),
    ],
)
def test_a_blob_is_named_by_a_digest_and_nothing_else(store: Store, two_bases: Path, value: object, said: str) -> None:
    _index(two_bases, lambda index: index["manifests"][0].update(digest=value))
    with pytest.raises(TargetRefused, match=said):
        open_base(f"oci:{two_bases}", AMD, store, Access())


def test_a_changed_blob_is_refused(store: Store, two_bases: Path) -> None:
    for path in sorted((two_bases / "blobs" / "sha256").iterdir()):
        original = path.read_bytes()
        path.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        refused = 0
        for platform in (AMD, "linux/arm64"):
            try:
                open_base(f"oci:{two_bases}", platform, Store(store.root / path.name / platform), Access())
            except TargetRefused as error:
                refused += 1
                assert "somebody changed it" in error.message
        assert refused >= 1
        path.write_bytes(original)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"manifests": 3}', '{"manifests": [3]}', '{"config": {}}', "[" * 100_000, '{"manifests": []}']
)
def test_documents_that_are_none_are_refused(store: Store, two_bases: Path, text: str) -> None:
    (two_bases / "index.json").write_text(text)
    with pytest.raises(TargetRefused):
        open_base(f"oci:{two_bases}", AMD, store, Access())


def test_files_that_are_no_base_are_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "no.tar").write_bytes(b"no")
    for name in (tmp_path / "no.tar", tmp_path / "absent.tar", f"oci:{tmp_path}/absent"):
        with pytest.raises(UnreadableFile):
            open_base(str(name), AMD, store, Access())
    with pytest.raises(UsageError, match="--base must be a reference"):
        open_base("A B", AMD, store, Access())
    for platform in ("windows/amd64", "linux", "linux/arm", "linux/amd64\n"):
        with pytest.raises(UsageError, match="--platform"):
            check_platform(platform)
    assert [check_platform(name) for name in (AMD, "linux/arm64/v8")] == ["amd64", "arm64"]


def test_a_layer_of_a_kind_that_nobody_reads_is_refused(store: Store, two_bases: Path) -> None:
    entry = json.loads((two_bases / "index.json").read_text())["manifests"][0]
    manifest = json.loads((two_bases / "blobs" / "sha256" / entry["digest"][7:]).read_bytes())
    manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd"
    data = json.dumps(manifest).encode()
    (two_bases / "blobs" / "sha256" / digest_of(data)[7:]).write_bytes(data)
    _index(two_bases, lambda index: index["manifests"][0].update(digest=digest_of(data), size=len(data)))
    with pytest.raises(TargetRefused, match="one of plain or gzip tar layers was expected"):
        open_base(f"oci:{two_bases}", AMD, store, Access())


def test_an_archive_cut_short_is_unreadable(store: Store, two_bases: Path, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.add(two_bases, ".")
    path = tmp_path / "cut.tar.gz"
    path.write_bytes(out.getvalue()[: len(out.getvalue()) // 2])
    with pytest.raises(UnreadableFile, match="cannot be read as a tar archive"):
        open_base(str(path), AMD, store, Access())
