"""Every metric is declared, exported with its name, help, labels and buckets, and counts right."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from modelport.engine.executor import ROW_BUCKETS, EngineMeasures
from modelport.telemetry.exposition import Exporter
from modelport.telemetry.metrics import (
    METRICS,
    ROWS_BUCKETS,
    SECONDS_BUCKETS,
    EngineState,
    FrontState,
    Latency,
    Tally,
    resident_bytes,
)


@dataclass
class _Front:
    engines: list[EngineState] = field(default_factory=list)

    def state(self) -> FrontState:
        return FrontState(engines=lambda: self.engines, connections=lambda: 3)


def _families(state: FrontState):
    return {family.name: family for family in text_string_to_metric_families(Exporter(state).render().decode())}


def _full() -> FrontState:
    measures = EngineMeasures(queued_rows=5, batches=3, batched_rows=36, redone_batches=1, worker_restarts=2, worker_memory_bytes=7)
    measures.batch_rows[0], measures.batch_rows[5] = 2, 1
    state = _Front([EngineState("m", "1", True, measures)]).state()
    state.tally("predict", "m").predicted([100], [0], [3000], predict_us=2000, encode_us=50)
    state.tally("predict", "m").count(422, "schema_mismatch")
    return state


def test_what_is_declared_is_what_is_exported() -> None:
    families = _families(_full())
    assert {metric.name.removesuffix("_total") for metric in METRICS} == set(families)
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert family.type == metric.kind and family.documentation == metric.help
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_rules_of_prometheus(metric) -> None:
    assert re.fullmatch(r"modelport_[a-z_]+", metric.name) and metric.help.endswith(".")
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert not metric.unit or metric.name.endswith("_" + metric.unit)
    assert bool(metric.buckets) == (metric.kind == "histogram") and list(metric.buckets) == sorted(metric.buckets)


def test_the_values_are_those_counted() -> None:
    families = _families(_full())

    def value(name: str, **labels: str) -> float:
        family = families[re.sub("_(total|sum|count|bucket)$", "", name)]
        (found,) = [sample.value for sample in family.samples if sample.name == name and labels.items() <= sample.labels.items()]
        return found

    assert value("modelport_requests_total", code="200") == 1 and value("modelport_requests_total", code="422") == 1
    assert value("modelport_errors_total", error="schema_mismatch") == 1
    assert value("modelport_stage_seconds_sum", stage="total") == 0.003
    assert value("modelport_stage_seconds_bucket", stage="predict", le="0.002048") == 1
    assert value("modelport_stage_seconds_bucket", stage="predict", le="0.001024") == 0
    assert value("modelport_batch_rows_bucket", le="1.0") == 2 and value("modelport_batch_rows_bucket", le="+Inf") == 3
    assert value("modelport_batch_rows_sum") == 36
    assert value("modelport_queue_rows") == 5 and value("modelport_worker_restarts_total") == 2
    assert value("modelport_connections") == 3
    assert value("modelport_front_memory_bytes") > 1e6


@given(st.integers(0, 10**11))
def test_a_duration_lies_in_exactly_the_bucket_whose_bounds_hold_it(us) -> None:
    tally = Tally("predict", "m")
    tally.predicted([us], [us], [us], predict_us=us, encode_us=us)
    state = _Front().state()
    state.tallies.append(tally)
    samples = [
        s for s in _families(state)["modelport_stage_seconds"].samples if s.name.endswith("_bucket") and s.labels["stage"] == "queue"
    ]
    assert len(samples) == len(SECONDS_BUCKETS) + 1
    for sample in samples:
        assert sample.value == (us < round(float(sample.labels["le"]) * 1e6) if sample.labels["le"] != "+Inf" else 1)


def test_adding_a_latency_is_the_same_as_counting_a_stage() -> None:
    latency, tally = Latency(), Tally("predict")
    for us in (0, 1, 310, 2_500_000, 90_000_000):
        latency.add(us)
        tally.predicted([us], [us], [us], predict_us=us, encode_us=us)
    assert latency.counts == tally.decode.counts == tally.total.counts and latency.sum_us == tally.queue.sum_us


def test_the_engine_counts_rows_in_the_buckets_declared_here() -> None:
    assert ROW_BUCKETS == ROWS_BUCKETS


def test_a_tally_is_made_once_for_a_kind_and_model() -> None:
    state = _Front().state()
    assert state.tally("predict", "m") is state.tally("predict", "m") is not state.tally("predict", "n")
    assert len(state.tallies) == 2


def test_resident_memory_is_read_where_the_system_tells() -> None:
    assert resident_bytes() > 1e6
