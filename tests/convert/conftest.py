"""What the tests of conversions share: an estimator through the work of the process that converts, in this one."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from modelport.bundle.folder import open_bundle
from modelport.bundle.model import load_model
from modelport.columns import Columns
from modelport.convert.order import Order
from modelport.convert.work import Made, work
from modelport.formats.base import Options


@pytest.fixture
def convert(tmp_path: Path) -> Callable[..., Made]:
    """Convert a file, or a fitted estimator that is pickled first."""

    def run(model: object, order: Order, rows: Columns | None = None) -> Made:
        path = model if isinstance(model, Path) else tmp_path / "model.pkl"
        if not isinstance(model, Path):
            path.write_bytes(pickle.dumps(model))
        bundle = open_bundle(path)
        return work(bundle, load_model(bundle, Options()), Options(), order, rows)

    return run
