"""A label that is derived from probabilities or scores is the label that ``predict`` gives, next to ties too."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from modelport.formats.estimator_labels import MARGIN, label_rule

pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

RNG = np.random.default_rng(11)
ARGUMENTS: dict[str, dict[str, object]] = {
    "VotingClassifier": {"estimators": [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=1))], "voting": "soft"},
    "CalibratedClassifierCV": {"cv": 2},
    "LogisticRegressionCV": {"cv": 2, "Cs": 2},
    "RandomForestClassifier": {"n_estimators": 4},
    "ExtraTreesClassifier": {"n_estimators": 4, "max_depth": 2},
    "KNeighborsClassifier": {"n_neighbors": 2},
}
MORE = {
    "SGDClassifier/log": SGDClassifier(loss="log_loss"),
    "SGDClassifier/huber": SGDClassifier(loss="modified_huber"),
    "KNeighborsClassifier/distance": KNeighborsClassifier(n_neighbors=4, weights="distance"),
    "KNeighborsClassifier/brute": KNeighborsClassifier(n_neighbors=4, algorithm="brute"),
    "LogisticRegression/liblinear": LogisticRegression(solver="newton-cholesky", C=1e6),
    "BaggingClassifier/no probabilities": BaggingClassifier(LinearSVC(), n_estimators=4),
    "CalibratedClassifierCV/isotonic": CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2),
}


def _candidates() -> dict[str, BaseEstimator]:
    out: dict[str, BaseEstimator] = dict(MORE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, item in all_estimators("classifier"):
            try:
                out[name] = item(**ARGUMENTS.get(name, {}))
            except TypeError:
                continue  # it needs an estimator inside, and none of those is in the tables
    methods = ("predict_proba", "decision_function")
    return {name: model for name, model in out.items() if any(label_rule(model, method) is not None for method in methods)}


def _data(classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training rows on a coarse grid with conflicting labels, their labels, and rows to ask for: ties are common."""
    grid = RNG.integers(0, 3, (90, 3)).astype(float)
    labels = np.array(["b", "a", "d", "c"], object)[RNG.integers(0, classes, 90)]
    far = np.vstack([grid * 1e3, RNG.normal(size=(60, 3)) ** 2, np.full((1, 3), 1.0), np.zeros((1, 3))])
    return grid, labels, np.vstack([grid, far])


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("name", sorted(_candidates()))
def test_a_derived_label_is_the_predicted_one(name: str, classes: int) -> None:
    model = _candidates()[name]
    grid, labels, rows = _data(classes)
    if name == "CategoricalNB":
        rows = grid
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(grid, labels)
        expected = model.predict(rows)
        methods = [method for method in ("predict_proba", "decision_function") if hasattr(model, method)]
        for method in methods:
            rule = label_rule(model, method)
            if rule is None:
                continue
            values = getattr(model, method)(rows)
            for at in range(len(rows)):  # one by one, for a rule may decline a whole batch for one row
                chosen = rule(values[at : at + 1])
                assert chosen is None or model.classes_[chosen[0]] == expected[at]


def test_most_labels_need_no_second_call() -> None:
    """A rule that always declines would be right and useless."""
    grid, labels, rows = _data(4)
    model = LogisticRegression().fit(grid, labels)
    rule = label_rule(model, "predict_proba")
    assert rule is not None
    assert rule(model.predict_proba(rows[:60])) is not None


@pytest.mark.parametrize(
    "values",
    [[[0.5, 0.5]], [[0.5 + MARGIN / 4, 0.5 - MARGIN / 4]], [[np.nan, np.nan]], [[0.4, 0.4, 0.2]], [[0.9, 0.1], [0.5, 0.5]], [[1.0]]],
)
def test_next_to_a_tie_predict_decides(values: list[list[float]]) -> None:
    rule = label_rule(LogisticRegression(), "predict_proba")
    assert rule is not None
    assert rule(np.array(values)) is None


def test_where_the_label_is_another_matter_there_is_no_rule() -> None:
    class Odd(RandomForestClassifier):
        """A subclass may predict as it likes."""

    assert label_rule(SVC(), "predict_proba") is None
    assert label_rule(SVC(), "decision_function") is None
    assert label_rule(Odd(), "predict_proba") is None
    assert label_rule(VotingClassifier([]), "predict_proba") is None
    assert label_rule(LogisticRegression(), "decision_function") is None
