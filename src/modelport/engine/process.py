"""One worker process as the front sees it: spawn, the socket, frames in and out, its end.

The event loop is told of everything: an answer by ``data_received``, a death by ``connection_lost``. Nothing polls.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from modelport.columns import Array, Columns
from modelport.engine import core

_GRACE_S = 2.0
_DYING_S = 0.5
_PREFIX_BYTES = core.PREFIX.size
_JOINED_BYTES = 64 * 1024
_MOST_BUFFERS = 64


class Owner(Protocol):
    """Who is told what a worker does; the pool."""

    def received(self, worker: Worker, header: Mapping[str, object], columns: Columns | None) -> None:
        """A whole frame came."""
        ...

    def ended(self, worker: Worker) -> None:
        """The connection closed: the process is gone or going. Called once."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """How a worker is started: the argument list (the socket's file descriptor is appended) and its environment.

    ``scratch``: a folder of its own, removed when it has ended. ``folder``: the one it starts in, by default the front's.
    """

    # -P: Python would import from the current folder first, and a model's json.py would run before the worker has locked itself in.
    arguments: tuple[str, ...] = (sys.executable, "-P", "-m", "modelport.engine.worker")
    environment: Mapping[str, str] | None = None
    scratch: Path | None = None
    folder: Path | None = None


class Worker(asyncio.Protocol):
    """A worker process and its socket. Its life: starting -> ready <-> busy -> ended."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.WriteTransport | None = None
        self._chunks: list[bytes] = []
        self._have = 0
        self._need = _PREFIX_BYTES
        self._process: asyncio.subprocess.Process | None = None
        self._waiter: asyncio.Task[int] | None = None
        self._is_stopping = False
        self.is_ready = False
        self.has_ended = False
        self.pid = 0

    @classmethod
    async def spawn(cls, command: Command, owner: Owner) -> Worker:
        """Start a process and connect to it. Raises: OSError if the system refuses.

        It gets a session of its own: a Ctrl-C in the terminal is for the front, which drains before its workers end.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        worker = cls(owner)
        starting = asyncio.ensure_future(_start(command, theirs.fileno()))
        try:
            ours.setblocking(False)
            try:
                await asyncio.shield(starting)
            finally:  # cancelled in the middle, too: what was started has to be known to be ended
                worker._adopt(await starting, command.scratch)
            await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=ours)
        except BaseException:
            worker.has_ended = True
            if worker._transport is None:
                ours.close()
            else:
                worker._transport.abort()
            worker.kill()
            await worker.exit_code()
            raise
        finally:
            theirs.close()
        return worker

    def _adopt(self, process: asyncio.subprocess.Process, scratch: Path | None) -> None:
        self._process = process
        self.pid = process.pid
        self._waiter = asyncio.ensure_future(_end(process, scratch))

    def send(self, header: Mapping[str, object], columns: Mapping[str, Array] | None = None) -> None:
        """Write one frame. A worker that has ended swallows it: its owner has been or will be told."""
        if self._transport is not None and not self.has_ended:
            buffers = core.encode(header, columns)
            # uvloop hands the buffers of a large frame to the kernel where they lie; a small one costs less as one.
            if len(buffers) <= _MOST_BUFFERS and sum(map(len, buffers)) > _JOINED_BYTES:
                self._transport.writelines(buffers)
            else:
                self._transport.write(b"".join(buffers))

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None and self._process.returncode is None:
            try:
                self._process.kill()
            except ProcessLookupError:
                return

    async def stop(self) -> None:
        """Close the socket, which a worker takes as its end; kill it if it is not gone in two seconds."""
        self._is_stopping = True
        if self._transport is not None:
            self._transport.close()
        if self._waiter is None:
            return
        try:
            await asyncio.wait_for(asyncio.shield(self._waiter), _GRACE_S)
        except TimeoutError:
            self.kill()
            await self._waiter

    async def exit_code(self) -> int:
        """Wait for the process to end and return its code, negative for a signal."""
        return 0 if self._waiter is None else await asyncio.shield(self._waiter)

    def memory_bytes(self) -> int:
        """Resident memory, 0 where the system does not say."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as file:  # noqa: PTH123  # a kernel file, opened at every scrape
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            return 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by the loop)."""
        self._transport = cast("asyncio.WriteTransport", transport)  # what a stream connection gives; uvloop's is no subclass
        self._transport.set_write_buffer_limits(high=64 * 1024 * 1024)

    def data_received(self, data: bytes) -> None:
        """Gather bytes into frames (called by the loop)."""
        self._chunks.append(data)
        self._have += len(data)
        while self._have >= self._need:
            joined = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            head_bytes, body_bytes = core.decode_prefix(joined)
            total = _PREFIX_BYTES + head_bytes + body_bytes
            if len(joined) < total:
                self._chunks = [joined]
                self._need = total
                return
            start = _PREFIX_BYTES + head_bytes
            header, arrays = core.decode(joined, joined[_PREFIX_BYTES:start], memoryview(joined)[start:total])
            rest = joined[total:]
            self._chunks = [rest] if rest else []
            self._have = len(rest)
            self._need = _PREFIX_BYTES
            self._owner.received(self, header, None if arrays is None else Columns(arrays))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner that this worker is gone (called by the loop)."""
        del exc
        if not self.has_ended:
            self.has_ended = True
            self.is_ready = False
            if not self._is_stopping and self._waiter is not None:
                # It closes its socket a moment before it is gone; killed in between, it would not say how it ended.
                doom = asyncio.get_running_loop().call_later(_DYING_S, self.kill)
                self._waiter.add_done_callback(lambda _waiter: doom.cancel())
            self._owner.ended(self)


async def _end(process: asyncio.subprocess.Process, scratch: Path | None) -> int:
    code = await process.wait()
    if scratch is not None:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
    return code


async def _start(command: Command, fd: int) -> asyncio.subprocess.Process:
    # A list without a shell, which ``confinement`` makes of settings and paths; nothing of a request is in it.
    return await asyncio.create_subprocess_exec(
        *command.arguments,
        str(fd),
        pass_fds=(fd,),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno() if _has_fileno(sys.stderr) else None,
        env=None if command.environment is None else dict(command.environment),
        cwd=command.folder,
        start_new_session=True,
    )


def _has_fileno(stream: object) -> bool:
    try:
        stream.fileno()  # type: ignore[attr-defined]  # asked because it may not have one
    except (AttributeError, OSError, ValueError):
        return False
    return True
