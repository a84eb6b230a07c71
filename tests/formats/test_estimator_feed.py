"""Rows reach the estimator in the form that it was fitted on, and the copy without names leaves the original as it was."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.errors import LoadError, MissingExtra
from modelport.formats.base import Options
from modelport.formats.estimator import from_estimator
from modelport.formats.estimator_feed import read_inputs, without_names

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")

from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.ensemble import VotingClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler  # noqa: E402

FRAME = pd.DataFrame({"a": np.arange(12.0), "b": np.arange(12.0)[::-1] ** 2, "c": [True, False, True] * 4})
NUMBERS = FRAME[["a", "b"]]
Y = np.arange(12) % 2


def _form(model: object) -> str:
    return read_inputs(model)[2]


def test_a_frame_is_built_only_where_names_matter() -> None:
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    chosen = make_pipeline(ColumnTransformer([("s", StandardScaler(), ["a"])]), LogisticRegression())
    function = make_pipeline(FunctionTransformer(lambda frame: frame[["b", "a"]]), LogisticRegression())
    framed = make_pipeline(StandardScaler(), LogisticRegression()).set_output(transform="pandas")
    assert _form(scaled.fit(NUMBERS, Y)) == "matrix"
    assert _form(chosen.fit(NUMBERS, Y)) == "frame"
    assert _form(function.fit(NUMBERS, Y)) == "frame"
    assert _form(framed.fit(NUMBERS, Y)) == "frame"
    assert _form(make_pipeline(OneHotEncoder(), LogisticRegression()).fit(FRAME[["c"]], Y)) == "frame"
    for model in (function, framed):
        predictor = from_estimator(model, Options())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            answer = predictor.predict(Columns({"#float64": NUMBERS.to_numpy()}), None)
        np.testing.assert_allclose(answer["probabilities"], model.predict_proba(NUMBERS), rtol=1e-13)


def test_columns_of_several_types_meet_in_one_matrix() -> None:
    rows = np.column_stack([np.arange(12.0), Y])
    columns = ColumnTransformer([("s", StandardScaler(), [0]), ("o", OneHotEncoder(categories=[[0, 1]]), [1])])
    model = make_pipeline(columns, LogisticRegression()).fit(rows, Y)
    predictor = from_estimator(model, Options())
    logical = {item.name: rows[:, at].astype(item.dtype) for at, item in enumerate(predictor.schema.inputs)}
    answer = predictor.predict(predictor.schema.pack(logical), None)
    np.testing.assert_array_equal(answer["probabilities"], model.predict_proba(rows))


def test_booleans_stay_booleans_in_a_frame() -> None:
    model = make_pipeline(ColumnTransformer([("o", OneHotEncoder(), ["c"])], remainder="passthrough"), LogisticRegression()).fit(FRAME, Y)
    predictor = from_estimator(model, Options())
    assert [item.type for item in predictor.schema.inputs] == ["float64", "float64", "bool"]
    packed = predictor.schema.pack({name: FRAME[name].to_numpy() for name in FRAME})
    np.testing.assert_array_equal(predictor.predict(packed, None)["probabilities"], model.predict_proba(FRAME))


def test_the_copy_without_names_shares_what_was_learnt_and_spares_the_original() -> None:
    model = VotingClassifier([("a", make_pipeline(StandardScaler(), LogisticRegression()))], voting="soft").fit(NUMBERS, Y)
    copied = without_names(model)
    inner, original = copied.estimators_[0], model.estimators_[0]  # type: ignore[attr-defined]
    assert not hasattr(copied, "feature_names_in_")
    assert not hasattr(inner[0], "feature_names_in_")
    assert list(original[0].feature_names_in_) == ["a", "b"]
    assert inner[-1] is original[-1]
    assert inner[0].mean_ is original[0].mean_


def test_what_knows_no_names_is_not_copied() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(NUMBERS.to_numpy(), Y)
    assert without_names(model) is model


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_pipeline(ColumnTransformer([("s", StandardScaler(), ["a"])]), LogisticRegression()).fit(NUMBERS, Y)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"modelport\[table\]"):
        from_estimator(model, Options())


def test_parts_that_disagree_on_the_width_are_refused() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(NUMBERS, Y)
    model[0].feature_names_in_ = np.array(["a", "b", "c"], object)
    with pytest.raises(LoadError, match="takes 2 columns"):
        from_estimator(model, Options())
