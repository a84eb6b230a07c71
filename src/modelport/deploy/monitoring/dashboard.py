"""A dashboard for Grafana: traffic, errors, time by stage, batches, and what the processes use."""

from __future__ import annotations

from dataclasses import dataclass

from modelport.deploy.documents import Data
from modelport.telemetry.metrics import (
    BATCH_ROWS,
    BUILD,
    CANCELLED,
    CONNECTIONS,
    ERRORS,
    FRONT_RESTARTS,
    FRONTS,
    IN_FLIGHT,
    MEMORY,
    QUEUE_ROWS,
    READY,
    REDONE,
    REQUESTS,
    RESTARTS,
    STAGE,
    WORKER_MEMORY,
)

IDENTITY = "modelport"
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3
_SOURCE: Data = {"type": "prometheus", "uid": "${datasource}"}
_JOB = 'job=~"$job"'
_MODEL = f'{_JOB}, model=~"$model"'
_RATE = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph. ``queries``: expression and legend; ``unit``: Grafana's word for it."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    text: str = ""


def _quantile(share: float, of: str, labels: str) -> str:
    return f"histogram_quantile({share:g}, sum by (model, le) (rate({of}_bucket{{{labels}}}{_RATE})))"


def _requests() -> tuple[Panel, ...]:
    predictions = f'{REQUESTS.name}{{{_MODEL}, kind="predict"'
    return (
        Panel(
            "Predictions a second, by status",
            "reqps",
            ((f"sum by (model, code) (rate({predictions}}}{_RATE}))", "{{model}} {{code}}"),),
        ),
        Panel(
            "Share of failed predictions",
            "percentunit",
            (
                (
                    f'sum by (model) (rate({predictions}, code=~"5.."}}{_RATE})) / sum by (model) (rate({predictions}}}{_RATE}))',
                    "{{model}} 5xx",
                ),
            ),
            "The server's own failures. Requests that do not fit the schema (422) are the clients'.",
        ),
        Panel(
            "Errors a second, by code",
            "reqps",
            ((f"sum by (model, error) (rate({ERRORS.name}{{{_MODEL}}}{_RATE}))", "{{model}} {{error}}"),),
        ),
    )


def _times() -> tuple[Panel, ...]:
    total = f'{_MODEL}, stage="total"'
    seconds, stages = f"sum by (model, stage) (rate({STAGE.name}_sum{{{_MODEL}}}{_RATE}))", f"{STAGE.name}_count{{{_MODEL}}}{_RATE}"
    return (
        Panel(
            "Time to the answer",
            "s",
            tuple((_quantile(share, STAGE.name, total), f"{{{{model}}}} p{share * 100:g}") for share in (0.5, 0.95, 0.99)),
            "From the complete request to its answer.",
        ),
        Panel(
            "Mean time by stage",
            "s",
            ((f"{seconds} / sum by (model, stage) (rate({stages}))", "{{model}} {{stage}}"),),
            "A long queue stage wants more replicas or workers, a long predict stage a faster model.",
        ),
        Panel(
            "In flight, and left before the answer",
            "short",
            (
                (f"sum by (model) ({IN_FLIGHT.name}{{{_MODEL}}})", "{{model}} in flight"),
                (f"sum by (model) (rate({CANCELLED.name}{{{_MODEL}}}{_RATE}))", "{{model}} left a second"),
            ),
        ),
    )


def _engine() -> tuple[Panel, ...]:
    mean = (
        f"sum by (model) (rate({BATCH_ROWS.name}_sum{{{_MODEL}}}{_RATE})) / "
        f"sum by (model) (rate({BATCH_ROWS.name}_count{{{_MODEL}}}{_RATE}))"
    )
    return (
        Panel("Rows that wait", "short", ((f"sum by (instance, model) ({QUEUE_ROWS.name}{{{_MODEL}}})", "{{model}} {{instance}}"),)),
        Panel(
            "Rows computed together",
            "short",
            ((mean, "{{model}} mean"), (_quantile(0.95, BATCH_ROWS.name, _MODEL), "{{model}} p95")),
        ),
        Panel(
            "Replicas that are ready, by version",
            "short",
            ((f"sum by (model, version) ({READY.name}{{{_MODEL}}})", "{{model}} {{version}}"),),
        ),
        Panel(
            "Processes started again, batches redone",
            "short",
            (
                (f"sum by (model) (increase({RESTARTS.name}{{{_MODEL}}}{_RATE}))", "{{model}} workers"),
                (f"sum by (instance) (increase({FRONT_RESTARTS.name}{{{_JOB}}}{_RATE}))", "fronts {{instance}}"),
                (f"sum by (model) (increase({REDONE.name}{{{_MODEL}}}{_RATE}))", "{{model}} batches"),
            ),
        ),
    )


def _processes() -> tuple[Panel, ...]:
    return (
        Panel(
            "Memory",
            "bytes",
            (
                (f"sum by (instance) ({MEMORY.name}{{{_JOB}}})", "server {{instance}}"),
                (f"sum by (instance, model) ({WORKER_MEMORY.name}{{{_MODEL}}})", "{{model}} workers {{instance}}"),
            ),
        ),
        Panel(
            "Connections and fronts",
            "short",
            (
                (f"sum by (instance) ({CONNECTIONS.name}{{{_JOB}}})", "connections {{instance}}"),
                (f"sum by (instance) ({FRONTS.name}{{{_JOB}}})", "fronts {{instance}}"),
            ),
        ),
        Panel("Servers by release", "short", ((f"count by (version, python) ({BUILD.name}{{{_JOB}}})", "{{version}}, Python {{python}}"),)),
    )


def panels() -> tuple[Panel, ...]:
    """Return the graphs in the order of reading."""
    return (*_requests(), *_times(), *_engine(), *_processes())


def dashboard() -> dict[str, Data]:
    """Return the dashboard as Grafana imports and provisions it."""
    return {
        "uid": IDENTITY,
        "title": "modelport",
        "tags": ["modelport"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "templating": {"list": _variables()},
        "panels": [_panel(number, panel) for number, panel in enumerate(panels())],
    }


def _variables() -> list[Data]:
    shared: dict[str, Data] = {"type": "query", "datasource": _SOURCE, "multi": True, "includeAll": True, "allValue": ".*", "refresh": 2}
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}, "hide": 0},
        {"name": "job", "label": "Job", "query": f"label_values({BUILD.name}, job)", **shared},
        {"name": "model", "label": "Model", "query": f"label_values({READY.name}{{{_JOB}}}, model)", **shared},
    ]


def _panel(number: int, panel: Panel) -> Data:
    row, column = divmod(number, _COLUMNS)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for place, (expression, legend) in enumerate(panel.queries)
        ],
    }
