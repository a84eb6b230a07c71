"""Every estimator of scikit-learn, served, answers what it answers when it is called by hand."""

from __future__ import annotations

import functools
import inspect
import warnings

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.errors import LoadError, ModelError
from modelport.formats.base import Options
from modelport.formats.estimator import EstimatorPredictor, from_estimator, infer_schema

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")

from sklearn.base import BaseEstimator  # noqa: E402
from sklearn.linear_model import LogisticRegression, Ridge  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils import all_estimators  # noqa: E402

RNG = np.random.default_rng(7)
X = np.abs(RNG.normal(size=(60, 4)))
FRAME = pd.DataFrame(X, columns=["a", "b", "c d", "é"])
Y = (X[:, 0] + X[:, 1] > 1.5).astype(int)
TARGETS = {
    "classifier": np.array(["no", "yes"], object)[Y],
    "regressor": X @ [1.0, -2.0, 0.5, 0.0] + 10.0,
    "many": np.column_stack([X[:, 0] * 2 + 1, X[:, 1] - X[:, 2]]),
    "labels": np.column_stack([Y, (X[:, 2] > 0.6).astype(int)]),
}

# Constructor arguments of the classes that have no default for all, or one that suits no small data.
ARGUMENTS: dict[str, dict[str, object]] = {
    "ClassifierChain": {"estimator": LogisticRegression()},
    "ColumnTransformer": {"transformers": [("s", StandardScaler(), [0, 2])], "remainder": "passthrough"},
    "FeatureUnion": {"transformer_list": [("s", StandardScaler())]},
    "FixedThresholdClassifier": {"estimator": LogisticRegression(), "threshold": 0.7},
    "FrozenEstimator": {"estimator": LogisticRegression().fit(X, TARGETS["classifier"])},
    "GaussianRandomProjection": {"n_components": 2, "random_state": 0},
    "SparseRandomProjection": {"n_components": 2, "random_state": 0},
    "GridSearchCV": {"estimator": LogisticRegression(), "param_grid": {"C": [0.1, 1.0]}},
    "HalvingGridSearchCV": {"estimator": LogisticRegression(), "param_grid": {"C": [0.1, 1.0]}},
    "HalvingRandomSearchCV": {"estimator": LogisticRegression(), "param_distributions": {"C": [0.1, 1.0]}, "n_candidates": 2},
    "LocalOutlierFactor": {"novelty": True},
    "MultiOutputClassifier": {"estimator": LogisticRegression()},
    "MultiOutputRegressor": {"estimator": Ridge()},
    "OneVsOneClassifier": {"estimator": LogisticRegression()},
    "OneVsRestClassifier": {"estimator": LogisticRegression()},
    "OutputCodeClassifier": {"estimator": LogisticRegression(), "random_state": 0},
    "Pipeline": {"steps": [("s", StandardScaler()), ("p", "passthrough"), ("m", LogisticRegression())]},
    "RANSACRegressor": {"random_state": 0},
    "RFE": {"estimator": LogisticRegression()},
    "RFECV": {"estimator": LogisticRegression()},
    "RadiusNeighborsClassifier": {"radius": 9.0},
    "RadiusNeighborsRegressor": {"radius": 9.0},
    "RandomizedSearchCV": {"estimator": LogisticRegression(), "param_distributions": {"C": [0.1, 1.0]}, "n_iter": 2},
    "RegressorChain": {"estimator": Ridge()},
    "SelectFromModel": {"estimator": LogisticRegression()},
    "SelfTrainingClassifier": {"estimator": LogisticRegression()},
    "SequentialFeatureSelector": {"estimator": LogisticRegression()},
    "StackingClassifier": {"estimators": [("a", LogisticRegression())], "passthrough": True},
    "StackingRegressor": {"estimators": [("a", Ridge())]},
    "TunedThresholdClassifierCV": {"estimator": LogisticRegression(), "cv": 2, "thresholds": 5},
    "VotingClassifier": {"estimators": [("a", LogisticRegression())]},
    "VotingRegressor": {"estimators": [("a", Ridge())]},
}
TARGET_OF: dict[str, str] = {
    **dict.fromkeys(("ClassifierChain", "MultiOutputClassifier"), "labels"),
    **dict.fromkeys(("MultiOutputRegressor", "RegressorChain", "CCA", "PLSCanonical", "PLSRegression", "PLSSVD"), "many"),
}
# Those that take one column, a square matrix, or no table at all; each has its own test or is refused with a reason.
OTHER_INPUT = {"IsotonicRegression", "KernelCenterer", "SparseCoder", "PatchExtractor", "EmpiricalCovariance"}
REFUSED = {"FeatureHasher", "DictVectorizer", "LabelEncoder", "LabelBinarizer", "MultiLabelBinarizer", "PatchExtractor"}
TEXT = {"CountVectorizer", "TfidfVectorizer", "HashingVectorizer"}
METHODS = {
    "label": ("predict",),
    "prediction": ("predict",),
    "cluster": ("predict",),
    "features": ("transform",),
    "probabilities": ("predict_proba",),
    "scores": ("decision_function",),
    "score": ("decision_function", "score_samples"),
}


# Solved over the whole batch at once, up to a tolerance: such a model must not be batched with other people's rows.
DEPENDENT = {"MiniBatchNMF", "NMF"}

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:sklearn", "ignore::UserWarning:sklearn")


def _classes() -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {name for name, item in all_estimators() if hasattr(item, "predict") or hasattr(item, "transform")}
    return sorted(found - OTHER_INPUT - REFUSED - TEXT)


