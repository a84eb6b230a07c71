"""What several fronts count is one sum: nothing twice, nothing lost, and no counter back when a front is gone."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from modelport.telemetry.exposition import Exporter
from modelport.telemetry.metrics import FrontState
from modelport.telemetry.reports import EngineReport, Everybody, Report, report_of, retired, state_of, total


def _report(ok: int = 1, *, state: str = "ready", is_draining: bool = False) -> Report:
    counted = FrontState(tuple, lambda: 3, memory_bytes=lambda: 1000)
    tally = counted.tally("predict", "m")
    for us in range(ok):
        tally.predicted([us], [10], [3000], predict_us=2000, encode_us=50)
    tally.count(422, "schema_mismatch")
    tally.in_flight, tally.cancelled = 2, 4
    counted.tally("health").count(200)
    engine = EngineReport("m", "1", state, state == "ready", 2, 1, 700, 5, 36, [1, *[0] * 11, 2], 3)
    return report_of(counted, [engine], is_draining=is_draining)


def _samples(everybody: Everybody) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(Exporter(state_of(everybody)).render().decode())
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}


def test_every_number_of_two_fronts_is_added_once() -> None:
    both = total([_report(3), _report(4)])
    (tally,) = [each for each in both.tallies if each.kind == "predict"]
    assert (tally.codes, tally.errors, tally.in_flight, tally.cancelled) == ({200: 7, 422: 2}, {"schema_mismatch": 2}, 4, 8)
    assert [(sum_us, sum(counts)) for sum_us, counts in tally.stages] == [(9, 7), (70, 7), (14000, 7), (350, 7), (21000, 7)]
    (engine,) = both.engines
    assert engine == EngineReport("m", "1", "ready", True, 4, 2, 1400, 10, 72, [2, *[0] * 11, 4], 6)
    assert (both.connections, both.memory_bytes, both.is_draining) == (6, 2000, False)


def test_a_sum_leaves_what_was_added_as_it_was() -> None:
    """Reports are kept and added up again at the next scrape."""
    one, other = _report(3), _report(4)
    first = total([one, other])
    assert total([one, other]) == first and one == _report(3)


def test_reports_travel_as_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(_report(5)), type=Report) == _report(5)


def test_what_stays_of_a_front_that_is_gone_are_its_counters() -> None:
    before = _samples(Everybody(total([_report(3), _report(4)]), 2))
    after = _samples(Everybody(total([_report(3), retired(_report(4))]), 1, restarts=1))
    gauges = ("in_flight_requests", "connections", "queue_rows", "memory_bytes", "modelport_fronts", "model_ready", "build_info")
    for key, value in before.items():
        if not any(name in key[0] for name in gauges):
            assert after[key] >= value, key
    assert after["modelport_connections", ()] == 3 and after["modelport_front_memory_bytes", ()] == 1000
    assert after["modelport_in_flight_requests", (("model", "m"),)] == 2
    assert after["modelport_queue_rows", (("model", "m"), ("version", "1"))] == 5
    assert (after["modelport_fronts", ()], after["modelport_front_restarts_total", ()]) == (1, 1)


@given(st.lists(st.sampled_from(["ready", "recovering", "loading", "draining", "stopped", "failed"]), min_size=1, max_size=4))
def test_a_version_is_as_well_as_where_it_is_least_well(states: list[str]) -> None:
    (engine,) = total([_report(state=state) for state in states]).engines
    assert engine.is_ready == (set(states) == {"ready"})
    assert (engine.state == "ready") == engine.is_ready and engine.state in states


def test_a_state_that_nobody_knows_is_shown() -> None:
    assert total([_report(), _report(state="odd")]).engines[0].state == "odd"


def test_one_front_that_drains_is_enough() -> None:
    assert total([_report(), _report(is_draining=True)]).is_draining
    assert not total([_report(), retired(_report(is_draining=True))]).is_draining


def test_of_a_version_nobody_spoke_of_it_is_known_that_it_does_not_answer() -> None:
    unknown = Everybody(Report()).engine("m", "1")
    assert not unknown.is_ready and unknown.state == "loading"
