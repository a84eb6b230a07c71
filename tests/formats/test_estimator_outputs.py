"""Outputs have the type and shape of the estimator's own answers, and a failure is one clean sentence."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from modelport.columns import Columns
from modelport.errors import ModelError
from modelport.formats import estimator_outputs
from modelport.formats.base import Options
from modelport.formats.estimator import from_estimator, infer_schema
from modelport.formats.estimator_outputs import dense, shaped
from modelport.schema import Field, Schema

pytest.importorskip("sklearn")
sparse = pytest.importorskip("scipy.sparse")

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.ensemble import IsolationForest, RandomForestClassifier, VotingClassifier  # noqa: E402
from sklearn.isotonic import IsotonicRegression  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: E402
from sklearn.multioutput import MultiOutputClassifier  # noqa: E402
from sklearn.pipeline import Pipeline, make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler  # noqa: E402
from sklearn.svm import SVC, LinearSVC  # noqa: E402

RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 3))
Y = np.arange(60) % 3


def _outputs(model: object) -> list[tuple[str, str, tuple[int | None, ...]]]:
    return [(item.name, item.type, item.shape) for item in infer_schema(model).outputs]


def _answer(model: object, rows: np.ndarray = X) -> Columns:
    predictor = from_estimator(model, Options())
    return predictor.predict(predictor.schema.pack({f"x{at}": rows[:, at] for at in range(rows.shape[1])}), None)


@pytest.mark.parametrize(
    ("labels", "kind", "classes"),
    [
        (Y == 1, "bool", (False, True)),
        (Y + 5, "int64", (5, 6, 7)),
        (Y.astype(np.uint8), "int64", (0, 1, 2)),
        (Y * 1.0 - 1, "float64", (-1.0, 0.0, 1.0)),
        (np.array(["é", "b", "c"])[Y], "string", ("b", "c", "é")),
        (np.array(["é", "b", "c"], object)[Y], "string", ("b", "c", "é")),
    ],
)
def test_labels_keep_their_type_and_classes_are_plain_values(labels: np.ndarray, kind: str, classes: tuple[object, ...]) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, labels)
    schema = infer_schema(model)
    assert schema.task == "classifier"
    assert schema.classes == classes
    assert [type(value) for value in schema.classes] == [type(value) for value in classes]
    assert Schema.from_dict(schema.to_dict()) == schema
    answer = _answer(model)
    assert schema.outputs[0].type == kind
    assert answer["label"].dtype == schema.outputs[0].dtype
    assert answer["label"].tolist() == model.predict(X).tolist()


def test_a_decision_function_of_two_classes_is_one_score_of_the_second() -> None:
    labels = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]
    for model in (LinearSVC().fit(X, labels), SVC().fit(X, labels)):
        (_, scores) = infer_schema(model).outputs
        assert (scores.name, scores.shape) == ("scores", (1,))
        assert "'yes'" in scores.description
        np.testing.assert_array_equal(_answer(model)["scores"][:, 0], model.decision_function(X))


def test_scores_of_several_classes_are_one_each_or_one_a_pair() -> None:
    labels = np.arange(60) % 4
    assert _outputs(LinearSVC().fit(X, labels))[1] == ("scores", "float64", (4,))
    pairs = SVC(decision_function_shape="ovo").fit(X, labels)
    assert _outputs(pairs)[1] == ("scores", "float64", (6,))
    assert "pair" in infer_schema(pairs).outputs[1].description


def test_probabilities_where_there_are_some() -> None:
    assert _outputs(CalibratedClassifierCV(SVC(), cv=2).fit(X, Y))[1] == ("probabilities", "float64", (3,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        svc = SVC(probability=True, random_state=0).fit(X, Y)
    assert _outputs(svc)[1] == ("probabilities", "float64", (3,))
    np.testing.assert_array_equal(_answer(svc)["label"], svc.predict(X))


def test_a_vote_has_only_a_label() -> None:
    assert _outputs(VotingClassifier([("a", LogisticRegression())]).fit(X, Y)) == [("label", "int64", ())]


def test_several_targets_are_labels_in_a_row_and_probabilities_each() -> None:
    targets = np.column_stack([Y, X[:, 0] > 0]).astype(int)
    for model in (RandomForestClassifier(3).fit(X, targets), MultiOutputClassifier(LogisticRegression()).fit(X, targets)):
        assert _outputs(model) == [("label", "int64", (2,)), ("probabilities_0", "float64", (3,)), ("probabilities_1", "float64", (2,))]
        answer = _answer(model)
        np.testing.assert_array_equal(answer["label"], model.predict(X))
        np.testing.assert_array_equal(answer["probabilities_1"], model.predict_proba(X)[1])


def test_targets_in_columns_are_predicted_in_columns() -> None:
    assert _outputs(LinearRegression().fit(X, X[:, 0])) == [("prediction", "float64", ())]
    assert _outputs(LinearRegression().fit(X, X[:, :2])) == [("prediction", "float64", (2,))]
    assert _outputs(LinearRegression().fit(X.astype(np.float32), X[:, 0].astype(np.float32))) == [("prediction", "float64", ())]


def test_other_tasks() -> None:
    assert _outputs(IsolationForest(n_estimators=3).fit(X)) == [("label", "int64", ()), ("score", "float64", ())]
    assert _outputs(make_pipeline(StandardScaler(), PCA(2)).fit(X)) == [("features", "float64", (2,))]
    assert _outputs(Pipeline([("s", StandardScaler()), ("p", "passthrough")]).fit(X)) == [("features", "float64", (3,))]
    isotonic = IsotonicRegression(out_of_bounds="clip").fit(X[:, 0], Y)
    np.testing.assert_array_equal(_answer(isotonic, X[:, :1])["prediction"], isotonic.predict(X[:, 0]))


def test_sparse_answers_are_written_out_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    model = OneHotEncoder(handle_unknown="ignore").fit(np.round(X))
    np.testing.assert_array_equal(_answer(model, np.round(X))["features"], model.transform(np.round(X)).toarray())
    monkeypatch.setattr(estimator_outputs, "DENSE_LIMIT_BYTES", 64)
    with pytest.raises(ModelError, match="send fewer rows"):
        dense(sparse.csr_matrix((9, 9)))


def test_another_number_of_rows_is_a_model_error() -> None:
    for value in (np.zeros(3), np.float64(1.0)):
        with pytest.raises(ModelError, match="one row for each row"):
            shaped(value, Field("prediction", "float64"), 2)
    with pytest.raises(ModelError, match='"label": expected int64'):
        shaped(np.array(["a"]), Field("label", "int64"), 1)


def test_a_single_row_without_its_first_axis_is_put_right() -> None:
    assert shaped(np.zeros(4), Field("features", "float64", (4,)), 1).shape == (1, 4)


class Refuses(RegressorMixin, BaseEstimator):
    """Fails on negative values, in words that name a file."""

    n_features_in_ = 1

    def predict(self, rows: np.ndarray) -> np.ndarray:
        if (rows < 0).any():
            raise RuntimeError("sklearn.module.Thing could not read /srv/secret/model.bin: negative\nsecond line")
        return rows[:, 0]


def test_a_failure_is_one_sentence_without_paths_or_modules() -> None:
    predictor = from_estimator(Refuses(), Options())
    with pytest.raises(ModelError) as caught:
        predictor.predict(Columns({"x0": np.array([-1.0])}), None)
    assert (
        caught.value.message == "the model failed on these rows: Thing could not read <path>: negative; check the values against the schema"
    )
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert predictor.predict(Columns({"x0": np.array([1.0])}), None)["prediction"].tolist() == [1.0]


class NoProbabilities(ClassifierMixin, BaseEstimator):
    """Has the method, but not the answer."""

    n_features_in_ = 1
    classes_ = np.array(["a", "b"])

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.classes_[(rows[:, 0] > 0).astype(int)]

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def test_probabilities_that_are_only_promised_are_left_out() -> None:
    assert _outputs(NoProbabilities()) == [("label", "string", ())]


def test_transformers_run_once_for_label_and_probabilities() -> None:
    calls: list[int] = []

    def count(rows: np.ndarray) -> np.ndarray:
        calls.append(len(rows))
        return rows

    predictor = from_estimator(make_pipeline(FunctionTransformer(count), LogisticRegression()).fit(X, Y), Options())
    calls.clear()
    predictor.predict(Columns({"#float64": X}), None)
    assert calls == [60]
