"""Without --image: a repository is made, the image built and pushed, and what is deployed is its digest.

The imitation of AWS has no data plane of ECR, so a real registry stands in for that: what ECR says of its own address is replaced by
the registry's on the way to the client. Everything else of the way is as it is.
"""

from __future__ import annotations

import io
import json
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest

from .conftest import ACCOUNT, REGION

pytestmark = pytest.mark.slow

ECR = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


@pytest.fixture
def ecr(aws: str, registry: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """ECR's control plane, whose repositories lie in the registry."""

    class Between(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = urllib.request.Request(aws + self.path, body, dict(self.headers), method="POST")
            try:
                with urllib.request.urlopen(asked, timeout=60) as answer:
                    status, said = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, said = error.code, error.read()
            said = said.replace(ECR.encode(), registry.host.encode())
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *arguments: object) -> None:
            del arguments

    server = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", f"http://127.0.0.1:{server.server_port}")
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def base(path: Path) -> Path:
    """A base that lists a Python; nothing in it runs here."""
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("usr/bin/python3.11")
        member.mode, member.size = 0o755, 2
        archive.addfile(member, io.BytesIO(b"#!"))
    return path


def test_a_file_becomes_an_image_in_the_repository_and_its_digest_runs(
    ecr: None, registry: object, modelport: Callable[..., object], toy: Path, tmp_path: Path
) -> None:
    del ecr
    arguments = ("deploy", "ecs", toy, "--name", "toy", "--yes", "--json", "--base", base(tmp_path / "base.tar"))
    done = modelport(*arguments)
    assert done.code == 0, done.err
    image = json.loads(done.out)["image"]
    name, _, digest = image.partition("@")
    assert name == f"{registry.host}/modelport/toy"

    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    asked = urllib.request.Request(f"http://{registry.host}/v2/modelport/toy/manifests/{digest}", headers=accept)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert answer.headers["Docker-Content-Digest"] == digest
        assert json.load(answer)["layers"]
    (deployed,) = boto3.client("cloudformation").describe_stacks()["Stacks"]
    assert {"ParameterKey": "Image", "ParameterValue": image} in deployed["Parameters"]
    assert "yet to be built, and pushed to the repository modelport/toy" in done.err

    gone = modelport("destroy", "ecs", "toy", "--yes")
    assert gone.code == 0, gone.err
    assert boto3.client("ecr").describe_repositories()["repositories"] == []
