"""The service on one machine: sockets, models, signals, drain. The graph of objects is built here, top to bottom."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import structlog

from modelport.bundle.folder import Bundle, open_bundle
from modelport.bundle.manifest import NAME, Manifest
from modelport.bundle.private import sweep
from modelport.bundle.snapshot import Snapshot, take
from modelport.config import Settings, Value, resolve
from modelport.engine.batcher import BatchLimits
from modelport.engine.engine import Engine
from modelport.engine.executor import Identity
from modelport.engine.models import Models
from modelport.errors import UsageError
from modelport.http.app import App, build
from modelport.http.limits import HttpLimits
from modelport.server.environments import place
from modelport.server.proven import is_proven, key_of, mark
from modelport.server.workers import Staff, cores, executor, options
from modelport.telemetry import logs

_log = structlog.get_logger(__name__)
_BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Live:
    """A service that answers: where, and with which models."""

    url: str
    engines: Sequence[Engine]


Announce = Callable[[Live], None]


def serve(paths: Sequence[Path], flags: dict[str, Value], announce: Announce) -> None:
    """Serve until SIGTERM or Ctrl-C, then drain. ``announce`` is called once, when every model answers.

    Raises: UsageError, ManifestError, and whatever stands in the way of loading a model.
    """
    sweep()
    bundles = [open_bundle(path) for path in paths]
    first = bundles[0].manifest if bundles else None
    settings = resolve(flags, first.serve if first is not None and len(bundles) == 1 else {})
    logs.configure("json" if settings.log_format == "json" else "text", "debug" if settings.debug else "info")
    with ExitStack() as held:
        snapshots = [held.enter_context(take(bundle, options(settings))) for bundle in bundles]
        _serve_snapshots(snapshots, settings, announce)


def _serve_snapshots(snapshots: Sequence[Snapshot], settings: Settings, announce: Announce) -> None:
    say = partial(_log.warning, "environment")
    places = [place(snapshot, settings, lambda text: say(what=text)) for snapshot in snapshots]
    keys = [key_of(snapshot, settings) for snapshot in snapshots]
    staff = [Staff(settings.worker_count(cores()), where, not is_proven(key)) for where, key in zip(places, keys, strict=True)]

    def live(service: Live) -> None:
        for key in keys:
            mark(key)
        announce(service)

    _run(_serve(list(zip(snapshots, staff, keys, strict=True)), settings, live))


def _run(main: Coroutine[object, object, None]) -> None:
    try:
        import uvloop
    except ImportError:  # not on Windows; asyncio's own loop serves as well, slower
        asyncio.run(main)
        return
    uvloop.run(main)


async def _serve(placed: Sequence[tuple[Snapshot, Staff, str]], settings: Settings, announce: Announce) -> None:
    loop = asyncio.get_running_loop()
    models = Models()
    engines = [_engine(snapshot.bundle, settings, is_only=len(placed) == 1) for snapshot, _, _ in placed]
    for engine in engines:
        models.add(engine)
    app = build(models, _limits(settings))
    stopping = _signals(loop)
    server = await _listen(loop, app, settings)
    try:
        executors = [
            executor(snapshot, engine, settings, staff, key) for (snapshot, staff, key), engine in zip(placed, engines, strict=True)
        ]
        loading = asyncio.gather(*(engine.start(each) for engine, each in zip(engines, executors, strict=True)))
        if await _either(loading, stopping):
            host, port = server.sockets[0].getsockname()[:2]
            announce(Live(_url(settings, host, port), engines))
            _settle()
            await stopping.wait()
            await _drain(app, engines, settings.drain)
    finally:
        server.close()
        await asyncio.gather(*(engine.close() for engine in engines))


def _settle() -> None:
    """Spare the collector what lives as long as the server, and let it run rarely: requests leave no cycles for it to find.

    With Python's own thresholds a body of millions of small lists took 3.0 s to read, most of it in the collector; 0.6 s without.
    """
    gc.collect()
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
            await asyncio.gather(*(engine.drain(limit_s) for engine in engines))
            await app.drained()
    except TimeoutError:
        _log.warning("not everything was answered in time", limit_s=limit_s)
        app.give_up()


def _signals(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():  # asked twice: whoever asks does not want to wait for the drain
            os._exit(1)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopping


async def _listen(loop: asyncio.AbstractEventLoop, app: App, settings: Settings) -> asyncio.Server:
    try:
        return await loop.create_server(app.connect(loop), settings.host, settings.port, ssl=_tls(settings), backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"cannot listen on {settings.host} port {settings.port} ({reason}); choose another with --port, or stop what listens there"
        ) from error


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"--tls-cert {settings.tls_cert} and --tls-key {settings.tls_key} cannot be used ({type(error).__name__}); "
            "give a PEM certificate chain and its private key"
        ) from error
    return context


def _engine(bundle: Bundle, settings: Settings, *, is_only: bool) -> Engine:
    manifest = _named(bundle.manifest, settings, is_only=is_only)
    limits = BatchLimits(
        max_rows=manifest.batch.max_rows,
        max_wait_ms=manifest.batch.max_wait_ms,
        is_batched=manifest.batch.is_enabled,
        max_queued_rows=settings.max_queued_rows,
    )
    return Engine(Identity(manifest.name, manifest.version, manifest.route, manifest.greeting), limits)


def _named(manifest: Manifest, settings: Settings, *, is_only: bool) -> Manifest:
    if not is_only:
        if settings.name or settings.route:
            raise UsageError("--name and --route are for one model; with several, name them in each bundle's model.toml")
        return manifest
    if settings.name is not None and not NAME.match(settings.name):
        raise UsageError(f'--name must be 1 to 128 of the characters A-Z a-z 0-9 . _ -, found "{settings.name}"')
    if settings.route is not None and not settings.route.startswith("/"):
        raise UsageError(f'--route must be a path such as /sentiment, found "{settings.route}"')
    return replace(manifest, name=settings.name or manifest.name, route=settings.route or manifest.route)


def _limits(settings: Settings) -> HttpLimits:
    return HttpLimits(
        body_bytes=int(settings.max_body_mb * 1024 * 1024),
        rows=settings.max_rows,
        timeout_s=settings.timeout,
        api_keys=settings.api_keys(),
    )


def _url(settings: Settings, host: str, port: int) -> str:
    scheme = "http" if settings.tls_cert is None else "https"
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  # compared, not bound
    return f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{port}"
