"""Watch: the one timer of a connection.

It is armed lazily: it wakes at the earliest moment at which something could be overdue, looks, and sleeps on. So a request
that comes and goes costs a few assignments, not a timer. All times are the loop's.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from modelport.http.limits import HttpLimits

LATE_S = 0.02  # a timer that wakes later than this woke in a loop that was busy


class Watched(Protocol):
    """What the watch asks of its connection, and does to it."""

    def is_receiving(self) -> bool:
        """Whether a request has begun and its rest is expected."""
        ...

    def is_in_head(self) -> bool:
        """Whether it is the head that is not complete."""
        ...

    def is_waiting(self) -> bool:
        """Whether the client waits for us."""
        ...

    def unsent_bytes(self) -> int:
        """Bytes that the client has not taken."""
        ...

    def time_out(self) -> None:
        """Refuse the request that does not arrive."""
        ...

    def cut(self) -> None:
        """End the connection now."""
        ...


class Watch:
    """Times of one connection. ``heard_s``: its last byte, written by the connection itself, which is its hottest line."""

    __slots__ = (
        "_begun_s",
        "_connection",
        "_idle_s",
        "_limits",
        "_linger_s",
        "_loop",
        "_stall_s",
        "_timer",
        "_unsent",
        "_was_late",
        "heard_s",
    )

    def __init__(self, connection: Watched, limits: HttpLimits, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._limits = limits
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._begun_s = self.heard_s = loop.time()
        self._idle_s: float | None = None
        self._stall_s: float | None = None
        self._linger_s: float | None = None
        self._unsent = 0
        self._was_late = False

    def begin(self) -> None:
        """The first byte of a request came."""
        self._begun_s = self.heard_s

    def answered(self) -> None:
        """An answer was sent; the connection may be idle from now on."""
        self._idle_s = self._loop.time()
        if self._timer is None:
            self.arm()

    def stalled(self, unsent_bytes: int) -> None:
        """The client does not take what we send."""
        self._stall_s = self._loop.time()
        self._unsent = unsent_bytes
        self.arm()

    def flowing(self) -> None:
        """The client takes what we send again; what it owed us meanwhile is forgiven."""
        self._stall_s = None
        self.heard_s = self._begun_s = self._loop.time()
        self.arm()

    def linger(self) -> None:
        """The connection was refused; its client may still read why."""
        self._linger_s = self._loop.time()
        self.arm()

    @property
    def is_stalled(self) -> bool:
        """Whether the client does not take what we send."""
        return self._stall_s is not None

    def stop(self) -> None:
        """The connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def arm(self) -> None:
        """Make sure that the timer wakes no later than something is due."""
        due = self._due()
        if due is None or (self._timer is not None and self._timer.when() <= due + 0.001):
            return
        self.stop()
        self._timer = self._loop.call_at(due, self._wake)

    def _due(self) -> float | None:
        limits, connection = self._limits, self._connection
        if self._stall_s is not None:
            return self._stall_s + limits.send_s
        if self._linger_s is not None:
            return min(self.heard_s + limits.linger_s, self._linger_s + limits.head_s)
        if connection.is_receiving():
            due = self.heard_s + limits.silence_s
            return min(due, self._begun_s + limits.head_s) if connection.is_in_head() else due
        if connection.is_waiting():
            return None
        if self._idle_s is None:
            return self.heard_s + limits.silence_s
        return self._idle_s + limits.idle_s

    def _wake(self) -> None:
        self._timer = None
        due = self._due()
        if due is None:
            return
        late_s = self._loop.time() - due
        if late_s < -0.001:  # a loop whose clock ticks in milliseconds may wake us that much early
            self._timer = self._loop.call_at(due, self._wake)
            return
        if late_s > LATE_S and not self._was_late:  # the loop was busy: what came meanwhile is read before we look again
            self._was_late = True
            self._timer = self._loop.call_later(LATE_S, self._wake)
            return
        self._was_late = False
        unsent = self._connection.unsent_bytes()
        if self._stall_s is not None and unsent < self._unsent:
            self.stalled(unsent)
        elif self._stall_s is None and self._linger_s is None and self._connection.is_receiving():
            self._connection.time_out()
        else:
            self._connection.cut()
