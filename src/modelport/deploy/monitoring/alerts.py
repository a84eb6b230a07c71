"""Alert rules for Prometheus: when somebody should look, and what they should look at."""

from __future__ import annotations

from dataclasses import dataclass

from modelport.config import Settings
from modelport.deploy.documents import Data
from modelport.telemetry.metrics import (
    BUILD,
    ERRORS,
    FRONT_RESTARTS,
    MEMORY,
    QUEUE_ROWS,
    READY,
    REQUESTS,
    RESTARTS,
    STAGE,
    WORKER_MEMORY,
)

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on an alert fires, and for whom.

    ``job``: whom Prometheus takes the numbers from, None for every server; ``memory_mb``: what a replica has; ``queued_rows``: what it
    lets wait. ``namespace``: of a cluster, where services of one name may be in several; None where series have no such label.
    """

    job: str | None = None
    namespace: str | None = None
    error_ratio: float = 0.01
    latency_s: float = 1.0
    memory_mb: int = 1024
    queued_rows: int = Settings().max_queued_rows


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. ``wait``: how long the expression has to hold. ``text`` may name ``{{ $labels.… }}`` of what the expression gives."""

    name: str
    expression: str
    wait: str
    severity: str
    summary: str
    text: str


def alerts(limits: Limits) -> tuple[Alert, ...]:
    """Return the alerts, the most urgent first."""
    return (*_of_presence(limits), *_of_answers(limits), *_of_queue(limits), *_of_processes(limits))


def rules(limits: Limits = Limits()) -> dict[str, Data]:
    """Return the alerts as a file of rules for Prometheus holds them, and the spec of a PrometheusRule."""
    found: list[Data] = [
        {
            "alert": alert.name,
            "expr": alert.expression,
            "for": alert.wait,
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary, "description": alert.text},
        }
        for alert in alerts(limits)
    ]
    return {"groups": [{"name": "modelport", "rules": found}]}


def _select(metric: str, limits: Limits, *matchers: str) -> str:
    whose = {"job": limits.job, "namespace": limits.namespace}
    found = [*(f'{label}="{value}"' for label, value in whose.items() if value is not None), *matchers]
    return f"{metric}{{{', '.join(found)}}}" if found else metric


def _of_presence(limits: Limits) -> tuple[Alert, ...]:
    return (
        Alert(
            "ModelportAbsent",
            f"absent({_select(BUILD.name, limits)})",
            "5m",
            "critical",
            "No server is being scraped",
            "Prometheus has seen no metrics of any modelport server for five minutes: they are down, or it does not find them.",
        ),
        Alert(
            "ModelportNotReady",
            f"min by (job, instance, model, version) ({_select(READY.name, limits)}) == 0",
            "5m",
            "critical",
            "{{ $labels.model }} answers no predictions on {{ $labels.instance }}",
            "Version {{ $labels.version }} has not been ready for five minutes; /readyz and the log of {{ $labels.instance }} say why.",
        ),
    )


def _of_answers(limits: Limits) -> tuple[Alert, ...]:
    predictions = _select(REQUESTS.name, limits, 'kind="predict"')
    failures = _select(REQUESTS.name, limits, 'kind="predict"', 'code=~"5.."')
    ratio = f"sum by (job, model) (rate({failures}[5m])) / sum by (job, model) (rate({predictions}[5m]))"
    buckets = _select(f"{STAGE.name}_bucket", limits, 'stage="total"')
    return (
        Alert(
            "ModelportErrors",
            f"{ratio} > {limits.error_ratio:g}",
            "5m",
            "critical",
            "{{ $value | humanizePercentage }} of predictions with {{ $labels.model }} fail",
            f"The server's own failures (5xx); {ERRORS.name} tells them apart by code.",
        ),
        Alert(
            "ModelportSlow",
            f"histogram_quantile(0.99, sum by (job, model, le) (rate({buckets}[5m]))) > {limits.latency_s:g}",
            "10m",
            "warning",
            "One in a hundred predictions with {{ $labels.model }} takes {{ $value | humanizeDuration }} or longer",
            f"{STAGE.name} says in which stage the time goes: a long queue stage wants more replicas or workers, a long predict stage "
            "a faster model.",
        ),
    )


def _of_queue(limits: Limits) -> tuple[Alert, ...]:
    refused = _select(ERRORS.name, limits, 'kind="predict"', 'error="overloaded"')
    return (
        Alert(
            "ModelportQueueFilling",
            f"sum by (job, instance, model) ({_select(QUEUE_ROWS.name, limits)}) > {limits.queued_rows // 2}",
            "2m",
            "warning",
            "{{ $value | humanize }} rows wait for {{ $labels.model }} on {{ $labels.instance }}",
            f"Half of what may wait ({limits.queued_rows} rows); beyond that, requests are refused.",
        ),
        Alert(
            "ModelportRefusing",
            f"sum by (job, model) (rate({refused}[5m])) > 0",
            "5m",
            "warning",
            "{{ $labels.model }} refuses {{ $value | humanize }} requests a second",
            "The queue is full and requests are answered 429: more come than are computed.",
        ),
    )


def _of_processes(limits: Limits) -> tuple[Alert, ...]:
    of_fronts, of_workers = (_select(metric.name, limits) for metric in (MEMORY, WORKER_MEMORY))
    memory = f"sum by (job, instance) ({of_fronts}) + sum by (job, instance) ({of_workers})"
    return (
        Alert(
            "ModelportWorkersDie",
            f"sum by (job, instance, model) (increase({_select(RESTARTS.name, limits)}[15m])) > 2",
            "0m",
            "warning",
            "Workers of {{ $labels.model }} die on {{ $labels.instance }}",
            "{{ $value | humanize }} were started again within 15 minutes; requests are computed once more by others. Too little memory is "
            "the usual reason, a row that kills the model another; the log has the signal.",
        ),
        Alert(
            "ModelportFrontsDie",
            f"sum by (job, instance) (increase({_select(FRONT_RESTARTS.name, limits)}[15m])) > 0",
            "0m",
            "critical",
            "The server's own processes die on {{ $labels.instance }}",
            "{{ $value | humanize }} fronts were started again within 15 minutes; what they held failed. The log has the signal.",
        ),
        Alert(
            "ModelportMemory",
            f"{memory} > {limits.memory_mb * _MIB * 9 // 10}",
            "5m",
            "warning",
            "{{ $labels.instance }} uses {{ $value | humanize1024 }}B of memory",
            f"More than nine tenths of the {limits.memory_mb} MiB that a replica has; at the limit the system kills its processes.",
        ),
    )
