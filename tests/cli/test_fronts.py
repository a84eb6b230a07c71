"""Several fronts on one port: they are one service to whoever asks, however many processes there are and whichever of them dies."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="several fronts share a port as only Linux does it")]

ROWS = b"[[5.1, 3.5, 1.4, 0.2]]"
MANY = 48
"""Connections, of which each front gets some: the kernel deals them out by hash, so that all go to one of two once in 10^14."""

HOOK = """
import fcntl
from pathlib import Path

def predict(model, frame):
    with open(Path(GATE), "rb") as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)  # shut by the test until it has seen enough
    return frame.rename(columns={"a": "y"})

def load(folder):
    return object()
"""
NOTING = """
import os

def load(folder):
    with open(NOTES, "a") as notes:
        notes.write(f"{os.getpid()}\\n")
    return object()

def predict(model, frame):
    return frame.rename(columns={"a": "y"})
"""
SLOW = """
import fcntl
import os

def load(folder):
    with open(NOTES, "a+") as notes:
        notes.write(f"{os.getpid()}\\n")
        notes.flush()
        notes.seek(0)
        count = len(notes.read().split())
    if count > 2:
        with open(GATE, "rb") as gate:
            fcntl.flock(gate, fcntl.LOCK_SH)
    return object()

def predict(model, frame):
    return frame.rename(columns={"a": "y"})
"""
MANIFEST = """
format = 1
[hooks]
load = "held.py:load"
predict = "held.py:predict"
[[inputs]]
name = "a"
type = "float64"
[[outputs]]
name = "y"
type = "float64"
"""


def _children(pid: int) -> list[int]:
    """Give the processes whose parent this one is, in the order in which they were started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry.name))
    return sorted(found)


def _family(pid: int) -> list[int]:
    return [pid, *(each for child in _children(pid) for each in _family(child))]


def _sockets(pid: int) -> int:
    return sum(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:") for fd in os.listdir(f"/proc/{pid}/fd"))


def _await_ends(pids: list[int]) -> None:
    """Wait until processes are gone that are no children of this one."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            end = os.pidfd_open(pid)
            try:
                assert select.select([end], [], [], 60)[0], f"process {pid} lives on: {Path(f'/proc/{pid}/cmdline').read_bytes()!r}"
            finally:
                os.close(end)


Connect = Callable[..., list[http.client.HTTPConnection]]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open connections to a port; all are closed after the test."""
    with contextlib.ExitStack() as opened:

        def give(port: int, count: int = MANY) -> list[http.client.HTTPConnection]:
            made = [
                opened.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60))) for _ in range(count)
            ]
            for each in made:
                each.connect()
            return made

        yield give


