"""Images for real: built, pushed to a registry, taken by podman and skopeo, run as they are meant to be, and stopped under load."""

from __future__ import annotations

import csv
import gzip
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from modelport.errors import TargetRefused
from modelport.image.build import build
from modelport.image.order import Built, Order

pytestmark = pytest.mark.slow

SENTIMENT = Path(__file__).parents[2] / "examples" / "sentiment"
LIMIT_BYTES = 160_000_000


@dataclass
class Container:
    """A running container, answering on ``port``."""

    podman: object
    name: str
    port: int

    def post(self, path: str, body: object) -> tuple[int, object]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def await_ready(self) -> None:
        """Ask until it says yes. The pause is a wait for the container to end, which it must not."""
        waiting = subprocess.Popen(["podman", "wait", self.name], env=self.podman.environment, stdout=subprocess.DEVNULL)
        try:
            for _ in range(1200):
                if self.is_ready():
                    return
                try:
                    waiting.wait(timeout=0.05)
                except subprocess.TimeoutExpired:
                    continue
                break
        finally:
            waiting.kill()
            waiting.wait()
        raise AssertionError(self.podman("logs", self.name, check=False).stderr)


@pytest.fixture
def run(podman: object) -> Iterator[Callable[..., Container]]:
    """Start an image as targets do: nobody's root, read-only, without capabilities, with 512 MB."""
    started: list[str] = []

    def start(image: str, *more: str) -> Container:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        limits = ["--memory", "512m", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
        name = podman("run", "-d", *limits, "-e", f"MODELPORT_PORT={port}", *more, image).stdout.strip()
        started.append(name)
        return Container(podman, name, port)

    yield start
    for name in started:
        podman("rm", "--force", "--volumes", name, check=False)


@pytest.fixture(scope="session")
def sentiment(
    once: Callable[[str, Callable[[Path], object]], Path], cache: Path, debian: Path, require_module: Callable[[str], object]
) -> tuple[Order, Path]:
    """The order of the sentiment example as a layout, and the layout: built once."""
    require_module("pip")

    def order(folder: Path) -> Order:
        return Order(
            SENTIMENT, "localhost/sentiment:1", base=str(debian), output=f"oci:{folder}/layout", level=1, lock=folder / "lock.json"
        )

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(cache))
            build(order(folder))

    folder = once("sentiment", make)
    return order(folder), folder


def _recorded(count: int) -> tuple[list[str], list[float]]:
    """Give test sentences of the example, and the scores that were recorded for them when it was trained."""
    with gzip.open(SENTIMENT / "data" / "sentiment_scores.csv.gz", "rt", encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file) if row["split"] == "test"]
    return texts[:count], np.load(SENTIMENT / "expected_test.npz")["Sentiment_Score"][:count].tolist()


def test_a_container_of_the_example_answers_as_recorded_and_drains_under_load(
    sentiment: tuple[Order, Path], podman: object, run: Callable[..., Container]
) -> None:
    """User 1000, a read-only root, 512 MB; SIGTERM while clients send ends with exit code 0 and no request lost."""
    _, folder = sentiment
    image = podman("pull", "--quiet", f"oci:{folder}/layout").stdout.strip()
    container = run(image)
    container.await_ready()
    texts, scores = _recorded(200)
    status, records = container.post("/sentiment", {"ref": list(range(200)), "text": texts})
    assert status == 200
    assert [record["Sentiment_Score"] for record in records] == pytest.approx(scores, abs=0.011)  # a tie of hundredths
    assert sum(a["Sentiment_Score"] == b for a, b in zip(records, scores, strict=True)) >= 198
    assert podman("exec", container.name, "/opt/modelport/bin/healthcheck").returncode == 0
    top = podman("exec", container.name, "/usr/bin/python3", "-c", "import os; print(os.getuid(), os.access('/opt', os.W_OK))")
    assert top.stdout.split() == ["1000", "False"]
    failed, answered = _stopped_under_load(container)
    assert failed == []
    assert answered > 0
    assert podman("inspect", "--format", "{{.State.ExitCode}}", container.name).stdout.strip() == "0"


