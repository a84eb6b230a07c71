"""The service on one machine, put together top to bottom: what is served, under which settings, by one front or by several."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.bundle.folder import open_bundle
from modelport.bundle.private import sweep
from modelport.bundle.snapshot import Snapshot, record, take
from modelport.config import Settings, Value, resolve
from modelport.server import staffing
from modelport.server.listening import Reservation, reserve, tls, url
from modelport.server.live import Live, Served
from modelport.server.workers import options
from modelport.telemetry import logs
from modelport.telemetry.reports import Report

if TYPE_CHECKING:
    from modelport.server.channel import Order

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
    fronts = settings.fronts_asked()
    with ExitStack() as held:
        snapshots = [held.enter_context(take(bundle, options(settings))) for bundle in bundles]
        if fronts == 1:
            _serve_alone(snapshots, settings, announce)
        else:
            _serve_together(snapshots, settings, announce)


def _serve_alone(snapshots: Sequence[Snapshot], settings: Settings, announce: Announce) -> None:
    from modelport.server.front import run, serve_front  # not wanted in a supervisor, which stays as small as it can
    from modelport.server.versions import Part, versions

    run(serve_front(versions(snapshots, settings, Part()), settings, announce))


def _serve_together(snapshots: Sequence[Snapshot], settings: Settings, announce: Announce) -> None:
    from modelport.server.supervisor import Plan, supervise  # not wanted in a front that is alone

    staffing.workers(settings, staffing.machine(), 0)  # refused before anything is started
    settings.api_keys()
    tls(settings)
    reservation = reserve(settings)
    plan = Plan(settings.fronts_asked(), _decide, _orders(snapshots, settings, reservation), settings.drain)
    try:
        asyncio.run(supervise(plan, lambda models: announce(Live(url(settings, reservation.host, reservation.port), models))))
    finally:
        reservation.close()


def _decide(models: list[Served], report: Report) -> int:
    costs = [staffing.Cost(model.is_inline, model.row_ms, report.memory_bytes) for model in models]
    return staffing.fronts(staffing.machine(), costs)


def _orders(snapshots: Sequence[Snapshot], settings: Settings, reservation: Reservation) -> Callable[[int, int, bool], Order]:
    from modelport.server.channel import Order

    run_key = secrets.token_hex(16)
    values = {name: _plain(value) for name, value in asdict(settings).items()}
    records = [record(snapshot) for snapshot in snapshots]

    def order(number: int, fronts: int, is_late: bool) -> Order:  # noqa: FBT001  # called through Plan
        is_first = number == 0 and not is_late
        # All but the first listen only when they are ready: until then connections go to those that are.
        return Order(number, fronts, is_first, not is_first, reservation.port, run_key, values, records)

    return order


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
