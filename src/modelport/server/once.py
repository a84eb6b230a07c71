"""A model at work once, without sockets: one worker process, a question, its end.

The worker loads the file, as it does for ``serve``; this process never opens it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from modelport.bundle.folder import Bundle
from modelport.bundle.private import sweep
from modelport.bundle.snapshot import Snapshot, take
from modelport.columns import Columns, concat
from modelport.config import Settings
from modelport.engine.batcher import BatchLimits
from modelport.engine.engine import Engine
from modelport.engine.executor import Executor, Identity
from modelport.schema import Schema
from modelport.server import kept
from modelport.server.environments import Place, place
from modelport.server.proven import key_of
from modelport.server.workers import Staff, executor, options, pool
from modelport.telemetry import logs
from modelport.wire.base import Call
from modelport.wire.native import codec

Ask: TypeAlias = Callable[[Schema], Call]


def describe(bundle: Bundle, settings: Settings) -> Schema:
    """Load a model and return what it takes and answers.

    Raises: what stands in the way of loading it.
    """
    sweep()
    with take(bundle, options(settings)) as snapshot:
        return asyncio.run(_describe(snapshot, settings, _place(snapshot, settings)))


def predict(bundle: Bundle, settings: Settings, ask: Ask) -> bytes:
    """Load a model, ask it once, and return the records as ``serve`` would answer them.

    ``ask`` makes the call from the model's schema. More rows than a request may hold go to the model in several chunks.
    Raises: what stands in the way of loading it, what ``ask`` raises, ModelError where the model fails on the rows.
    """
    sweep()
    with take(bundle, options(settings)) as snapshot:
        return asyncio.run(_predict(snapshot, settings, ask, _place(snapshot, settings)))


def _place(snapshot: Snapshot, settings: Settings) -> Place:
    return place(snapshot, settings, lambda text: print(text, file=sys.stderr))  # noqa: T201  # what takes long says so


async def _describe(snapshot: Snapshot, settings: Settings, where: Place) -> Schema:
    async with _engine(snapshot, settings, where) as engine:
        return engine.schema


async def _predict(snapshot: Snapshot, settings: Settings, ask: Ask, where: Place) -> bytes:
    async with _engine(snapshot, settings, where) as engine:
        call = ask(engine.schema)
        rows, step = call.columns.rows, settings.max_rows
        chunks = [call.columns.slice(start, min(start + step, rows)) for start in range(0, rows, step)]
        answers: list[Columns] = [await engine.infer(chunk, call.outputs, call.params, None) for chunk in chunks]
        return codec(engine.schema).encode(concat(answers), call)


def _executor(snapshot: Snapshot, engine: Engine, settings: Settings, where: Place) -> Executor:
    """Return what ``serve`` would answer from: the form that it kept, or a worker that makes one, so that the bytes are the same."""
    key = key_of(snapshot, settings)
    staff = Staff(1, where, is_probed=False, is_formed=settings.isolation != "process")
    if kept.find(key) is not None:
        return executor(snapshot, engine, settings, staff, key)
    return pool(snapshot, engine, settings, staff)


@asynccontextmanager
async def _engine(snapshot: Snapshot, settings: Settings, where: Place) -> AsyncIterator[Engine]:
    logs.configure("json" if settings.log_format == "json" else "text", "debug" if settings.debug else "warning")
    manifest = snapshot.bundle.manifest
    limits = BatchLimits(max_rows=manifest.batch.max_rows, is_batched=manifest.batch.is_enabled, max_queued_rows=settings.max_rows)
    engine = Engine(Identity(manifest.name, manifest.version), limits)
    await engine.start(_executor(snapshot, engine, settings, where))
    try:
        yield engine
    finally:
        await engine.close()
