"""A front's question for what all fronts count: passed on to the others, added up, answered in bounded time.

A front that hangs is left out of the waiting: its last numbers count, and the answer names it as missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modelport.server.channel import Message
from modelport.server.seats import Seat
from modelport.telemetry.reports import Report, retired, total

ANSWER_S = 0.5


@dataclass(slots=True, eq=False)
class Question:
    """Who asks, under which number, and whose answer is still to come."""

    seat: Seat
    id: int
    waits_for: set[Seat]
    timer: asyncio.TimerHandle | None = None


class Questions:
    """All questions that are open. ``tell`` is called with each as soon as all have answered, or their time is up."""

    def __init__(self, tell: Callable[[Question], None]) -> None:
        self._tell = tell
        self._open: list[Question] = []

    def ask(self, seat: Seat, number: int, others: Iterable[Seat]) -> None:
        """Pass a question on. A front that owes an answer already is not asked twice."""
        question = Question(seat, number, {other for other in others if other.has_joined})
        self._open.append(question)
        question.timer = asyncio.get_running_loop().call_later(ANSWER_S, self._close, question)
        for other in question.waits_for:
            if not other.is_asked:
                other.is_asked = True
                other.tell(Message("report"))
        self._settle()

    def answered(self, seat: Seat) -> None:
        """Take a front's answer, which is its report, for all questions that wait for it."""
        seat.is_asked = False
        self.left(seat)

    def left(self, seat: Seat) -> None:
        """Wait no more for a front."""
        for question in self._open:
            question.waits_for.discard(seat)
        self._settle()

    def _settle(self) -> None:
        for question in [each for each in self._open if not each.waits_for]:
            self._close(question)

    def _close(self, question: Question) -> None:
        if question in self._open:
            self._open.remove(question)
            if question.timer is not None:
                question.timer.cancel()
            self._tell(question)


def together(seats: Iterable[Seat], gone: Report) -> Report:
    """Return the sum of what all fronts last said, with those that are gone.

    Of one that is being replaced only what it counted: it takes no connections yet, so that nobody meets its loading model.
    """
    present = [seat for seat in seats if seat.has_joined]
    return total([gone, *(retired(seat.report) if seat.is_replaced else seat.report for seat in present)])
