"""Real worker processes: what one of them does, or suffers, is nobody else's harm."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import uvloop

from modelport.columns import Columns
from modelport.engine import pool as pools
from modelport.engine.batcher import Batch, BatchLimits, Ticket
from modelport.engine.engine import Engine
from modelport.engine.executor import Identity
from modelport.engine.pool import Pool, PoolSettings
from modelport.errors import DeadlineExceeded, LoadError, ManifestError, ModelError, NotReady, WorkerDied

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the processes are looked up in /proc")
Test = Callable[[Engine, Pool], Awaitable[None]]


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_ours(pid: int) -> bool:
    """Whether this process has still to collect the end of another."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) == os.getpid()
    except (FileNotFoundError, ProcessLookupError):
        return False


def run(folder: Path, test: Test, workers: int = 1, limits: BatchLimits | None = None, *, loop: str = "uvloop", **load: object) -> None:
    """Start an engine with so many workers on a bundle, run the test, close it, and see that no process is left."""

    async def main() -> None:
        engine = Engine(Identity("m"), limits or BatchLimits())
        pool = Pool(PoolSettings(workers, {"source": str(folder), **load}, threads=1), engine)
        seen: set[int] = set()
        try:
            async with asyncio.timeout(60):
                await engine.start(pool)
                seen.update(pool.pids)
                await test(engine, pool)
        finally:
            seen.update(pool.pids)
            await engine.close()
        assert not any(is_running(pid) or is_ours(pid) for pid in seen)
        assert pool.pids == []

    (uvloop if loop == "uvloop" else asyncio).run(main())


async def ask(engine: Engine, *values: float, seconds: float | None = None) -> object:
    """Give what a request gets: the list of its answers, or its error."""
    deadline_s = None if seconds is None else asyncio.get_running_loop().time() + seconds
    try:
        answer = await engine.infer(Columns({"x": np.array(values)}), None, {}, deadline_s)
    except Exception as error:
        return error
    return answer["y"].tolist()


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; whoever calls sets the time limit."""
    while not is_so():  # noqa: ASYNC110  # the end of a process is no event of this loop
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_requests_at_once_are_answered_by_a_process_each_its_own(make_bundle, loop):
    async def test(engine: Engine, pool: Pool) -> None:
        assert engine.is_ready
        assert engine.form == "hook"
        found = await asyncio.gather(*(ask(engine, n + 100, -n) for n in range(40)))
        assert found == [[2 * n + 201, 1 - 2 * n] for n in range(40)]
        assert engine.measures().batches < 40
        assert pool.memory_bytes > 1e6
        assert await engine.drain(5)

    run(make_bundle(), test, loop=loop)


def test_one_row_that_raises_fails_alone_and_its_message_names_no_path(make_bundle):
    async def test(engine: Engine, _pool: Pool) -> None:
        values = np.random.default_rng(3).normal(size=32) + 100
        values[20] = 5
        together = await asyncio.gather(*(ask(engine, value) for value in values))
        error = together[20]
        assert isinstance(error, ModelError)
        assert error.message.startswith("the model failed: ValueError: five at ")
        assert "/" not in error.message
        alike = await ask(engine, *np.delete(values, 20))
        assert [value for at, (value,) in enumerate(t if at != 20 else [0] for at, t in enumerate(together)) if at != 20] == alike
        assert engine.measures().worker_restarts == 0

    run(make_bundle(), test)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_who_is_answered_and_asks_again_at_once_goes_with_who_waited_meanwhile(make_bundle, monkeypatch, loop):
    """Else two groups would go back and forth for ever, each with half of the requests."""
    rows: list[int] = []

    async def test(engine: Engine, pool: Pool) -> None:
        given = pool.run
        fifth: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()

        def run_noted(batch: Batch) -> None:
            rows.append(batch.rows)
            given(batch)
            if len(rows) == 1:  # before the answer can be there
                engine.submit(Ticket(Columns({"x": np.array([500.0])}), None, {}, None, fifth.set_result))

        monkeypatch.setattr(pool, "run", run_noted)

        async def twice(value: float) -> object:
            return [await ask(engine, value), await ask(engine, value + 1)]

        four = [asyncio.ensure_future(twice(n)) for n in (100, 200, 300, 400)]
        assert await asyncio.gather(*four) == [[[2 * n + 1], [2 * n + 3]] for n in (100, 200, 300, 400)]
        assert (await fifth).result["y"].tolist() == [1001]
        assert rows == [4, 5]

    run(make_bundle(), test, loop=loop)


def test_several_workers_hold_back_and_lose_nobody(make_bundle):
    async def test(engine: Engine, _pool: Pool) -> None:
        async def client(number: int) -> list[object]:
            return [await ask(engine, number * 1000 + at + 100) for at in range(20)]

        found = await asyncio.gather(*map(client, range(9)))
        assert found == [[[2 * (number * 1000 + at + 100) + 1] for at in range(20)] for number in range(9)]

    run(make_bundle(), test, workers=3, limits=BatchLimits(max_rows=3))


MATRIX = """
    import numpy as np

    WEIGHTS = np.random.default_rng(0).normal(size=(30, 7))

    class Model:
        def predict(self, x):
            y = np.tanh(x @ WEIGHTS).sum(axis=1)
            if np.isnan(y).any(): raise ValueError("missing values")
            return y

    def predict(model, x: np.ndarray):
        return model.predict(x)

    def load(folder):
        return Model()
