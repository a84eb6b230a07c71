"""The schema that is told without loading a pickle equals the loaded one's, or there is none."""

from __future__ import annotations

import importlib
import io
import pickle
import re
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest

from modelport.errors import LoadError, RefusedFile
from modelport.formats import pickled
from modelport.formats.allow import judge
from modelport.formats.base import Options
from modelport.formats.estimator import infer_schema
from modelport.formats.foretold import foretell
from modelport.formats.scan import scan
from modelport.schema import Schema

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")

from sklearn import (  # noqa: E402
    calibration,
    compose,
    ensemble,
    feature_selection,
    impute,
    linear_model,
    model_selection,
    multiclass,
    multioutput,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    semi_supervised,
    svm,
    tree,
)
from sklearn.base import BaseEstimator, TransformerMixin  # noqa: E402
from sklearn.feature_extraction import text  # noqa: E402

TOOLS = Path(__file__).parent.parent.parent / "tools"
RNG = np.random.default_rng(0)
X = RNG.random((40, 3))
Y = np.arange(40) % 3
WORDS = np.asarray(["no", "yes"])[np.arange(40) % 2]
MANY = np.c_[Y > 0, Y > 1].astype(int)
TARGETS = np.c_[X[:, 0], X[:, 1]]
TEXTS = ["a bad film", "a good film", "well made", "not well made"] * 10
FRAME = pd.DataFrame({"age": RNG.random(40), "size": RNG.random(40), "town": list("abcd") * 10, "level": [1, 2] * 20})
JUDGE = judge(frozenset(), ())


def told(model: object, how: str = "joblib") -> Schema | None:
    buffer = io.BytesIO()
    joblib.dump(model, buffer) if how == "joblib" else pickle.dump(model, buffer, int(how))
    data = buffer.getvalue()
    return foretell(data, scan(data, JUDGE).root, None)


def columns(*parts: object, remainder: str = "drop") -> compose.ColumnTransformer:
    return compose.ColumnTransformer([(str(at), *part) for at, part in enumerate(parts)], remainder=remainder)


def join(*steps: object) -> pipeline.Pipeline:
    return pipeline.make_pipeline(*steps)


