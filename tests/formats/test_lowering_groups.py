"""Estimators made of estimators as programs, each proven equal to the original."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, Perceptron, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelport.errors import LoadError
from modelport.formats.base import Options
from modelport.formats.estimator import from_estimator
from modelport.formats.lowering.draft import NotLowered
from modelport.forms.parity import TOLERANCE, Evidence
from modelport.forms.program.compiled import OPERATIONS, make_ready
from modelport.forms.program.steps import Program, Step

pytestmark = pytest.mark.filterwarnings("ignore")

X, Y = datasets.load_breast_cancer(return_X_y=True)
FLOWERS, FLOWER = datasets.load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[FLOWER]


def scaled(estimator: object) -> object:
    return make_pipeline(StandardScaler(), estimator)


def members() -> list[tuple[str, object]]:
    return [
        ("linear", scaled(LogisticRegression())),
        ("tree", DecisionTreeClassifier(max_depth=4, random_state=0)),
        ("bayes", GaussianNB()),
    ]


def regressors() -> list[tuple[str, object]]:
    return [("linear", scaled(Ridge())), ("tree", DecisionTreeRegressor(max_depth=4, random_state=0))]


def table() -> object:
    frame = pd.DataFrame({"city": ["Bern", "Rome", "Oslo"] * 50, "size": FLOWERS[:, 0], "width": FLOWERS[:, 1]})
    columns = make_column_transformer((OneHotEncoder(), ["city"]), remainder=StandardScaler())
    return make_pipeline(columns, VotingClassifier(members(), voting="soft")).fit(frame, NAMES)


MAKE: dict[str, Callable[[], object]] = {
    "soft votes": lambda: VotingClassifier(members(), voting="soft").fit(X, Y),
    "weighted votes": lambda: VotingClassifier(members(), voting="soft", weights=[1, 2, 3]).fit(FLOWERS, NAMES),
    "hard votes": lambda: VotingClassifier(members()).fit(FLOWERS, NAMES),
    "hard votes with weights": lambda: VotingClassifier(members(), weights=[0.5, 0.25, 0.25]).fit(X, Y),
    "votes without a member": lambda: VotingClassifier([*members(), ("gone", "drop")], voting="soft", weights=[1, 2, 3, 9]).fit(X, Y),
    "votes of numbers": lambda: VotingRegressor(regressors(), weights=[1, 3]).fit(X, X[:, 0]),
    "votes over a table": table,
    "stacked": lambda: StackingClassifier(members(), cv=2).fit(X, Y),
    "stacked, three classes": lambda: StackingClassifier(members(), cv=2, passthrough=True).fit(FLOWERS, NAMES),
    "stacked scores and labels": lambda: StackingClassifier(
        [("vectors", LinearSVC()), ("labels", Perceptron())], cv=2, stack_method="decision_function"
    ).fit(FLOWERS[FLOWER > 0], NAMES[FLOWER > 0]),
    "stacked numbers": lambda: StackingRegressor(regressors(), cv=2, passthrough=True).fit(X, X[:, 0]),
    "calibrated": lambda: CalibratedClassifierCV(LinearSVC(), cv=2).fit(X[:, :3], Y),
    "calibrated votes": lambda: CalibratedClassifierCV(RandomForestClassifier(5, random_state=0), method="isotonic", cv=2).fit(
        FLOWERS, NAMES
    ),
    "calibrated chances": lambda: CalibratedClassifierCV(DecisionTreeClassifier(max_depth=3, random_state=0), cv=2).fit(X, Y),
    "calibrated boosting": lambda: CalibratedClassifierCV(GradientBoostingClassifier(n_estimators=5), cv=2, method="isotonic").fit(X, Y),
    "calibrated vectors": lambda: CalibratedClassifierCV(scaled(SVC()), cv=2).fit(FLOWERS, NAMES),
    "bags of some columns": lambda: BaggingClassifier(n_estimators=10, max_features=0.5, random_state=0).fit(X, Y),
    "bags of drawn columns": lambda: BaggingClassifier(LogisticRegression(), n_estimators=3, max_features=2, bootstrap_features=True).fit(
        FLOWERS, NAMES
    ),
    "bags of numbers": lambda: BaggingRegressor(n_estimators=10, random_state=0).fit(X, X[:, 0]),
    "one against the rest": lambda: OneVsRestClassifier(LogisticRegression()).fit(FLOWERS, NAMES),
    "one against the rest, scores": lambda: OneVsRestClassifier(LinearSVC()).fit(FLOWERS, NAMES),
    "one against the rest, chances": lambda: OneVsRestClassifier(GaussianNB()).fit(FLOWERS, NAMES),
    "several targets": lambda: MultiOutputRegressor(Ridge()).fit(X, X[:, :3]),
    "target of logarithms": lambda: TransformedTargetRegressor(scaled(Ridge()), func=np.log1p, inverse_func=np.expm1).fit(
        X[:, 1:], X[:, 0]
    ),
    "target through exp": lambda: TransformedTargetRegressor(scaled(Ridge()), func=np.log, inverse_func=np.exp).fit(X[:, 1:], X[:, 0]),
    "scaled target": lambda: TransformedTargetRegressor(Ridge(), transformer=StandardScaler()).fit(X[:, 1:], X[:, 0]),
}


@pytest.mark.parametrize("name", MAKE)
def test_it_has_a_program_that_is_proven(name: str, proven: Callable[[object], Evidence]) -> None:
    evidence = proven(MAKE[name]())
    assert evidence.rows > 150
    assert evidence.difference <= TOLERANCE


def test_what_no_output_needs_is_not_computed() -> None:
    """The labels of members would leave rows next to a member's tie to the original, though only chances are averaged."""
    program = from_estimator(MAKE["soft votes"](), Options()).lower()
    assert [step.op for step in program.steps].count("labels") == 1
    needed = {register for step in program.steps for register in step.inputs} | set(program.outputs.values())
    assert needed >= set(range(1, len(program.steps) + 1))