"""


def test_beside_a_poison_row_the_answers_are_those_of_single_calls(tmp_path):
    """31 of 32: bit-equal to the same rows batched alike, within 1e-12 of single calls."""
    (tmp_path / "h.py").write_text(dedent(MATRIX))
    (tmp_path / "model.toml").write_text(
        'format = 1\n[hooks]\nload = "h.py:load"\npredict = "h.py:predict"\n'
        '[[inputs]]\nname = "x"\ntype = "float64"\nshape = [30]\n[[outputs]]\nname = "y"\ntype = "float64"\n'
    )

    async def test(engine: Engine, _pool: Pool) -> None:
        rows = np.random.default_rng(1).normal(size=(32, 30))
        rows[9, 4] = np.nan

        async def one(at: int) -> object:
            try:
                return (await engine.infer(Columns({"x": rows[at : at + 1]}), None, {}, None))["y"][0]
            except ModelError as error:
                return error

        together = await asyncio.gather(*map(one, range(32)))
        again = await asyncio.gather(*map(one, range(32)))
        assert [at for at, value in enumerate(together) if isinstance(value, ModelError)] == [9]
        for at in set(range(32)) - {9}:
            assert together[at] == again[at]
            assert abs(together[at] - await one(at)) <= 1e-12

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (6, "the model returned 0 rows for 1"),
        (8, "values of type object"),
        (11, "OSError: disk"),
        (15, "Rude"),
    ],
    ids=["wrong length", "objects", "OSError", "an exception that cannot be shown"],
)
def test_an_answer_that_is_none_fails_alone_and_the_worker_lives(make_bundle, value, says):
    async def test(engine: Engine, pool: Pool) -> None:
        pids = pool.pids
        good, bad, other = await asyncio.gather(ask(engine, 100), ask(engine, value), ask(engine, 101))
        assert (good, other) == ([201], [203])
        assert isinstance(bad, ModelError)
        assert says in bad.message
        assert pool.pids == pids

    run(make_bundle(), test)


def test_nan_is_an_answer_and_strings_and_leaks_are_no_harm(make_bundle):
    async def test(engine: Engine, _pool: Pool) -> None:
        assert np.isnan((await ask(engine, 7))[0])
        assert await asyncio.gather(*(ask(engine, 9) for _ in range(8))) == [[19]] * 8

    run(make_bundle(), test)


@pytest.mark.parametrize("given", [None, "3"])
def test_numeric_libraries_get_the_threads_of_the_settings_unless_the_user_said_so(make_bundle, monkeypatch, given):
    if given is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", given)

    async def test(engine: Engine, _pool: Pool) -> None:
        assert await ask(engine, 10) == [given or "1"]

    run(make_bundle(), test)


@pytest.mark.parametrize("value", [2, 3, 12], ids=["segfault", "_exit", "sys.exit"])
@pytest.mark.slow
def test_a_request_that_kills_the_process_fails_alone(make_bundle, value):
    async def test(engine: Engine, pool: Pool) -> None:
        pids = pool.pids
        found = await asyncio.gather(*(ask(engine, n) for n in (100, 101, value, 102)))
        assert isinstance(found[2], WorkerDied)
        assert [found[at] for at in (0, 1, 3)] == [[201], [203], [205]]
        assert await ask(engine, 50) == [101]
        assert set(pool.pids).isdisjoint(pids)
        assert engine.measures().worker_restarts >= 2

    run(make_bundle(), test)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kill_9_at_any_instant_under_load_fails_no_request(make_bundle, seed):
    async def test(engine: Engine, pool: Pool) -> None:
        rng = np.random.default_rng(seed)
        found: list[object] = []
        is_over = asyncio.Event()

        async def client(number: int) -> None:
            at = 0
            while not is_over.is_set():
                at += 1
                value = 100.0 + number * 1000 + at
                answer = await ask(engine, value, seconds=30)
                found.append(answer == [value * 2 + 1] or answer)

        async def killer() -> None:
            for _ in range(4):
                whole = 2 if rng.random() < 0.5 else 1  # also while the other one is still starting
                await until(lambda whole=whole: sum(worker.is_ready for worker in pool._workers) >= whole)
                await asyncio.sleep(rng.random() * 0.1)
                os.kill(rng.choice(pool.pids), signal.SIGKILL)
                before = pool.restarts
                await until(lambda before=before: pool.restarts > before)
            await until(lambda: pool.is_alive)
            is_over.set()

        await asyncio.gather(killer(), *(client(number) for number in range(16)))
        assert len(found) > 100
        assert [one for one in found if one is not True] == []
        assert pool.restarts == 4

    run(make_bundle(), test, workers=2, limits=BatchLimits(max_rows=4))


def test_a_worker_killed_while_idle_is_replaced_at_once_and_nobody_is_refused(make_bundle):
    async def test(engine: Engine, pool: Pool) -> None:
        os.kill(pool.pids[0], signal.SIGKILL)
        await until(lambda: pool.restarts == 1)
        assert engine.is_ready
        assert await ask(engine, 1) == [3]

    run(make_bundle(), test)


def test_a_hung_request_is_told_at_its_deadline_and_those_behind_it_get_their_answers(make_bundle):
    async def test(engine: Engine, pool: Pool) -> None:
        (pid,) = pool.pids
        hung = asyncio.ensure_future(ask(engine, 4, seconds=0.3))
        await until(lambda: not pool.free)
        behind = [asyncio.ensure_future(ask(engine, n, seconds=30)) for n in (100, 101)]
        assert isinstance(await hung, DeadlineExceeded)
        assert await asyncio.gather(*behind) == [[201], [203]]
        assert not is_running(pid)
        assert await ask(engine, 50) == [101]

    run(make_bundle(), test)


@pytest.mark.slow
def test_a_crash_loop_is_bounded_refuses_fast_and_recovers(make_bundle, monkeypatch):
    """Every request kills: the pauses double, readiness goes, submitting refuses at once; the first answer ends it."""
    monkeypatch.setattr(pools, "_FIRST_BACKOFF_S", 0.01)
    delays: list[float] = []
    spawn = Pool._spawn

    async def noted(self: Pool, delay_s: float) -> None:
        delays.append(delay_s)
        await spawn(self, delay_s)

    monkeypatch.setattr(Pool, "_spawn", noted)

    async def test(engine: Engine, pool: Pool) -> None:
        refused = died = 0
        while not refused:
            answer = await ask(engine, 3)
            died += isinstance(answer, WorkerDied)
            refused += isinstance(answer, NotReady)
        assert not engine.is_ready
        assert engine.status()["state"] == "recovering"
        assert delays == [0.0, *delays[1:]]
        assert delays[1:5] == [0.0, 0.01, 0.02, 0.04][: len(delays) - 1]
        await until(lambda: engine.is_ready)
        assert await ask(engine, 1) == [3]
        assert engine.is_ready
        before = pool.restarts
        os.kill(pool.pids[0], signal.SIGKILL)
        await until(lambda: pool.restarts > before)
        assert delays[-1] == 0.0
        assert engine.is_ready

    run(make_bundle(), test)


@pytest.mark.parametrize(("failures", "pause_s"), [(1, 0.1), (2, 0.2), (5, 1.6), (9, 25.6), (10, 30.0), (2000, 30.0)])
def test_pauses_of_a_crash_loop_double_up_to_half_a_minute(failures, pause_s):
    assert pools._backoff_s(failures) == pytest.approx(pause_s)


def start_error(folder: Path, **load: object) -> Exception:
    async def nothing(engine: Engine, pool: Pool) -> None:
        raise AssertionError("it started")

    with pytest.raises(Exception) as caught:
        run(folder, nothing, **load)
    return caught.value


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("def load(folder): raise ValueError('no weights')", ModelError, "the load hook failed: ValueError: no weights"),
        ("import nowhere_to_be_found", LoadError, 'hook file "hooks_file.py" failed on import: ModuleNotFoundError'),
        ("import os\nos._exit(9)", LoadError, "ended while loading the model (exit code 9)"),
        ("import sys\ndef load(folder): sys.exit(9)", LoadError, "ended while loading the model (exit code 9)"),
        ("import ctypes\nctypes.string_at(0)", LoadError, "ended while loading the model (signal 11, Segmentation fault)"),
        ("def load(folder): return 3", ManifestError, "has no predict"),
        (
            "class M:\n    def predict(self, x): raise KeyError('b')\ndef load(folder): return M()",
            LoadError,
            "its warm-up prediction failed (the model failed: KeyError: 'b')",
        ),
        (
            "class M:\n    def predict(self, x): return []\ndef load(folder): return M()",
            LoadError,
            "its warm-up prediction failed (the model returned 0 rows for 1",
        ),
    ],
    ids=["load raises", "import raises", "_exits", "exits", "segfaults", "no predict", "warm-up raises", "warm-up answers nothing"],
)
def test_a_model_that_cannot_answer_does_not_become_ready_and_says_why(make_bundle, code, kind, says):
    error = start_error(make_bundle(code))
    assert isinstance(error, kind)
    assert says in str(error)


def test_the_second_rows_of_the_warm_up_count_when_the_first_do_not_suit_the_model(make_bundle):
    async def test(engine: Engine, _pool: Pool) -> None:
        assert engine.is_ready
        assert await ask(engine, 4.0) == [0.25]

    code = "class M:\n    def predict(self, x):\n        if (x['x'] == 0).any(): raise ZeroDivisionError\n        return 1 / x['x']\n"
    run(make_bundle(code + "def load(folder): return M()"), test)


def test_a_model_that_takes_too_long_to_load_is_given_up(make_bundle):
    folder = make_bundle("import time\ntime.sleep(100)")

    async def main() -> None:
        engine = Engine(Identity("m"), BatchLimits())
        pool = Pool(PoolSettings(1, {"source": str(folder)}, 1, load_timeout_s=0.2), engine)
        with pytest.raises(LoadError, match="not loaded within 0 s"):
            await engine.start(pool)
        assert engine.state == "failed"

    uvloop.run(main())


def test_kill_9_during_start_up_says_so(make_bundle):
    folder = make_bundle("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert "(SIGKILL, as when memory runs out)" in str(start_error(folder))


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("turns", [0, 1, 3, 10, 100])
def test_closing_while_the_model_loads_ends_the_start_and_leaves_no_process(make_bundle, turns, loop):
    folder = make_bundle("import time\ntime.sleep(100)")

    async def main() -> None:
        engine = Engine(Identity("m"), BatchLimits())
        pool = Pool(PoolSettings(2, {"source": str(folder)}, 1), engine)
        starting = asyncio.ensure_future(engine.start(pool))
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns == 100:
            await until(lambda: len(pool.pids) == 2)
        await engine.close()
        if turns:
            with pytest.raises(LoadError, match="told to stop"):
                await starting
        else:
            starting.cancel()

    (uvloop if loop == "uvloop" else asyncio).run(main())
    assert children() == []


def children() -> list[int]:
    """Processes of this one that it has not collected."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and is_ours(int(entry.name))]


