"""Estimators as programs: which have one, that each is proven equal to the original, and that the proof can fail."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

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


MAKE: dict[str, Callable[[], object]] = {
    "scaled logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y),
    "tree": lambda: DecisionTreeClassifier(random_state=0).fit(X, Y),
    "forest": lambda: RandomForestClassifier(40, random_state=0).fit(DIGITS, DIGIT),
    "histograms with missing values": lambda: HistGradientBoostingClassifier(max_iter=20).fit(HOLES, Y),
    "imputed and robust": lambda: make_pipeline(SimpleImputer(), RobustScaler(), LogisticRegression()).fit(HOLES, Y),
    "linear": lambda: LinearRegression().fit(X, Y),
}


def lowered(estimator: object) -> tuple[EstimatorPredictor, Program]:
    predictor = from_estimator(estimator, Options())
    return predictor, load(dump(predictor.lower()))


NOT = {
    "KNeighborsClassifier": lambda: KNeighborsClassifier().fit(X[:50], Y[:50]),
    "a function": lambda: make_pipeline(FunctionTransformer(np.log1p), Ridge()).fit(X, Y),
    "several outputs": lambda: RandomForestRegressor(3).fit(X, np.c_[Y, Y]),
    "token pattern": lambda: make_pipeline(CountVectorizer(token_pattern=r"(a+)+b"), Ridge()).fit(["aab", "ab"], [0, 1]),
    "functions of its own": lambda: make_pipeline(CountVectorizer(tokenizer=str.split), Ridge()).fit(["aab", "ab"], [0, 1]),
    "float32": lambda: make_pipeline(TfidfVectorizer(dtype=np.float32), Ridge()).fit(["good", "bad film"], [0, 1]),
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


VERSIONS = ("0.18.2", "0.20.4", "0.22.2.post1", "1.0.2", "1.3.2", "1.7.2")
PATTERNS = [
    "logistic",
    "forest",
    "gradient",
    "tree_",
    "hist_",
    "ridge",
    "sgd_",
    "lda",
    "extra",
    "imputed",
    "ordinal",
    "mlp_",
    "gaussian_nb",
    "bernoulli_nb",
    "qda",
    "kmeans",
    "mini_batch",
    "svr",
    "one_class",
    "voting_soft",
    "voting_regressor",
    "stacking",
    "calibrated",
    "bagging",
    "one_vs_rest",
    "ada_regressor",
    "polynomial",
    "bins",
    "power",
    "target",
    "hashing",
    "isolation",
    "ada_samme",
    "svc",
]
FILES = [path for version in VERSIONS for pattern in PATTERNS for path in sorted((ARTIFACTS / version).glob(f"{pattern}*"))]
CHANGED = ("ada_samme", "isolation", "svc", "svc_binary", "svc_ovo")
"""What answers otherwise in some of these versions, so that only the proof can tell whether the form is the file's."""


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
        problem = parity.prove(predictor.predict, make_ready(program), predictor.schema, program).problem
        assert problem == "" or path.stem in CHANGED, path
        proven += problem == ""
    assert proven > len(paths) // 2


def test_files_of_every_version_are_tried() -> None:
    assert {path.parent.name for path in FILES} == set(VERSIONS)
    assert len(FILES) > 200
