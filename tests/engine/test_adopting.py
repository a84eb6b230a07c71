"""From workers to a form: who answers after the first start, and that neither keeps what only the other needs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.engine.adopting import Adopting, Adoption, Isolation
from modelport.engine.batcher import BatchLimits
from modelport.engine.engine import Engine
from modelport.engine.executor import Description, Executor, Identity, Listener
from modelport.engine.probe import Compiled
from modelport.errors import LoadError
from modelport.forms.facts import ROW_MS
from modelport.forms.program.form import Form, dump
from modelport.forms.program.steps import Program, Step
from modelport.schema import Field, Schema

SCHEMA = Schema((Field("x", "float64"),), (Field("y", "float64"),))
PROGRAM = Program(
    (Step("numbers", (0,), {"width": 1, "sources": [["x", None, [0]]], "is_whole": False}), Step("first_column", (1,))), {"y": 2}
)
ROW = Columns({"x": np.array([2.0])})
FORM = Form(SCHEMA, SCHEMA, PROGRAM, ROW, Columns({"y": np.array([2.0])}), {ROW_MS: 0.01})
SLOW = replace(FORM, facts={ROW_MS: 1.5})
WRONG = replace(FORM, expected=Columns({"y": np.array([3.0])}))


class Workers:
    """Stands in for a pool: it has started, found something, and can be closed."""

    restarts, free, is_alive, is_recovering, pids, memory_bytes = 0, 1, True, False, (1, 2), 5

    def __init__(self, found: Compiled) -> None:
        self.compiled = found
        self.is_closed = False

    async def start(self) -> Description:
        return Description(SCHEMA, "native", {"is_row_wise": True})

    async def close(self) -> None:
        self.is_closed = True


def no_original(listener: Listener) -> Executor:
    raise AssertionError("nothing is left to the original")


def adopted(found: Compiled, isolation: Isolation = "auto", known: Compiled | None = None, workers: int = 1) -> tuple[str, bool, object]:
    """Return the form that answers after a start, whether the workers were ended, and what was told."""
    kept: list[Compiled] = []

    def keep(made: Compiled) -> Compiled:
        kept.append(made)
        return made

    async def scene() -> tuple[str, bool, object]:
        pool = Workers(found)
        engine = Engine(Identity("m"), BatchLimits())
        executor = Adopting(pool, Adoption(engine, no_original, keep, isolation, known or Compiled(), workers))  # type: ignore[arg-type]
        described = await executor.start()
        assert pool.compiled == Compiled()
        assert kept == ([] if found == Compiled() else [found])
        assert executor.free and executor.is_alive and not executor.is_recovering and executor.restarts == 0
        assert (list(executor.pids), executor.memory_bytes) == (([], 0) if pool.is_closed else ([1, 2], 5))
        await executor.close()
        return described.form, executor.pids == [], described.details

    return asyncio.run(scene())


@pytest.mark.parametrize(
    ("form", "isolation", "workers", "answers"),
    [
        (FORM, "auto", 1, "compiled"),
        (FORM, "auto", 2, "compiled"),
        (FORM, "process", 2, "native"),
        (SLOW, "auto", 1, "compiled"),
        (SLOW, "auto", 2, "native"),
        (SLOW, "inline", 2, "compiled"),
        (WRONG, "auto", 1, "native"),
    ],
    ids=["fast", "fast, two workers", "process", "slow, one worker", "slow, two workers", "slow, told so", "wrong"],
)
def test_what_answers_after_the_first_start(form: Form, isolation: Isolation, workers: int, answers: str) -> None:
    described, is_inline, _ = adopted(Compiled(dump(form)), isolation, workers=workers)
    assert described == answers
    assert is_inline == (answers == "compiled")


@pytest.mark.parametrize("isolation", ["auto", "process"])
def test_the_reason_why_there_is_no_form_is_told(isolation: Isolation) -> None:
    assert adopted(Compiled(reason="SVC has no other form"), isolation)[2] == {"is_row_wise": True, "no_form": "SVC has no other form"}
    assert adopted(Compiled(), isolation, Compiled(reason="known before"))[2] == {"is_row_wise": True, "no_form": "known before"}
    assert adopted(Compiled(), isolation)[2] == {"is_row_wise": True}


def test_a_form_that_is_required_and_not_there_stops_the_start() -> None:
    with pytest.raises(LoadError, match="--isolation inline: no; leave the flag out"):
        adopted(Compiled(reason="no"), "inline")
    with pytest.raises(LoadError, match="no form was looked for"):
        adopted(Compiled(), "inline")


@pytest.mark.parametrize(("facts", "is_slow"), [({}, False), ({ROW_MS: 0.99}, False), ({ROW_MS: 1}, True), ({ROW_MS: "9"}, False)], ids=str)
def test_rows_of_a_millisecond_are_slow(facts: dict[str, object], is_slow: bool) -> None:
    assert replace(FORM, facts=facts).is_slow is is_slow
