"""From workers to a compiled form: the version starts in worker processes, and where the probe finds a form, that one answers.

The workers then end, and with them the memory of the model's library. Where there is no form, the workers stay, and
``GET /models`` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import structlog

from modelport.engine.batcher import Batch
from modelport.engine.executor import Description, Executor, Listener, StartOriginal
from modelport.engine.pool import Pool
from modelport.engine.probe import Compiled
from modelport.errors import LoadError
from modelport.forms.facts import PART

if TYPE_CHECKING:
    from modelport.engine.inline import Inline

_log = structlog.get_logger(__name__)

Isolation: TypeAlias = Literal["auto", "process", "inline"]


@dataclass(frozen=True, slots=True)
class Adoption:
    """What is done with a form: who is told of batches, how the original is started, who keeps the form and returns it as it is kept.

    ``isolation``: "inline" and "auto" answer from it in this process, "process" lets the workers do so by themselves;
    with "inline" a version without a form does not start. ``known``: what an earlier start found. ``workers``: where there are
    several and rows take long, "auto" leaves them to those.
    """

    listener: Listener
    start_original: StartOriginal
    keep: Callable[[Compiled], Compiled]
    isolation: Isolation = "auto"
    known: Compiled = field(default_factory=Compiled)
    workers: int = 1


class Adopting:
    """An executor that is a pool first, and an inline one afterwards if it can be."""

    def __init__(self, pool: Pool, adoption: Adoption) -> None:
        self._pool = pool
        self._adoption = adoption
        self._inner: Executor = pool

    async def start(self) -> Description:
        """Start the pool; then, if there is a form, the inline executor, and end the pool.

        Raises: what stops the pool; LoadError where a form is required and there is none.
        """
        described = await self._pool.start()
        adoption = self._adoption
        found, self._pool.compiled = self._pool.compiled, Compiled()  # which may be as large as the model
        if found == Compiled():  # nothing was looked for
            found = adoption.known
        else:
            found = adoption.keep(found)
        if adoption.isolation == "process":
            return _noting(described, found.reason)
        if _is_part(found):
            found = Compiled(reason=PART)
        if adoption.isolation == "inline" and not found.data:
            reason = found.reason or "no form was looked for"
            raise LoadError(f"--isolation inline: {reason}; leave the flag out, and worker processes answer")
        if not found.data:
            return _noting(described, found.reason)
        inline = _inline(found, adoption)
        if inline is None:
            return described
        del found  # what the runtime holds is a copy
        described = await inline.start()
        self._inner = inline
        await self._pool.close()
        return described

    @property
    def restarts(self) -> int:
        """How often a worker was replaced."""
        return self._inner.restarts

    @property
    def free(self) -> int:
        """How many batches would be started at once."""
        return self._inner.free

    @property
    def is_alive(self) -> bool:
        """Whether anything can compute at the moment."""
        return self._inner.is_alive

    @property
    def is_recovering(self) -> bool:
        """Whether a replacement is on its way."""
        return self._inner.is_recovering

    @property
    def pids(self) -> list[int]:
        """Processes of its own."""
        return self._inner.pids

    @property
    def memory_bytes(self) -> int:
        """Resident memory of those."""
        return self._inner.memory_bytes

    def run(self, batch: Batch) -> None:
        """Compute a batch."""
        self._inner.run(batch)

    def abandon(self, batch: Batch) -> None:
        """Stop computing a batch nobody waits for."""
        self._inner.abandon(batch)

    async def close(self) -> None:
        """End everything."""
        await self._inner.close()


def _noting(described: Description, no_form: str) -> Description:
    return replace(described, details={**described.details, "no_form": no_form}) if no_form else described


def _inline(found: Compiled, adoption: Adoption) -> Inline | None:
    """Return what answers from the form in this process; None where workers do better, or the form cannot be used."""
    from modelport.engine.inline import Inline  # brings all operations of forms, which a front of workers need not have
    from modelport.forms.program.form import load, open_form

    try:
        form = load(found.data)
        if adoption.isolation == "auto" and adoption.workers > 1 and form.is_slow:
            return None
        return Inline(form, open_form(form), adoption.listener, adoption.start_original)
    except LoadError as error:  # the workers answer just as well
        _log.warning("the compiled form cannot be used", reason=error.message)
        return None


def _is_part(found: Compiled) -> bool:
    """Whether the form stands for the artifact behind hooks, so that only workers can answer with it."""
    from modelport.forms.program.form import load

    try:
        return bool(found.data) and load(found.data).is_part
    except LoadError:
        return False
