"""Estimators as programs: which have one, that each is proven equal to the original, and that the proof can fail."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC, LinearSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelport.formats import pickled
from modelport.formats.base import Options
from modelport.formats.estimator import EstimatorPredictor, from_estimator
from modelport.formats.lowering.draft import NotLowered
from modelport.forms import parity
from modelport.forms.program.compiled import make_ready
from modelport.forms.program.steps import Program, Step, dump, load
from modelport.forms.program.undecided import Undecided

pytestmark = pytest.mark.filterwarnings("ignore")
ARTIFACTS = Path(__file__).parents[1] / "artifacts" / "sklearn"

X, Y = datasets.load_breast_cancer(return_X_y=True)
DIGITS, DIGIT = datasets.load_digits(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)


def table() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 10, 400),
            "fare": np.where(rng.random(400) < 0.1, np.nan, rng.normal(30, 5, 400)),
            "city": rng.choice(["Bern", "Rome", "Oslo"], 400),
            "sex": np.where(rng.random(400) < 0.1, None, rng.choice(["m", "f"], 400)),
            "kind": rng.integers(0, 4, 400),
            "flag": rng.random(400) < 0.5,
        }
    )
    return frame, np.where((frame["age"] + rng.normal(0, 5, 400)) > 40, "yes", "no")


def mixed(final: object, encoder: object | None = None) -> object:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder or OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer(
        [("n", numbers, ["age", "fare"]), ("w", words, ["city", "sex"]), ("k", OneHotEncoder(drop="first"), ["kind"])]
    )
    return make_pipeline(columns, final).fit(*table())


def searched() -> object:
    return GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1]}, cv=2).fit(X, Y)


MAKE: dict[str, Callable[[], object]] = {
    "scaled logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y),
    "logistic of ten classes": lambda: make_pipeline(MinMaxScaler(), LogisticRegression()).fit(DIGITS, DIGIT),
    "logistic of text labels": lambda: LogisticRegression().fit(X[:, :3], np.where(Y, "ja", "nein")),
    "logistic of boolean labels": lambda: LogisticRegression().fit(X[:, :3], Y.astype(bool)),
    "logistic, cross-validated": lambda: LogisticRegressionCV(cv=2).fit(X[:, :3], Y),
    "searched": searched,
    "imputed and robust": lambda: make_pipeline(SimpleImputer(), RobustScaler(), LogisticRegression()).fit(HOLES, Y),
    "median with indicators": lambda: make_pipeline(SimpleImputer(strategy="median", add_indicator=True), Ridge()).fit(HOLES, Y),
    "linear": lambda: LinearRegression().fit(X, Y),
    "linear of two targets": lambda: LinearRegression().fit(X, np.c_[Y, 1 - 2 * Y]),
    "poisson": lambda: PoissonRegressor().fit(X[:, :4] / 100, Y),
    "support vector regression": lambda: LinearSVR().fit(X[:, :3] / 10, Y),
    "support vector classification": lambda: make_pipeline(MaxAbsScaler(), LinearSVC()).fit(DIGITS, DIGIT),
    "perceptron of two": lambda: make_pipeline(Normalizer(), Perceptron()).fit(X, Y),
    "ridge classifier": lambda: RidgeClassifier().fit(DIGITS, DIGIT),
    "descent, logistic": lambda: make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)).fit(DIGITS[:, 1:9], DIGIT),
    "descent, hinge": lambda: make_pipeline(StandardScaler(), SGDClassifier(random_state=0)).fit(X, Y),
    "discriminant": lambda: LinearDiscriminantAnalysis().fit(X, Y + (X[:, 0] > 20)),
    "multinomial": lambda: MultinomialNB().fit(DIGITS, DIGIT),
    "complement": lambda: ComplementNB().fit(DIGITS, DIGIT),
    "components": lambda: make_pipeline(StandardScaler(), PCA(5, whiten=True), LogisticRegression()).fit(X, Y),
    "truncated": lambda: make_pipeline(TruncatedSVD(4, random_state=0), LogisticRegression()).fit(X, Y),
    "chosen": lambda: make_pipeline(StandardScaler(), SelectKBest(k=4), LogisticRegression()).fit(X, Y),
    "union": lambda: make_pipeline(FeatureUnion([("a", StandardScaler()), ("b", PCA(2))]), LogisticRegression()).fit(X, Y),
    "scaler alone": lambda: StandardScaler().fit(X),
    "components alone": lambda: PCA(3).fit(X),
    "tree": lambda: DecisionTreeClassifier(random_state=0).fit(X, Y),
    "tree of a leaf": lambda: DecisionTreeClassifier(max_depth=1, random_state=0, min_samples_leaf=300).fit(X, Y),
    "tree that takes missing values": lambda: DecisionTreeClassifier(random_state=0).fit(HOLES, Y),
    "tree regressor": lambda: DecisionTreeRegressor(random_state=0, max_depth=6).fit(X, X[:, 0] * Y),
    "forest": lambda: RandomForestClassifier(40, random_state=0).fit(DIGITS, DIGIT),
    "forest of even votes": lambda: RandomForestClassifier(10, random_state=0, max_depth=2, max_features=1).fit(X[:, :2], Y),
    "forest that takes missing values": lambda: RandomForestClassifier(10, random_state=0).fit(HOLES, np.where(Y, "a", "b")),
    "forest regressor": lambda: RandomForestRegressor(20, random_state=0).fit(X, X[:, 0] * Y),
    "extra trees": lambda: ExtraTreesClassifier(20, random_state=0).fit(X, Y),
    "extra trees regressor": lambda: ExtraTreesRegressor(20, random_state=0).fit(X, X[:, 0] * Y),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=30).fit(X, Y),
    "boosting of ten classes": lambda: GradientBoostingClassifier(n_estimators=5).fit(DIGITS, DIGIT),
    "boosting, exponential": lambda: GradientBoostingClassifier(n_estimators=20, loss="exponential").fit(X, Y),
    "boosting from zero": lambda: GradientBoostingClassifier(n_estimators=20, init="zero").fit(X, Y),
    "boosting regressor": lambda: GradientBoostingRegressor(n_estimators=30, loss="huber").fit(X, X[:, 0] * Y),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=20).fit(X, Y),
    "histograms of ten classes": lambda: HistGradientBoostingClassifier(max_iter=4).fit(DIGITS, DIGIT),
    "histograms with missing values": lambda: HistGradientBoostingClassifier(max_iter=20).fit(HOLES, Y),
    "histograms, poisson": lambda: HistGradientBoostingRegressor(max_iter=20, loss="poisson").fit(X, Y),
    "table, logistic": lambda: mixed(LogisticRegression()),
    "table, forest": lambda: mixed(RandomForestClassifier(10, random_state=0)),
    "table, histograms": lambda: mixed(
        HistGradientBoostingClassifier(max_iter=10), OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-5)
    ),
    "table, columns by position": lambda: make_pipeline(
        make_column_transformer((StandardScaler(), slice(0, 3)), ("passthrough", [5, 4]), remainder="drop"), LogisticRegression()
    ).fit(X, Y),
    "table, strict encoders": lambda: make_pipeline(
        make_column_transformer((OneHotEncoder(), ["city"]), (OrdinalEncoder(), ["kind", "flag"]), remainder="drop"), LogisticRegression()
    ).fit(*table()),
}


WORDS = "good bad film great awful very not plot actor scene boring lovely dull the a it was really".split()  # noqa: SIM905
TEXTS = [" ".join(np.random.default_rng(at).choice(WORDS, 8)) for at in range(300)]
MOODS = np.array(["up" if text.count("o") > 4 else "down" for text in TEXTS])

MAKE |= {
    "texts, TF-IDF": lambda: make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()).fit(TEXTS, MOODS),
    "texts, sublinear without norm": lambda: make_pipeline(TfidfVectorizer(sublinear_tf=True, norm=None), LinearSVC()).fit(TEXTS, MOODS),
    "texts, l1 without idf": lambda: make_pipeline(TfidfVectorizer(use_idf=False, norm="l1"), LogisticRegression()).fit(TEXTS, MOODS),
    "texts, counts": lambda: make_pipeline(CountVectorizer(stop_words="english", binary=True), MultinomialNB()).fit(TEXTS, MOODS),
    "texts, two steps": lambda: make_pipeline(CountVectorizer(), TfidfTransformer(), SGDClassifier(loss="log_loss")).fit(TEXTS, MOODS),
    "texts, characters": lambda: make_pipeline(CountVectorizer(analyzer="char", ngram_range=(2, 3)), ComplementNB()).fit(TEXTS, MOODS),
    "texts, padded": lambda: make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), strip_accents="unicode"), LogisticRegression()
    ).fit(TEXTS, MOODS),
    "texts, accents": lambda: make_pipeline(
        CountVectorizer(strip_accents="ascii", lowercase=False, ngram_range=(2, 2)), LogisticRegression()
    ).fit([*TEXTS, "naïve Straße"], [*MOODS, "up"]),
    "texts, semantic": lambda: make_pipeline(
        TfidfVectorizer(), TruncatedSVD(4, random_state=0), StandardScaler(), LogisticRegression()
    ).fit(TEXTS, MOODS),
    "texts, forest": lambda: make_pipeline(TfidfVectorizer(), RandomForestClassifier(10, random_state=0)).fit(TEXTS, MOODS),
    "texts beside numbers": lambda: make_pipeline(
        ColumnTransformer([("t", TfidfVectorizer(), "text"), ("n", StandardScaler(), ["stars"])]), LogisticRegression()
    ).fit(pd.DataFrame({"text": TEXTS, "stars": np.arange(300) % 5}), MOODS),
}


def lowered(estimator: object) -> tuple[EstimatorPredictor, Program]:
    predictor = from_estimator(estimator, Options())
    return predictor, load(dump(predictor.lower()))


@pytest.mark.parametrize("name", MAKE)
def test_it_has_a_program_that_is_proven(name: str) -> None:
    predictor, program = lowered(MAKE[name]())
    evidence = parity.prove(predictor.predict, make_ready(program), predictor.schema, program)
    assert evidence.problem == ""
    assert evidence.rows > 100
    assert evidence.difference <= parity.TOLERANCE
    if any(word in name for word in ("tree", "forest")) and "regressor" not in name:
        assert evidence.difference == 0.0


NOT = {
    "SVC": lambda: SVC().fit(X[:50], Y[:50]),
    "a function": lambda: make_pipeline(FunctionTransformer(np.log1p), Ridge()).fit(X, Y),
    "several outputs": lambda: RandomForestRegressor(3).fit(X, np.c_[Y, Y]),
    "categories": lambda: HistGradientBoostingClassifier(max_iter=3, categorical_features=[0]).fit(np.c_[Y, X[:, :2]], Y),
    "rare": lambda: make_pipeline(OneHotEncoder(min_frequency=5, handle_unknown="infrequent_if_exist"), Ridge()).fit(np.c_[Y], Y),
    "token pattern": lambda: make_pipeline(CountVectorizer(token_pattern=r"(a+)+b"), Ridge()).fit(["aab", "ab"], [0, 1]),
    "functions of its own": lambda: make_pipeline(CountVectorizer(tokenizer=str.split), Ridge()).fit(["aab", "ab"], [0, 1]),
    "float32": lambda: make_pipeline(TfidfVectorizer(dtype=np.float32), Ridge()).fit(TEXTS, MOODS == "up"),
    "Huber": lambda: SGDClassifier(loss="modified_huber").fit(X, Y),
}


@pytest.mark.parametrize("name", NOT)
def test_what_has_no_program_says_why(name: str) -> None:
    with pytest.raises(NotLowered, match=name):
        from_estimator(NOT[name](), Options()).lower()


class Shifted(LogisticRegression):
    """A subclass may answer in a way of its own."""


def test_a_subclass_is_not_taken_for_its_parent() -> None:
    with pytest.raises(NotLowered, match="Shifted"):
        from_estimator(Shifted().fit(X[:, :3], Y), Options()).lower()


def changed(program: Program, op: str, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Program:
    steps = [
        dataclasses.replace(step, arrays={**step.arrays, name: change(step.arrays[name].copy())}) if step.op == op else step
        for step in program.steps
    ]
    return Program(tuple(steps), program.outputs)


def nudge(at: int, by: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array.reshape(-1)[at] += by
        return array

    return change


@pytest.mark.parametrize(
    ("name", "op", "array", "change"),
    [
        ("scaled logistic", "linear", "w0", nudge(3, 1e-9)),
        ("scaled logistic", "labels", "classes", lambda array: array[::-1].copy()),
        ("tree", "leaves", "threshold", lambda array: np.nextafter(array, np.inf).astype(np.float32).astype(np.float64)),
        ("forest", "leaf_sums", "values", lambda array: array + 1e-6),
        ("histograms with missing values", "leaves", "missing_left", lambda array: 1 - array),
        ("imputed and robust", "impute", "values", nudge(2, 1e-3)),
    ],
)
def test_the_proof_finds_what_was_changed(name: str, op: str, array: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    predictor, program = lowered(MAKE[name]())
    program = changed(program, op, array, change)
    assert parity.prove(predictor.predict, make_ready(program), predictor.schema, program).problem


def test_a_form_that_leaves_everything_to_the_original_is_not_proven() -> None:
    predictor, program = lowered(MAKE["linear"]())

    def never(*_: object) -> object:
        raise Undecided

    assert "left" in parity.prove(predictor.predict, never, predictor.schema, program).problem


def test_the_same_rows_are_refused_by_both_or_it_is_no_form() -> None:
    predictor, program = lowered(make_pipeline(OneHotEncoder(), Ridge()).fit(np.c_[Y, Y], Y))
    steps = [Step("take", step.inputs, {}, {"at": np.arange(2)}) if step.op == "refuse_unknown" else step for step in program.steps]
    open_schema = dataclasses.replace(predictor.schema, inputs=tuple(dataclasses.replace(i, closed=False) for i in predictor.schema.inputs))
    wrong = Program(tuple(steps), program.outputs)
    assert "refuses rows" in parity.prove(predictor.predict, make_ready(wrong), open_schema, wrong).problem


FILES = [
    path
    for version in ("0.18.2", "0.20.4", "0.22.2", "1.0.2", "1.3.2", "1.7.2")
    for pattern in ("logistic*", "forest*", "gradient*", "tree_*", "hist_*", "ridge*", "sgd_log*", "lda*", "extra*", "imputed*", "ordinal*")
    for path in sorted((ARTIFACTS / version).glob(pattern))
]


@pytest.mark.slow
@pytest.mark.parametrize("paths", [FILES[at::8] for at in range(8)], ids=range(8))
def test_repaired_old_files_are_proven_or_left_alone(paths: Sequence[Path]) -> None:
    """A form of an old file answers as the file did on its day: the proof compares it with the repaired original."""
    proven = 0
    for path in paths:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                predictor = pickled.load(path, Options())
            program = predictor.lower()
        except Exception as error:  # refused files, and estimators without a form
            assert type(error).__name__ in ("LoadError", "NotLowered"), path
            continue
        assert parity.prove(predictor.predict, make_ready(program), predictor.schema, program).problem == "", path
        proven += 1
    assert proven > len(paths) // 2
