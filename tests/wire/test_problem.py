"""Errors as clients see them (RFC 9457)."""

import json

import pytest

from modelport import errors
from modelport.errors import Cancelled, Fault, LoadError, ModelportError, NeedsTrust, Overloaded, SchemaError
from modelport.wire.problem import problem


def document(error, **more):
    reply = problem(error, **more)
    assert reply.content_type == "application/problem+json"
    out = json.loads(reply.body)
    assert out["status"] == reply.status
    return out


def test_a_problem_names_code_detail_and_every_fault_with_its_path():
    fault = Fault("/a~1b/3", "wrong_type", 'column "é": expected float64')
    assert document(SchemaError("two words", faults=(fault,)), instance="req-1") == {
        "type": "about:blank",
        "title": "Unprocessable " + document(SchemaError("x"))["title"].split()[1],
        "status": 422,
        "detail": "two words",
        "code": "schema_mismatch",
        "retryable": False,
        "faults": [{"path": "/a~1b/3", "code": "wrong_type", "message": 'column "é": expected float64'}],
        "instance": "req-1",
    }


def test_an_error_without_faults_has_an_empty_list_and_no_instance():
    out = document(Overloaded("later"))
    assert (out["faults"], out["retryable"], out["title"]) == ([], True, "Too Many Requests")
    assert "instance" not in out


def test_a_status_that_the_standard_does_not_know_has_a_title_too():
    assert document(Cancelled("gone"))["title"] == "Client Closed Request"


@pytest.mark.parametrize("error", [LoadError("/srv/model.pkl broke"), NeedsTrust("os.system wants trust")])
def test_errors_of_a_files_way_are_not_told_to_clients(error):
    out = document(error)
    assert (out["code"], out["status"]) == ("internal", 500)
    assert "model" not in out["detail"]
    assert "os" not in out["detail"].split()


def test_lone_surrogates_do_not_break_the_answer():
    assert document(ModelportError("a\ud800b"), instance="\udcff")["detail"] == "a?b"


def test_every_error_class_can_be_shown():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ModelportError)]
    assert len(kinds) > 15
    for kind in kinds:
        assert document(kind("why"))["title"]
