"""The process that converts, as whoever asked for it sees it: what it is told, what it says, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from modelport.bundle.private import PrivateFolder
from modelport.columns import Columns
from modelport.convert.order import Order
from modelport.engine import confinement
from modelport.engine.confinement import Confinement
from modelport.engine.probe import exit_reason, rebuild
from modelport.engine.process import Command, Worker
from modelport.errors import LoadError
from modelport.schema import Schema

Ask = Callable[[Schema], Columns | None]
_ENTRIES = {"modelport.engine.worker": "modelport.convert.worker", "modelport.engine.confined": "modelport.convert.confined"}


@dataclass(frozen=True, slots=True)
class Task:
    """What the process loads, how it is held, and how long it may take. ``load``: what a worker is told, with paths of a snapshot."""

    load: Mapping[str, object]
    held: Confinement
    limit_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The report of a conversion and the file, which is empty where it may not be handed over."""

    report: Mapping[str, object]
    data: bytes


class _Ear:
    """The owner of the process: keeps what it says until somebody asks."""

    def __init__(self) -> None:
        self._said: asyncio.Queue[tuple[Mapping[str, object], Columns | None] | None] = asyncio.Queue()

    def received(self, worker: Worker, header: Mapping[str, object], columns: Columns | None) -> None:
        """Keep a frame."""
        del worker
        self._said.put_nowait((header, columns))

    def ended(self, worker: Worker) -> None:
        """Note that there will be no more."""
        del worker
        self._said.put_nowait(None)

    async def next(self, worker: Worker) -> tuple[Mapping[str, object], Columns | None]:
        """Wait for a frame. Raises: LoadError where the process ended without one, and what it says itself stood in the way."""
        said = await self._said.get()
        if said is None:
            reason = exit_reason(await worker.exit_code())
            raise LoadError(
                f"the process that converts was ended ({reason}); the file is damaged or was tampered with, "
                "or it needs more memory than there is"
            )
        if said[0].get("kind") == "failed":
            raise rebuild(cast("Mapping[str, object]", said[0]["error"]))
        return said


async def convert(task: Task, order: Order, ask: Ask) -> Answer:
    """Convert in a process of its own. ``ask`` makes the physical rows to compare on from the model's schema.

    Raises: what stood in the way of loading or converting, what ``ask`` raises; LoadError where the process ends or takes too long.
    """
    folder = PrivateFolder()
    ear = _Ear()
    try:
        worker = await Worker.spawn(_command(task, folder), ear)
        try:
            async with asyncio.timeout(task.limit_s):
                answer = await _talk(worker, ear, (task, order), ask)
            await worker.stop()
            return answer
        except TimeoutError:
            raise LoadError(
                f"the model was not converted within {task.limit_s:.0f} s; give it longer with MODELPORT_LOAD_TIMEOUT, or fewer rows"
            ) from None
        finally:
            worker.kill()  # where it was left in the middle
            await worker.stop()
    except OSError as error:
        raise LoadError(f"the process that converts could not be started ({error.strerror}); free some memory") from error
    finally:
        await asyncio.to_thread(folder.remove)


async def _talk(worker: Worker, ear: _Ear, asked: tuple[Task, Order], ask: Ask) -> Answer:
    task, order = asked
    worker.send({"kind": "load", **task.load, "sandbox": task.held.setting})
    header, _ = await ear.next(worker)
    rows = ask(Schema.from_dict(cast("Mapping[str, object]", header["schema"])))
    worker.send({"kind": "convert", "order": replace(order, has_data=rows is not None).to_dict()}, rows)
    header, columns = await ear.next(worker)
    data = b"" if columns is None else columns["file"].tobytes()
    return Answer(cast("Mapping[str, object]", header["report"]), data)


def _command(task: Task, folder: PrivateFolder) -> Command:
    made = confinement.command(task.held, 1, folder.path)
    return replace(made, arguments=tuple(_ENTRIES.get(part, part) for part in made.arguments))
