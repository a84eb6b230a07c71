"""How many fronts and workers there are: the rule, and what the machine is seen to have."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelport.config import Settings
from modelport.errors import UsageError
from modelport.server import staffing
from modelport.server.staffing import Cost, Machine

FAST, SLOW, ORIGINAL = Cost(is_inline=True, row_ms=0.02), Cost(is_inline=True, row_ms=1.0), Cost(is_inline=False)
GB = 1 << 30


@pytest.mark.parametrize(
    ("cores", "row_ms", "count"), [(1, None, 1), (3, None, 3), (64, None, 4), (64, 0.5, 4), (64, 1.0, 64), (2, 5.0, 2)]
)
def test_auto_is_a_worker_a_core_up_to_four_unless_rows_are_known_to_be_slow(cores: int, row_ms: float | None, count: int) -> None:
    assert staffing.workers(Settings(), Machine(cores), 0, row_ms=row_ms) == count


def test_auto_leaves_half_of_the_free_memory() -> None:
    assert staffing.workers(Settings(), Machine(4, 16 * GB), GB) == 3
    assert staffing.workers(Settings(), Machine(4, 16 * GB), 0) == 4
    assert staffing.workers(Settings(), Machine(4, GB // 8), GB) == 1
    assert staffing.workers(Settings(workers="4"), Machine(4, GB // 8), GB) == 4, "a number is a number"


def test_each_front_has_a_worker_of_its_own() -> None:
    assert staffing.workers(Settings(fronts="3"), Machine(1), 0) == 3
    assert staffing.workers(Settings(fronts="auto", workers="1"), Machine(8), 0) == 1
    with pytest.raises(UsageError, match=r"--workers 2 are fewer than --fronts 3.*give at least 3 workers"):
        staffing.workers(Settings(fronts="3", workers="2"), Machine(8), 0)


@pytest.mark.parametrize(("total", "fronts"), [(4, 2), (3, 2), (7, 3), (1, 1), (5, 5)])
def test_shares_are_equal_and_add_up(total: int, fronts: int) -> None:
    shares = [staffing.share(total, fronts, number) for number in range(fronts)]
    assert sum(shares) == total and max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("costs", "count"), [([FAST], 8), ([SLOW], 1), ([ORIGINAL], 1), ([FAST, ORIGINAL], 1), ([FAST, FAST], 8), ([], 1), ([Cost(True)], 8)]
)
def test_auto_is_a_front_a_core_only_where_fronts_compute_fast_forms(costs: list[Cost], count: int) -> None:
    assert staffing.fronts(Machine(8), costs) == count


def test_fronts_leave_half_of_the_free_memory_too() -> None:
    assert staffing.fronts(Machine(8, GB), [Cost(True, 0.01, GB // 4)]) == 3
    assert staffing.fronts(Machine(8, 1), [Cost(True, 0.01, GB // 4)]) == 1


@pytest.mark.parametrize(("cores", "asked", "depends"), [(8, "auto", True), (4, "auto", False), (8, "2", False)])
def test_what_a_row_takes_is_looked_up_only_where_it_decides(cores: int, asked: str, depends: bool) -> None:
    assert staffing.depends_on_cost(Settings(workers=asked), Machine(cores)) == depends


def test_this_machine_has_a_core_and_memory() -> None:
    has = staffing.machine()
    assert has.cores >= 1 and has.free_bytes >= 0


@pytest.mark.parametrize(
    ("files", "cores", "free_bytes"),
    [
        ({}, 64, 0),
        ({"cpu.max": "max 100000", "memory.max": "max", "memory.current": "5"}, 64, 0),
        ({"cpu.max": "150000 100000", "memory.max": "1000", "memory.current": "400"}, 2, 600),
        ({"cpu.max": "10000 100000", "memory.max": "1000", "memory.current": "4000"}, 1, 0),
        ({"cpu.max": "nonsense", "memory.max": "", "memory.current": "x"}, 64, 0),
    ],
)
def test_a_container_has_what_its_control_group_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int, free_bytes: int
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content + "\n")
    monkeypatch.setattr(staffing, "_CGROUP", tmp_path)
    monkeypatch.setattr(staffing, "_meminfo", lambda: 0)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(64)), raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert staffing.machine() == Machine(cores, free_bytes)
