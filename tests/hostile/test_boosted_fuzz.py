"""Changed files of XGBoost and LightGBM: whatever the rules let through, the library itself survives, in a process of its own.

``python test_boosted_fuzz.py LIBRARY COUNT SEED`` runs as many as asked, prints what became of them, and leaves what crashed in files.
"""

from __future__ import annotations

import collections
import copy
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelport.errors import ModelportError
from modelport.formats import ubjson
from modelport.formats.base import Options

ARTIFACTS = Path(__file__).parent.parent / "artifacts"
WHOLE = [-1, 0, 1, 2, 3, 5, 7, 31, 100, -2, 10**9, 2**24, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63)]
REAL = [float("nan"), float("inf"), float("-inf"), 1e38, -1e38, 1e-45, 0.0, -0.5, 3e9, 1e308]
TEXTS = ["", "0", "1", "2", "nan", "5E-1", "[5E-1,5E-1,5E-1]", "gblinear", "dart", "multi:softprob", "binary:logistic", "reg:quantileerror"]
LIMIT_S = 20
CRASHED = "crashed"


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _places(item, (*path, name))
    elif isinstance(value, list):
        for at, item in enumerate(value[:6]):
            yield from _places(item, (*path, at))


def _change(chance: random.Random, value: Any) -> Any:
    """Return another value of the kind."""
    if isinstance(value, np.ndarray):
        with np.errstate(all="ignore"):
            changed = _numbers(chance, value.tolist())
            return np.array(changed, object).astype(np.float64 if value.dtype.kind == "f" else np.int64).astype(value.dtype)
    if isinstance(value, list):
        if value and isinstance(value[0], dict | list):
            return chance.choice([value[:-1], value + value[:1], value[::-1]])
        return _numbers(chance, value)
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if name != chance.choice(sorted(value))} if value else {"x": "1"}
    if isinstance(value, str):
        return chance.choice([*TEXTS, str(chance.choice(WHOLE))])
    return chance.choice(REAL if isinstance(value, float) else WHOLE)


def _numbers(chance: random.Random, values: list[Any]) -> list[Any]:
    found = list(values) or [0]
    act = chance.randrange(8)
    if act == 0:
        return found[: -chance.randrange(1, len(found) + 1)]
    if act == 1:
        return found + found[:1] * chance.choice([1, 2, 10])
    if act == 2:
        return chance.sample(found, len(found))
    for _ in range(chance.choice([1, 1, 2, 4])):
        at = chance.randrange(len(found))
        near = [at, len(found), len(found) - 1, found[chance.randrange(len(found))]]
        found[at] = chance.choice(REAL) if isinstance(found[at], float) else chance.choice(WHOLE + near)
    return found


def _document(chance: random.Random, data: bytes) -> bytes:
    """Change an XGBoost document in up to three places."""
    is_binary = data[1:2] == b"L"
    document = ubjson.read(data) if is_binary else json.loads(data)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        path = chance.choice(list(_places(document)))
        holder = document
        for key in path[:-1]:
            holder = holder[key]
        try:
            holder[path[-1]] = _change(chance, copy.deepcopy(holder[path[-1]]))
        except (OverflowError, ValueError, TypeError):  # a value that the file's own type of number does not have
            continue
    return ubjson.write(document) if is_binary else json.dumps(document).encode()


def _lines(chance: random.Random, data: bytes) -> bytes:
    """Change a LightGBM text in up to three lines."""
    lines = data.split(b"\n")
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        at = chance.choice([at for at, line in enumerate(lines) if b"=" in line])
        name, mark, value = lines[at].partition(b"=")
        act = chance.randrange(10)
        if act == 0:
            del lines[at]
        elif act == 1:
            lines.insert(at, lines[at])
        else:
            changed = _numbers(chance, [part.decode() for part in value.split(b" ")])
            parts = [str(part) for part in changed]
            if act > 6:
                parts[0:1] = [chance.choice(["", "x", "1e400", "1e-310", "--1", "0x10", "1.5", "multiclass num_class:9"])]
            lines[at] = name + mark + " ".join(parts).encode()
    return b"\n".join(lines)


def fate(library: str, data: bytes) -> str:
    """Return "refused" by our rules, or what became of a process that loaded and asked the model."""
    from modelport.formats import lightgbm, lightgbm_file, xgboost, xgboost_file

    module, reader = {"xgboost": (xgboost, xgboost_file), "lightgbm": (lightgbm, lightgbm_file)}[library]
    try:
        content = reader.read(data)
    except ModelportError:
        return "refused"
    child = os.fork()
    if child == 0:
        _ask(module, content)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return CRASHED
    return {0: "answered", 3: "refused by the library"}.get(os.WEXITSTATUS(status), CRASHED)


def _ask(module: Any, content: Any) -> None:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    signal.alarm(LIMIT_S)
    chance, width = np.random.default_rng(0), content.features
    rows = [np.zeros((1, width)), np.full((3, width), np.nan), chance.normal(0, 3, (70, width)), np.full((2, width), 1e30)]
    rows.append(chance.integers(-3, 40, (70, width)).astype(float))
    try:
        predictor = module.predictor_of(content, Options())
        for each in rows:
            try:
                predictor.compute(each, [item.name for item in predictor.schema.outputs])
            except predictor.failures:
                continue
    except ModelportError:
        os._exit(3)
    except BaseException:
        os._exit(4)
    os._exit(0)


def run(library: str, count: int, seed: int) -> tuple[dict[str, int], list[bytes]]:
    """Change files of every version, so many times; return what became of them, and those that crashed the library."""
    chance = random.Random(seed)
    files = [path for path in sorted((ARTIFACTS / library).glob("*/*")) if path.suffix not in (".npz", ".pkl", ".model")]
    fates: collections.Counter[str] = collections.Counter()
    crashed = []
    for _ in range(count):
        change = _document if library == "xgboost" else _lines
        data = change(chance, chance.choice(files).read_bytes())
        fates[found := fate(library, data)] += 1
        if found == CRASHED:
            crashed.append(data)
    return dict(fates), crashed


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks a process for every file")
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_no_changed_file_that_is_let_through_crashes_its_library(library: str, tmp_path: Path) -> None:
    """In a process of its own: the threads of a library that has computed already do not survive a fork."""
    pytest.importorskip(library)
    line = [sys.executable, __file__, library, "300", "5"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    fates = json.loads(done.stdout)
    assert CRASHED not in fates
    assert fates["refused"] > 100
    assert fates["answered"] > 50


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore")
    importlib.import_module(sys.argv[1])
    found, failing = run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    for at, data in enumerate(failing):
        Path(f"crashed-{at}").write_bytes(data)
    print(json.dumps(found))
