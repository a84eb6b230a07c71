"""Fixtures that every part of the suite shares: what may be absent, a clock to turn by hand, saved models, a running server."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import structlog
from hypothesis import HealthCheck, settings

from .registries import locked_registry, push_index, registry  # noqa: F401  # fixtures

REQUIRE_ALL = os.environ.get("MODELPORT_REQUIRE_ALL", "") not in ("", "0")

# How long an example takes says more about the machine than about the code. CI tries the same examples every time.
settings.register_profile("modelport", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=REQUIRE_ALL)
settings.load_profile("modelport")


def _fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Where everything has to be there (CI), a skipped test is a test that was lost."""
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although MODELPORT_REQUIRE_ALL is set: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    _fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    report = yield
    _fail_skipped(report)
    return report


@pytest.fixture(autouse=True)
def fresh_logs() -> Iterator[None]:
    """Undo what a test configured: structlog's settings are the process's, and the next test may look at the log."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def require_module() -> Callable[[str], ModuleType]:
    """Import a module that a test needs, or skip the test with the reason."""

    def require(name: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except ImportError:
            pytest.skip(f"the Python module {name} is not installed")

    return require


@pytest.fixture(scope="session")
def require_program() -> Callable[..., str]:
    """Find the first of some programs that a test needs, or skip the test with the reason."""

    def require(*names: str) -> str:
        for name in names:
            if found := shutil.which(name):
                return found
        pytest.skip(f"the program {' or '.join(names)} is not installed")

    return require


@dataclass
class Clock:
    """A clock in seconds that goes only when told to; call it for the time."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        self.now += seconds
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclass(frozen=True)
class SavedModel:
    """A fitted estimator, the file it was saved to, and some rows of its training data (an array or a frame)."""

    path: Path
    estimator: object
    rows: object


def _iris_plain() -> tuple[object, object]:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = load_iris(return_X_y=True)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x, y), x[::15]


def _iris_named() -> tuple[object, object]:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_iris(as_frame=True)
    species = data.target.map(dict(enumerate(data.target_names)))
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(data.data, species), data.data[::15]


def _text() -> tuple[object, object]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = ["good fine lovely", "bad awful poor", "lovely good day", "poor bad night", "fine day", "awful night"]
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, ["pos", "neg", "pos", "neg", "pos", "neg"]), texts


def _mixed() -> tuple[object, object]:
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = pd.DataFrame(
        {
            "age": [22.0, 38.0, 26.0, 35.0, 54.0, 2.0, 27.0, 14.0],
            "fare": [7.25, 71.3, 7.9, 53.1, 51.9, 21.1, 11.1, 30.1],
            "town": ["Cork", "Lyon", "Cork", "Cork", "Oslo", "Oslo", "Lyon", "Lyon"],
        }
    )
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), ["age", "fare"]), ("town", OneHotEncoder(handle_unknown="ignore"), ["town"])]
    )
    return make_pipeline(columns, LogisticRegression()).fit(frame, [0, 1, 1, 1, 0, 0, 1, 1]), frame


def _regressor() -> tuple[object, object]:
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge

    x, y = load_diabetes(return_X_y=True)
    return Ridge().fit(x, y), x[::40]


MODELS: dict[str, Callable[[], tuple[object, object]]] = {
    "iris": _iris_plain,
    "iris_named": _iris_named,
    "text": _text,
    "mixed": _mixed,
    "regressor": _regressor,
}


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory: pytest.TempPathFactory, require_module: Callable[[str], ModuleType]) -> Callable[[str], SavedModel]:
    """Give the saved scikit-learn model of a name of MODELS, fitted once a session and pickled by joblib."""
    made: dict[str, SavedModel] = {}

    def give(name: str) -> SavedModel:
        if name not in made:
            for module in ("sklearn", "pandas"):
                require_module(module)
            estimator, rows = MODELS[name]()
            path = tmp_path_factory.mktemp("saved") / f"{name}.pkl"
            require_module("joblib").dump(estimator, path)
            made[name] = SavedModel(path, estimator, rows)
        return made[name]

    return give


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A `modelport serve` process, answering at ``url``. Its output goes to ``log``."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    serving: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def announcement(self, tries: int = 600) -> str:
        """Wait for what the server prints when all its models answer, which is a moment after the first answer, and give its output."""
        for _ in range(tries):
            if "The page to try it on" in (text := self.output()):
                return text
            try:
                self.process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        pytest.fail(f"the server did not say where it answers:\n{self.output()}")

    def request(self, path: str, body: object = None, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
        """Send one request, a POST of JSON if there is a body (bytes go as they are): status, lower-case headers, body."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = urllib.request.Request(self.url + path, data=data, headers={"Content-Type": "application/json"} | (headers or {}))
        try:
            answer = urllib.request.urlopen(sent, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return int(answer.status), {name.lower(): value for name, value in answer.headers.items()}, answer.read()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask the server to stop and give its exit code."""
        self.serving = False
        self.process.send_signal(how)
        return self.process.wait(timeout=40)


def _await_ready(server: Server, tries: int) -> None:
    """Ask /readyz until it says yes. The pause between two tries is a wait for the process to end, which it must not."""
    for _ in range(tries):
        try:
            server.process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            pass
        else:
            pytest.fail(f"the server ended with exit code {server.process.returncode}:\n{server.output()}")
        try:
            if server.request("/readyz")[0] == 200:
                server.serving = True
                return
        except OSError:
            continue
    pytest.fail(f"the server was not ready after {tries} tries:\n{server.output()}")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start `modelport serve ARGUMENTS` on a free port and wait until it is ready; afterwards SIGTERM must end it with exit code 0."""
    servers: list[Server] = []

    def start(*arguments: str | Path, env: dict[str, str] | None = None, tries: int = 600) -> Server:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        log = tmp_path / f"server-{len(servers)}.log"
        command = [Path(sys.executable).with_name("modelport"), "serve", *map(str, arguments), "--host", "127.0.0.1", "--port", str(port)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | (env or {}), start_new_session=True
            )
        server = Server(process, port, log)
        servers.append(server)
        _await_ready(server, tries)
        return server

    try:
        yield start
        for server in servers:
            if server.serving:
                assert server.process.poll() is None, f"the server died during the test:\n{server.output()}"
                assert server.stop() == 0, server.output()
    finally:
        for server in servers:
            if server.process.poll() is None:
                os.killpg(server.process.pid, signal.SIGKILL)
                server.process.wait()
