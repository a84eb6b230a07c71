"""Which engine a name, a version or neither stands for."""

from __future__ import annotations

import pytest

from modelport.engine.batcher import BatchLimits
from modelport.engine.engine import Engine
from modelport.engine.executor import Identity
from modelport.engine.models import Models
from modelport.errors import NotFound, UsageError


def engine(name: str, version: str = "1", route: str | None = None) -> Engine:
    return Engine(Identity(name, version, route), BatchLimits())


def test_the_only_model_needs_no_name_and_the_last_version_no_version():
    models = Models()
    first, second = engine("a"), engine("a", "2", "/r")
    models.add(first)
    models.add(second)
    assert models.get(None, None) is models.get("a", None) is second
    assert models.get("a", "1") is models.get(None, "1") is first
    assert models.all() == [first, second]


def test_several_models_need_a_name_and_are_listed():
    models = Models()
    models.add(engine("b"))
    models.add(engine("a"))
    with pytest.raises(NotFound, match="/models/a/predict, /models/b/predict"):
        models.get(None, None)


def test_what_there_is_not_is_answered_with_what_there_is():
    models = Models()
    with pytest.raises(NotFound, match='no model "x"; there are: none'):
        models.get("x", None)
    models.add(engine("a"))
    models.add(engine("b"))
    with pytest.raises(NotFound, match='no model "x"; there are: a, b'):
        models.get("x", None)
    with pytest.raises(NotFound, match='no version "7"; it has: 1'):
        models.get("a", "7")


def test_a_version_given_twice_and_a_route_wanted_twice_are_refused_and_leave_no_trace():
    models = Models()
    models.add(engine("a", route="/r"))
    with pytest.raises(UsageError, match="given twice"):
        models.add(engine("a"))
    with pytest.raises(UsageError, match='both want the route "/r"'):
        models.add(engine("b", route="/r"))
    with pytest.raises(NotFound, match='no model "b"'):
        models.get("b", None)
    assert models.get(None, None).name == "a"
    models.add(engine("a", "2", "/r"))
