"""When a classifier's label follows from its probabilities or scores, so that it need not be computed twice.

``predict`` and ``predict_proba`` of scikit-learn run the same arithmetic, yet the label is not in every class the one with the
largest probability (SVC, thresholds, majority votes). The tables name the classes of which the source says it is. Where the
two go different ways from a common score, rounding may part them next to a tie, so a narrow margin is left to ``predict``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from modelport.formats.estimator_tree import class_name, is_from_sklearn

Method: TypeAlias = Literal["predict", "predict_proba", "decision_function", "score_samples", "transform"]
Positions: TypeAlias = npt.NDArray[np.intp]
Rule: TypeAlias = Callable[[npt.NDArray[np.float64]], Positions | None]
"""Probabilities or scores (rows, …) to class positions (rows,); None where ``predict`` must decide."""

MARGIN = 1e-9
"""Far above what rounding can do to a probability (1e-15), far below what anybody would call a difference."""

_BY_DEFINITION = frozenset(
    {
        "DecisionTreeClassifier",
        "ExtraTreeClassifier",
        "RandomForestClassifier",
        "ExtraTreesClassifier",
        "BaggingClassifier",
        "CalibratedClassifierCV",
        "LabelPropagation",
        "LabelSpreading",
    }
)
"""``predict`` takes the first largest of ``predict_proba``: exact, ties included."""

_BY_MARGIN = frozenset(
    {
        "LogisticRegression",
        "LogisticRegressionCV",
        "SGDClassifier",
        "LinearDiscriminantAnalysis",
        "QuadraticDiscriminantAnalysis",
        "AdaBoostClassifier",
        "GradientBoostingClassifier",
        "HistGradientBoostingClassifier",
        "MLPClassifier",
        "KNeighborsClassifier",
        "GaussianNB",
        "MultinomialNB",
        "ComplementNB",
        "BernoulliNB",
        "CategoricalNB",
    }
)
"""``predict`` takes the largest of a score of which the probability is an increasing function."""

_BY_SCORE = frozenset({"LinearSVC", "SGDClassifier", "Perceptron", "PassiveAggressiveClassifier", "RidgeClassifier", "RidgeClassifierCV"})
"""``predict`` takes the first largest of ``decision_function``, or its sign where there are two classes: exact."""


def label_rule(estimator: object, method: Method) -> Rule | None:
    """Return how labels follow from what ``method`` answers; None where they do not."""
    if not is_from_sklearn(estimator) or getattr(estimator, "is_label_apart", False):
        return None  # a subclass may have a predict of its own, and so did some older versions
    name = class_name(estimator)
    if method == "decision_function":
        return _by_score if name in _BY_SCORE else None
    if name in _BY_DEFINITION or (name == "VotingClassifier" and getattr(estimator, "voting", "hard") == "soft"):
        return _by_first_largest
    return _by_margin if name in _BY_MARGIN else None


def _by_first_largest(values: npt.NDArray[np.float64]) -> Positions:
    largest: Positions = np.argmax(values, axis=1)
    return largest


def _by_score(values: npt.NDArray[np.float64]) -> Positions:
    return np.asarray(values > 0, np.intp) if values.ndim == 1 else _by_first_largest(values)


def _by_margin(values: npt.NDArray[np.float64]) -> Positions | None:
    if values.shape[1] < 2:
        return None
    if values.shape[1] == 2:
        margins = np.abs(values[:, 1] - values[:, 0])
    else:
        ordered = np.partition(values, -2, axis=1)
        margins = ordered[:, -1] - ordered[:, -2]
    return _by_first_largest(values) if bool((margins > MARGIN).all()) else None  # NaN is no margin either
