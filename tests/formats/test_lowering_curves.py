"""Transformers that bend, multiply, cut or join as programs, each proven equal to the original."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    StandardScaler,
    TargetEncoder,
)

from modelport.errors import LoadError
from modelport.formats.base import Options
from modelport.formats.estimator import from_estimator
from modelport.formats.lowering.draft import NotLowered
from modelport.forms.parity import TOLERANCE, Evidence
from modelport.forms.program.compiled import OPERATIONS, make_ready
from modelport.forms.program.steps import Program, Step

pytestmark = pytest.mark.filterwarnings("ignore")

X, Y = datasets.load_iris(return_X_y=True)
RANDOM = np.random.default_rng(6)
LETTERS = RANDOM.choice(list("aaaabbbbccccdefgh"), 300).astype(object)
LETTERS[:20] = None
TABLE = pd.DataFrame({"letter": LETTERS, "kind": RANDOM.choice([0, 0, 0, 1, 1, 2, 3, 4, 5], 300), "size": RANDOM.normal(size=300)})
WANTED = (TABLE["size"] + TABLE["kind"] > 1).to_numpy()


def table(encoder: object, columns: list[str]) -> object:
    return make_pipeline(make_column_transformer((encoder, columns), ("passthrough", ["size"])), LogisticRegression()).fit(TABLE, WANTED)


def before(step: object, final: object | None = None) -> object:
    return make_pipeline(step, final or LogisticRegression()).fit(X, Y)


MAKE: dict[str, Callable[[], object]] = {
    "polynomial": lambda: make_pipeline(StandardScaler(), PolynomialFeatures(3), Ridge()).fit(X, Y),
    "products alone": lambda: PolynomialFeatures(2, interaction_only=True, include_bias=False).fit(X),
    "bins": lambda: before(KBinsDiscretizer(4)),
    "bins written out": lambda: before(KBinsDiscretizer(3, encode="onehot-dense", strategy="uniform")),
    "numbered bins": lambda: before(KBinsDiscretizer(5, encode="ordinal", strategy="kmeans")),
    "powers": lambda: before(PowerTransformer()),
    "powers alone, as they are": lambda: PowerTransformer(standardize=False).fit(X - 3),
    "means of the target": lambda: table(TargetEncoder(), ["letter", "kind"]),
    "means of numbers": lambda: make_pipeline(TargetEncoder(), Ridge()).fit(TABLE[["kind", "letter"]], TABLE["size"]),
    "rare ones joined": lambda: table(OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist"), ["letter", "kind"]),
    "rare ones joined, others refused": lambda: table(OneHotEncoder(max_categories=3), ["kind"]),
    "rare ones joined, others ignored": lambda: table(OneHotEncoder(max_categories=3, handle_unknown="ignore"), ["letter"]),
    "rare ones of which there are none": lambda: table(
        OneHotEncoder(min_frequency=2, handle_unknown="infrequent_if_exist"), ["letter", "kind"]
    ),
    "rare ones numbered": lambda: table(
        OrdinalEncoder(min_frequency=20, handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2), ["letter", "kind"]
    ),
    "descent, modified Huber": lambda: before(StandardScaler(), SGDClassifier(loss="modified_huber", random_state=0)),
    "descent, modified Huber of two": lambda: make_pipeline(StandardScaler(), SGDClassifier(loss="modified_huber", random_state=0)).fit(
        X, Y > 0
    ),
}


@pytest.mark.parametrize("name", MAKE)
def test_it_has_a_program_that_is_proven(name: str, proven: Callable[[object], Evidence]) -> None:
    evidence = proven(MAKE[name]())
    assert evidence.rows > 300
    assert evidence.difference <= TOLERANCE


NOT: dict[str, Callable[[], object]] = {
    "Box and Cox": lambda: before(PowerTransformer("box-cox")),
    "of several classes": lambda: make_pipeline(TargetEncoder(), LogisticRegression()).fit(np.c_[Y, Y], Y),
    "and drops some": lambda: table(OneHotEncoder(min_frequency=20, drop="first"), ["kind"]),
    "type of its own": lambda: before(KBinsDiscretizer(3, dtype=np.float32)),
    "PolynomialFeatures of": lambda: PolynomialFeatures(4).fit(np.zeros((2, 30))),
}


@pytest.mark.parametrize("name", NOT)
def test_what_has_no_program_says_why(name: str) -> None:
    with pytest.raises(NotLowered, match=name):
        from_estimator(NOT[name](), Options()).lower()


def test_powers_of_0_and_2_are_logarithms() -> None:
    x = np.array([[1.0, -1.0], [-1.0, 1.0]])
    found = OPERATIONS["bend"](Step("bend", (0,), {}, {"power": np.array([0.0, 2.0])}))(x)
    assert np.allclose(found, [[np.log(2), -np.log(2)], [-1.5, 1.5]], rtol=1e-15)


@pytest.mark.parametrize(
    "step",
    [
        Step("products", (0,), {}, {"factors": np.array([[-1]])}),
        Step("intervals", (0,), {}, {"threshold": np.array([1.0, 0.0]), "lengths": np.array([2])}),
    ],
    ids=lambda step: step.op,
)
def test_what_does_not_fit_together_is_refused(step: Step) -> None:
    with pytest.raises(LoadError, match=step.op):
        make_ready(Program((step,), {}))