def _ask(connection: http.client.HTTPConnection, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection.request("GET" if body is None else "POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def _value(text: str, name: str) -> float:
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def _metrics(server) -> str:
    """Scrape anew until somebody answers: a connection to a front that dies in that moment is cut."""
    for _ in range(100):
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, _, body = server.request("/metrics")
            if status == 200:
                return body.decode()
        server.process.poll()
    pytest.fail(f"no scrape was answered:\n{server.output()}")


def _until(server, is_so: Callable[[str], bool]) -> Iterator[str]:
    """Give each scrape until one is as wanted. The pause is a wait for the server's end, which must not come."""
    for _ in range(600):
        text = _metrics(server)
        yield text
        if is_so(text):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(timeout=0.05)
            pytest.fail(server.output())
    pytest.fail(f"it never came to that:\n{text}\n{server.output()}")


OK = 'modelport_requests_total{code="200",kind="predict"'


@pytest.fixture
def held(tmp_path: Path) -> tuple[Path, int]:
    """A bundle whose predictions wait while a file is locked, and that file, locked."""
    gate = os.open(tmp_path / "gate", os.O_RDWR | os.O_CREAT)
    folder = tmp_path / "held"
    folder.mkdir()
    (folder / "held.py").write_text(HOOK.replace("GATE", repr(str(tmp_path / "gate"))))
    (folder / "model.toml").write_text(MANIFEST)
    return folder, gate


def test_every_front_answers_and_each_speaks_for_all(serve, saved_model, connect: Connect) -> None:
    server = serve(saved_model("iris").path, "--fronts", "2")
    fronts = _children(server.process.pid)
    assert len(fronts) == 2
    before = [_sockets(pid) for pid in fronts]
    clients = connect(server.port)
    answers = {_ask(client, "/predict", ROWS) for client in clients}
    assert len(answers) == 1 and next(iter(answers))[0] == 200
    assert all(_sockets(pid) > count for pid, count in zip(fronts, before, strict=True))
    for client in clients:
        status, text = _ask(client, "/metrics")
        assert status == 200
        assert _value(text.decode(), OK) == MANY
        assert (_value(text.decode(), "modelport_fronts "), _value(text.decode(), "modelport_connections ")) == (2, MANY)
    for client in clients[:8]:
        (model,) = json.loads(_ask(client, "/models")[1])["models"]
        assert (model["state"], model["fronts"], model["form"]) == ("ready", 2, "compiled")
        assert _ask(client, "/readyz")[0] == _ask(client, "/livez")[0] == 200


def test_a_front_that_is_killed_is_replaced_and_no_counter_goes_back(serve, saved_model, connect: Connect) -> None:
    server = serve(saved_model("iris").path, "--fronts", "2")
    for client in connect(server.port):
        assert _ask(client, "/predict", ROWS)[0] == 200
    assert _value(_metrics(server), OK) == MANY
    for number, victim in enumerate(_children(server.process.pid), 1):
        os.kill(victim, signal.SIGKILL)
        for text in _until(server, lambda text, n=number: _value(text, "modelport_front_restarts_total ") == n and "fronts 2.0" in text):  # type: ignore[misc]
            assert _value(text, OK) == MANY
    assert len(_children(server.process.pid)) == 2
    for client in connect(server.port):
        assert _ask(client, "/predict", ROWS)[0] == 200
    assert _value(_metrics(server), OK) == 2 * MANY
    assert server.output().count("front replaced") == 2


def test_a_front_that_hangs_holds_nobody_else_up(serve, saved_model, connect: Connect) -> None:
    server = serve(saved_model("iris").path, "--fronts", "2")
    clients = connect(server.port)
    for client in clients:
        _ask(client, "/predict", ROWS)
    assert _value(_metrics(server), OK) == MANY
    hanging = _children(server.process.pid)[-1]
    os.kill(hanging, signal.SIGSTOP)
    try:
        for path in ("/readyz", "/metrics"):
            asked = connect(server.port)
            for client in asked:
                client.request("GET", path)
            answering = select.select([client.sock for client in asked], [], [], 60)[0]
            assert answering, "nobody answers"
            answer = next(client for client in asked if client.sock is answering[0]).getresponse()
            body = answer.read().decode()
            if path == "/readyz":
                assert answer.status == 503
                assert list(json.loads(body)["waiting_for"].values()) == ["does not answer"]
            else:
                assert _value(body, OK) == MANY, "its last numbers count"
    finally:
        os.kill(hanging, signal.SIGCONT)
    for client in clients:
        assert _ask(client, "/readyz")[0] == 200


def test_a_supervisor_that_is_killed_leaves_nobody_behind(serve, saved_model) -> None:
    server = serve(saved_model("iris").path, "--fronts", "2", "--isolation", "process", "--workers", "2")
    family = _family(server.process.pid)
    assert len(family) == 5, "the supervisor, two fronts, a worker each"
    server.serving = False
    server.process.kill()
    server.process.wait(timeout=60)
    _await_ends(family[1:])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", server.port))


def test_what_is_in_flight_on_any_front_is_answered_before_the_end(serve, held: tuple[Path, int], connect: Connect) -> None:
    folder, gate = held
    server = serve(folder, "--fronts", "2", "--workers", "2", "--sandbox", "off")
    fcntl.flock(gate, fcntl.LOCK_EX)
    clients = connect(server.port, 16)
    for number, client in enumerate(clients):
        client.request("POST", "/predict", json.dumps({"a": number}), {"Content-Type": "application/json"})
    for _ in _until(server, lambda text: _value(text, "modelport_in_flight_requests") == len(clients)):
        pass
    server.serving = False
    server.process.send_signal(signal.SIGTERM)
    with contextlib.suppress(OSError, http.client.HTTPException):  # until nobody listens any more, everybody is told that it ends
        while server.request("/readyz")[0] == 200:
            assert server.process.poll() is None
    fcntl.flock(gate, fcntl.LOCK_UN)
    for number, client in enumerate(clients):
        answer = client.getresponse()
        assert (answer.status, json.loads(answer.read())) == (200, {"y": float(number)})
    assert server.process.wait(timeout=60) == 0
    assert server.output().count("draining") == 2


def test_a_signal_to_every_process_at_once_drains_as_well(serve, saved_model) -> None:
    """Service managers send theirs to the whole group."""
    server = serve(saved_model("iris").path, "--fronts", "2")
    fronts = _children(server.process.pid)
    server.serving = False
    for pid in [*fronts, server.process.pid]:
        os.kill(pid, signal.SIGTERM)
    assert server.process.wait(timeout=60) == 0
    assert "front ended" not in server.output() or "exit code 0" in server.output()
    _await_ends(fronts)


def test_a_second_signal_ends_at_once(serve, held: tuple[Path, int], connect: Connect) -> None:
    folder, gate = held
    server = serve(folder, "--fronts", "2", "--workers", "2", "--sandbox", "off")
    fcntl.flock(gate, fcntl.LOCK_EX)
    family = _family(server.process.pid)
    (client,) = connect(server.port, 1)
    client.request("POST", "/predict", b'{"a": 1}', {"Content-Type": "application/json"})
    for _ in _until(server, lambda text: _value(text, "modelport_in_flight_requests") == 1):
        pass
    server.serving = False
    server.process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError, http.client.HTTPException):
        while server.request("/readyz")[0] == 200:
            assert server.process.poll() is None
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=60) == 1
    fcntl.flock(gate, fcntl.LOCK_UN)
    _await_ends(family[1:])


