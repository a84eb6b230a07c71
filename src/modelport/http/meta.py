"""Everything that is not a prediction: health, metrics, what is served, the pages. Plain functions that never wait."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import cast

import orjson

from modelport.engine.engine import Engine
from modelport.engine.models import Models
from modelport.http.heads import Answer
from modelport.http.request import Request, accepts
from modelport.telemetry.reports import EngineReport, Everybody

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"

_NO_STORE = b"cache-control: no-store\r\n"
# No script, style or picture but our own files; nothing inline; nobody may frame the page.
PAGE_FIELDS = (
    b"content-security-policy: default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'\r\n"
    b"referrer-policy: no-referrer\r\n"
)

WORKING = Answer(200, TEXT, b"API working")
ALIVE = Answer(200, JSON, b'{"status":"alive"}', _NO_STORE + b"vary: accept\r\n")
LIVE = Answer(200, JSON, b'{"live":true}', _NO_STORE)

ASSETS: Mapping[str, bytes] = {
    "page.css": b"text/css; charset=utf-8",
    "home.js": b"text/javascript; charset=utf-8",
    "docs.js": b"text/javascript; charset=utf-8",
    "icon.svg": b"image/svg+xml",
}


def ready(models: Models, everybody: Everybody) -> Answer:
    """Answer whether every model predicts on every front; 503 with the reasons while one does not, and at once when the server drains."""
    known = [everybody.engine(engine.name, engine.version) for engine in models.all()]
    waiting = dict(everybody.missing) | {f"{each.model}/{each.version}": each.state for each in known if not each.is_ready}
    if everybody.report.is_draining:
        waiting = {"server": "draining"} | waiting
    is_ready = not waiting and bool(known)
    body = orjson.dumps({"ready": is_ready} | ({"waiting_for": waiting} if waiting else {}))
    return Answer(200 if is_ready else 503, JSON, body, _NO_STORE if is_ready else _NO_STORE + b"retry-after: 1\r\n")


def listing(models: Models, everybody: Everybody) -> Answer:
    """Answer every model version."""
    return Answer(200, JSON, orjson.dumps({"models": [_status(engine, everybody) for engine in models.all()]}), _NO_STORE)


def details(engine: Engine, everybody: Everybody) -> Answer:
    """Answer one model version."""
    return Answer(200, JSON, orjson.dumps(_status(engine, everybody)), _NO_STORE)


def engine_reports(models: Models) -> list[EngineReport]:
    """Return what this front says of its engines."""
    return [_engine_report(engine) for engine in models.all()]


def assets() -> dict[str, Answer]:
    """Read the pages' scripts and styles: path -> answer, ready to be sent."""
    folder = files("modelport.http").joinpath("page")
    fields = b"cache-control: no-cache\r\n"
    return {f"/static/{name}": Answer(200, kind, folder.joinpath(name).read_bytes(), fields) for name, kind in ASSETS.items()}


def wants_page(request: Request) -> bool:
    """Whether a browser asks, rather than a program."""
    return accepts(request.headers.get(b"accept"), b"text/html")


def _engine_report(engine: Engine) -> EngineReport:
    measures, status = engine.measures(), engine.status()
    return EngineReport(
        engine.name,
        engine.version,
        str(status["state"]),
        engine.is_ready,
        cast("int", status["workers"]),
        measures.worker_restarts,
        measures.worker_memory_bytes,
        measures.queued_rows,
        measures.batched_rows,
        list(measures.batch_rows),
        measures.redone_batches,
    )


def _status(engine: Engine, everybody: Everybody) -> dict[str, object]:
    all_fronts = everybody.engine(engine.name, engine.version)
    return engine.status() | {
        "state": all_fronts.state,
        "fronts": everybody.fronts,
        "workers": all_fronts.workers,
        "restarts": all_fronts.worker_restarts,
        "queued_rows": all_fronts.queued_rows,
        "path": f"/models/{engine.name}/versions/{engine.version}/predict",
    }
