"""What the tests of several formats share: an estimator's program, written, read again, and compared with the estimator."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelport.formats.base import Options
from modelport.formats.estimator import from_estimator
from modelport.forms import parity
from modelport.forms.parity import Evidence
from modelport.forms.program.compiled import make_ready
from modelport.forms.program.steps import dump, load


@pytest.fixture
def proven() -> Callable[[object], Evidence]:
    """Give what proves an estimator's program, and fails where it differs from the original."""

    def prove(estimator: object) -> Evidence:
        predictor = from_estimator(estimator, Options())
        program = load(dump(predictor.lower()))
        evidence = parity.prove(predictor.predict, make_ready(program), predictor.schema, program)
        assert evidence.problem == ""
        return evidence

    return prove
