"""The process that converts, from outside: it is locked in, it may die, it may take too long, and what it makes is looked at."""

from __future__ import annotations

import asyncio
import os
import pickle
import platform
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelport.bundle.folder import open_bundle
from modelport.config import Settings
from modelport.convert.order import Order
from modelport.convert.process import Task, convert
from modelport.engine import landlock, seccomp
from modelport.engine.confinement import Confinement
from modelport.errors import LoadError, ModelportError, NeedsTrust, NotConvertible, SchemaError
from modelport.schema import Schema
from modelport.server.converting import Data, Wish, run

OWN = """
import os
import numpy as np


class Own:
    def fit(self, X, y=None):
        return self

    def predict(self, X):
        {body}
        return np.asarray(X)[:, 0]
"""
TIRED = "import signal; signal.pause()"


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], tuple[Path, Settings]]:
    """Save a model of the user's own class, with a statement in its predict, and give the settings that trust it."""

    def make(body: str) -> tuple[Path, Settings]:
        name = f"own_{tmp_path.name}_{abs(hash(body))}".replace("-", "_")
        code = tmp_path / f"{name}.py"
        code.write_text(OWN.format(body=body))
        sys.path.append(str(tmp_path))
        try:
            model = __import__(name).Own()
            model.n_features_in_ = 1
            (tmp_path / "own.pkl").write_bytes(pickle.dumps(model))
        finally:
            sys.path.remove(str(tmp_path))
            sys.modules.pop(name, None)
        return tmp_path / "own.pkl", Settings(code=(str(code),), trust=(f"{name}.Own",))

    return make


def test_a_process_that_dies_is_reported_and_nothing_is_written(own: Callable[[str], tuple[Path, Settings]], tmp_path: Path) -> None:
    path, settings = own("os._exit(7)")
    with pytest.raises(LoadError, match=r"the process that converts was ended \(exit code 7\)"):
        run(open_bundle(path), Wish("skops", tmp_path / "made.skops"), None, settings)
    assert list(tmp_path.glob("*.skops")) == []


@pytest.mark.skipif(
    sys.platform != "linux" or not landlock.abi() or platform.machine() not in seccomp.PROCESSORS, reason="the kernel has no sandbox"
)
@pytest.mark.parametrize("sandbox", ["require", "off"])
def test_it_is_locked_in(own: Callable[[str], tuple[Path, Settings]], tmp_path: Path, sandbox: str) -> None:
    """What the model's own code writes outside of its folder is denied, so that it answers nothing to compare."""
    target = tmp_path / "outside.txt"
    path, settings = own(f"open({str(target)!r}, 'w').write('out')")
    report = run(open_bundle(path), Wish("skops", tmp_path / "made.skops"), None, replace(settings, sandbox=sandbox))
    assert report["holds"] is (sandbox == "off")
    assert target.exists() is (sandbox == "off")


def test_it_may_not_take_for_ever(own: Callable[[str], tuple[Path, Settings]], tmp_path: Path) -> None:
    path, settings = own(TIRED)
    with pytest.raises(LoadError, match="the model was not converted within 2 s"):
        run(open_bundle(path), Wish("skops", tmp_path / "made.skops"), None, replace(settings, load_timeout=2.0))


def test_a_name_that_nobody_trusts_is_named(own: Callable[[str], tuple[Path, Settings]], tmp_path: Path) -> None:
    path, _ = own("pass")
    with pytest.raises(NeedsTrust, match="Own"):
        run(open_bundle(path), Wish("skops", tmp_path / "made.skops"), None, Settings())


def test_own_classes_go_to_skops_with_their_names_and_to_no_graph(own: Callable[[str], tuple[Path, Settings]], tmp_path: Path) -> None:
    path, settings = own("pass")
    report = run(open_bundle(path), Wish("skops", tmp_path / "made.skops"), None, settings)
    assert report["holds"]
    assert report["trust"] == list(settings.trust)
    with pytest.raises(NotConvertible, match=r"own\.pkl: Own has no graph that skl2onnx"):
        run(open_bundle(path), Wish("onnx", tmp_path / "made.onnx"), None, settings)


def test_without_a_sandbox_it_converts_as_well(saved_model: Callable[[str], object], tmp_path: Path) -> None:
    report = run(open_bundle(saved_model("iris").path), Wish("onnx", tmp_path / "made.onnx"), None, Settings(sandbox="off"))
    assert report["holds"]


def test_a_mistake_in_the_rows_ends_it(saved_model: Callable[[str], object], tmp_path: Path) -> None:
    bundle = open_bundle(saved_model("iris").path)
    with pytest.raises(ModelportError, match="x3"):
        run(bundle, Wish("onnx", tmp_path / "made.onnx"), Data(b"[[1, 2]]", "json"), Settings())
    with pytest.raises(SchemaError, match="no rows"):
        run(bundle, Wish("onnx", tmp_path / "made.onnx"), Data(b"x0,x1,x2,x3\n", "csv"), Settings())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who the children are")
def test_whoever_leaves_leaves_no_process(saved_model: Callable[[str], object], tmp_path: Path) -> None:
    """A question that fails, as when Ctrl-C comes, ends the process and its folder."""
    pids: list[int] = []
    before = _children()

    def ask(schema: Schema) -> None:
        pids.extend(_children() - before)
        raise KeyboardInterrupt

    load = {"source": str(saved_model("iris").path), "trust": [], "code": [], "architecture": None, "debug": False}
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(convert(Task(load, Confinement("off"), 60.0), Order("onnx"), ask))
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIG_DFL)


def _children() -> set[int]:
    return {int(pid) for pid in os.listdir("/proc") if pid.isdecimal() and _parent(int(pid)) == os.getpid()}


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_rows_reach_it_by_their_physical_columns(saved_model: Callable[[str], object], tmp_path: Path) -> None:
    model = saved_model("iris")
    body = ("x0,x1,x2,x3\n" + "\n".join(",".join(map(repr, row)) for row in np.asarray(model.rows).tolist()) + "\n").encode()
    report = run(open_bundle(model.path), Wish("onnx", tmp_path / "made.onnx"), Data(body, "csv"), Settings())
    assert (report["holds"], report["rows"]) == (True, len(model.rows))