def test_debug_shows_tracebacks_in_the_terminal_and_not_to_callers(make_bundle, capfd):
    async def test(engine: Engine, _pool: Pool) -> None:
        assert "hooks_file.py" not in (await ask(engine, 5)).message

    run(make_bundle(), test, debug=True)
    assert "hooks_file.py" in capfd.readouterr().err
    start_error(make_bundle("1 / 0", name="other"), debug=True)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_calls_that_cannot_travel_fail_alone(make_bundle):
    async def test(engine: Engine, pool: Pool) -> None:
        async def odd(columns: dict[str, np.ndarray]) -> object:
            try:
                return (await engine.infer(Columns(columns), None, {}, None))["y"].tolist()
            except ModelError as error:
                return error.message

        found = await asyncio.gather(
            ask(engine, 100),
            odd({"x": np.array([3 + 1j])}),
            odd({"z": np.array([1.0])}),
            odd({"x": np.array([[1.0, 2.0]])}),
            *(ask(engine, n) for n in range(101, 105)),
        )
        assert found[0] == [201]
        assert found[4:] == [[2 * n + 1] for n in range(101, 105)]
        assert "could not be sent" in found[1]
        assert isinstance(found[2], str)
        assert await ask(engine, 9) == [19]

    run(make_bundle(), test)