NOT: dict[str, Callable[[], object]] = {
    "KNeighborsClassifier": lambda: VotingClassifier([("near", KNeighborsClassifier())]).fit(X, Y),
    "whose members know other classes": lambda: BaggingClassifier(
        scaled(DecisionTreeClassifier()), n_estimators=9, max_samples=3, random_state=0
    ).fit(FLOWERS, NAMES),
    "by temperature": lambda: CalibratedClassifierCV(LogisticRegression(), method="temperature", cv=2).fit(FLOWERS, NAMES),
    "of two classes": lambda: OneVsRestClassifier(LogisticRegression()).fit(X[:, :2], Y),
    "function of its own": lambda: TransformedTargetRegressor(Ridge(), func=np.sqrt, inverse_func=np.square).fit(X[:, 1:], X[:, 0]),
    "by MinMaxScaler": lambda: TransformedTargetRegressor(Ridge(), transformer=MinMaxScaler()).fit(X[:, 1:], X[:, 0]),
    "of several targets": lambda: TransformedTargetRegressor(Ridge(), transformer=StandardScaler()).fit(X, X[:, :2]),
    "no other form of its predict_proba": lambda: VotingClassifier([("svc", SVC(probability=True))], voting="soft").fit(X, Y),
}


@pytest.mark.parametrize("name", NOT)
def test_what_has_no_program_says_why(name: str) -> None:
    with pytest.raises(NotLowered, match=name):
        from_estimator(NOT[name](), Options()).lower()


def run(op: str, x: object, settings: dict[str, object] | None = None, **arrays: object) -> list[object]:
    step = Step(op, (0,), settings or {}, {name: np.asarray(array) for name, array in arrays.items()})
    return np.asarray(OPERATIONS[op](step)(np.asarray(x))).tolist()


def test_votes_are_counted_and_the_first_of_equals_wins() -> None:
    assert run("votes", [[0, 1, 1], [2, 0, 0], [2, 1, 0]], {"count": 3}, weights=[1.0, 1.0, 1.0]) == [1, 0, 0]
    assert run("votes", [[2, 1, 0]], {"count": 3}, weights=[0.5, 0.25, 0.25]) == [2]


def test_places_become_labels_of_their_type() -> None:
    assert run("pick", [1, 0], {"classes": ["a", "b"]}) == ["b", "a"]
    assert run("pick", [1, 0], None, classes=[4, 7]) == [7, 4]


def test_chances_of_nothing_are_even() -> None:
    assert run("weigh", [[0.0, 0.0], [1.0, 3.0]]) == [[0.5, 0.5], [0.25, 0.75]]
    assert run("weigh", [[0.25]]) == [[0.75, 0.25]]


@pytest.mark.parametrize("x", [[1.0, 0.0], [], [0.0]])
def test_points_that_are_out_of_order_are_refused(x: list[float]) -> None:
    with pytest.raises(LoadError, match="interpolate"):
        make_ready(Program((Step("interpolate", (0,), {}, {"x": np.array(x), "y": np.zeros(2)}),), {}))


@pytest.mark.parametrize(
    ("name", "attribute", "value", "reason"),
    [
        ("soft votes", "classes_", np.arange(3), "VotingClassifier whose members know other classes"),
        ("one against the rest, chances", "estimators_", [], "OneVsRestClassifier of two classes"),
    ],
)
def test_what_fitting_does_not_make_has_no_program(name: str, attribute: str, value: object, reason: str) -> None:
    predictor = from_estimator(MAKE[name](), Options())
    setattr(predictor.native, attribute, value)
    with pytest.raises(NotLowered, match=reason):
        predictor.lower()
