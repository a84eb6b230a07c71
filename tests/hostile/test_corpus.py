"""Every hostile and every damaged file is refused with one sentence and a stable code, and runs nothing."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from modelport.bundle.folder import open_bundle
from modelport.config import resolve
from modelport.errors import ModelportError
from modelport.server import once


def _corpus() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hostile_corpus", Path(__file__).with_name("corpus.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CORPUS = _corpus()
HOSTILE = {(group, name): write for group, make in CORPUS.HOSTILE.items() for name, write in make().items()}
CORRUPT = CORPUS.corrupt()
# One of each kind goes through a worker; the loaders' own tests hold all of them against the loader.
SAMPLE = [
    ("onnx", "data through a link"),
    ("onnx", "data that is short"),
    ("pickle", "reduce, protocol 4"),
    ("pickle", "in xz"),
    ("keras", "external link"),
    ("keras", "Lambda"),
    ("onnx", "data far above"),
    ("onnx", "operator of a library"),
    ("xgboost", "three.json, a child far away"),
    ("xgboost", "categories.ubj, a segment outside"),
    ("lightgbm", "three.txt, a child far away"),
    ("booster", "a child far away, XGBoost"),
    ("booster", "a child far away, LightGBM"),
    ("bundle", "trust for what is never trusted"),
    ("bundle", "another digest"),
]


def test_the_corpus_is_large_enough() -> None:
    assert len(HOSTILE) >= 80
    assert len(CORRUPT) >= 40
    assert set(SAMPLE) <= set(HOSTILE)


@pytest.mark.parametrize("case", HOSTILE, ids="/".join)
def test_inspect_refuses_what_is_hostile_and_runs_nothing(case: tuple[str, str], tmp_path: Path) -> None:
    code, sentence = CORPUS.verdict(HOSTILE[case](tmp_path))
    assert code in (2, 3)
    assert re.match(r"[a-z_]+: \S.*\Z", sentence)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("case", CORRUPT)
def test_inspect_refuses_what_is_damaged(case: str, tmp_path: Path) -> None:
    code, sentence = CORPUS.verdict(CORRUPT[case](tmp_path))
    assert code in (2, 3)
    assert re.match(r"[a-z_]+: \S.*\Z", sentence)


@pytest.mark.slow
@pytest.mark.parametrize("case", SAMPLE, ids="/".join)
def test_a_worker_refuses_to_load_it(case: tuple[str, str], tmp_path: Path) -> None:
    path = HOSTILE[case](tmp_path)
    with pytest.raises(ModelportError) as caught:
        once.describe(open_bundle(path), resolve({}, environment={}))
    assert caught.value.exit_code in (1, 2, 3)
    assert "\n" not in caught.value.message
    assert not (tmp_path / "marker").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize("group", [*CORPUS.HOSTILE, "corrupt"])
def test_looking_takes_little_memory(group: str, tmp_path: Path) -> None:
    """Peak memory of one process that inspects a whole group, in MiB."""
    cases = CORRUPT if group == "corrupt" else {name: write for (each, name), write in HOSTILE.items() if each == group}
    paths = []
    for at, write in enumerate(cases.values()):
        folder = tmp_path / str(at)
        folder.mkdir()
        paths.append(str(write(folder)))
    line = [sys.executable, CORPUS.__file__, *paths]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    print(group, done.stdout)
    assert json.loads(done.stdout)["peak_mib"] < 200
