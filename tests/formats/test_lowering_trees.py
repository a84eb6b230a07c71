"""Trees as programs, each proven equal to the original: to the last bit where trees vote."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelport.formats.base import Options
from modelport.formats.estimator import from_estimator
from modelport.formats.lowering.draft import NotLowered
from modelport.forms.parity import TOLERANCE, Evidence

pytestmark = pytest.mark.filterwarnings("ignore")

X, Y = datasets.load_breast_cancer(return_X_y=True)
DIGITS, DIGIT = datasets.load_digits(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)


def categories(**settings: object) -> HistGradientBoostingClassifier:
    rng = np.random.default_rng(3)
    rows = np.c_[rng.integers(0, 250, 1500), rng.integers(-3, 40, 1500), rng.normal(size=(1500, 2))].astype(float)
    rows[rng.random(rows.shape) < 0.05] = np.nan
    wanted = np.nan_to_num(rows[:, 0]) % 7 + np.nan_to_num(rows[:, 1]) % 3 + rng.normal(size=1500) > 4
    return HistGradientBoostingClassifier(max_iter=10, categorical_features=[0, 1], **settings).fit(rows, wanted)


def frame(*names: str) -> HistGradientBoostingClassifier:
    """Categories told by the columns' types: of texts with missing ones, and of numbers."""
    rng = np.random.default_rng(4)
    letters = pd.Series(np.where(rng.random(800) < 0.1, None, rng.choice(list("abcdefghij"), 800)), dtype="category")
    rows = pd.DataFrame({"size": rng.normal(size=800), "letter": letters, "kind": pd.Categorical(rng.integers(0, 9, 800))})
    wanted = letters.cat.codes % 3 + rows["kind"].cat.codes % 4 + rows["size"] > 2
    return HistGradientBoostingClassifier(max_iter=10).fit(rows[list(names)], wanted)


MAKE: dict[str, Callable[[], object]] = {
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
    "boosting from numbers of another": lambda: GradientBoostingRegressor(n_estimators=9, init=DecisionTreeRegressor(max_depth=2)).fit(
        X, X[:, 0] * Y
    ),
    "boosting from chances of another": lambda: GradientBoostingClassifier(n_estimators=9, init=RandomForestClassifier(3)).fit(X, Y),
    "adaptive": lambda: AdaBoostClassifier(n_estimators=20, random_state=0).fit(X, Y),
    "adaptive of ten classes": lambda: AdaBoostClassifier(DecisionTreeClassifier(max_depth=3), n_estimators=9).fit(DIGITS, DIGIT),
    "adaptive of numbers": lambda: AdaBoostRegressor(n_estimators=20, random_state=0).fit(X, X[:, 0] * Y),
    "isolating": lambda: IsolationForest(n_estimators=20, random_state=0).fit(X),
    "isolating by some columns": lambda: IsolationForest(n_estimators=20, max_features=0.3, contamination=0.1, random_state=0).fit(X),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=20).fit(X, Y),
    "histograms of ten classes": lambda: HistGradientBoostingClassifier(max_iter=4).fit(DIGITS, DIGIT),
    "histograms with missing values": lambda: HistGradientBoostingClassifier(max_iter=20).fit(HOLES, Y),
    "histograms of categories": categories,
    "histograms of categories, stopped early": lambda: categories(early_stopping=True, n_iter_no_change=2),
    "histograms of digits' categories": lambda: HistGradientBoostingClassifier(max_iter=4, categorical_features=[3, 20]).fit(DIGITS, DIGIT),
    "histograms of a frame of texts": lambda: frame("size", "letter"),
    "histograms of a mixed frame": lambda: frame("kind", "size", "letter"),
    "histograms, poisson": lambda: HistGradientBoostingRegressor(max_iter=20, loss="poisson").fit(X, Y),
}


NOT: dict[str, Callable[[], object]] = {
    "AdaBoostClassifier of LogisticRegression": lambda: AdaBoostClassifier(LogisticRegression(), n_estimators=3).fit(X, Y),
    "begins with another model": lambda: GradientBoostingClassifier(n_estimators=3, init=LogisticRegression()).fit(DIGITS, DIGIT),
    "single samples": lambda: IsolationForest(n_estimators=3, max_samples=1).fit(X),
}


@pytest.mark.parametrize("name", NOT)
def test_what_has_no_program_says_why(name: str) -> None:
    with pytest.raises(NotLowered, match=name):
        from_estimator(NOT[name](), Options()).lower()


@pytest.mark.parametrize("name", MAKE)
def test_it_has_a_program_that_is_proven(name: str, proven: Callable[[object], Evidence]) -> None:
    evidence = proven(MAKE[name]())
    assert evidence.rows > 100
    assert evidence.difference <= TOLERANCE
    if any(word in name for word in ("tree", "forest")) and "regressor" not in name:
        assert evidence.difference == 0.0


@pytest.mark.parametrize(
    ("name", "attribute", "value", "reason"),
    [
        ("adaptive", "algorithm", "SAMME.R", "by SAMME.R"),
        ("isolating", "_decision_path_lengths", (), "IsolationForest of an older version"),
        ("histograms", "_loss", None, "the loss NoneType"),
        ("histograms, poisson", "_loss", None, "the link NoneType"),
    ],
)
def test_what_another_version_left_has_no_program(name: str, attribute: str, value: object, reason: str) -> None:
    predictor = from_estimator(MAKE[name](), Options())
    setattr(predictor.native, attribute, value)
    with pytest.raises(NotLowered, match=reason):
        predictor.lower()
