"""What the manifests say, done to real servers as a kubelet and an endpoint controller do it, under load: no request is lost.

There is no cluster here. So this is the part of one that matters: a pod is started with the arguments and variables of the rendered YAML,
probed on its paths with its periods and thresholds, gets requests while it is ready, and is ended by the preStop hook's time, SIGTERM and
the grace period. Clients hear that it ends a second after that begins, as those of a real cluster hear it late. Each request has a
connection of its own, as kube-proxy balances connections: what is kept alive through the end of a pod is the client's to send again.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelport.deploy.base import Service
from modelport.deploy.kubernetes import Options
from modelport.deploy.kubernetes_files import render

CLIENTS = 4
LATE_S = 1.0
PACE_S = 0.005  # between two requests of a client: a machine has 28,000 ports for connections of their own


def manifest() -> dict[str, Any]:
    files = render(Service("toy", "toy", "1", f"a/b@sha256:{'a' * 64}"), Options())
    return yaml.safe_load(files["base/deployment.yaml"])["spec"]["template"]["spec"]


class Pod:
    """One server, as the manifest has it; only the address is another, for there is one machine."""

    def __init__(self, spec: dict[str, Any], file: Path, port: int, log: Path) -> None:
        self.container = spec["containers"][0]
        self.grace_s = spec["terminationGracePeriodSeconds"]
        self.port = port
        self.has_ended = threading.Event()
        given = {each["name"]: each["value"].replace("$$", "$") for each in self.container["env"]}
        given |= {"MODELPORT_HOST": "127.0.0.1", "MODELPORT_PORT": str(port), "MODELPORT_FILE": str(file)}
        given["XDG_CACHE_HOME"] = str(log.parent / "cache")
        command = [Path(sys.executable).with_name("modelport"), *self.container["args"]]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | given, start_new_session=True
            )

    def start(self) -> None:
        """Probe it until it is started, then until it is ready; a container that fails its startup probe would be restarted."""
        assert self._until("startupProbe", tries=self.container["startupProbe"]["failureThreshold"])
        assert self._until("readinessProbe", tries=120)

    def end(self, leave: Callable[[], None]) -> int:
        """End it as a kubelet does, while ``leave`` is heard late. Gives the exit code; it is killed when the grace is over."""
        began = time.monotonic()
        rest_s = self.container["lifecycle"]["preStop"]["sleep"]["seconds"] - LATE_S
        self._lives_on(LATE_S)
        leave()
        self._lives_on(rest_s)
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=self.grace_s - (time.monotonic() - began))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            return -signal.SIGKILL

    def probe(self, name: str) -> bool:
        """Ask what a probe asks, as long as it may take."""
        probe = self.container[name]
        try:
            url = f"http://127.0.0.1:{self.port}{probe['httpGet']['path']}"
            with urllib.request.urlopen(url, timeout=probe["timeoutSeconds"]) as answer:
                return 200 <= answer.status < 400
        except (urllib.error.HTTPError, OSError):
            return False

    def _until(self, name: str, tries: int) -> bool:
        for _ in range(tries):
            if self.probe(name):
                return True
            self._lives_on(self.container[name]["periodSeconds"])
        return False

    def _lives_on(self, seconds: float) -> None:
        """Wait for it to end by itself, which it must not."""
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return
        pytest.fail(f"the server ended by itself with {code}")


class Load:
    """Clients that send one request after another to whoever is an endpoint at that moment, and count what comes of it."""

    def __init__(self) -> None:
        self.endpoints: list[int] = []
        self.answered: Counter[int] = Counter()
        self.failed: list[str] = []
        self._more = threading.Condition()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(random.Random(number),), daemon=True) for number in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def until_answered(self, port: int, count: int) -> None:
        """Wait until a pod has answered that many more requests; a minute is long for it even on a slow machine."""
        with self._more:
            wanted = self.answered[port] + count
            assert self._more.wait_for(lambda: self.answered[port] >= wanted or self.failed, timeout=60)

    def until_failed(self) -> None:
        with self._more:
            assert self._more.wait_for(lambda: self.failed, timeout=60)

    def _send(self, chance: random.Random) -> None:
        while not self._is_over.is_set():
            port, a = chance.choice(self.endpoints), chance.randint(100, 10_000)
            said = self._ask(port, a)
            with self._more:
                if said is None:
                    self.answered[port] += 1
                else:
                    self.failed.append(said)
                self._more.notify_all()
            self._is_over.wait(PACE_S)

    def _ask(self, port: int, a: int) -> str | None:
        """Send one request; what was wrong with its answer, None for nothing."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("POST", "/predict", json.dumps({"a": [a], "b": [1]}), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return f"{port}: {error!r}"
        finally:
            connection.close()
        if answer.status != 200 or json.loads(body) != [{"sum": a + 1.0}]:
            return f"{port}: {answer.status} {body[:200]!r}"
        return None


@pytest.fixture
def start(toy: Path, tmp_path: Path) -> Iterator[Callable[[], Pod]]:
    """Start a pod on a free port and wait until it is ready; whatever happens, none outlives the test."""
    pods: list[Pod] = []

    def make() -> Pod:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        pods.append(Pod(manifest(), toy, port, tmp_path / f"pod-{len(pods)}.log"))
        pods[-1].start()
        return pods[-1]

    yield make
    for pod in pods:
        if pod.process.poll() is None:
            os.killpg(pod.process.pid, signal.SIGKILL)
            pod.process.wait()


@pytest.mark.slow
def test_a_rolling_update_loses_no_request(start: Callable[[], Pod]) -> None:
    """maxUnavailable 0, maxSurge 1: the new one is ready before the old one is told to end."""
    old, load = start(), Load()
    load.endpoints = [old.port]
    load.start()
    try:
        load.until_answered(old.port, 50)
        new = start()
        load.endpoints = [old.port, new.port]
        load.until_answered(new.port, 20)
        code = old.end(lambda: setattr(load, "endpoints", [new.port]))
        load.until_answered(new.port, 50)
    finally:
        load.stop()
    print(f"{sum(load.answered.values())} answered, {len(load.failed)} failed; by pod {dict(load.answered)}")
    assert load.failed == []
    assert code == 0
    assert load.answered[old.port] > 50
    assert new.probe("livenessProbe")
    assert new.probe("readinessProbe")


@pytest.mark.slow
def test_without_the_pre_stop_time_requests_would_be_lost(start: Callable[[], Pod]) -> None:
    """The test above can fail: a pod that gets SIGTERM while clients still know it refuses them."""
    pod, load = start(), Load()
    load.endpoints = [pod.port]
    load.start()
    try:
        load.until_answered(pod.port, 20)
        pod.process.send_signal(signal.SIGTERM)
        assert pod.process.wait(timeout=pod.grace_s) == 0
        load.until_failed()
    finally:
        load.stop()
    assert load.failed
