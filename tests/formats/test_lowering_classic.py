"""Perceptrons, naive Bayes, discriminants, support vectors and centres as programs, each proven equal to the original."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from sklearn import datasets
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from modelport.errors import LoadError
from modelport.formats.base import Options
from modelport.formats.estimator import from_estimator
from modelport.formats.lowering.draft import NotLowered
from modelport.forms import parity
from modelport.forms.parity import TOLERANCE, Evidence
from modelport.forms.program.compiled import OPERATIONS, make_ready
from modelport.forms.program.steps import Program, Step
from modelport.forms.program.undecided import Undecided

pytestmark = pytest.mark.filterwarnings("ignore")

X, Y = datasets.load_breast_cancer(return_X_y=True)
DIGITS, DIGIT = datasets.load_digits(return_X_y=True)
FLOWERS, FLOWER = datasets.load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[FLOWER]


def scaled(estimator: object, rows: np.ndarray = X, wanted: np.ndarray = Y) -> object:
    return make_pipeline(StandardScaler(), estimator).fit(rows, wanted)


MAKE: dict[str, Callable[[], object]] = {
    "perceptron of two classes": lambda: scaled(MLPClassifier((20,), max_iter=20, random_state=0)),
    "perceptron of ten": lambda: scaled(MLPClassifier((20, 10), activation="tanh", max_iter=20, random_state=0), DIGITS, DIGIT),
    "perceptron of numbers": lambda: scaled(MLPRegressor(hidden_layer_sizes=(9,), activation="logistic", max_iter=20), X, X[:, 0]),
    "perceptron of two numbers": lambda: scaled(MLPRegressor(hidden_layer_sizes=(9,), max_iter=20), X, X[:, :2]),
    "gaussian": lambda: GaussianNB().fit(X, Y),
    "gaussian of names": lambda: scaled(GaussianNB(), FLOWERS, NAMES),
    "bernoulli": lambda: BernoulliNB(binarize=8.0).fit(DIGITS, DIGIT),
    "bernoulli of bits": lambda: BernoulliNB(binarize=None).fit((DIGITS > 8).astype(float), DIGIT),
    "quadratic": lambda: QuadraticDiscriminantAnalysis(reg_param=0.1).fit(X, Y),
    "quadratic of names": lambda: QuadraticDiscriminantAnalysis().fit(FLOWERS, NAMES),
    "centres": lambda: KMeans(5, n_init=1, random_state=0).fit(X),
    "centres by batches": lambda: MiniBatchKMeans(4, n_init=1, random_state=0).fit(DIGITS),
    "vectors": lambda: scaled(SVC()),
    "vectors, linear": lambda: scaled(SVC(kernel="linear"), FLOWERS, FLOWER > 0),
    "vectors of ten classes": lambda: SVC().fit(DIGITS, DIGIT),
    "vectors, pairs": lambda: scaled(SVC(decision_function_shape="ovo", kernel="poly"), FLOWERS, NAMES),
    "vectors by share": lambda: scaled(NuSVC(kernel="sigmoid")),
    "vectors, numbers": lambda: scaled(SVR(), X, X[:, 0]),
    "vectors by share, numbers": lambda: scaled(NuSVR(), X, X[:, 0]),
    "vectors of one class": lambda: scaled(OneClassSVM()),
}


@pytest.mark.parametrize("name", MAKE)
def test_it_has_a_program_that_is_proven(name: str, proven: Callable[[object], Evidence]) -> None:
    evidence = proven(MAKE[name]())
    assert evidence.rows > 300
    assert evidence.difference <= TOLERANCE


NOT: dict[str, Callable[[], object]] = {
    "output probabilities": lambda: SVC(probability=True).fit(FLOWERS, FLOWER),
    "kernel of its own": lambda: SVC(kernel="precomputed").fit(FLOWERS @ FLOWERS.T, FLOWER),
    "breaks ties": lambda: SVC(break_ties=True).fit(FLOWERS, FLOWER),
    "fitted in float32": lambda: MLPRegressor(hidden_layer_sizes=(3,), max_iter=5).fit(FLOWERS.astype(np.float32), FLOWER),
    "centers_ in float32|fitted in float32": lambda: KMeans(3, n_init=1).fit(FLOWERS.astype(np.float32)),
    "several labels": lambda: MLPClassifier((3,), max_iter=5).fit(FLOWERS, np.c_[FLOWER > 0, FLOWER > 1]),
}


@pytest.mark.parametrize("name", NOT)
def test_what_has_no_program_says_why(name: str) -> None:
    with pytest.raises(NotLowered, match=name):
        from_estimator(NOT[name](), Options()).lower()


@pytest.mark.parametrize(
    ("name", "op", "array"),
    [("vectors", "kernel", "examples"), ("gaussian of names", "gaussian", "variance"), ("quadratic of names", "quadratic", "turn")],
)
def test_the_proof_sees_rows_near_to_what_was_learnt(name: str, op: str, array: str) -> None:
    """Far away all kernels are zero, and one class is certain: a change would stay unseen there."""
    predictor = from_estimator(MAKE[name](), Options())
    steps = [
        dataclasses.replace(step, arrays={**step.arrays, array: step.arrays[array] * (1 + 1e-7)}) if step.op == op else step
        for step in predictor.lower().steps
    ]
    program = Program(tuple(steps), predictor.lower().outputs)
    assert "differs" in parity.prove(predictor.predict, make_ready(program), predictor.schema, program).problem


def run(op: str, x: object, settings: dict[str, object] | None = None, **arrays: object) -> np.ndarray:
    return OPERATIONS[op](Step(op, (0,), settings or {}, {name: np.asarray(array) for name, array in arrays.items()}))(np.asarray(x))


def test_a_row_between_two_centres_is_the_originals() -> None:
    assert run("nearest", [[0.1, 0.0], [0.9, 0.0]], centers=[[0.0, 0.0], [1.0, 0.0]]).tolist() == [0, 1]
    with pytest.raises(Undecided):
        run("nearest", [[0.5, 0.0]], centers=[[0.0, 0.0], [1.0, 0.0]])


def test_pairs_vote_and_a_vote_next_to_zero_is_the_originals() -> None:
    assert run("pair_winner", [[1.0, 1.0, -1.0], [-1.0, 1.0, 1.0], [1.0, -1.0, 1.0]], {"count": 3}).tolist() == [0, 1, 0]
    assert run("pair_scores", [[1.0, 1.0, -1.0]], {"count": 3}).round(3).tolist() == [[2 + 0.222, -0.222, 1.0]]
    for op in ("pair_winner", "pair_scores"):
        with pytest.raises(Undecided):
            run(op, [[1e-12, 1.0, 1.0]], {"count": 3})


@pytest.mark.parametrize(
    "step",
    [
        Step("gaussian", (0,), {}, {"prior": np.zeros(2), "mean": np.zeros((2, 3)), "variance": np.ones((2, 2))}),
        Step("nearest", (0,), {}, {"centers": np.zeros((1, 2))}),
        Step("kernel", (0,), {"kind": "wave"}, {"examples": np.zeros((1, 2))}),
        Step(
            "quadratic",
            (0,),
            {},
            {"prior": np.zeros(2), "offset": np.zeros(2), "mean": np.zeros((1, 2)), "turn": np.eye(2), "widths": np.array([1, 1])},
        ),
    ],
    ids=lambda step: step.op,
)
def test_what_does_not_fit_together_is_refused(step: Step) -> None:
    with pytest.raises(LoadError, match=step.op):
        make_ready(Program((step,), {}))