def test_workers_are_counted_for_all_fronts_together(serve, saved_model) -> None:
    server = serve(saved_model("iris").path, "--fronts", "2", "--workers", "3", "--isolation", "process")
    for _ in range(600):
        if json.loads(server.request("/models")[2])["models"][0]["workers"] == 3:
            break
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(timeout=0.05)
    assert sorted(len(_children(front)) for front in _children(server.process.pid)) == [1, 2]
    assert server.request("/predict", ROWS)[0] == 200


def test_a_dead_worker_is_counted_by_every_front(serve, saved_model) -> None:
    server = serve(saved_model("iris").path, "--fronts", "2", "--workers", "2", "--isolation", "process")
    front = _children(server.process.pid)[0]
    os.kill(_children(front)[0], signal.SIGKILL)
    for _ in _until(
        server, lambda text: _value(text, "modelport_worker_restarts_total") == 1 and _value(text, "modelport_model_ready") == 1
    ):
        pass
    os.kill(front, signal.SIGKILL)
    for text in _until(server, lambda text: _value(text, "modelport_front_restarts_total ") == 1 and "fronts 2.0" in text):
        assert _value(text, "modelport_worker_restarts_total") == 1


def test_any_free_port_is_the_same_one_for_all(command: Path, saved_model, connect: Connect) -> None:
    line = [command, saved_model("iris").path, "--port", "0", "--fronts", "2"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    found = re.search(rb"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
    assert found is not None
    fronts = _children(process.pid)
    before = [_sockets(pid) for pid in fronts]
    clients = connect(int(found[1]))
    assert {_ask(client, "/predict", ROWS)[0] for client in clients} == {200}
    assert all(_sockets(pid) > count for pid, count in zip(fronts, before, strict=True))
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("is_shared", [False, True], ids=["alone", "by one who would share"])
def test_a_port_that_is_taken_is_a_mistake(modelport, saved_model, is_shared: bool) -> None:
    with socket.socket() as taken:
        if is_shared:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = modelport("serve", saved_model("iris").path, "--port", str(port), "--fronts", "2")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"modelport: cannot listen on 127.0.0.1 port {port} (Address already in use); "
        "choose another with --port, or stop what listens there\n"
    )


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--fronts", "0"], '--fronts must be "auto" or a whole number from 1 to 256, found "0"'),
        (["--fronts", "many"], '--fronts must be "auto" or a whole number'),
        (["--fronts", "3", "--workers", "2"], "--workers 2 are fewer than --fronts 3"),
        (["--fronts", "2", "--workers", "no"], "--workers must be"),
        (["--fronts", "2", "--api-key-file", "nowhere"], "--api-key-file"),
        (["--fronts", "2", "--tls-cert", "nowhere", "--tls-key", "nowhere"], "cannot be used"),
        (["--fronts", "2", "--host", "256.256.256.256"], "cannot listen on 256.256.256.256"),
        (["--fronts", "2", "--route", "predict"], "--route must be a path"),
    ],
)
def test_nonsense_is_one_sentence(modelport, saved_model, flags: list[str], says: str) -> None:
    done = modelport("serve", saved_model("iris").path, "--port", "0", *flags)
    assert (done.code, done.out) == (2, "")
    assert says in done.err and done.err.count("\n") == 1


