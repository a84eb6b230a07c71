"""A trusted but hostile hook: what it tries fails within the sandbox, and works without, so that the sandbox is what stops it."""

from __future__ import annotations

import asyncio
import json
import platform
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.engine import landlock, seccomp
from modelport.engine.batcher import BatchLimits
from modelport.engine.confinement import Confinement, command, scrubbed
from modelport.engine.engine import Engine
from modelport.engine.executor import Identity
from modelport.engine.pool import Pool, PoolSettings
from modelport.engine.sandbox import Level, Policy
from modelport.errors import SandboxMissing

needs_landlock = pytest.mark.skipif(
    sys.platform != "linux" or not landlock.abi() or platform.machine() not in seccomp.PROCESSORS,
    reason="this kernel has no Landlock, or there is no filter for this processor",
)

HOSTILE = '''
    """Answers each question with 1 where the attempt worked, and 0 where the system refused it."""
    import ctypes, os, signal, socket, subprocess, tempfile, threading
    from pathlib import Path

    def fork():
        pid = os.fork()
        if not pid: os._exit(0)
        os.waitpid(pid, 0)

    def connect():
        with socket.create_connection(("127.0.0.1", int(os.environ["MODELPORT_TEST_PORT"])), timeout=5): pass

    def read_memory():
        with open(f"/proc/{os.getppid()}/mem", "rb"): pass

    def shell():
        if os.system("exit 7") != 7 * 256: raise OSError

    def thread():
        done = []
        each = threading.Thread(target=done.append, args=(1,))
        each.start(); each.join()
        assert done

    def temporary():
        with tempfile.NamedTemporaryFile("w+") as file: file.write("x")

    def lazy():
        import pandas, scipy.stats, sklearn.ensemble, sqlite3, xml.dom.minidom

    def home():
        with (Path.home() / "settings").open("w") as file: file.write("x")

    def processes():
        if os.cpu_count() < 1: raise OSError

    def event_loop():
        import asyncio
        asyncio.run(asyncio.sleep(0))

    TRIES = {
        1: lambda: Path("/etc/passwd").read_text(),
        2: lambda: Path(os.environ["MODELPORT_TEST_OUTSIDE"]).write_text("x"),
        3: connect,
        4: lambda: subprocess.run(["true"], check=True),
        5: shell,
        6: fork,
        7: lambda: os.kill(os.getppid(), 0),
        8: lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes()[0],
        9: read_memory,
        10: lambda: os.chmod(__file__, 0o755),
        11: lambda: socket.socket().close(),
        12: lambda: Path(__file__).with_name("more.py").write_text("x"),
        13: lambda: os.environ["AWS_SECRET_ACCESS_KEY"],
        14: lambda: os.listdir("/"),
        50: thread, 51: temporary, 52: lazy, 53: home, 54: processes, 55: event_loop,
        56: lambda: Path(__file__).read_text(),
    }

    class Model:
        def predict(self, x):
            return [self.attempt(int(number)) for number in x["x"]]

        def attempt(self, number):
            try:
                TRIES.get(number, lambda: None)()
            except (OSError, LookupError, subprocess.SubprocessError):
                return 0.0
            return 1.0

    def load(folder):
        return Model()
'''
DENIED = tuple(range(1, 15))
ALLOWED = (50, 51, 52, 53, 54, 55, 56)


def ask(folder: Path, confinement: Confinement, numbers: tuple[int, ...]) -> tuple[list[float], str]:
    async def run() -> tuple[list[float], str]:
        engine = Engine(Identity("m"), BatchLimits())
        await engine.start(Pool(PoolSettings(1, {"source": str(folder)}, 1, confinement=confinement), engine))
        try:
            answer = await engine.infer(Columns({"x": np.array(numbers, float)}), None, {}, None)
            return answer["y"].tolist(), str(engine.status()["sandbox"])
        finally:
            await engine.close()

    return asyncio.run(run())


