"""One front at work: sockets, models, signals, drain. It is the whole server, or one of several under a supervisor."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

from modelport.config import Settings
from modelport.engine import kernel
from modelport.engine.engine import Engine
from modelport.engine.models import Models
from modelport.http.app import App, build
from modelport.http.limits import limits
from modelport.server.announce import served
from modelport.server.listening import listen, url
from modelport.server.live import Live
from modelport.server.versions import Version, engine

_log = structlog.get_logger(__name__)

Announce = Callable[[Live], None]


@dataclass(frozen=True, slots=True)
class Seat:
    """A front's place among others. ``join``: called with the app and what to set when it is to stop, before anything is loaded.

    ``is_late``: it listens only when its models answer, since others serve meanwhile.
    """

    port: int
    is_late: bool
    join: Callable[[App, asyncio.Event], Awaitable[None]]


def run(main: Coroutine[object, object, None]) -> None:
    """Run a front on the fastest loop there is."""
    try:
        import uvloop
    except ImportError:  # not on Windows; asyncio's own loop serves as well, slower
        asyncio.run(main)
        return
    uvloop.run(main)


async def serve_front(versions: Sequence[Version], settings: Settings, announce: Announce, seat: Seat | None = None) -> None:
    """Serve until told to stop, then drain. ``announce`` is called once, when every model answers.

    Raises: UsageError where it cannot listen, and whatever stands in the way of loading a model.
    """
    loop = asyncio.get_running_loop()
    models = Models()
    engines = [engine(version.snapshot.bundle, settings, is_only=len(versions) == 1) for version in versions]
    for each in engines:
        models.add(each)
    app = build(models, limits(settings))
    stopping = _signals(loop, is_alone=seat is None)
    if seat is not None:
        await seat.join(app, stopping)
    port = 0 if seat is None else seat.port
    server = None if seat is not None and seat.is_late else await listen(loop, app, settings, port)
    try:
        executors = [version.executor(each, settings) for version, each in zip(versions, engines, strict=True)]
        loading = asyncio.gather(*(each.start(computing) for each, computing in zip(engines, executors, strict=True)))
        if await _either(loading, stopping):
            for version in versions:
                version.mark()
            server = server or await listen(loop, app, settings, port)
            host, port = server.sockets[0].getsockname()[:2]
            announce(Live(url(settings, host, port), [served(each) for each in engines]))
            _settle()
            await stopping.wait()
            await _drain(app, engines, settings.drain)
    finally:
        if server is not None:
            server.close()
        await asyncio.gather(*(each.close() for each in engines))


def _settle() -> None:
    """Spare the collector what lives as long as the server, and let it run rarely: requests leave no cycles for it to find.

    With Python's own thresholds a body of millions of small lists took 3.0 s to read, most of it in the collector; 0.6 s without.
    """
    gc.collect()
    kernel.trim()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


async def _either(loading: asyncio.Future[list[None]], stopping: asyncio.Event) -> bool:
    """Wait for the models or for a signal. Returns whether the models are loaded. Raises: what loading raised."""
    stopped = asyncio.ensure_future(stopping.wait())
    both: tuple[asyncio.Future[list[None]], asyncio.Future[Literal[True]]] = (loading, stopped)
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if loading.done():
        stopped.cancel()
        loading.result()
        return True
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)
    return False


async def _drain(app: App, engines: Sequence[Engine], limit_s: float) -> None:
    """Refuse new work, finish what is in flight within the limit, then answer 503 to the rest."""
    _log.info("draining", limit_s=limit_s)
    app.drain()
    try:
        async with asyncio.timeout(limit_s):
            await asyncio.gather(*(each.drain(limit_s) for each in engines))
            await app.drained()
    except TimeoutError:
        _log.warning("not everything was answered in time", limit_s=limit_s)
        app.give_up()


def _signals(loop: asyncio.AbstractEventLoop, *, is_alone: bool) -> asyncio.Event:
    stopping = asyncio.Event()

    def stop() -> None:
        # Asked twice: whoever asks does not want to wait for the drain. Under a supervisor, which is asked instead, the second
        # signal may be the first one's copy: service managers send theirs to every process.
        if stopping.is_set() and is_alone:
            os._exit(1)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopping
