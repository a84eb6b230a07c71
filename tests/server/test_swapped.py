"""A server whose model's files are swapped, and one that is killed: the answers stay, and nothing else does."""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HOOK = """
import json
from pathlib import Path
import beside

class Model:
    def predict(self, x):
        late = json.loads(Path(__file__).with_name("late.json").read_text())
        return x["a"] + beside.NUMBER + late

def load(folder):
    return Model()
"""
MANIFEST = """
format = 1
[hooks]
load = "own.py:load"
[[inputs]]
name = "a"
type = "float64"
[[outputs]]
name = "y"
type = "float64"
"""
SWAPS: dict[str, Callable[[Path, bytes], object]] = {
    "overwritten": lambda path, other: path.write_bytes(other),
    "renamed over": lambda path, other: _rename(path, other),
    "cut short": lambda path, _other: os.truncate(path, path.stat().st_size // 2),
    "removed": lambda path, _other: path.unlink(),
}


def _rename(path: Path, other: bytes) -> None:
    path.with_suffix(".new").write_bytes(other)
    path.with_suffix(".new").rename(path)


def _kill_a_worker(server: object) -> None:
    (worker,) = _children(server.process.pid)
    os.kill(worker, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


@pytest.mark.parametrize("how", SWAPS)
def test_a_worker_that_is_started_later_answers_as_the_first_did(serve: Callable, saved_model: Callable, tmp_path: Path, how: str) -> None:
    """The file is swapped while it is served, then the worker is killed: its successor loads the bytes that were looked at."""
    from sklearn.linear_model import Ridge

    saved = saved_model("regressor")
    path = tmp_path / "model.pkl"
    path.write_bytes(saved.path.read_bytes())
    server = serve(path, "--workers", "1", "--isolation", "process")
    ask = {f"x{at}": [float(value)] for at, value in enumerate(saved.rows[0])}
    before = server.request("/predict", ask)
    assert before[0] == 200
    SWAPS[how](path, pickle.dumps(Ridge(alpha=99).fit(saved.rows, [0.0] * len(saved.rows))))
    _kill_a_worker(server)
    assert server.request("/predict", ask)[2] == before[2]


@pytest.mark.parametrize("how", ["overwritten", "cut short"])
@pytest.mark.parametrize("name", ["own.py", "beside.py", "late.json", "model.toml"])
def test_so_do_hooks_and_what_they_import_and_read(serve: Callable, tmp_path: Path, name: str, how: str) -> None:
    folder = tmp_path / "sums"
    folder.mkdir()
    for file, text in (("own.py", HOOK), ("beside.py", "NUMBER = 10"), ("late.json", "100"), ("model.toml", MANIFEST)):
        (folder / file).write_text(text)
    server = serve(folder, "--workers", "1")
    SWAPS[how](folder / name, (folder / name).read_bytes().replace(b"10", b"77"))
    assert json.loads(server.request("/predict", {"a": [1]})[2]) == [{"y": 111.0}]
    _kill_a_worker(server)
    assert json.loads(server.request("/predict", {"a": [1]})[2]) == [{"y": 111.0}]


def test_a_front_that_is_killed_leaves_no_worker_and_what_it_left_is_removed_by_the_next(
    serve: Callable, saved_model: Callable, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = {"TMPDIR": str(temporary)}
    server = serve(saved_model("regressor").path, "--workers", "2", "--isolation", "process", env=env)
    workers = _children(server.process.pid)
    assert len(workers) == 2
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    for worker in workers:
        _await_end(worker)
    assert list(temporary.iterdir()) != []  # nobody was left to remove it
    other = serve(saved_model("iris").path, "--workers", "1", env=env)
    kept = set(temporary.iterdir())
    command = [Path(sys.executable).with_name("modelport"), "predict", saved_model("regressor").path, "-"]
    rows = json.dumps([[0.0] * 10])
    assert subprocess.run(command, input=rows, text=True, capture_output=True, env=os.environ | env, check=False).returncode == 0
    assert set(temporary.iterdir()) == kept  # what belongs to a living server stays
    assert other.request("/readyz")[0] == 200
    assert other.stop() == 0
    assert list(temporary.iterdir()) == []


def _await_end(pid: int) -> None:
    """Wait for a process that is not a child of ours to be gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([handle], [], [], 20)[0], f"the worker {pid} lives on without its front"
    os.close(handle)
