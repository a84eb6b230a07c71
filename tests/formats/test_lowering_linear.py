"""Linear models, scalers and projections as programs, each proven equal to the original."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn import datasets
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
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
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import LinearSVC, LinearSVR

from modelport.forms.parity import TOLERANCE, Evidence

pytestmark = pytest.mark.filterwarnings("ignore")

X, Y = datasets.load_breast_cancer(return_X_y=True)
DIGITS, DIGIT = datasets.load_digits(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)


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
}


@pytest.mark.parametrize("name", MAKE)
def test_it_has_a_program_that_is_proven(name: str, proven: Callable[[object], Evidence]) -> None:
    evidence = proven(MAKE[name]())
    assert evidence.rows > 100
    assert evidence.difference <= TOLERANCE
