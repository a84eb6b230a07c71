"""The places of fronts under a supervisor. A seat stays when the process on it is replaced."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from modelport.errors import ModelportError
from modelport.server.channel import Channel, Message, Order
from modelport.server.live import Served
from modelport.telemetry.reports import Report


@dataclass(slots=True, eq=False)
class Seat:
    """One front, by its number.

    ``report``: the last that it said of what it counts. ``has_joined``: its process can be asked. ``is_asked``: it owes an answer.
    ``failures``: processes in a row that did not live long. ``ready_s``: when it became ready. ``error``: what it said it fails of.
    ``is_wanted``: False once everything is to stop.
    """

    number: int
    first: asyncio.Future[list[Served]]
    channel: Channel | None = None
    process: asyncio.subprocess.Process | None = None
    report: Report = field(default_factory=Report)
    has_joined: bool = False
    is_asked: bool = False
    is_ready: bool = False
    ready_s: float = 0.0
    failures: int = 0
    error: ModelportError | None = None
    is_wanted: bool = True

    @property
    def name(self) -> str:
        """What people call it: fronts are numbered from 1."""
        return f"front {self.number + 1}"

    @property
    def is_replaced(self) -> bool:
        """Whether a front was ready here, and the one that takes its place is not yet."""
        return self.first.done() and not self.is_ready

    def tell(self, message: Message) -> None:
        """Send it a message, if it can hear."""
        if self.channel is not None:
            self.channel.send(message)

    def kill(self) -> None:
        """End its process at once."""
        if self.process is not None and self.process.returncode is None:
            try:
                self.process.kill()
            except ProcessLookupError:
                return

    def vacate(self) -> None:
        """Forget the process that ended."""
        self.channel = self.process = None
        self.has_joined = self.is_asked = self.is_ready = False
        self.report = Report()


async def occupy(seat: Seat, order: Order, received: Callable[[Seat, Message], None]) -> int:
    """Start a process on the seat, hand on what it says, and return its exit code when it has ended and all is heard.

    It gets a session of its own: a Ctrl-C in the terminal is for the supervisor. Raises: OSError if the system refuses.
    """
    seat.error = None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    silence: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ended() -> None:
        if not silence.done():
            silence.set_result(None)

    channel = Channel(lambda message: received(seat, message), ended)
    try:
        seat.process = await _start(theirs.fileno())
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=ours)
    channel.hand_over(order)
    seat.channel = channel
    if not seat.is_wanted:  # told to stop while it was being started
        seat.tell(Message("stop"))
    code = await seat.process.wait()
    await silence  # its last words may say why
    return code


async def _start(fd: int) -> asyncio.subprocess.Process:
    # This very Python and a module of ours, without a shell; what the front is to do comes over the socket.
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "modelport.server.seated", str(fd)),
        pass_fds=(fd,),
        stdin=subprocess.DEVNULL,
        stdout=2,
        env=os.environ,
        start_new_session=True,
    )
