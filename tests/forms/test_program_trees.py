"""Trees within programs: the leaf that each row reaches, what leaves add up to, and what is refused before compiled code sees it."""

from __future__ import annotations

import numpy as np
import pytest

from modelport.errors import LoadError
from modelport.forms.program.compiled import OPERATIONS, make_ready
from modelport.forms.program.steps import Program, Step


def run(op: str, *inputs: object, settings: dict[str, object] | None = None, **arrays: object) -> np.ndarray:
    step = Step(op, tuple(range(len(inputs))), settings or {}, {name: np.asarray(array) for name, array in arrays.items()})
    return OPERATIONS[op](step)(*inputs)


STUMPS = {
    "left": [1, -1, -1, -1, 1, -1, -1],
    "right": [2, -1, -1, -1, 2, -1, -1],
    "feature": [0, 0, 0, 0, 1, 0, 0],
    "threshold": [0.5, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0],
    "roots": [0, 3, 4],
}
"""Three trees: a stump, a single leaf, a stump."""


def test_leaves_are_found_in_every_tree() -> None:
    rows = np.array([[0.5, 2.0], [np.nextafter(0.5, 1), np.nextafter(2.0, 3)]])
    assert run("leaves", rows, settings={"width": 2}, **STUMPS).tolist() == [[1, 3, 5], [2, 3, 6]]


def test_missing_values_and_members_of_sets_go_left_where_the_node_says_so() -> None:
    sets = np.zeros((1, 256), int)
    sets[0, [3, 200]] = 1
    arrays = {**STUMPS, "missing_left": [1, 0, 0, 0, 0, 0, 0], "category": [-1, -1, -1, -1, 0, -1, -1], "sets": sets}
    rows = np.array([[np.nan, 200.0], [1.0, 4.0], [0.0, 3.0], [0.0, np.nan]])
    assert run("leaves", rows, settings={"width": 2}, **arrays).tolist() == [[1, 3, 5], [2, 3, 6], [1, 3, 5], [1, 3, 6]]


def test_what_leaves_hold_is_added_tree_after_tree() -> None:
    values = np.array([0.0, 0.1, 0.2, 0.3, 0.0, 1e16, -1e16])
    found = np.array([[1, 3, 5], [2, 3, 6]])
    assert run("leaf_sums", found, values=values[:, None]).tolist() == [[0.1 + 0.3 + 1e16], [0.2 + 0.3 - 1e16]]
    assert run("leaf_sums", found[:1], settings={"divisor": 3.0}, values=values[:, None]).tolist() == [[(0.1 + 0.3 + 1e16) / 3]]
    pairs = run("leaf_sums", np.array([[1, 3, 2, 3]]), settings={"groups": 2}, values=values[:, None])
    assert pairs.tolist() == [[0.1 + 0.2, 0.3 + 0.3]]


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("left", 0, 0),
        ("left", 0, 3),
        ("right", 0, -2),
        ("right", 1, 1),
        ("feature", 0, 2),
        ("feature", 4, -1),
        ("roots", 0, 1),
        ("roots", 2, 3),
        ("roots", 2, 7),
    ],
)
def test_trees_that_would_lead_compiled_code_astray_are_refused(name: str, at: int, value: int) -> None:
    arrays = {key: np.array(array) for key, array in STUMPS.items()}
    arrays[name][at] = value
    with pytest.raises(LoadError, match="does not fit together"):
        make_ready(Program((Step("leaves", (0,), {"width": 2}, arrays),), {}))


def test_a_node_of_a_set_that_is_not_there_is_refused() -> None:
    arrays = {key: np.array(array) for key, array in STUMPS.items()}
    with pytest.raises(LoadError, match="does not fit together"):
        make_ready(Program((Step("leaves", (0,), {"width": 2}, {**arrays, "category": np.array([0, -1, -1, -1, -1, -1, -1])}),), {}))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("missing", [0, 1])
def test_sets_of_256_flags_are_asked_exactly(share: float, missing: int) -> None:
    """A set may be empty, or hold all; whole numbers outside of it are never members."""
    random = np.random.default_rng(5)
    flags = random.random((1, 256)) < share
    odd = [np.nan, -1.0, -2.0, 256.0, 300.0, 1e9, 2.0**31, 2.0**32, 2.0**33, -(2.0**31)]
    rows = np.r_[np.arange(256.0), odd]
    found = run(
        "leaves", rows[:, None], settings={"width": 1}, left=[1, -1, -1], right=[2, -1, -1], feature=[0, 0, 0], threshold=[0.0, 0.0, 0.0],
        roots=[0], missing_left=[missing, 0, 0], category=[0, -1, -1], sets=flags.astype(np.uint8),
    )  # fmt: skip
    expected = [missing if value != value else 0 <= int(value) < 256 and flags[0, int(value)] for value in rows.tolist()]
    assert (found[:, 0] == 1).tolist() == [bool(item) for item in expected]
