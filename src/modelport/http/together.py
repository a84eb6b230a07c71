"""Answers that speak for all fronts: asked of any of them, they hold what the others say as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from modelport.errors import ModelportError, NotReady
from modelport.http.heads import Answer, failure, render
from modelport.http.request import Request
from modelport.telemetry.metrics import Tally
from modelport.telemetry.reports import Everybody, Report

_log = structlog.get_logger(__name__)


class Peers(Protocol):
    """The other fronts of this server."""

    def ask(self, own: Report, done: Callable[[Everybody | None], None]) -> None:
        """Ask all others what they count, and call ``done`` with the sum, ``own`` included; None where nobody answers in time."""
        ...


@dataclass(slots=True)
class Together:
    """One answer that waits for the other fronts. ``write`` makes it, on the loop's thread; ``clock`` times it from ``began_s`` on."""

    request: Request
    tally: Tally
    write: Callable[[Everybody], Answer]
    clock: Callable[[], float]
    began_s: float = 0.0
    is_wanted: bool = True

    def start(self, peers: Peers, own: Report) -> None:
        """Ask; the answer is sent when the others have spoken, or their time is up."""
        self.began_s = self.clock()
        self.request.work = self
        peers.ask(own, self._done)

    def cancel(self) -> None:
        """Forget it: the caller left."""
        self.is_wanted = False

    def _done(self, everybody: Everybody | None) -> None:
        if not self.is_wanted:
            return
        self.request.work = None
        error = None
        try:
            if everybody is None:
                raise NotReady("the other processes of this server did not answer in time; try again", retry_after_s=1)
            answer = self.write(everybody)
        except ModelportError as caught:
            answer, error = failure(caught), caught.code
        except Exception:  # noqa: BLE001  # as for every request: one that fails must not take the others with it
            _log.exception("a request failed", request=self.request.id.decode(), target=self.request.target.decode("latin-1"))
            broken = ModelportError("the server could not answer this request; its log says why")
            answer, error = failure(broken), broken.code
        self.tally.count(answer.status, error)
        self.request.sink.answer(self.request, render(answer, self.request, self.clock() - self.began_s))