def _stopped_under_load(container: Container) -> tuple[list[str], int]:
    """Stop a container while four clients send, each on one connection until it is told to close: what failed, what was answered."""
    failed: list[str] = []
    counts = [0] * 4
    going = threading.Barrier(5)

    def send(at: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", container.port, timeout=60)
        body = json.dumps({"ref": [at], "text": ["I am well"]})
        connection.connect()
        while True:
            try:
                connection.request("POST", "/sentiment", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                if counts[at] == 0 or not _is_closed_between(error):
                    failed.append(repr(error))
                return
            if answer.status == 503 and answer.getheader("Connection") == "close":
                return  # it drains, and says so
            if answer.status != 200 or json.loads(content)[0]["Sentiment_Score"] != 0.71:
                failed.append(f"{answer.status} {content!r}")
                return
            counts[at] += 1
            if counts[at] == 5:
                going.wait(timeout=60)
            if answer.getheader("Connection") == "close":
                return

    threads = [threading.Thread(target=send, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    going.wait(timeout=60)
    container.podman("stop", "--time", "30", container.name)
    for thread in threads:
        thread.join(timeout=90)
        assert not thread.is_alive()
    return failed, sum(counts)


def _is_closed_between(error: BaseException) -> bool:
    """Whether a kept connection was closed before an answer began, which HTTP allows between requests (RFC 9112, 9.3.1)."""
    return isinstance(error, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError | ConnectionRefusedError)


def test_the_same_inputs_give_the_same_digest_wherever_and_however_they_are_built(
    sentiment: tuple[Order, Path], cached: Path, tmp_path: Path
) -> None:
    """Another folder, other times, another umask, another locale, another process: the same bytes."""
    order, _ = sentiment
    copy = tmp_path / "elsewhere" / "sentiment"
    shutil.copytree(SENTIMENT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for path in copy.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700 if path.is_dir() else 0o600)
    script = (
        "import os, sys; os.umask(0o77); from pathlib import Path; from modelport.image.build import build; "
        "from modelport.image.order import Order; "
        "print(build(Order(Path(sys.argv[1]), 'localhost/sentiment:1', base=sys.argv[2], output=sys.argv[3], level=1, "
        "lock=Path(sys.argv[4]))).digest)"
    )
    arguments = [copy, order.base, f"oci:{tmp_path}/out", order.lock]
    environment = os.environ | {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert done.stdout.strip() == build(replace(order, output=f"oci:{tmp_path}/here")).digest, done.stderr


def test_the_image_is_small_and_says_what_is_in_it(sentiment: tuple[Order, Path], podman: object) -> None:
    _, folder = sentiment
    layout = folder / "layout"
    manifest, config = _read(layout)
    assert sum(layer["size"] for layer in manifest["layers"][1:]) <= LIMIT_BYTES
    assert config["config"]["Entrypoint"] == ["/opt/modelport/bin/modelport"]
    assert (config["config"]["Cmd"], config["config"]["User"]) == (["serve"], "1000:1000")
    assert config["config"]["Volumes"] == {"/tmp": {}}
    with tarfile.open(layout / "blobs" / "sha256" / manifest["layers"][4]["digest"][7:]) as archive:
        assert archive.getmember("tmp").mode == 0o1777  # whatever the base has
    assert len(config["history"]) == len(config["rootfs"]["diff_ids"]) == len(manifest["layers"]) == 5
    labels = config["config"]["Labels"]
    assert labels["modelport.artifact.sha256"] == json.loads(json.dumps(labels))["modelport.artifact.sha256"]
    assert [item["name"] for item in json.loads(labels["modelport.schema"])["inputs"]] == ["ref", "text"]
    with tarfile.open(layout / "blobs" / "sha256" / manifest["layers"][2]["digest"][7:]) as archive:
        bill = json.loads(archive.extractfile("opt/modelport/share/sbom.cdx.json").read())
        lock = json.loads(archive.extractfile("opt/modelport/share/lock.json").read())
    names = {item["name"] for item in bill["components"]}
    assert {"onnxruntime", "h5py", "numpy", "pandas", "modelport", "sentiment"} <= names
    assert not names & {"tensorflow", "keras", "scikit-learn"}
    assert {pin["name"] for pin in lock["platforms"]["linux/amd64"]} <= names


def _read(layout: Path) -> tuple[dict, dict]:
    def blob(digest: str) -> dict:
        return json.loads((layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes())

    index = json.loads((layout / "index.json").read_bytes())
    manifest = blob(index["manifests"][0]["digest"])
    return manifest, blob(manifest["config"]["digest"])


def test_a_changed_model_is_pushed_alone_and_everybody_takes_the_image(
    sentiment: tuple[Order, Path], cached: Path, registry: object, podman: object, tmp_path: Path, require_program: Callable[..., str]
) -> None:
    order, _ = sentiment
    copy = tmp_path / "sentiment"
    shutil.copytree(SENTIMENT, copy, ignore=shutil.ignore_patterns("__pycache__", "data"))
    key = tmp_path / "key.pem"
    subprocess.run([require_program("openssl"), "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
    first = replace(order, file=copy, tag=f"{registry.host}/team/sentiment:1", output="", is_pushed=True, sign_key=key)
    pushed = build(first)
    assert pushed.reference == f"{registry.host}/team/sentiment@{pushed.digest}"
    (copy / "word_index.json").write_bytes((copy / "word_index.json").read_bytes() + b"\n")
    archive = tmp_path / "image.tar"
    again = build(replace(first, tag=f"{registry.host}/team/sentiment:2", output=str(archive)))
    assert again.digest != pushed.digest
    assert again.sent_bytes < _size(again, "model") + 10_000
    assert build(first_again := replace(first, tag=f"{registry.host}/team/sentiment:2")).sent_bytes < 10_000, first_again
    seen = _skopeo(registry, "team/sentiment:2")
    assert seen["Digest"] == again.digest
    loaded = podman("load", "--quiet", "--input", archive).stdout.split()[-1]
    pulled = podman("pull", "--quiet", "--tls-verify=false", again.reference).stdout.strip()
    assert podman("inspect", "--format", "{{.Id}}", loaded).stdout.strip() == pulled
    copied = tmp_path / "copied"
    line = ["skopeo", "copy", "--src-tls-verify=false", f"docker://{again.reference}", f"oci:{copied}:x"]
    subprocess.run(line, check=True, capture_output=True, timeout=300)
    assert json.loads((copied / "index.json").read_bytes())["manifests"][0]["digest"] == again.digest
    _check_attached(registry, again)
    _check_signature(registry, again, key, tmp_path)


def _size(built: Built, name: str) -> int:
    return sum(layer.size_bytes for layer in built.layers if layer.name == name)


def _skopeo(registry: object, name: str) -> dict:
    line = ["skopeo", "inspect", "--tls-verify=false", f"docker://{registry.host}/{name}"]
    return json.loads(subprocess.run(line, check=True, capture_output=True, timeout=120).stdout)


def _get(registry: object, path: str) -> bytes:
    accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
    request = urllib.request.Request(f"http://{registry.host}/v2/team/sentiment/{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def _check_attached(registry: object, built: Built) -> None:
    """Whoever asks for what is attached finds the bill of materials and the provenance of this very digest."""
    listed = json.loads(_get(registry, f"manifests/{built.digest.replace(':', '-')}"))["manifests"]
    found = {}
    for entry in listed:
        manifest = json.loads(_get(registry, f"manifests/{entry['digest']}"))
        assert manifest["subject"]["digest"] == built.digest
        found[entry["artifactType"]] = json.loads(_get(registry, f"blobs/{manifest['layers'][0]['digest']}"))
    assert found["application/vnd.cyclonedx+json"]["bomFormat"] == "CycloneDX"
    statement = found["application/vnd.in-toto+json"]
    assert statement["subject"][0]["digest"] == {"sha256": built.digest.removeprefix("sha256:")}


def _check_signature(registry: object, built: Built, key: Path, folder: Path) -> None:
    """openssl, which shares no code with what signed, agrees; and what was signed is this digest."""
    import base64

    manifest = json.loads(_get(registry, f"manifests/{built.digest.replace(':', '-')}.sig"))
    layer = manifest["layers"][0]
    signed, signature, public = folder / "signed", folder / "signature", folder / "public.pem"
    signed.write_bytes(_get(registry, f"blobs/{layer['digest']}"))
    signature.write_bytes(base64.b64decode(layer["annotations"]["dev.cosignproject.cosign/signature"]))
    subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    line = ["openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, signed]
    assert b"Verified OK" in subprocess.run(line, check=True, capture_output=True).stdout
    assert json.loads(signed.read_bytes())["critical"]["image"]["docker-manifest-digest"] == built.digest
    signed.write_bytes(signed.read_bytes().replace(built.digest.encode(), b"sha256:" + b"0" * 64))
    assert subprocess.run(line, check=False, capture_output=True).returncode != 0


def _closed(base: Path, path: Path) -> Path:
    """Give a base in which only root may write to /tmp."""
    with tarfile.open(base) as given, tarfile.open(path, "w") as made:
        for member in given:
            if member.name in ("tmp", "./tmp"):
                member.mode = 0o755
            made.addfile(member, given.extractfile(member) if member.isreg() else None)
    return path


def _temporary(podman: object, image: str) -> list[str]:
    """Give the mode of /tmp, and whether it may be written, where a new volume is mounted there: as on Fargate, which has no other way."""
    volume = podman("volume", "create").stdout.strip()
    look = "import os; print(oct(os.stat('/tmp').st_mode & 0o7777), os.access('/tmp', os.W_OK))"
    mounts = ["--read-only", "--read-only-tmpfs=false", "--volume", f"{volume}:/tmp"]
    said = podman("run", "--rm", *mounts, "--entrypoint", "/usr/bin/python3", image, "-c", look).stdout.split()
    podman("volume", "rm", volume)
    return said


def test_podman_builds_the_same_contract_from_a_generated_dockerfile(
    saved_model: Callable[..., object],
    cached: Path,
    debian: Path,
    podman: object,
    run: Callable[..., Container],
    registry: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a network inside; the answers are the estimator's. It is written and pushed by podman, too."""
    for name, value in podman.environment.items():
        monkeypatch.setenv(name, value)
    model = saved_model("iris_named")
    label = "nasty $HOME \\ \" ' ${X:-y} # `id` $(id) é"
    base = str(_closed(debian, tmp_path / "base.tar"))
    order = Order(model.path, f"{registry.host}/iris:1", base=base, engine="podman", is_pushed=True, output=str(tmp_path / "x.tar"))
    built = build(replace(order, labels={"note": label}, environment={"NOTE": label}))
    assert built.reference == f"{registry.host}/iris@{built.digest}"
    assert _skopeo(registry, "iris:1")["Digest"] == built.digest
    with tarfile.open(tmp_path / "x.tar") as archive:
        assert "manifest.json" in archive.getnames()
    shown = json.loads(podman("inspect", order.tag).stdout)[0]["Config"]
    assert shown["Labels"]["note"] == label
    assert f"NOTE={label}" in shown["Env"]
    assert (shown["User"], shown["Entrypoint"], shown["Cmd"]) == ("1000:1000", ["/opt/modelport/bin/modelport"], ["serve"])
    assert _temporary(podman, order.tag) == ["0o1777", "True"]
    container = run(order.tag, "--read-only-tmpfs=false", "--image-volume=ignore")  # nowhere to write to but memory
    container.await_ready()
    rows = model.rows.to_dict("records")
    _, records = container.post("/predict", rows)
    assert [record["label"] for record in records] == model.estimator.predict(model.rows).tolist()
    assert podman("exec", container.name, "/opt/modelport/bin/healthcheck").returncode == 0
    podman("kill", "--signal", str(int(signal.SIGTERM)), container.name)
    assert podman("wait", container.name).stdout.strip() == "0"


def test_podman_builds_upon_an_image_that_it_has(
    toy_bundle: Path, cached: Path, root_tar: Path, podman: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in podman.environment.items():
        monkeypatch.setenv(name, value)
    podman("import", "--quiet", root_tar, "localhost/root:1")
    (tmp_path / "lock").write_text('{"format": 1, "python": "3.11", "requirements": [], "platforms": {"linux/amd64": []}}')
    out = f"oci:{tmp_path}/out"
    order = Order(toy_bundle, "localhost/toy:1", base="localhost/root:1", engine="podman", lock=tmp_path / "lock", output=out)
    assert build(order).digest.startswith("sha256:")
    assert (tmp_path / "out" / "index.json").is_file()
    assert podman("run", "--rm", "--entrypoint", "/nowhere", "localhost/toy:1", check=False).returncode != 0
    for base, said in (("127.0.0.1:1/absent:1", "podman pull refused: "), ("localhost/root:1", "podman build refused: ")):
        with pytest.raises(TargetRefused, match=said):
            build(replace(order, base=base, tag="localhost/toy:1" if base != "localhost/root:1" else "localhost:1/" + "a" * 300))


def test_an_image_for_two_platforms_has_the_wheels_of_each(
    toy_bundle: Path, cached: Path, two_bases: Path, tmp_path: Path, require_module: Callable[[str], object]
) -> None:
    require_module("pip")
    out = tmp_path / "out"
    platforms = ("linux/amd64", "linux/arm64")
    lock = tmp_path / "lock.json"
    order = Order(toy_bundle, "localhost/toy:1", base=f"oci:{two_bases}", platforms=platforms, output=f"oci:{out}", level=1, lock=lock)
    built = build(order)
    index = json.loads((out / "index.json").read_bytes())["manifests"][0]
    assert index["digest"] == built.digest
    listed = json.loads((out / "blobs" / "sha256" / built.digest[7:]).read_bytes())["manifests"]
    assert [entry["platform"]["architecture"] for entry in listed] == ["amd64", "arm64"]
    for entry, machine in zip(listed, ("x86_64", "aarch64"), strict=True):
        manifest = json.loads((out / "blobs" / "sha256" / entry["digest"][7:]).read_bytes())
        with tarfile.open(out / "blobs" / "sha256" / manifest["layers"][1]["digest"][7:]) as archive:
            libraries = [name for name in archive.getnames() if name.endswith(".so") and "/numpy/" in name and "cpython" in name]
        assert libraries
        assert all(machine in name for name in libraries)
    assert build(replace(order, output=f"oci:{tmp_path}/again")).digest == built.digest