@functools.cache
def _fitted(name: str, *, named: bool = False) -> BaseEstimator:
    rows = FRAME if named else X
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = dict(all_estimators())[name](**ARGUMENTS.get(name, {}))
        if name == "FrozenEstimator":
            return made
        kind = TARGET_OF.get(name, "many" if name.startswith("MultiTask") else getattr(made.__sklearn_tags__(), "estimator_type", None))
        target = TARGETS.get(kind or "", TARGETS["classifier"])
        return made.fit(rows, target) if {"y", "Y"} & set(inspect.signature(made.fit).parameters) else made.fit(rows)


@functools.cache
def _served(name: str, *, named: bool = False) -> EstimatorPredictor:
    return from_estimator(_fitted(name, named=True) if named else _fitted(name), Options())


def _columns(predictor: EstimatorPredictor, rows: np.ndarray) -> Columns:
    return predictor.schema.pack({item.name: rows[:, at] for at, item in enumerate(predictor.schema.inputs)})


def _by_hand(estimator: BaseEstimator, output: str, rows: object) -> np.ndarray:
    name, _, at = output.rpartition("_") if output[-1].isdigit() else (output, "", "")
    method = next(item for item in METHODS[name] if hasattr(estimator, item))
    answer = getattr(estimator, method)(rows)
    answer = answer[int(at)] if at else answer
    return np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer)


def _assert_close(actual: np.ndarray, expected: np.ndarray) -> None:
    """Floats may differ in the last bits: BLAS adds in another order with another address of the array, or on another processor."""
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)
    else:
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", _classes())
def test_answers_are_those_of_the_estimator_called_by_hand(name: str) -> None:
    predictor = _served(name)
    assert [item.name for item in predictor.schema.inputs] == ["x0", "x1", "x2", "x3"]
    assert not predictor.schema.is_named
    assert predictor.native is _fitted(name)
    answers = predictor.predict(_columns(predictor, X), None)
    assert list(answers) == [item.name for item in predictor.schema.outputs]
    for item in predictor.schema.outputs:
        actual = answers[item.name]
        assert actual.shape[1:] == item.shape
        assert actual.dtype == item.dtype
        expected = _by_hand(_fitted(name), item.name, X).reshape(actual.shape)
        _assert_close(actual, expected)


@pytest.mark.parametrize("name", sorted(set(_classes()) - {"FrozenEstimator"}))
def test_names_are_those_of_fitting_and_cost_no_accuracy(name: str) -> None:
    predictor = _served(name, named=True)
    assert [item.name for item in predictor.schema.inputs] == list(FRAME)
    assert predictor.schema.is_named
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="X (does not have|has feature names)")
        answers = predictor.predict(_columns(predictor, X), None)
    for item in predictor.schema.outputs:
        expected = _by_hand(_fitted(name, named=True), item.name, FRAME)
        _assert_close(answers[item.name], expected.reshape(answers[item.name].shape))


@pytest.mark.parametrize("name", sorted(set(_classes()) - DEPENDENT))
def test_a_row_alone_is_answered_as_within_a_batch(name: str) -> None:
    predictor = _served(name)
    batch = predictor.predict(_columns(predictor, X[:5]), None)
    for at in range(5):
        alone = predictor.predict(_columns(predictor, X[at : at + 1]), None)
        for output, array in alone.items():
            _assert_close(array, batch[output][at : at + 1])


@pytest.mark.parametrize("name", _classes())
def test_nullable_says_exactly_whether_missing_values_are_taken(name: str) -> None:
    rows = np.where(np.eye(4, dtype=bool), np.nan, X[:4])
    estimator = _fitted(name)
    try:
        getattr(estimator, "predict" if hasattr(estimator, "predict") else "transform")(rows)
    except ValueError:
        takes = False
    else:
        takes = True
    assert {item.nullable for item in _served(name).schema.inputs} == {takes}


@pytest.mark.parametrize("name", _classes())
def test_the_sample_can_be_answered(name: str) -> None:
    predictor = _served(name)
    assert predictor.predict(predictor.schema.sample(1), None).rows == 1


@pytest.mark.parametrize("name", ["DBSCAN", "AgglomerativeClustering", "NearestNeighbors", "LedoitWolf", "MDS"])
def test_what_can_answer_nothing_for_new_rows_is_refused(name: str) -> None:
    with pytest.raises(LoadError, match=f"{name} has neither predict nor transform"):
        infer_schema(_fitted(name))


@pytest.mark.parametrize("name", _classes())
def test_only_the_outputs_asked_for_are_answered(name: str) -> None:
    predictor = _served(name)
    columns = _columns(predictor, X[:7])
    everything = predictor.predict(columns, None)
    for output in everything:
        alone = predictor.predict(columns, [output])
        assert list(alone) == [output]
        _assert_close(alone[output], everything[output])


def test_an_output_that_does_not_exist_is_named() -> None:
    predictor = _served("LogisticRegression")
    with pytest.raises(ModelError, match='no output "score"; it has label, probabilities'):
        predictor.predict(_columns(predictor, X), ["score"])


def test_a_model_that_solves_all_rows_of_a_call_together_says_so() -> None:
    """Wherever it stands in a pipeline: its requests must not be joined."""
    from sklearn.decomposition import NMF
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    x = np.random.default_rng(0).random((40, 5))
    together = make_pipeline(MinMaxScaler(), NMF(2, max_iter=2000), Ridge()).fit(x, x[:, 0])
    alone = make_pipeline(MinMaxScaler(), Ridge()).fit(x, x[:, 0])
    assert not from_estimator(together, Options()).is_row_wise
    assert from_estimator(alone, Options()).is_row_wise
