"""What the schema says of each column, and that a mixed model served from it answers as it does in a notebook."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from modelport.errors import LoadError
from modelport.formats.base import Options
from modelport.formats.estimator import EstimatorPredictor, from_estimator, infer_schema
from modelport.formats.estimator_inputs import Use, merge, positions
from modelport.schema import Field

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")

from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector  # noqa: E402
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, RandomForestClassifier, VotingClassifier  # noqa: E402
from sklearn.feature_extraction import DictVectorizer  # noqa: E402
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer  # noqa: E402
from sklearn.feature_selection import SelectKBest  # noqa: E402
from sklearn.impute import KNNImputer, SimpleImputer  # noqa: E402
from sklearn.linear_model import LogisticRegression, Ridge  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union  # noqa: E402
from sklearn.preprocessing import (  # noqa: E402
    FunctionTransformer,
    LabelEncoder,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

RNG = np.random.default_rng(3)
N = 80
FRAME = pd.DataFrame(
    {
        "age": RNG.normal(40, 9, N),
        "fare": np.where(np.arange(N) % 7 == 0, np.nan, RNG.normal(30, 5, N)),
        "town": RNG.choice(["Oslo", "Lyon", "Cork"], N).astype(object),
        "deck": pd.Series([None if at % 5 == 0 else "ABC"[at % 3] for at in range(N)], dtype=object),
        "rank": RNG.integers(1, 4, N),
        "note": [f"word{at % 4} other" for at in range(N)],
    }
)
Y = (FRAME["age"] > 40).to_numpy().astype(int)
NUMBERS = ["age", "fare"]


def _fit(transformers: list[tuple[str, object, object]], **more: object) -> object:
    columns = ColumnTransformer(transformers, **more)  # type: ignore[arg-type]
    model = make_pipeline(columns, SimpleImputer(), LogisticRegression())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(FRAME, Y)


def _assert_served(model: object, rows: pd.DataFrame) -> EstimatorPredictor:
    """Serve the rows from their physical columns and compare with the model called on the frame itself."""
    predictor = from_estimator(model, Options())
    logical = {}
    for item in predictor.schema.inputs:
        values = rows[item.name]
        logical[item.name] = values.astype(object).where(values.notna(), None).to_numpy() if item.type == "string" else values.to_numpy()
    answers = predictor.predict(predictor.schema.pack(logical), None)
    np.testing.assert_array_equal(answers["label"], model.predict(rows))  # type: ignore[attr-defined]
    np.testing.assert_allclose(answers["probabilities"], model.predict_proba(rows), rtol=1e-13)  # type: ignore[attr-defined]
    assert predictor.predict(predictor.schema.sample(1), None).rows == 1
    return predictor


def _fields(model: object) -> dict[str, Field]:
    return {item.name: item for item in infer_schema(model).inputs}


SCALED = make_pipeline(SimpleImputer(), StandardScaler())


@pytest.mark.parametrize(
    "key",
    [
        NUMBERS,
        [0, 1],
        [-6, -5],
        slice(0, 2),
        slice("age", "fare"),
        np.array([True, True, False, False, False, False]),
        lambda frame: ["age", "fare"],
        make_column_selector(pattern="age|fare"),
        pd.Index(NUMBERS),
    ],
    ids=["names", "indices", "from the end", "slice", "labels", "mask", "function", "selector", "index"],
)
def test_columns_are_found_however_they_were_chosen(key: object) -> None:
    model = _fit([("n", SCALED, key), ("t", OneHotEncoder(handle_unknown="ignore"), ["town"])])
    schema = _assert_served(model, FRAME).schema
    assert [(item.name, item.type) for item in schema.inputs] == [("age", "float64"), ("fare", "float64"), ("town", "string")]


def test_dropped_columns_need_not_be_sent() -> None:
    model = _fit([("n", SCALED, NUMBERS), ("d", "drop", ["town"])], remainder="drop")
    assert [item.name for item in _assert_served(model, FRAME).schema.inputs] == NUMBERS


def test_passed_through_columns_are_numbers_and_missing_only_where_what_follows_takes_it() -> None:
    model = _fit(
        [("t", OneHotEncoder(), ["town"]), ("d", "drop", ["deck", "note"]), ("p", "passthrough", ["fare"])], remainder="passthrough"
    )
    fields = {item.name: item for item in _assert_served(model, FRAME).schema.inputs}
    assert list(fields) == ["age", "fare", "town", "rank"]
    assert [fields[name].type for name in ("age", "fare", "rank")] == ["float64"] * 3
    assert fields["fare"].nullable
    bare = make_pipeline(ColumnTransformer([("p", "passthrough", ["age"])]), LogisticRegression()).fit(FRAME, Y)
    assert not _fields(bare)["age"].nullable


@pytest.mark.parametrize(
    ("encoder", "closed", "nullable"),
    [
        (OneHotEncoder(), True, False),
        (OneHotEncoder(drop="first", sparse_output=False), True, False),
        (OneHotEncoder(handle_unknown="ignore"), False, True),
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30), False, True),
        (OrdinalEncoder(), True, False),
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), False, True),
        (TargetEncoder(cv=2, random_state=0), False, True),
    ],
)
def test_encoders_tell_the_values_and_whether_there_may_be_others(encoder: object, closed: bool, nullable: bool) -> None:
    model = _fit([("n", SCALED, NUMBERS), ("t", encoder, ["town"])])
    field = {item.name: item for item in _assert_served(model, FRAME).schema.inputs}["town"]
    assert (field.type, field.categories, field.closed, field.nullable) == ("string", ("Cork", "Lyon", "Oslo"), closed, nullable)
    if not closed:
        strange = FRAME.assign(town=pd.Series(["Rome", *["Oslo"] * (N - 1)], dtype=object))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _assert_served(model, strange)


@pytest.mark.parametrize("missing", [None, np.nan], ids=["None", "nan"])
def test_a_category_that_is_missing_makes_the_column_nullable(missing: object) -> None:
    frame = FRAME.assign(deck=FRAME["deck"].where(FRAME["deck"].notna(), missing).astype(object))
    columns = ColumnTransformer([("n", SCALED, NUMBERS), ("d", OneHotEncoder(), ["deck"])])
    model = make_pipeline(columns, LogisticRegression()).fit(frame, Y)
    field = {item.name: item for item in _assert_served(model, frame).schema.inputs}["deck"]
    assert field.nullable
    assert field.closed
    assert field.categories == ("A", "B", "C")


def test_numeric_categories_keep_their_type() -> None:
    model = _fit([("r", OneHotEncoder(), ["rank"]), ("n", SCALED, NUMBERS)])
    field = {item.name: item for item in _assert_served(model, FRAME).schema.inputs}["rank"]
    assert (field.type, field.categories, field.closed) == ("int64", (1, 2, 3), True)


def test_an_imputer_before_an_encoder_takes_missing_texts() -> None:
    chain = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    frame = FRAME.assign(deck=FRAME["deck"].where(FRAME["deck"].notna(), np.nan).astype(object))
    columns = ColumnTransformer([("n", SimpleImputer(add_indicator=True), NUMBERS), ("d", chain, ["deck"])])
    model = make_pipeline(columns, LogisticRegression()).fit(frame, Y)
    fields = {item.name: item for item in _assert_served(model, frame).schema.inputs}
    assert (fields["deck"].type, fields["deck"].nullable, fields["deck"].closed) == ("string", True, True)
    assert fields["deck"].categories == ("A", "B", "C")
    assert fields["fare"].nullable


def test_unions_and_texts_inside_a_column_transformer() -> None:
    union = FeatureUnion([("s", StandardScaler()), ("c", make_pipeline(SimpleImputer(), MinMaxScaler()))])
    texts = FeatureUnion([("w", TfidfVectorizer()), ("c", CountVectorizer(analyzer="char"))])
    model = _fit([("u", union, ["age", "rank"]), ("x", texts, "note")])
    fields = {item.name: item for item in _assert_served(model, FRAME).schema.inputs}
    assert {name: item.type for name, item in fields.items()} == {"age": "float64", "rank": "float64", "note": "string"}
    assert fields["age"].nullable, "the scaler hands it on and the last imputer fills it"
    assert not fields["note"].nullable


def test_a_column_read_twice_suits_both_readers() -> None:
    model = _fit([("n", SCALED, ["rank", "age"]), ("r", OneHotEncoder(), ["rank"])])
    field = {item.name: item for item in _assert_served(model, FRAME).schema.inputs}["rank"]
    assert (field.type, field.closed, field.nullable) == ("float64", True, False)


def test_functions_of_frames_get_frames_with_real_types() -> None:
    double = FunctionTransformer(lambda frame: frame[["age"]] * 2 + frame[["rank"]].to_numpy())
    _assert_served(_fit([("f", double, ["age", "rank"]), ("t", OneHotEncoder(), ["town"])]), FRAME)


@pytest.mark.parametrize("vectorizer", [CountVectorizer(), TfidfVectorizer(ngram_range=(1, 2)), HashingVectorizer(n_features=64)])
def test_a_text_pipeline_has_one_column_called_text(vectorizer: object) -> None:
    texts = FRAME["note"].to_list()
    models = [
        make_pipeline(vectorizer, LogisticRegression()),
        make_pipeline(make_union(vectorizer, CountVectorizer()), LogisticRegression()),
    ]
    models.append(make_pipeline(FunctionTransformer(lambda rows: [row.lower() for row in rows]), vectorizer, LogisticRegression()))
    models.append(GridSearchCV(models[0], {"logisticregression__C": [1.0]}, cv=2))
    models.append(CalibratedClassifierCV(models[0], cv=2))
    for model in models:
        model.fit(texts, Y)
        predictor = from_estimator(model, Options())
        assert predictor.schema.inputs == (Field("text", "string"),)
        rows = np.array(["word1 word2", "", "naïve ☃"], object)
        answers = predictor.predict(predictor.schema.pack({"text": rows}), None)
        np.testing.assert_array_equal(answers["probabilities"], model.predict_proba(rows.tolist()))
        np.testing.assert_array_equal(answers["label"], model.predict(rows.tolist()))


def test_a_mixed_array_without_names_is_served_as_objects() -> None:
    rows = FRAME[["age", "town", "rank", "note"]].to_numpy(object)
    columns = ColumnTransformer([("n", StandardScaler(), [0, 2]), ("t", OneHotEncoder(), [1])])
    model = make_pipeline(columns, LogisticRegression()).fit(rows, Y)
    predictor = from_estimator(model, Options())
    assert [(item.name, item.type, item.nullable) for item in predictor.schema.inputs] == [
        ("x0", "float64", False),
        ("x1", "string", False),
        ("x2", "float64", False),
        ("x3", "float64", True),
    ]
    logical = {"x0": rows[:, 0].astype(float), "x1": rows[:, 1], "x2": rows[:, 2].astype(float), "x3": np.full(N, np.nan)}
    answers = predictor.predict(predictor.schema.pack(logical), None)
    np.testing.assert_array_equal(answers["probabilities"], model.predict_proba(rows))


def test_histogram_boosting_tells_the_categories_of_a_frame() -> None:
    frame = FRAME[["age", "fare"]].assign(town=FRAME["town"].astype("category"))
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype").fit(frame, Y)
    fields = {item.name: item for item in _assert_served(model, frame).schema.inputs}
    assert (fields["town"].type, fields["town"].categories, fields["town"].closed) == ("string", ("Cork", "Lyon", "Oslo"), False)
    assert all(item.nullable for item in fields.values())


def test_ensembles_and_searches_are_looked_through() -> None:
    inner = _fit([("n", SCALED, NUMBERS), ("t", OneHotEncoder(), ["town"])])
    search = GridSearchCV(inner, {"logisticregression__C": [0.1, 1.0]}, cv=2)
    voting = VotingClassifier([("a", inner), ("b", inner)], voting="soft")
    for model in (search, voting, CalibratedClassifierCV(inner, cv=2)):
        fields = {item.name: item for item in _assert_served(model.fit(FRAME, Y), FRAME).schema.inputs}
        assert list(fields) == ["age", "fare", "town"]
        assert fields["town"].closed
        assert fields["fare"].nullable


def test_missing_values_reach_no_step_that_refuses_them() -> None:
    rows = FRAME[NUMBERS]
    full = rows.fillna(1.0)
    for model, nullable in (
        (make_pipeline(StandardScaler(), LogisticRegression()).fit(full, Y), False),
        (make_pipeline(StandardScaler(), SimpleImputer(), LogisticRegression()).fit(rows, Y), True),
        (make_pipeline(KNNImputer(), LogisticRegression()).fit(rows, Y), True),
        (make_pipeline(SimpleImputer(missing_values=-1), LogisticRegression()).fit(full, Y), False),
        (make_pipeline(SelectKBest(k=1), RandomForestClassifier(3)).fit(full, Y), False),
        (make_pipeline(StandardScaler(), RandomForestClassifier(3)).fit(full, Y), True),
        (BaggingClassifier(make_pipeline(StandardScaler(), LogisticRegression()), n_estimators=2).fit(full, Y), False),
        (TransformedTargetRegressor(make_pipeline(SimpleImputer(), Ridge())).fit(rows, Y * 1.0), True),
    ):
        assert {item.nullable for item in infer_schema(model).inputs} == {nullable}, model


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (make_pipeline(DictVectorizer(), LogisticRegression()), "reads a mapping a row"),
        (LabelEncoder().fit(["a"]), "encodes labels, not rows"),
        (LogisticRegression(), "does not say how many columns"),
        (make_pipeline(HashingVectorizer(), LogisticRegression()), "before it was fitted"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(model: object, said: str) -> None:
    with pytest.raises(LoadError, match=said):
        infer_schema(model)


def test_the_width_is_found_without_n_features_in() -> None:
    """Files of scikit-learn before 0.24 do not say it outright."""
    for model in (LogisticRegression(), Ridge(), StandardScaler(), RandomForestClassifier(2)):
        fitted = model.fit(FRAME[["age", "rank"]].to_numpy(), Y)
        del fitted.n_features_in_
        assert [item.name for item in infer_schema(fitted).inputs] == ["x0", "x1"]


def test_merging_takes_the_stricter_side() -> None:
    left = Use("string", nullable=True, categories=("a", "b"), closed=True, is_exact=True)
    right = Use("string", categories=("b", "c"), closed=True, is_exact=True)
    assert merge(left, right).categories == ("b",)
    assert merge(left, right).nullable is False
    assert merge(Use(is_used=False), left) == left
    assert merge(left, Use(is_used=False)) == left


def test_positions_of_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="town"):
        positions("town", ("age",), 1)
