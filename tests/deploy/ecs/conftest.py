"""What the tests of AWS share: services, an imitation of AWS that is spoken to over HTTP, clients whose answers a test gives."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelport.deploy.base import Service
from modelport.deploy.ecs.apply import Talk
from modelport.deploy.ecs.options import Network, Options

REGION, ACCOUNT = "eu-central-1", "123456789012"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/modelport/sentiment@sha256:{'a' * 64}"
NETWORK = Network("vpc-01234567", ("subnet-01234567", "subnet-11234567"))


def service(**facts: object) -> Service:
    return Service(**{"name": "sentiment", "model": "sentiment", "version": "1", "image": IMAGE, "digest": "b" * 64, **facts})


def options(**facts: object) -> Options:
    return Options(**{"network": NETWORK, **facts})


@dataclass
class Heard:
    """What was said and asked. ``answer``: what is answered to a question. No pause takes any time."""

    answer: bool = True
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    pauses: int = 0

    def agree(self, question: str) -> bool:
        self.asked.append(question)
        return self.answer

    def pause(self, seconds: float) -> None:
        del seconds
        self.pauses += 1
        assert self.pauses < 500, "waits for ever"

    @property
    def talk(self) -> Talk:
        return Talk(self.said.append, self.agree, self.pause)

    @property
    def text(self) -> str:
        return "\n".join(self.said)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="session")
def aws_python() -> str:
    """A Python that has moto and cfn-lint: they bring too much for an environment that other things are tested in."""
    found = os.environ.get("MODELPORT_AWS_PYTHON", "")
    if not found:
        pytest.skip("MODELPORT_AWS_PYTHON names no Python with moto and cfn-lint")
    return found


@pytest.fixture(scope="module")
def moto(aws_python: str) -> Iterator[str]:
    """The address of an imitation of AWS, ended with its input."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COV", "PYTHON"))}
    script = str(Path(__file__).with_name("fake_aws.py"))
    with subprocess.Popen([aws_python, "-I", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            assert port.isdecimal(), "moto did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.stdin.close()
            process.wait(timeout=60)


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty imitation of AWS that boto3 finds as it finds the real one: by the environment."""
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST"), timeout=60).close()
    point(monkeypatch, moto)
    return moto


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that belong to nobody, and an address where nobody is: what reaches it fails at once."""
    point(monkeypatch, "http://127.0.0.1:9")


def point(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    facts = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in facts.items():
        monkeypatch.setenv(name, value)


Command = Callable[..., object]