def test_a_model_that_cannot_be_loaded_ends_everything_with_its_error(modelport, tmp_path: Path) -> None:
    (tmp_path / "own.pkl").write_bytes(b"\x80\x04\x8c\x05mylib\x8c\x05Model\x93)\x81.")
    alone, together = (modelport("serve", tmp_path / "own.pkl", "--port", "0", "--fronts", fronts) for fronts in ("1", "2"))
    assert (alone.code, alone.err) == (together.code, together.err)
    assert together.code == 3 and together.err.count("\n") == 1


def test_keys_and_tls_hold_on_every_front(command: Path, saved_model, tmp_path: Path, require_program, unused_port: int) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    line = [require_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    line += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(line, check=True, capture_output=True, timeout=60)
    (tmp_path / "keys").write_text("first\n")
    line = [command, saved_model("iris").path, "--port", str(unused_port), "--fronts", "2", "--api-key-file", tmp_path / "keys"]
    process = subprocess.Popen([*line, "--tls-cert", cert, "--tls-key", key], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert f"https://127.0.0.1:{unused_port}/predict".encode() in process.stdout.readline()
    context = ssl.create_default_context(cafile=cert)
    for number in range(12):
        headers = {"Content-Type": "application/json"} | ({"X-API-Key": "first"} if number % 2 else {})
        connection = http.client.HTTPSConnection("127.0.0.1", unused_port, timeout=60, context=context)
        connection.request("POST", "/predict", ROWS, headers)
        assert connection.getresponse().status == (200 if number % 2 else 401)
        connection.close()
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait(timeout=60) == 0


def test_python_serves_with_several_fronts_as_the_command_does(saved_model, unused_port: int, command: Path) -> None:
    script = f"import modelport\nmodelport.serve({str(saved_model('iris').path)!r}, port={unused_port}, fronts='2')\n"
    process = subprocess.Popen([command.with_name("python"), "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert f"http://127.0.0.1:{unused_port}/predict".encode() in process.stdout.readline()
    request = urllib.request.Request(f"http://127.0.0.1:{unused_port}/predict", ROWS, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(timeout=60) == 0


def _mapped_forms(pid: int) -> dict[str, dict[str, int]]:
    """Give each mapping of a kept form in a process, by device and inode: kilobytes by the names of proc(5)."""
    found: dict[str, dict[str, int]] = {}
    into: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if head := re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ (\S+ \d+)\s+(.*)", line):
            into = found.setdefault(head[1], {}) if "/forms/" in head[2] else {}
        elif number := re.match(r"(\w+):\s+(\d+) kB", line):
            into[number[1]] = into.get(number[1], 0) + int(number[2])
    return found


@pytest.mark.parametrize("flags", [[], ["--no-cache"]], ids=["kept", "not kept"])
def test_arrays_of_a_form_are_in_memory_once(serve, tmp_path: Path, require_module, flags: list[str]) -> None:
    """From the first start on, when the form is made, and where nothing may be kept between starts."""
    numpy, joblib = require_module("numpy"), require_module("joblib")
    linear = require_module("sklearn.linear_model")
    text = require_module("sklearn.feature_extraction.text")
    pipeline = require_module("sklearn.pipeline")
    texts = [" ".join(f"word{number}" for number in range(start, start + 40)) for start in range(6)]
    model = pipeline.make_pipeline(text.HashingVectorizer(n_features=2**18), linear.SGDClassifier(random_state=0))
    model.fit(texts, [0, 1, 2] * 2)
    coefficients = model[-1].coef_
    assert coefficients.nbytes > 6_000_000
    coefficients += numpy.random.default_rng(0).normal(scale=1e-3, size=coefficients.shape)
    joblib.dump(model, tmp_path / "texts.pkl")
    server = serve(tmp_path / "texts.pkl", "--fronts", "2", *flags, env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert json.loads(server.request("/models")[2])["models"][0]["form"] == "compiled"
    assert server.request("/predict", [texts[0]])[0] == 200
    one, other = (_mapped_forms(front) for front in _children(server.process.pid))
    assert one and set(one) == set(other), "one file, mapped by both"
    for sizes in [*one.values(), *other.values()]:
        assert sizes["Size"] * 1024 > coefficients.nbytes
        assert sizes["Anonymous"] == 0, "no page was copied"


def test_a_version_is_tried_once_for_all_fronts(serve, tmp_path: Path) -> None:
    """The hook notes each process that loads it: the throw-away one, and a worker of each front."""
    folder = tmp_path / "noted"
    folder.mkdir()
    (folder / "held.py").write_text(NOTING.replace("NOTES", repr(str(tmp_path / "notes"))))
    (folder / "model.toml").write_text(MANIFEST)
    server = serve(folder, "--fronts", "2", "--workers", "2", "--sandbox", "off", env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert server.request("/predict", {"a": 1})[0] == 200
    assert len((tmp_path / "notes").read_text().split()) == 3


def test_a_front_that_loads_takes_no_connections_from_one_that_answers(
    command: Path, tmp_path: Path, connect: Connect, unused_port: int
) -> None:
    """The third process to load the model, after the throw-away one and the first front's worker, waits at the gate."""
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "held.py").write_text(SLOW.replace("NOTES", repr(str(tmp_path / "notes"))).replace("GATE", repr(str(tmp_path / "gate"))))
    (folder / "model.toml").write_text(MANIFEST)
    gate = os.open(tmp_path / "gate", os.O_RDWR | os.O_CREAT)
    fcntl.flock(gate, fcntl.LOCK_EX)
    line = [command, folder, "--port", str(unused_port), "--fronts", "2", "--workers", "2", "--sandbox", "off"]
    process = subprocess.Popen(line, env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}, stderr=subprocess.DEVNULL)
    try:
        while not (tmp_path / "notes").exists() or len((tmp_path / "notes").read_text().split()) < 3:
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"it ended with exit code {process.wait(timeout=0.05)}")
        clients = connect(unused_port)
        assert [_ask(client, "/predict", b'{"a": 1}')[0] for client in clients] == [200] * MANY
        status, body = _ask(clients[0], "/readyz")
        assert (status, json.loads(body)["waiting_for"]["front 2"]) == (503, "starting")
        fcntl.flock(gate, fcntl.LOCK_UN)
        while _ask(clients[0], "/readyz")[0] != 200:
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"it ended with exit code {process.wait(timeout=0.05)}")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()


def test_auto_is_a_front_a_core_for_a_fast_form_and_one_for_an_original(serve, saved_model, held: tuple[Path, int]) -> None:
    cores = len(os.sched_getaffinity(0))
    fast = serve(saved_model("iris").path, "--fronts", "auto")
    original = serve(held[0], "--fronts", "auto", "--sandbox", "off")
    assert 1 <= len(_children(fast.process.pid)) <= cores
    assert json.loads(fast.request("/models")[2])["models"][0]["fronts"] == len(_children(fast.process.pid))
    assert len(_children(original.process.pid)) == 1
    assert original.request("/readyz")[0] == 200
