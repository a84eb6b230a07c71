"""Conversations with the API of a dashboard: what it is sent, and its refusals in one sentence. The real one is in test_cluster.py."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from modelport.deploy.ray.apply import follow
from modelport.deploy.ray.cluster import Cluster, read
from modelport.deploy.ray.config import IMPORT_PATH
from modelport.errors import TargetRefused, UsageError

FOREIGN = {"name": "theirs", "import_path": "their.module:app", "route_prefix": "/theirs"}


@dataclass
class Dashboard:
    """Keeps what it is told, as Serve does: applications by name, each with the status that tests give it."""

    url: str = ""
    applications: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[str] = field(default_factory=lambda: ["RUNNING"])
    code: int = 200
    body: bytes | None = None

    def look(self) -> bytes:
        if self.body is not None:
            return self.body
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        log = {"replica_id": "r1", "node_id": "n1", "state": "RUNNING", "node_ip": "10.0.0.1", "pid": 7, "log_file_path": "/serve/r1.log"}
        replicas = {"modelport": {"replicas": [log, {"replica_id": "r2", "state": "STARTING"}]}}
        found = {
            name: {"status": status, "message": "no room", "deployed_app_config": app, "route_prefix": "/", "source": "declarative"}
            | {"deployments": replicas}
            for name, app in self.applications.items()
        }
        return json.dumps({"applications": found, "proxies": {"n1": {}}, "proxy_location": "HeadOnly", "grpc_options": None}).encode()

    def put(self, told: dict[str, Any]) -> None:
        self.told.append(told)
        self.applications = {each["name"]: each for each in told["applications"]}


@pytest.fixture
def dashboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dashboard]:
    kept = Dashboard()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"a line\n" if self.path.startswith("/api/v0/logs/file?") else kept.look())

        def do_PUT(self) -> None:
            kept.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            code = kept.code if self.headers.get("authorization") == "Bearer secret" else 401
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body if code == 200 else b"Unauthorized" if code == 401 else b"Traceback: bad config")

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", kept.url)
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_there_and_back_with_others_left_alone(dashboard: Dashboard, modelport: Callable[..., Any], toy: Path) -> None:
    dashboard.applications["theirs"] = FOREIGN
    assert "+name: toy" in modelport("deploy", "ray", toy, "--plan").out
    assert dashboard.told == []
    refused = modelport("deploy", "ray", toy)
    assert refused.code == 2
    assert "--yes" in refused.err
    assert modelport("deploy", "ray", toy, "--yes").code == 0
    assert modelport("deploy", "ray", toy, "--yes", "--drain", "5").code == 0
    last = dashboard.told[-1]
    assert last["applications"][0] == FOREIGN
    assert last["proxy_location"] == "HeadOnly"  # the cluster's own, as Serve runs already
    assert last["applications"][1]["args"]["previous"]["args"]["settings"]["drain"] == 30
    assert "previous" not in last["applications"][1]["args"]["previous"]["args"]
    assert modelport("rollback", "ray", "toy", "--yes").code == 0
    assert dashboard.applications["toy"]["args"]["settings"]["drain"] == 30
    assert "nothing would change" in modelport("deploy", "ray", toy, "--yes").out
    assert modelport("rollback", "ray", "toy", "--yes").code == 0
    assert dashboard.applications["toy"]["args"]["settings"]["drain"] == 5
    assert "toy is gone" in modelport("destroy", "ray", "toy", "--yes").out
    assert dashboard.applications == {"theirs": FOREIGN}
    assert "no application toy" in modelport("destroy", "ray", "toy", "--yes").out


def test_status_and_logs(dashboard: Dashboard, modelport: Callable[..., Any]) -> None:
    dashboard.applications["toy"] = {"name": "toy", "import_path": IMPORT_PATH}
    said = modelport("status", "ray", "toy")
    assert said.code == 0
    assert "r1  RUNNING  node n1 (10.0.0.1), process 7" in said.out
    dashboard.statuses = ["DEPLOYING"]
    told = modelport("status", "ray", "toy", "--json")
    assert told.code == 1
    assert json.loads(told.out)["replicas"][1] == {"name": "r2", "state": "STARTING", "node": "", "address": "", "process": 0}
    assert modelport("logs", "ray", "toy").out.splitlines() == ["== r1", "a line", "== r2", "nothing yet: STARTING"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("status", "ray", "none"), 2, "no application none"),
        (("logs", "ray", "none"), 2, "no application none"),
        (("rollback", "ray", "none", "--yes"), 2, "no application none"),
        (("rollback", "ray", "toy", "--yes"), 2, "deployed once only"),
        (("status", "ray", "theirs"), 4, "not made by modelport"),
        (("destroy", "ray", "theirs", "--yes"), 4, "not made by modelport"),
        (("status", "ray", "A b"), 2, "--name"),
        (("status", "ray", "toy", "--address", "ftp://a"), 2, "--address"),
        (("status", "ray", "toy", "--address", "http://127.0.0.1:1"), 4, "cannot be reached"),
    ],
)
def test_a_refusal_is_a_sentence(
    dashboard: Dashboard, modelport: Callable[..., Any], arguments: tuple[str, ...], code: int, said: str
) -> None:
    dashboard.applications = {"toy": {"name": "toy", "import_path": IMPORT_PATH}, "theirs": FOREIGN}
    done = modelport(*arguments)
    assert (done.code, done.err.count("\n")) == (code, 1)
    assert said in done.err
    assert dashboard.told == []


def test_what_the_cluster_says_is_passed_on(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    dashboard.code = 400
    with pytest.raises(TargetRefused, match="answered 400: Traceback: bad config; correct"):
        read(Cluster(dashboard.url))
    dashboard.code, dashboard.body = 200, b"<html>"
    with pytest.raises(TargetRefused, match="is no Ray dashboard"):
        read(Cluster(dashboard.url))
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    with pytest.raises(TargetRefused, match="401: Unauthorized; set RAY_AUTH_TOKEN"):
        read(Cluster(dashboard.url))
    with pytest.raises(UsageError, match="--address"):
        Cluster("http://")


def test_following_ends_with_what_serve_says(dashboard: Dashboard) -> None:
    said: list[str] = []
    dashboard.applications["toy"] = {"name": "toy", "import_path": IMPORT_PATH}
    dashboard.statuses = ["DEPLOYING", "DEPLOYING", "RUNNING"]
    assert follow(Cluster(dashboard.url), "toy", said.append, lambda _: None)["status"] == "RUNNING"
    assert said == ["deploying: 1 replicas"]
    dashboard.statuses = ["DEPLOY_FAILED"]
    with pytest.raises(TargetRefused, match=r"could not run toy: no room … a line"):
        follow(Cluster(dashboard.url), "toy", said.append, lambda _: None)
    dashboard.statuses = ["UNHEALTHY"]
    with pytest.raises(TargetRefused, match="does not run after 900 s; it is UNHEALTHY"):
        follow(Cluster(dashboard.url), "toy", said.append, lambda _: None)


@pytest.mark.parametrize("flags", [("--image", "a/b:1"), ("--redis", "redis:6379")])
def test_half_of_what_kuberay_needs_is_refused(modelport: Callable[..., Any], toy: Path, flags: tuple[str, ...]) -> None:
    done = modelport("deploy", "ray", toy, "--emit", "out", *flags)
    assert done.code == 2
    assert "give both" in done.err


def test_emit_writes_the_files_and_asks_nobody(modelport: Callable[..., Any], toy: Path, tmp_path: Path) -> None:
    done = modelport("deploy", "ray", toy, "--emit", "out", "--image", "127.0.0.1:1/a/b:1", "--redis", "redis:6379")
    assert done.code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ray.env", "rayservice.yaml", "serve.yaml"]
