"""The throw-away process: a model version has to live through it before a worker of it gets a request.

Numbers inside a file can send compiled code out of its arrays or into a circle. So the first load, the first prediction and a
set of odd rows are tried where nothing is lost by it; the first worker loads meanwhile, and waits for the verdict.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from modelport import errors
from modelport.columns import Columns
from modelport.engine.process import Command, Worker
from modelport.errors import LoadError, ModelError, ModelportError

_OUT_OF_TIME = -signal.SIGALRM


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the probe found of a form that answers without a worker: its bytes, or why there is none."""

    data: bytes | memoryview = b""
    reason: str = ""


class _Watch:
    """The owner of one process of which only the first word, or the end without one, matters."""

    def __init__(self) -> None:
        self.said: asyncio.Future[Mapping[str, object] | None] = asyncio.get_running_loop().create_future()
        self.columns: Columns | None = None

    def received(self, worker: Worker, header: Mapping[str, object], columns: Columns | None) -> None:
        """Keep the first frame."""
        del worker
        if not self.said.done():
            self.columns = columns
            self.said.set_result(header)

    def ended(self, worker: Worker) -> None:
        """Note that there will be no word."""
        del worker
        if not self.said.done():
            self.said.set_result(None)


async def probe(command: Callable[[], Command], order: Mapping[str, object]) -> Compiled:
    """Load and predict in a process of its own, and end it; ``order`` is the frame that tells a worker what to load.

    Returns what it found of a form, if the order asks for one.

    Raises: LoadError where the process crashed or hung, and what it says itself stood in the way.
    """
    watch = _Watch()
    try:
        worker = await Worker.spawn(command(), watch)
    except OSError as error:
        raise LoadError(f"the process that tries the model first could not be started ({error.strerror}); free some memory") from error
    try:
        worker.send({**order, "is_probe": True})
        said = await watch.said
        if said is None:
            raise LoadError(_verdict(await worker.exit_code()))
        if said.get("kind") != "ready":
            raise rebuild(cast("Mapping[str, object]", said["error"]))
        return findings(said, watch.columns)
    finally:
        worker.kill()  # there is nothing in it to keep
        await worker.stop()


def findings(said: Mapping[str, object], columns: Columns | None) -> Compiled:
    """Return what a process that is ready found of a form, nothing where it did not look for one."""
    return Compiled(columns["form"].tobytes() if columns is not None and "form" in columns else b"", str(said.get("no_form", "")))


def exit_reason(code: int) -> str:
    """Say how a process ended, by its exit code (negative for a signal)."""
    if code == -signal.SIGKILL:
        return "SIGKILL, as when memory runs out"
    return f"signal {-code}, {signal.strsignal(-code)}" if code < 0 else f"exit code {code}"


def rebuild(data: Mapping[str, object]) -> ModelportError:
    """Turn a worker's (code, message) into the error class of that code; an unknown code is a ModelError."""
    by_code = {kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ModelportError)}
    kind = by_code.get(str(data.get("code")), ModelError)
    return kind(str(data.get("message", "the model failed")))


def _verdict(code: int) -> str:
    if code == _OUT_OF_TIME:
        return "the model does not come to an end on the rows that every version is tried with; its file is damaged or was tampered with"
    return (
        f"the process that tries the model first was ended while it loaded or predicted ({exit_reason(code)}); "
        "the file is damaged or was tampered with, or it needs more memory than there is"
    )