NUMBERS = columns((preprocessing.StandardScaler(), ["age", "size"]))
MIXED = columns((join(impute.SimpleImputer(), preprocessing.StandardScaler()), ["age"]), (preprocessing.OneHotEncoder(), ["town"]))
CODED = columns((preprocessing.OrdinalEncoder(), ["town", "level"]), remainder="passthrough")
MODELS = {
    "labels that are words": lambda: linear_model.LogisticRegression().fit(X, WORDS),
    "booleans": lambda: linear_model.LogisticRegression().fit(X, Y > 1),
    "fractions": lambda: tree.DecisionTreeClassifier().fit(X, Y * 1.0),
    "names": lambda: linear_model.Ridge().fit(FRAME[["age", "size"]], X[:, 0]),
    "a column of targets": lambda: linear_model.LinearRegression().fit(X, X[:, :1]),
    "targets": lambda: linear_model.LinearRegression().fit(X, TARGETS),
    "targets of trees": lambda: ensemble.RandomForestRegressor(3).fit(X, TARGETS),
    "targets of a network": lambda: neural_network.MLPRegressor(hidden_layer_sizes=(3,), max_iter=5).fit(X, TARGETS),
    "targets of neighbours": lambda: neighbors.KNeighborsRegressor().fit(X, TARGETS),
    "labels": lambda: ensemble.RandomForestClassifier(3).fit(X, MANY),
    "labels of neighbours": lambda: neighbors.KNeighborsClassifier().fit(X, MANY),
    "labels of a network": lambda: neural_network.MLPClassifier((3,), max_iter=5).fit(X, MANY),
    "labels of one against the rest": lambda: multiclass.OneVsRestClassifier(linear_model.LogisticRegression()).fit(X, MANY),
    "labels of a chain": lambda: multioutput.ClassifierChain(linear_model.LogisticRegression()).fit(X, MANY),
    "ridge labels": lambda: linear_model.RidgeClassifier().fit(X, MANY),
    "scores of pairs": lambda: svm.SVC(decision_function_shape="ovo").fit(X, np.arange(40) % 4),
    "scores of classes": lambda: svm.SVC().fit(X, np.arange(40) % 4),
    "hard votes": lambda: ensemble.VotingClassifier([("a", svm.SVC()), ("b", tree.DecisionTreeClassifier())]).fit(X, Y),
    "targets transformed": lambda: compose.TransformedTargetRegressor(linear_model.Ridge(), func=np.log1p, inverse_func=np.expm1).fit(
        X, X[:, 0]
    ),
    "a function": lambda: join(preprocessing.FunctionTransformer(np.log1p), linear_model.Ridge()).fit(X, X[:, 0]),
    "gaps": lambda: join(impute.SimpleImputer(), linear_model.Ridge()).fit(X, X[:, 0]),
    "histograms": lambda: ensemble.HistGradientBoostingClassifier(max_iter=2, categorical_features=[2]).fit(
        FRAME[["age", "size", "level"]], Y
    ),
    "numbers of a frame": lambda: join(NUMBERS, linear_model.LogisticRegression()).fit(FRAME, Y),
    "a mixed frame": lambda: join(MIXED, linear_model.LogisticRegression()).fit(FRAME, WORDS),
    "categories": lambda: join(CODED, ensemble.RandomForestClassifier(3)).fit(FRAME, WORDS),
    "transformed columns": lambda: MIXED.fit(FRAME),
    "passed through": lambda: columns((preprocessing.StandardScaler(), ["age"]), ("passthrough", ["size"])).fit(FRAME),
    "set to frames": lambda: (
        join(preprocessing.StandardScaler(), linear_model.Ridge()).set_output(transform="pandas").fit(FRAME[["age", "size"]], X[:, 0])
    ),
    "texts": lambda: join(text.TfidfVectorizer(), linear_model.LogisticRegression()).fit(TEXTS, WORDS),
    "texts in 32 bits": lambda: join(text.TfidfVectorizer(dtype=np.float32), linear_model.LogisticRegression()).fit(TEXTS, WORDS),
    "hashes": lambda: join(text.HashingVectorizer(), linear_model.SGDClassifier(loss="log_loss")).fit(TEXTS, WORDS),
    "chosen before coded": lambda: join(
        feature_selection.SelectKBest(k=2), preprocessing.OrdinalEncoder(handle_unknown="error"), tree.DecisionTreeClassifier()
    ).fit(np.round(X * 3), Y),
    "the best share": lambda: feature_selection.SelectPercentile(percentile=50).fit(X, Y),
    "every share": lambda: feature_selection.SelectPercentile(percentile=100).fit(X, Y),
    "boosted texts": lambda: join(text.CountVectorizer(), ensemble.GradientBoostingClassifier(n_estimators=2)).fit(TEXTS, WORDS),
    "bagged": lambda: ensemble.BaggingRegressor(linear_model.Ridge(), 2).fit(X, X[:, 0]),
    "all of the best": lambda: feature_selection.SelectKBest(k="all").fit(X, Y),
    "codes of one column": lambda: preprocessing.OneHotEncoder(drop="first").fit(FRAME[["town"]]),
    "dropped columns": lambda: columns((preprocessing.MinMaxScaler(), slice(0, 2)), ("drop", [2])).fit(X),
    "scores of a selector": lambda: feature_selection.RFE(svm.LinearSVC(), n_features_to_select=2).fit(X, Y),
    "a search in a search": lambda: model_selection.GridSearchCV(join(linear_model.LogisticRegression()), {}, cv=2).fit(X, Y),
    "a calibrated search": lambda: calibration.CalibratedClassifierCV(
        model_selection.GridSearchCV(linear_model.LogisticRegression(), {}, cv=2), cv=2
    ).fit(X, Y),
    "one against the rest of scores": lambda: multiclass.OneVsRestClassifier(svm.LinearSVC()).fit(X, Y),
    "bagged scores": lambda: ensemble.BaggingClassifier(svm.LinearSVC(), 2, max_features=0.7).fit(X, Y),
    "an unfitted threshold": lambda: model_selection.FixedThresholdClassifier(svm.LinearSVC()).fit(X, Y > 1),
    "its own teacher": lambda: semi_supervised.SelfTrainingClassifier(svm.SVC(probability=True, random_state=0)).fit(X, Y),
    "words": lambda: text.CountVectorizer().fit(TEXTS),
    "hashed words": lambda: text.HashingVectorizer(n_features=64, dtype=np.float32).fit(TEXTS),
    "marked gaps": lambda: impute.MissingIndicator(features="all").fit(np.where(X > 0.9, np.nan, X)),
    "pandas' missing value": lambda: join(
        impute.SimpleImputer(missing_values=pd.NA, strategy="most_frequent"), preprocessing.OneHotEncoder(handle_unknown="ignore")
    ).fit(pd.DataFrame({"town": ["a", "b", pd.NA, "a"]}, dtype=object)),
    "categories with gaps": lambda: join(preprocessing.OneHotEncoder(handle_unknown="ignore"), linear_model.LogisticRegression()).fit(
        pd.DataFrame({"town": ["a", None, "b", "a"] * 10}, dtype=object), WORDS
    ),
    "a long category": lambda: preprocessing.OrdinalEncoder().fit(pd.DataFrame({"town": ["a", "b" * 5000]}, dtype=object)),
    "many columns": lambda: linear_model.Ridge().fit(RNG.random((9, 9000)), RNG.random(9)),
    "a union that passes through": lambda: pipeline.make_union(preprocessing.StandardScaler(), "passthrough").fit(X),
    "one against the rest of searches": lambda: multiclass.OneVsRestClassifier(
        model_selection.GridSearchCV(join(svm.LinearSVC()), {}, cv=2)
    ).fit(X, Y),
    "bagged pipelines": lambda: ensemble.BaggingClassifier(join(svm.LinearSVC()), 2, max_features=0.7).fit(X, Y),
    "bagged searches": lambda: ensemble.BaggingClassifier(
        model_selection.GridSearchCV(tree.DecisionTreeClassifier(), {}, cv=2), 2, max_features=0.7
    ).fit(X, Y),
    "a union of texts": lambda: join(
        pipeline.make_union(text.TfidfVectorizer(), text.CountVectorizer()), linear_model.LogisticRegression()
    ).fit(TEXTS, WORDS),
    "bins": lambda: preprocessing.KBinsDiscretizer(3, encode="ordinal", quantile_method="averaged_inverted_cdf").fit(X),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("how", ["joblib", "2", "5"])
def test_the_schema_is_told_as_it_is_when_loaded(name: str, how: str) -> None:
    model = MODELS[name]()
    assert repr(told(model, how)) == repr(infer_schema(model))


class Own(TransformerMixin, BaseEstimator):
    """A transformer of somebody's own."""

    def fit(self, X: object, y: object = None) -> Own:
        self.n_features_in_ = 3
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return X[:, :1].astype(np.float32)


def double(rows: np.ndarray) -> np.ndarray:
    return rows * 2


@pytest.mark.parametrize(
    "model",
    [
        join(Own(), linear_model.Ridge()).fit(X, X[:, 0]),
        join(preprocessing.StandardScaler(), Own(), linear_model.Ridge()).fit(X, X[:, 0]),
        join(preprocessing.FunctionTransformer(double), linear_model.Ridge()).fit(X, X[:, 0]),
        Own().fit(X),
        join(text.TfidfVectorizer(dtype=np.float32), neighbors.KNeighborsClassifier()).fit(TEXTS, WORDS),
        neighbors.KNeighborsRegressor().fit(X, X[:, 0].astype(np.float32)),
        CODED.fit(FRAME),
        feature_selection.SelectFromModel(tree.DecisionTreeClassifier()).fit(X, Y),
        impute.SimpleImputer(strategy="constant", fill_value=0.0).fit(np.where(X > 0.9, np.nan, X)),
        impute.SimpleImputer(add_indicator=True).fit(np.where(X > 0.9, np.nan, X)),
        join(text.TfidfVectorizer(dtype=np.float32), svm.LinearSVC()).fit(TEXTS, WORDS),
        join(text.TfidfVectorizer(dtype=np.float32), linear_model.Ridge()).fit(TEXTS, X[:, 0]),
        join(preprocessing.FunctionTransformer(double)).fit(X),
        preprocessing.TargetEncoder().fit(FRAME[["town"]], Y),
        impute.KNNImputer(add_indicator=True).fit(np.where(X > 0.9, np.nan, X)),
        multioutput.MultiOutputClassifier(linear_model.LogisticRegression()).fit(X, np.c_[WORDS, WORDS]),
        {"no": "estimator"},
        [1, 2],
    ],
    ids=lambda model: re.sub(r" at 0x\w+", "", str(model)),  # the same in every process
)
def test_nothing_is_told_where_only_loading_can_tell(model: object) -> None:
    assert told(model) is None


def laughs() -> object:
    """A union of two unions of two unions …, which is small and has no end."""
    part: object = preprocessing.StandardScaler().fit(X)
    for _ in range(60):
        part = pipeline.FeatureUnion([("a", part), ("b", part)])
    return part


def itself() -> object:
    made = join(preprocessing.StandardScaler())
    made.steps.append(("again", made))
    return made


def shared() -> object:
    model = linear_model.Ridge().fit(X, X[:, 0])
    held: list[object] = []
    for _ in range(60):
        held = [held, held]
    model.held = held
    model.feature_names_in_ = np.asarray(["a", "b", "c"], object)
    return model


def changed(**state: object) -> object:
    model = linear_model.LogisticRegression().fit(X, Y)
    vars(model).update(state)
    return model


def heap(**state: object) -> object:
    model = ensemble.RandomForestRegressor(2).fit(X, TARGETS)
    vars(model).update(state)
    return model


def vocabulary(words: object) -> object:
    model = text.CountVectorizer().fit(TEXTS)
    model.vocabulary_ = words
    return model


def scaler(**state: object) -> object:
    model = preprocessing.OrdinalEncoder().fit(np.round(X * 3))
    vars(model).update(state)
    return model


@pytest.mark.parametrize(
    "make",
    [
        laughs,
        itself,
        lambda: changed(n_features_in_=10**12),
        lambda: changed(classes_=[1, 2]),
        lambda: changed(classes_=np.asarray([object, object])),
        lambda: changed(feature_names_in_=np.asarray(["a"], object)),
        lambda: changed(feature_names_in_=np.asarray(["a", "a", "b"], object), n_features_in_=-1),
        lambda: heap(n_outputs_=10**30),
        lambda: heap(n_outputs_="two"),
        lambda: changed(classes_=None),
        lambda: changed(n_features_in_={1}, coef_="x" * 5000),
        lambda: vocabulary(["a"]),
        lambda: vocabulary(None),
        lambda: scaler(dtype="text", categories_=[["a"]]),
        lambda: scaler(categories_="text"),
    ],
)
def test_a_file_that_contradicts_itself_ends_without_a_schema(make: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert told(make()) is None


def test_what_shares_its_parts_is_looked_at_once() -> None:
    assert told(shared()) is not None


def test_a_large_number_in_a_file_takes_no_memory() -> None:
    found = told(heap(n_outputs_=10**9))
    assert found is not None
    assert found.outputs[0].shape == (10**9,)


def test_inspect_tells_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    model = MODELS["a mixed frame"]()
    path.write_bytes(pickle.dumps(model))
    assert pickled.inspect(path, Options()).schema == infer_schema(model)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_is_known_of_the_classes_is_what_the_installed_ones_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    tool = importlib.import_module("collect_kinds")
    assert tool.text() == tool.KINDS.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_of_every_kind_of_model_the_told_schema_is_the_loaded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    fitted = importlib.import_module("fitted")
    servable = equal = 0
    for sample in fitted.samples():
        assert sample.error is None, (sample.name, sample.error)
        try:
            loaded = infer_schema(sample.model)
        except (LoadError, RefusedFile, AttributeError, TypeError):
            continue
        found = told(sample.model)
        servable += 1
        if found is not None:
            assert repr(found) == repr(loaded), sample.name
            equal += 1
    assert servable > 250
    assert equal / servable > 0.9
