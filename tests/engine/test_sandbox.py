"""A trusted but hostile hook: what it tries fails within the sandbox, and works without, so that the sandbox is what stops it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import platform
import resource
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

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


def _attempts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("attempts", Path(__file__).parents[1] / "hostile" / "attempts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


attempts = _attempts()

HOSTILE = """
    import attempts

    class Model:
        def predict(self, x):
            return [attempts.attempt(number) for number in x["x"]]

    def load(folder):
        return Model()
"""


def ask(folder: Path, confinement: Confinement, names: list[str]) -> tuple[dict[str, float], str]:
    async def run() -> tuple[dict[str, float], str]:
        engine = Engine(Identity("m"), BatchLimits())
        await engine.start(Pool(PoolSettings(1, {"source": str(folder)}, 1, confinement=confinement, is_probed=True), engine))
        try:
            numbers = np.array([attempts.number_of(name) for name in names], float)
            answer = await engine.infer(Columns({"x": numbers}), None, {}, None)
            return dict(zip(names, answer["y"].tolist(), strict=True)), str(engine.status()["sandbox"])
        finally:
            await engine.close()

    return asyncio.run(run())


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is not the model's, with keys in it; something listens where the hook connects to."""
    folder = tmp_path / "outside"
    folder.mkdir()
    variables, listening = attempts.prepare(str(folder))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    yield folder
    for each in listening:
        each.close()


@pytest.fixture
def hostile(make_bundle: Callable[..., Path], outside: Path) -> Callable[..., tuple[dict[str, float], str]]:
    """Give a function that asks a worker with the hostile hook."""
    folder = make_bundle(HOSTILE)
    shutil.copy(attempts.__file__, folder)
    return lambda setting, names, **more: ask(folder, Confinement(setting, (folder,), **more), names)


@needs_landlock
def test_a_hostile_hook_reaches_nothing_outside(hostile: Callable[..., tuple[dict[str, float], str]], outside: Path) -> None:
    before = attempts.state_of(str(outside))
    answers, level = hostile("require", list(attempts.DENIED))
    assert answers == dict.fromkeys(attempts.DENIED, 0.0)
    assert level == f"landlock{landlock.abi()}+seccomp"
    assert attempts.state_of(str(outside)) == before


def test_without_the_sandbox_the_same_hook_does_it_all(hostile: Callable[..., tuple[dict[str, float], str]], outside: Path) -> None:
    answers, level = hostile("off", list(attempts.DENIED))
    assert answers == dict.fromkeys(attempts.DENIED, 1.0)
    assert level == "none (switched off)"
    assert (outside / "marker").exists()


@needs_landlock
def test_what_models_need_still_works(hostile: Callable[..., tuple[dict[str, float], str]]) -> None:
    answers, _ = hostile("require", list(attempts.ALLOWED))
    assert answers == dict.fromkeys(attempts.ALLOWED, 1.0)


@needs_landlock
def test_a_library_can_be_imported_late_and_an_event_loop_run(make_bundle: Callable[..., Path]) -> None:
    code = """
        import asyncio
        class Model:
            def predict(self, x):
                import pandas, scipy.stats, sklearn.ensemble, sqlite3, xml.dom.minidom
                asyncio.run(asyncio.sleep(0))
                return x["x"] + 1.0
        def load(folder): return Model()
    """
    folder = make_bundle(code)

    async def run() -> None:
        engine = Engine(Identity("m"), BatchLimits())
        await engine.start(Pool(PoolSettings(1, {"source": str(folder)}, 1, confinement=Confinement("require", (folder,))), engine))
        assert (await engine.infer(Columns({"x": np.ones(1)}), None, {}, None))["y"].tolist() == [2.0]
        await engine.close()

    asyncio.run(run())


@needs_landlock
def test_a_manifest_may_open_the_network_and_name_variables(hostile: Callable[..., tuple[dict[str, float], str]]) -> None:
    names = ["connects", "sends a packet", "reads them from the environment"]
    closed = ["talks to another program's socket", "sends it a packet through a pair", "listens", "starts a program", "reads an SSH key"]
    answers, level = hostile("require", names + closed, network=True, environment=("AWS_SECRET_ACCESS_KEY",))
    assert level == f"landlock{landlock.abi()}+seccomp, open to: network, 1 variable"
    assert answers == dict.fromkeys(names, 1.0) | dict.fromkeys(closed, 0.0)


@needs_landlock
@pytest.mark.parametrize("on_path", ["", ":"])
def test_nothing_in_the_current_folder_runs_before_the_sandbox(
    make_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_path: str
) -> None:
    """Python imports from the current folder first, and from there also by an empty entry of PYTHONPATH."""
    read = """
        from pathlib import Path
        class Model:
            words = Path("words.txt").read_text()
            def predict(self, x): return x["x"]
        def load(folder): return Model()
    """
    folder = make_bundle(read)
    (folder / "words.txt").write_text("beside the hook")
    for name in ("json", "resource", "ctypes", "dataclasses", "glob"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'a').write('{name} ')")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", on_path)
    confinement = Confinement("require", (folder,), folder=folder)

    async def run() -> list[float]:
        engine = Engine(Identity("m"), BatchLimits())
        await engine.start(Pool(PoolSettings(1, {"source": str(folder)}, 1, confinement=confinement), engine))
        answer = await engine.infer(Columns({"x": np.ones(1)}), None, {}, None)
        await engine.close()
        return answer["y"].tolist()

    assert asyncio.run(run()) == [1.0]
    assert not (tmp_path / "marker").exists()


@needs_landlock
def test_limits_hold_as_well(make_bundle: Callable[..., Path]) -> None:
    code = """
        import resource
        class Model:
            def predict(self, x):
                return [float(resource.getrlimit(int(which))[1]) for which in x["x"]]
        def load(folder): return Model()
    """
    folder = make_bundle(code)
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: 4096}

    async def run() -> list[float]:
        engine = Engine(Identity("m"), BatchLimits())
        await engine.start(Pool(PoolSettings(1, {"source": str(folder)}, 1, confinement=Confinement("require", (folder,))), engine))
        answer = await engine.infer(Columns({"x": np.array(list(limits), float)}), None, {}, None)
        await engine.close()
        return answer["y"].tolist()

    assert all(0 <= found <= limit for found, limit in zip(asyncio.run(run()), limits.values(), strict=True))


@needs_landlock
def test_a_worker_leaves_no_folder_behind(hostile: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    hostile("auto", ["its home"])
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
    policy = Policy(("/a b", '/"c"'), ("/tmp/x",), network=True, gpu=False, execute=("/usr/bin/python3",), folder="/a b")
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
