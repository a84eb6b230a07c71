"""Serving a bundle whose hooks call a network: the second start opens what the first one proved, whatever became of that."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).parents[2] / "examples" / "sentiment"
TEXTS = ["I am well", "", "word " * 500, "Überraschung 😀", "a dreadful, dreadful film"]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "modelport" / "forms"


def model_of(server: object) -> dict[str, object]:
    (model,) = json.loads(server.request("/models")[2])["models"]
    return {name: model[name] for name in ("form", "workers", "no_form", "is_row_wise")}


def libraries_of_children(pid: int) -> str:
    """Return what files the processes that this one started have mapped."""
    found = ""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # a process that has ended meanwhile
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found += (folder / "maps").read_text()
    return found


def scores(server: object) -> list[float]:
    """Return the scores of the texts in one request and, which must be the same, in one each."""
    status, headers, body = server.request("/sentiment", {"ref": list(range(len(TEXTS))), "text": TEXTS})
    assert status == 200
    assert {name.lower(): value for name, value in headers.items()}["x-model-form"] == "onnx"
    found = [record["Sentiment_Score"] for record in json.loads(body)]
    alone = [json.loads(server.request("/sentiment", {"ref": 1, "text": text})[2])["Sentiment_Score"] for text in TEXTS]
    assert found == pytest.approx(alone, abs=0.0101)  # next to the middle of two hundredths a score may fall on either side
    return found


def test_the_next_start_answers_from_the_kept_network(serve: Callable, env: dict[str, str], kept: Path) -> None:
    first = serve(EXAMPLE, "--workers", "1", env=env)
    told, answers = model_of(first), scores(first)
    assert told == {"form": "onnx", "workers": 1, "no_form": "hooks of its own have a part in the answer", "is_row_wise": True}
    assert first.stop() == 0
    (file,) = kept.iterdir()
    written = file.stat().st_mtime_ns
    second = serve(EXAMPLE, "--workers", "1", env=env)
    assert model_of(second) == told
    assert scores(second) == pytest.approx(answers, abs=0.0101)
    libraries = libraries_of_children(second.process.pid)
    assert "onnxruntime" in libraries
    assert "hdf5" not in libraries
    assert second.stop() == 0
    assert file.stat().st_mtime_ns == written


@pytest.mark.parametrize("damage", ["cut", "changed", "removed"])
def test_what_became_of_the_kept_network_changes_no_answer(serve: Callable, env: dict[str, str], kept: Path, damage: str) -> None:
    first = serve(EXAMPLE, "--workers", "1", env=env)
    told, answers = model_of(first), scores(first)
    assert first.stop() == 0
    (file,) = kept.iterdir()
    whole = file.read_bytes()
    if damage == "removed":
        file.unlink()
    else:
        middle = len(whole) // 2
        file.write_bytes(whole[:-5] if damage == "cut" else whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    second = serve(EXAMPLE, "--workers", "1", env=env)
    assert model_of(second) == told
    assert scores(second) == pytest.approx(answers, abs=0.0101)
    assert second.stop() == 0
    (again,) = kept.iterdir()
    assert (again.name, again.stat().st_size) == (file.name, pytest.approx(len(whole), abs=4096))


def test_inline_is_refused_with_the_reason_whether_or_not_a_network_is_kept(serve: Callable, env: dict[str, str]) -> None:
    command = Path(sys.executable).with_name("modelport")
    line = [command, "serve", EXAMPLE, "--port", "0", "--isolation", "inline"]
    for _ in range(2):
        done = subprocess.run(line, capture_output=True, text=True, env=os.environ | env, timeout=300)
        assert done.returncode == 1
        assert "--isolation inline: hooks of its own have a part in the answer; leave the flag out" in done.stderr
        serve(EXAMPLE, "--workers", "1", env=env).stop()