@pytest.fixture
def hostile(make_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Give a function that asks a worker with the hostile hook; something listens where the hook connects to."""
    folder = make_bundle(HOSTILE)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MODELPORT_TEST_PORT", str(server.getsockname()[1]))
        monkeypatch.setenv("MODELPORT_TEST_OUTSIDE", str(tmp_path / "marker"))
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not one")
        yield lambda setting, numbers, **more: ask(folder, Confinement(setting, (folder,), **more), numbers)


@needs_landlock
def test_a_hostile_hook_reaches_nothing_outside(hostile: Callable[..., tuple[list[float], str]], tmp_path: Path) -> None:
    answers, level = hostile("require", DENIED)
    assert dict(zip(DENIED, answers, strict=True)) == dict.fromkeys(DENIED, 0.0)
    assert level == f"landlock{landlock.abi()}+seccomp"
    assert not (tmp_path / "marker").exists()


def test_without_the_sandbox_the_same_hook_does_it_all(hostile: Callable[..., tuple[list[float], str]], tmp_path: Path) -> None:
    answers, level = hostile("off", DENIED)
    assert dict(zip(DENIED, answers, strict=True)) == dict.fromkeys(DENIED, 1.0)
    assert level == "none (switched off)"
    assert (tmp_path / "marker").exists()


@needs_landlock
def test_what_models_need_still_works(hostile: Callable[..., tuple[list[float], str]]) -> None:
    answers, _ = hostile("require", ALLOWED)
    assert dict(zip(ALLOWED, answers, strict=True)) == dict.fromkeys(ALLOWED, 1.0)


@needs_landlock
def test_a_manifest_may_open_the_network_and_name_variables(hostile: Callable[..., tuple[list[float], str]]) -> None:
    answers, _ = hostile("require", (3, 13, 1, 4), network=True, environment=("AWS_SECRET_ACCESS_KEY",))
    assert answers == [1.0, 1.0, 0.0, 0.0]


@needs_landlock
def test_a_worker_leaves_no_folder_behind(hostile: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    hostile("auto", (53,))
    assert list(scratch.iterdir()) == []


def test_require_fails_closed_and_names_what_is_missing(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    """Without a sandbox to enter, as on another system: the worker that was told to require one refuses to load."""

    async def run() -> None:
        engine = Engine(Identity("m"), BatchLimits())
        load = {"source": str(make_bundle())}
        pool = Pool(PoolSettings(1, load, 1, confinement=Confinement("require")), engine)
        pool._command = lambda: command(Confinement("off"), 1, tmp_path)
        await engine.start(pool)

    with pytest.raises(SandboxMissing, match="switched off") as caught:
        asyncio.run(run())
    assert (caught.value.code, caught.value.exit_code) == ("no_sandbox", 3)


def test_a_level_says_what_holds_and_what_is_missing() -> None:
    assert str(Level(7, has_seccomp=True)) == "landlock7+seccomp"
    assert str(Level(0, has_seccomp=True, missing="no Landlock: Function not implemented")) == (
        "seccomp (no Landlock: Function not implemented)"
    )
    assert str(Level(missing="there is no sandbox for darwin")) == "none (there is no sandbox for darwin)"
    assert not Level(7).is_whole


def test_only_known_variables_reach_a_worker(tmp_path: Path) -> None:
    given = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "3",
        "KERAS_BACKEND": "jax",
        "AWS_SECRET_ACCESS_KEY": "x",
        "GITHUB_TOKEN": "x",
        "MODELPORT_API_KEY_FILE": "x",
        "DATABASE_URL": "x",
        "CUDA_VISIBLE_DEVICES": "0",
        "HOME": "/home/me",
    }
    seen = scrubbed(given, Confinement(), tmp_path)
    assert {name for name in given if name in seen} == {"PATH", "LC_ALL", "OMP_NUM_THREADS", "KERAS_BACKEND", "HOME"}
    assert seen["HOME"] == seen["TMPDIR"] == str(tmp_path)
    more = scrubbed(given, Confinement(environment=("DATABASE_URL", "HOME"), gpu=True), tmp_path)
    assert (more["DATABASE_URL"], more["HOME"], more["CUDA_VISIBLE_DEVICES"]) == ("x", "/home/me", "0")


def test_a_policy_survives_the_argument_list() -> None:
    policy = Policy(("/a b", '/"c"'), ("/tmp/x",), network=True, gpu=False)
    assert Policy.from_json(policy.to_json()) == policy
    assert json.loads(policy.to_json())["network"] is True


def evaluate(code: bytes, processor: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel would: little-endian words of struct seccomp_data."""
    words = {0: number, 4: processor} | {16 + 8 * at: value & 0xFFFFFFFF for at, value in enumerate(arguments)}
    program = list(struct.iter_unpack("=HBBI", code))
    held = at = 0
    while True:
        operation, yes, no, operand = program[at]
        at += 1
        if operation == 0x20:
            held = words.get(operand, 0)
        elif operation == 0x54:
            held &= operand
        elif operation == 0x06:
            return operand
        else:
            holds = {0x15: held == operand, 0x35: held >= operand, 0x45: bool(held & operand)}[operation]
            at += yes if holds else no


@pytest.mark.parametrize("name", sorted(seccomp.PROCESSORS))
def test_the_filter_denies_and_allows_on_every_processor(name: str) -> None:
    processor = seccomp.PROCESSORS[name]
    program = seccomp.program(processor, 41, has_network=False)
    allow, deny, unknown, kill = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000

    def verdict(call: str | int, *arguments: int) -> int:
        number = processor.numbers[call] if isinstance(call, str) else call
        return evaluate(program, processor.identifier, number, *arguments)

    for call in set(processor.numbers) - {"clone", "kill", "tgkill", "prlimit64", "socketpair", "ioctl", "prctl"}:
        assert verdict(call) == deny, call
    assert verdict(435) == unknown
    assert (verdict("clone", 0x11), verdict("clone", 0x3D0F00)) == (deny, allow)
    assert (verdict("kill", 41), verdict("kill", 1), verdict("kill", -1)) == (allow, deny, deny)
    assert (verdict("prlimit64", 0), verdict("prlimit64", 7)) == (allow, deny)
    stream, datagram, no_wait = 1, 2, 0o4000
    assert (verdict("socketpair", 1, stream), verdict("socketpair", 1, stream | no_wait)) == (allow, allow)
    assert (verdict("socketpair", 1, datagram), verdict("socketpair", 2, stream)) == (deny, deny)
    assert (verdict("prctl", 1), verdict("prctl", 15)) == (deny, allow)  # PR_SET_PDEATHSIG, PR_SET_NAME
    assert (verdict("ioctl", 0, 0x5401), verdict("ioctl", 0, 0x5412)) == (allow, deny)
    assert evaluate(program, 0x40000003, 1) == kill
    assert verdict(63 if name == "aarch64" else 0) == allow
    opened = seccomp.program(processor, 41, has_network=True)
    assert evaluate(opened, processor.identifier, processor.numbers["connect"]) == allow
    assert evaluate(opened, processor.identifier, processor.numbers["listen"]) == deny
    families = {family: evaluate(opened, processor.identifier, processor.numbers["socket"], family) for family in (1, 2, 10, 17)}
    assert families == {1: deny, 2: allow, 10: allow, 17: deny}  # never another program's Unix socket, nor raw packets
    started = seccomp.program(processor, 41, has_network=False, has_execution=True)
    assert evaluate(started, processor.identifier, processor.numbers["execve"]) == allow
    assert evaluate(started, processor.identifier, processor.numbers["fork" if name == "x86_64" else "unshare"]) == deny


def test_ids_of_another_calling_convention_are_denied() -> None:
    processor = seccomp.PROCESSORS["x86_64"]
    assert evaluate(seccomp.program(processor, 1, has_network=True), processor.identifier, 0x40000000 + 59) == 0x00050001
