"""The tree of errors: what each class promises, and what of a foreign exception clients may see."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport import errors
from modelport.errors import Fault, MethodNotAllowed, ModelportError, Overloaded, public_reason

PATH = public_reason(ValueError("/srv/models/a.pkl")).removeprefix("ValueError: ")
CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ModelportError)]


def test_every_class_has_a_code_of_its_own():
    codes = [kind.code for kind in CLASSES]
    assert len(set(codes)) == len(codes) > 20
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_has_a_status_an_exit_code_and_one_sentence_that_says_what_it_is(kind):
    assert 400 <= kind.status < 600
    assert kind.exit_code in (1, 2, 3, 4)
    assert kind.__doc__.strip().endswith((".", "all."))
    error = kind("what")
    assert (str(error), error.message, error.faults, error.retry_after_s) == ("what", "what", (), None)


def test_only_what_may_work_the_next_time_is_retryable():
    retryable = {kind.code for kind in CLASSES if kind.retryable}
    assert retryable == {"request_timeout", "overloaded", "not_ready", "draining", "deadline_exceeded"}


def test_an_error_carries_its_faults_its_pause_and_the_methods_that_are_allowed():
    fault = Fault("/a/0", "type", "no")
    assert Overloaded("x", faults=(fault,), retry_after_s=2).faults == (fault,)
    assert Overloaded("x", retry_after_s=2).retry_after_s == 2
    assert MethodNotAllowed("x", allow=("GET",)).allow == ("GET",)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "ValueError"),
        ("  \n ", "ValueError"),
        ("too big\nTraceback: more", "ValueError: too big"),
        ("cannot open /home/me/models/secret.pkl", "ValueError: cannot open <path>"),
        ("No such file or directory: '/data.csv'", "ValueError: No such file or directory: '<path>'"),
        (r"at C:\models\a.pkl", "ValueError: at <path>"),
        (r"C:\x.txt", "ValueError: <path>"),
        ("~/weights.h5", "ValueError: <path>"),
        ("in m/s", "ValueError: in m/s"),
        ("3 / 4 of it", "ValueError: 3 / 4 of it"),
        ("and/or", "ValueError: and/or"),
    ],
)
def test_of_a_foreign_exception_its_class_and_first_line_are_shown_without_paths(text, shown):
    assert public_reason(ValueError(text)) == shown.replace("<path>", PATH)


def test_what_stands_for_a_path_is_none():
    assert PATH
    assert "/" not in PATH
    assert "a.pkl" not in PATH


@given(st.text())
def test_a_public_reason_is_one_line_of_of_bounded_length(text):
    shown = public_reason(ValueError(text))
    assert len(shown) <= 320
    assert len(shown.splitlines()) == 1


def test_a_long_reason_is_cut_where_one_can_see_it():
    assert public_reason(ValueError("x" * 500)).endswith("x…")


def test_an_exception_that_cannot_be_shown_is_named():
    class Rude(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert public_reason(Rude()) == "Rude"
