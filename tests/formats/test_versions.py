"""Files of other scikit-learn versions: refused where their numbers are known to come out wrong, and only there."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from modelport.formats.allow import judge
from modelport.formats.scan import scan
from modelport.formats.versions import skew

sklearn = pytest.importorskip("sklearn")


def _found(model: object, version: str, **state: object) -> str:
    vars(model).update(state)
    data = pickle.dumps(model, 0).replace(f"V{sklearn.__version__}\n".encode(), f"V{version}\n".encode())
    return skew(scan(data, judge(frozenset(), ())), "1.9.1")


def test_versions_whose_numbers_differ_are_refused_and_others_are_not() -> None:
    from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeRegressor

    rows, three = np.arange(12.0).reshape(6, 2), [0, 1, 2] * 2
    forest = RandomForestClassifier(2).fit(rows, three)
    assert "counts" in _found(forest, "1.3.2")
    assert _found(forest, "1.4.0") == ""
    assert "newer one" in _found(forest, "1.10.0")
    assert _found(forest, "1.9.5") == ""
    assert "scikit-learn==0.20.4" in _found(forest, "0.20.4")
    assert _found(DecisionTreeRegressor().fit(rows, three), "1.3.2") == ""
    assert "inverse document" in _found(TfidfTransformer(), "1.3.2", _idf_diag=1)
    logistic = LogisticRegression().fit(rows, three)
    assert "one-vs-rest" in _found(logistic, "1.3.2", multi_class="ovr")
    assert _found(logistic, "1.3.2", multi_class="auto") == ""
    assert "one-vs-rest" in _found(logistic, "1.3.2", multi_class="auto", solver="liblinear")
    assert _found(LogisticRegression().fit(rows, [0, 1] * 3), "1.3.2", multi_class="ovr") == ""
    assert "SAMME.R" in _found(
        AdaBoostClassifier(LogisticRegression(), n_estimators=2).fit(rows, [0, 0, 1, 1, 2, 2]), "1.5.2", algorithm="SAMME.R"
    )
