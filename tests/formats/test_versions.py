"""Files of other scikit-learn versions: refused where they cannot answer as on their day, and only there."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from modelport.formats.allow import judge
from modelport.formats.scan import Scan, scan
from modelport.formats.versions import older, skew

sklearn = pytest.importorskip("sklearn")


def _scan(model: object, version: str, **state: object) -> Scan:
    vars(model).update(state)
    data = pickle.dumps(model, 0).replace(f"V{sklearn.__version__}\n".encode(), f"V{version}\n".encode())
    return scan(data, judge(frozenset(), ()))


def _refusal(model: object, version: str, **state: object) -> str:
    return skew(_scan(model, version, **state), "1.9.1")


def test_a_file_of_a_newer_version_is_refused_and_one_of_the_same_is_not() -> None:
    from sklearn.preprocessing import StandardScaler

    assert "newer one" in _refusal(StandardScaler(), "1.10.0")
    assert _refusal(StandardScaler(), "1.9.5") == ""
    assert older(_scan(StandardScaler(), "1.9.5"), "1.9.1") is None
    assert older(_scan(StandardScaler(), "1.3.2"), "1.9.1") == (1, 3, 2)


def test_what_no_repair_covers_is_refused_with_the_version_to_install() -> None:
    from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression
    from sklearn.neighbors import NearestCentroid
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rows = np.arange(12.0).reshape(6, 2)
    assert "class probabilities" in _refusal(NearestCentroid(), "1.5.2")
    assert "pip install scikit-learn==1.5.2" in _refusal(NearestCentroid(), "1.5.2")
    assert _refusal(NearestCentroid(), "1.6.0") == ""
    assert "experimental" in _refusal(HistGradientBoostingRegressor(), "0.22.2")
    assert "categories" in _refusal(HistGradientBoostingRegressor(), "1.3.2", is_categorical_=np.zeros(2, bool))
    assert _refusal(HistGradientBoostingRegressor(), "1.3.2", is_categorical_=None) == ""
    assert "n_values" in _refusal(OneHotEncoder(), "0.20.4", _legacy_mode=True)
    assert "n_values" in _refusal(OneHotEncoder(), "0.19.2", feature_indices_=np.arange(3))
    assert "axis=1" in _refusal(SimpleImputer(), "0.19.2", axis=1)
    assert "starts from" in _refusal(GradientBoostingRegressor(init=LinearRegression()), "0.20.4")
    assert _refusal(GradientBoostingRegressor(init=LinearRegression()), "0.22.2") == ""
    assert "never compared" in _refusal(GaussianProcessRegressor().fit(rows, rows[:, 0]), "1.0.2")
    assert _refusal(GaussianProcessRegressor().fit(rows, rows[:, 0]), "1.3.2") == ""
    assert "before 0.18" in _refusal(StandardScaler(), "0.17.1")


def test_a_file_that_names_renamed_modules_but_no_version_is_refused() -> None:
    data = b"\x80\x02csklearn.linear_model.logistic\nLogisticRegression\n)\x81}b."
    assert "does not say which scikit-learn wrote it" in skew(scan(data, judge(frozenset(), ())), "1.9.1")


def test_without_scikit_learn_there_is_nothing_to_compare() -> None:
    from sklearn.preprocessing import StandardScaler

    assert skew(_scan(StandardScaler(), "1.10.0"), "") == ""
    assert older(_scan(StandardScaler(), "1.3.2"), "") is None