def test_many_calls_that_cannot_travel_do_not_nest_without_end(make_bundle):
    async def test(engine: Engine, _pool: Pool) -> None:
        async def odd(n: int) -> bool:
            try:
                await engine.infer(Columns({f"x{n}": np.array([1j])}), None, {}, None)
            except ModelError:
                return True
            return False

        assert all(await asyncio.gather(*map(odd, range(3000))))
        assert await ask(engine, 9) == [19]

    run(make_bundle(), test)


FRONT = """
    import asyncio, sys
    from modelport.engine.batcher import BatchLimits
    from modelport.engine.engine import Engine
    from modelport.engine.executor import Identity
    from modelport.engine.pool import Pool, PoolSettings
    from modelport.columns import Columns
    import numpy as np

    async def main():
        engine = Engine(Identity("m"), BatchLimits())
        pool = Pool(PoolSettings(2, {"source": sys.argv[1]}, 1), engine)
        await engine.start(pool)
        while len(pool._free) < 2:
            await asyncio.sleep(0.01)
        pids = pool.pids
        asyncio.ensure_future(engine.infer(Columns({"x": np.array([4.0])}), None, {}, None))
        await asyncio.sleep(0)
        print(*pids, flush=True)
        await asyncio.sleep(100)

    asyncio.run(main())
"""


def test_workers_die_with_a_front_that_is_killed_even_in_an_endless_prediction(make_bundle):
    front = subprocess.Popen([sys.executable, "-c", dedent(FRONT), str(make_bundle())], stdout=subprocess.PIPE, start_new_session=True)
    with front:
        pids = [int(pid) for pid in front.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(is_running, pids))
        watched = [os.pidfd_open(pid) for pid in pids]
        front.kill()

        async def all_gone() -> None:
            async with asyncio.timeout(5):
                await until(lambda: not any(map(is_running, pids)))

        try:
            asyncio.run(all_gone())
        finally:
            for pid, fd in zip(pids, watched, strict=True):
                if is_running(pid):
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
                os.close(fd)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_leave_ctrl_c_and_sigterm_to_the_front(make_bundle, number):
    async def test(engine: Engine, pool: Pool) -> None:
        (pid,) = pool.pids
        os.kill(pid, number)
        assert await ask(engine, 1) == [3]
        assert os.getpgid(pid) != os.getpgid(0)
        assert pool.pids == [pid]

    run(make_bundle(), test)
