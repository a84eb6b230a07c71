"""`modelport serve`: what it prints, what its flags do, how it ends."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BODY = {"ref": [7], "a": [1], "b": [2], "word": ["x"]}
ANSWER = [{"ref": 7, "sum": 3.0, "word": "x"}]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_with_exit_code_0(serve: Callable[..., object], toy: Path, how: signal.Signals) -> None:
    server = serve(toy)
    assert server.request("/predict", BODY)[0] == 200
    assert server.stop(how) == 0
    assert "draining" in server.output()


def test_a_signal_while_the_model_loads_ends_it_as_well(command: Path, toy: Path, tmp_path: Path, unused_port: int) -> None:
    """The load hook tells through a named pipe that it runs, and waits for another one that nobody writes to.

    With one for both, the hook of the throw-away process could take what the worker's tells.
    """
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "never")
    (toy / "toy.py").write_text(
        f"def load(folder):\n    open({str(tmp_path / 'pipe')!r}, 'w').write('x')\n    open({str(tmp_path / 'never')!r}).read()\n"
    )
    (toy / "model.toml").write_text((toy / "model.toml").read_text().replace('predict = "toy.py:predict"\n', ""))
    line = [command, "serve", toy, "--port", str(unused_port), "--workers", "1", "--sandbox", "off"]
    process = subprocess.Popen(line, stderr=subprocess.PIPE)
    with (tmp_path / "pipe").open() as pipe:
        assert pipe.read() in ("x", "xx")  # the throw-away process loads as well
        process.send_signal(signal.SIGTERM)  # with the pipe open: a hook that tells it late does not fail
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def test_it_prints_where_it_answers_what_it_takes_and_a_line_that_works(
    serve: Callable[..., object], toy: Path, require_program: Callable[..., str]
) -> None:
    server = serve(toy)
    text = server.announcement()
    assert f"{server.url}/add" in text
    for name in ("ref", "a", "b", "word", "sum"):
        assert f"  {name}" in text
    line = next(line.strip() for line in text.splitlines() if line.strip().startswith("curl"))
    words = shlex.split(line)
    words[0] = require_program("curl")
    answer = subprocess.run(words, capture_output=True, timeout=60, check=True)
    assert "sum" in json.loads(answer.stdout)[0]


def test_a_file_alone_is_served(command: Path, toy: Path, unused_port: int) -> None:
    environment = os.environ | {"MODELPORT_PORT": str(unused_port)}
    process = subprocess.Popen([command, toy], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    assert process.stdout is not None
    assert f"answers at http://127.0.0.1:{unused_port}/add".encode() in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait(timeout=60) == 0


def test_python_serves_as_the_command_does(toy: Path, unused_port: int, command: Path) -> None:
    script = f"import modelport\nmodelport.serve({str(toy)!r}, port={unused_port}, workers='1')\n"
    process = subprocess.Popen([command.with_name("python"), "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert f"http://127.0.0.1:{unused_port}/add".encode() in process.stdout.readline()
    request = urllib.request.Request(f"http://127.0.0.1:{unused_port}/add", json.dumps(BODY).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer) == ANSWER
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(timeout=60) == 0


def test_a_port_that_is_taken_is_a_mistake(modelport: Callable[..., object], toy: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = modelport("serve", toy, "--port", str(port))
    assert (done.code, done.out) == (2, "")
    assert f"port {port}" in done.err
    assert "--port" in done.err.split(";")[-1]


def test_two_models_in_one_server(serve: Callable[..., object], toy: Path, saved_model: Callable[[str], object]) -> None:
    server = serve(toy, saved_model("iris").path)
    assert json.loads(server.request("/models/toy/predict", BODY)[2]) == ANSWER
    assert json.loads(server.request("/add", BODY)[2]) == ANSWER
    assert "probabilities" in json.loads(server.request("/models/iris/predict", [[5.1, 3.5, 1.4, 0.2]])[2])[0]
    status, _, problem = server.request("/predict", BODY)
    assert status == 404
    assert b"/models/iris/predict" in problem
    assert b"/models/toy/predict" in problem


def test_the_same_model_twice_is_a_mistake(modelport: Callable[..., object], toy: Path) -> None:
    done = modelport("serve", toy, toy, "--port", "0")
    assert done.code == 2
    assert "toy" in done.err


def test_keys_are_asked_for(serve: Callable[..., object], toy: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("first\nsecond\n")
    server = serve(toy, "--api-key-file", tmp_path / "keys")
    assert server.request("/predict", BODY)[0] == 401
    assert server.request("/predict", BODY, {"Authorization": "Bearer wrong"})[0] == 401
    assert server.request("/predict", BODY, {"Authorization": "Bearer second"})[0] == 200
    assert server.request("/livez")[0] == 200


@pytest.mark.parametrize("content", [None, "", "\n \n"])
def test_a_file_without_keys_is_a_mistake(modelport: Callable[..., object], toy: Path, tmp_path: Path, content: str | None) -> None:
    """Never serve openly what was meant to be locked."""
    if content is not None:
        (tmp_path / "keys").write_text(content)
    done = modelport("serve", toy, "--api-key-file", "keys", "--port", "0")
    assert done.code == 2
    assert "--api-key-file" in done.err


@pytest.fixture
def certificate(tmp_path: Path, require_program: Callable[..., str]) -> tuple[Path, Path]:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    line = [require_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    line += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(line, check=True, capture_output=True, timeout=60)
    return cert, key


def test_tls(command: Path, toy: Path, unused_port: int, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    line = [command, "serve", toy, "--port", str(unused_port), "--tls-cert", cert, "--tls-key", key]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert f"https://127.0.0.1:{unused_port}/add".encode() in process.stdout.readline()
    request = urllib.request.Request(f"https://127.0.0.1:{unused_port}/predict", json.dumps(BODY).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30, context=ssl.create_default_context(cafile=cert)) as answer:
        assert json.load(answer) == ANSWER
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait(timeout=60) == 0


def test_half_of_tls_is_a_mistake(modelport: Callable[..., object], toy: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    assert "go together" in modelport("serve", toy, "--tls-cert", cert, "--port", "0").err
    done = modelport("serve", toy, "--tls-cert", key, "--tls-key", cert, "--port", "0")
    assert done.code == 2
    assert "cannot be used" in done.err


def test_the_log_can_be_json(serve: Callable[..., object], toy: Path) -> None:
    server = serve(toy, "--log-format", "json")
    assert server.request("/predict", BODY | {"a": [13]})[0] == 500
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.output().splitlines() if line.startswith("{")]
    messages = {line["message"] for line in lines}
    assert {"a prediction failed", "draining"} <= messages
    failed = next(line for line in lines if line["message"] == "a prediction failed")
    assert (failed["level"], failed["model"], failed["code"]) == ("error", "toy", "model_error")


def test_clients_never_see_a_traceback_and_debug_shows_it_in_the_terminal(serve: Callable[..., object], toy: Path) -> None:
    server = serve(toy, "--debug")
    status, _, body = server.request("/predict", BODY | {"a": [13]})
    assert status == 500
    assert b"thirteen" in body
    assert b"Traceback" not in body
    assert b"somebody" not in body
    assert "Traceback" in server.output()


def test_a_model_that_cannot_be_loaded_ends_the_server(modelport: Callable[..., object], tmp_path: Path, toy: Path) -> None:
    (tmp_path / "own.pkl").write_bytes(b"\x80\x04\x8c\x05mylib\x8c\x05Model\x93)\x81.")
    assert modelport("serve", "own.pkl", "--port", "0").code == 3
    (toy / "toy.py").write_text("def load(folder):\n    raise RuntimeError('no such weights')\npredict = print\n")
    done = modelport("serve", toy, "--port", "0")
    assert done.code != 0
    assert "no such weights" in done.err
    assert done.err.count("\n") == 1


def test_a_name_and_a_route_can_be_given(serve: Callable[..., object], saved_model: Callable[[str], object]) -> None:
    server = serve(saved_model("iris").path, "--name", "flowers", "--route", "/bloom")
    rows = [[5.1, 3.5, 1.4, 0.2]]
    assert server.request("/bloom", rows)[2] == server.request("/models/flowers/predict", rows)[2] == server.request("/predict", rows)[2]
