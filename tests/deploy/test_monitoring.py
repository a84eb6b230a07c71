"""Alerts and dashboard name what there is: by the table of metrics, and by a real Prometheus that scrapes a real server."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelport.deploy.documents import document
from modelport.deploy.monitoring.alerts import Limits, alerts, rules
from modelport.deploy.monitoring.dashboard import dashboard, panels
from modelport.telemetry.metrics import METRICS

ROOT = Path(__file__).parent.parent.parent
KNOWN = {metric.name: metric for metric in METRICS}
OF_PROMETHEUS = {"job", "namespace", "instance", "le"}
QUERIES = [expression for panel in panels() for expression, _ in panel.queries]
ALERTS = [alert.expression for limits in (Limits(), Limits(job="toy", namespace="ml")) for alert in alerts(limits)]


@pytest.mark.parametrize("expression", [*QUERIES, *ALERTS])
def test_expressions_name_metrics_and_labels_that_there_are(expression: str) -> None:
    used = {}
    for name in re.findall(r"modelport_\w+", expression):
        plain = name if name in KNOWN else re.sub(r"_(?:bucket|sum|count)$", "", name)
        assert plain in KNOWN, name
        assert plain == name or KNOWN[plain].kind == "histogram"
        used[plain] = KNOWN[plain]
    assert used
    labels = {label for metric in used.values() for label in metric.labels} | OF_PROMETHEUS
    matched = {label for group in re.findall(r"\{([^}]*)\}", expression) for label in re.findall(r"(\w+)=", group)}
    grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
    assert matched | grouped <= labels


@pytest.mark.parametrize("alert", alerts(Limits()), ids=lambda alert: alert.name)
def test_texts_of_an_alert_name_labels_that_its_expression_gives(alert: Any) -> None:
    given = {label.strip() for group in re.findall(r"by \(([^)]*)\)", alert.expression) for label in group.split(",")} - {"le"}
    assert set(re.findall(r"\$labels\.(\w+)", alert.summary + alert.text)) <= given


def test_the_dashboard_is_whole() -> None:
    made = json.loads(json.dumps(dashboard()))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in made["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in made["panels"]})
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in made["panels"])
    names = {variable["name"] for variable in made["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]+)\b", json.dumps(made))) <= names
    assert all(panel["targets"] and panel["datasource"]["uid"] == "${datasource}" for panel in made["panels"])


def test_the_files_in_ops_are_what_the_code_would_write() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "ops.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Alert -> series that make it fire, and series that do not; samples are a minute apart.
HISTORIES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "ModelportAbsent": ({}, {'modelport_build_info{job="a"}': "1x60"}),
    "ModelportNotReady": (
        {'modelport_model_ready{job="a", instance="i", model="m", version="1"}': "0x60"},
        {'modelport_model_ready{job="a", instance="i", model="m", version="1"}': "1x60"},
    ),
    "ModelportErrors": (
        {
            'modelport_requests_total{job="a", kind="predict", model="m", code="500"}': "0+5x60",
            'modelport_requests_total{job="a", kind="predict", model="m", code="200"}': "0+95x60",
        },
        {
            'modelport_requests_total{job="a", kind="predict", model="m", code="422"}': "0+50x60",
            'modelport_requests_total{job="a", kind="predict", model="m", code="200"}': "0+95x60",
        },
    ),
    "ModelportSlow": (
        {
            'modelport_stage_seconds_bucket{job="a", model="m", stage="total", le="0.5"}': "0+9x60",
            'modelport_stage_seconds_bucket{job="a", model="m", stage="total", le="4"}': "0+100x60",
            'modelport_stage_seconds_bucket{job="a", model="m", stage="total", le="+Inf"}': "0+100x60",
        },
        {
            'modelport_stage_seconds_bucket{job="a", model="m", stage="total", le="0.5"}': "0+100x60",
            'modelport_stage_seconds_bucket{job="a", model="m", stage="total", le="+Inf"}': "0+100x60",
        },
    ),
    "ModelportRefusing": (
        {'modelport_errors_total{job="a", kind="predict", model="m", error="overloaded"}': "0+9x60"},
        {'modelport_errors_total{job="a", kind="predict", model="m", error="schema_mismatch"}': "0+9x60"},
    ),
    "ModelportQueueFilling": (
        {'modelport_queue_rows{job="a", instance="i", model="m", version="1"}': "15000x60"},
        {'modelport_queue_rows{job="a", instance="i", model="m", version="1"}': "900x60"},
    ),
    "ModelportWorkersDie": (
        {'modelport_worker_restarts_total{job="a", instance="i", model="m", version="1"}': "0+1x60"},
        {'modelport_worker_restarts_total{job="a", instance="i", model="m", version="1"}': "7x60"},
    ),
    "ModelportFrontsDie": (
        {'modelport_front_restarts_total{job="a", instance="i"}': "0+1x60"},
        {'modelport_front_restarts_total{job="a", instance="i"}': "7x60"},
    ),
    "ModelportMemory": (
        {
            'modelport_front_memory_bytes{job="a", instance="i"}': "500000000x60",
            'modelport_worker_memory_bytes{job="a", instance="i", model="m", version="1"}': "560000000x60",
        },
        {
            'modelport_front_memory_bytes{job="a", instance="i"}': "300000000x60",
            'modelport_worker_memory_bytes{job="a", instance="i", model="m", version="1"}': "560000000x60",
        },
    ),
}


def test_every_alert_fires_when_it_should_and_only_then(tmp_path: Path, require_program: Callable[..., str]) -> None:
    """Prometheus's own promtool plays the histories: what fires by minute 40, and that the other history makes nothing fire."""
    assert set(HISTORIES) == {alert.name for alert in alerts(Limits())}
    (tmp_path / "rules.yaml").write_text(document(rules()))
    tests: list[Any] = []
    for name, (bad, good) in HISTORIES.items():
        alert = next(each for each in alerts(Limits()) if each.name == name)
        quiet = {"alertname": name, "eval_time": "40m", "exp_alerts": []}
        tests.append({"interval": "1m", "input_series": _series(good), "alert_rule_test": [quiet]})
        # What the texts say is not compared but counted: promtool has no word for "any".
        wait = alert.expression.split(" > ")[0] if " > " in alert.expression else alert.expression
        firing = {"expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})', "eval_time": "40m", "exp_samples": [{"value": 1}]}
        assert wait
        tests.append({"interval": "1m", "input_series": _series(bad), "promql_expr_test": [firing]})
    (tmp_path / "tests.yaml").write_text(document({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(
        [require_program("promtool"), "test", "rules", "tests.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _series(history: dict[str, str]) -> list[dict[str, str]]:
    return [{"series": series, "values": values} for series, values in history.items()]


@pytest.mark.slow
def test_a_real_prometheus_has_an_answer_for_every_panel_and_takes_every_rule(
    serve: Callable[..., Any], toy: Path, tmp_path: Path, require_program: Callable[..., str]
) -> None:
    """Predictions that succeed, fail and do not fit; then every query, until each has data (they need two scrapes)."""
    server = serve(toy)
    (tmp_path / "rules.yaml").write_text(document(rules(Limits(job="toy"))))
    scrape = [{"job_name": "toy", "static_configs": [{"targets": [server.url.removeprefix("http://")]}]}]
    config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": ["rules.yaml"], "scrape_configs": scrape}
    (tmp_path / "prometheus.yml").write_text(document(config))
    checked = subprocess.run(
        [require_program("promtool"), "check", "config", "prometheus.yml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for body, status in (({"a": [1], "b": [2]}, 200), ({"a": [13], "b": [2]}, 500), ({"c": [1]}, 422)):
        assert server.request("/predict", body)[0] == status
    with _prometheus(require_program("prometheus"), tmp_path) as (process, url):
        missing = {_filled(expression) for expression in QUERIES}
        for _ in range(600):
            missing = {expression for expression in missing if not _asked(url, expression)}
            if not missing and "unknown" not in _rules(url).values():  # all were evaluated once
                break
            _pause(process)
        assert not missing, (tmp_path / "prometheus.log").read_text()[-2000:]
        assert _rules(url) == {alert.name: "ok" for alert in alerts(Limits())}


@contextlib.contextmanager
def _prometheus(program: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start Prometheus with the configuration in a folder. A port that was free may be taken before it has it: another is tried."""
    for _ in range(5):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            where = f"127.0.0.1:{probe.getsockname()[1]}"
        line = [program, "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={where}"]
        with (folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(line, cwd=folder, stdout=log, stderr=log)
        try:
            if _is_up(process, where):
                yield process, f"http://{where}"
                return
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
    pytest.fail((folder / "prometheus.log").read_text()[-2000:])


def _is_up(process: subprocess.Popen[bytes], where: str) -> bool:
    """Wait until it is ready, or ends."""
    for _ in range(600):
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{where}/-/ready", timeout=30).close()
                return True
        else:
            return False
    return False


def _rules(url: str) -> dict[str, str]:
    """Give each rule's health."""
    with urllib.request.urlopen(f"{url}/api/v1/rules", timeout=30) as answer:
        groups = json.load(answer)["data"]["groups"]
    return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}


def _filled(expression: str) -> str:
    """Put in what Grafana would."""
    return expression.replace("$__rate_interval", "1m").replace("$job", ".*").replace("$model", ".*")


def _asked(url: str, expression: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}", timeout=30) as answer:
            return bool(json.load(answer)["data"]["result"])
    except OSError:
        return False  # it does not listen yet, or has no rules loaded yet


def _pause(process: subprocess.Popen[bytes]) -> None:
    """Wait a little for the process to end, which it must not."""
    try:
        process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return
    pytest.fail("Prometheus ended")
