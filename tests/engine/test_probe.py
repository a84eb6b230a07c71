"""A version that crashes or hangs where nothing is lost never gets a request, and says so in one sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.engine.batcher import BatchLimits
from modelport.engine.engine import Engine
from modelport.engine.executor import Identity
from modelport.engine.pool import Pool, PoolSettings
from modelport.engine.rehearsal import varied
from modelport.errors import LoadError, ModelError
from modelport.schema import Field, Schema

PLAIN = """
    class Model:
        def predict(self, x): return x["x"] * 2 + 1
    def load(folder):
        return Model()
"""
CRASH = """
    import ctypes
    class Model:
        def predict(self, x):
            if len(x) == 64: ctypes.string_at(0)
            return x["x"]
    def load(folder):
        return Model()
"""
HANG = """
    class Model:
        def predict(self, x):
            if len(x) == 64:
                while True: pass
            return x["x"]
    def load(folder):
        return Model()
"""
GREEDY = """
    import os
    import numpy as np
    class Model:
        def predict(self, x):
            if len(x) == 64 or (x["x"] == 77).any():  # not touched: what is counted is what could be written to
                np.empty(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 100 * 95, np.uint8)
            return x["x"]
    def load(folder):
        return Model()
"""
MOODY = """
    class Model:
        def predict(self, x):
            if len(x) == 64: raise ValueError("too many")
            return x["x"]
    def load(folder):
        return Model()
"""


def serve(folder: Path, workers: int = 1, value: float = 1.0) -> tuple[list[float], int]:
    async def run() -> tuple[list[float], int]:
        engine = Engine(Identity("m"), BatchLimits())
        pool = Pool(PoolSettings(workers, {"source": str(folder)}, 1, is_probed=True), engine)
        try:
            await engine.start(pool)
            answer = await engine.infer(Columns({"x": np.array([value])}), None, {}, None)
            return answer["y"].tolist(), pool.restarts
        finally:
            await engine.close()

    return asyncio.run(run())


def test_a_version_that_passes_is_served(make_bundle: Callable[..., Path]) -> None:
    assert serve(make_bundle(PLAIN), workers=2) == ([3.0], 0)


def test_a_version_that_crashes_on_varied_rows_is_not_ready(make_bundle: Callable[..., Path]) -> None:
    with pytest.raises(LoadError, match=r"tries the model first was ended while it loaded or predicted \(signal 11"):
        serve(make_bundle(CRASH))


@pytest.mark.slow
def test_a_version_that_hangs_on_varied_rows_is_not_ready(make_bundle: Callable[..., Path]) -> None:
    with pytest.raises(LoadError, match="does not come to an end on the rows that every version is tried with"):
        serve(make_bundle(HANG))


def test_a_version_that_takes_all_memory_is_not_ready(make_bundle: Callable[..., Path]) -> None:
    with pytest.raises(LoadError, match="not enough memory to predict 64 rows"):
        serve(make_bundle(GREEDY))


def test_one_that_passed_may_use_what_the_system_gives(make_bundle: Callable[..., Path]) -> None:
    """The same memory is there for the same hook without the limit, so that it is the limit that the other test sees."""
    folder = make_bundle(GREEDY.replace("len(x) == 64 or ", ""))
    assert serve(folder, value=77.0) == ([77.0], 0)


def test_an_exception_on_varied_rows_is_an_answer(make_bundle: Callable[..., Path]) -> None:
    assert serve(make_bundle(MOODY)) == ([1.0], 0)


def test_what_does_not_load_is_said_once(make_bundle: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="the load hook failed: ValueError: no"):
        serve(make_bundle("def load(folder):\n    raise ValueError('no')\n"))


def test_varied_rows_fit_the_schema() -> None:
    inputs = (
        Field("a", "float64", nullable=True),
        Field("b", "float64"),
        Field("n", "int8"),
        Field("u", "uint64"),
        Field("flag", "bool"),
        Field("text", "string", max_length=10, nullable=True),
        Field("kind", "string", categories=("x", "y"), closed=True),
        Field("image", "float32", (2, None)),
        Field("key", "int64", role="key"),
    )
    schema = Schema(inputs)
    seen = list(varied(schema, is_own_code=False))
    assert {rows.rows for rows in seen} == {1, 2, 64}
    for rows in seen:
        columns = schema.unpack(rows)
        for item in inputs:
            assert columns[item.name].dtype == item.dtype
        assert set(columns["kind"].tolist()) <= {"x", "y"}
        assert all(value is None or len(value) <= 10 for value in columns["text"].tolist())
    assert any(np.isnan(schema.unpack(rows)["a"]).any() for rows in seen)
    assert not any(np.isnan(schema.unpack(rows)["b"]).any() for rows in seen)
    assert np.abs([schema.unpack(rows)["b"].max() for rows in varied(schema, is_own_code=True)]).max() < 100
