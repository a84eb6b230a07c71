"""scikit-learn models of each family as ONNX and skops files: what holds is handed over, what no graph expresses is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, SplineTransformer, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from modelport.columns import Columns
from modelport.convert.order import Order
from modelport.convert.work import Made
from modelport.errors import NotConvertible
from modelport.formats import load
from modelport.formats.base import Options

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
XR, YR = load_diabetes(return_X_y=True)
FRAME = pd.DataFrame(
    {
        "age": [22.0, 38.0, 26.0, 35.0, 54.0, 2.0, 27.0, 14.0],
        "fare": [7.25, 71.3, 7.9, 53.1, 51.9, 21.1, 11.1, 30.1],
        "town": ["Cork", "Lyon", "Cork", "Cork", "Oslo", "Oslo", "Lyon", "Lyon"],
    }
)
SURVIVED = [0, 1, 1, 1, 0, 0, 1, 1]


def _columns() -> ColumnTransformer:
    return ColumnTransformer([("numbers", StandardScaler(), ["age", "fare"]), ("town", OneHotEncoder(handle_unknown="ignore"), ["town"])])


FAMILIES: dict[str, Callable[[], object]] = {
    "scaled, named classes": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X, NAMES),
    "classes true and false": lambda: LogisticRegression().fit(X, Y > 0),
    "two classes": lambda: LogisticRegression().fit(X, np.where(Y > 0, 7, 3)),
    "named columns": lambda: LogisticRegression(max_iter=500).fit(pd.DataFrame(X, columns=list("abcd")), NAMES),
    "found by a search": lambda: GridSearchCV(LogisticRegression(max_iter=500), {"C": [1, 2]}, cv=2).fit(X, Y),
    "imputed": lambda: make_pipeline(SimpleImputer(), LogisticRegression(max_iter=500)).fit(X, Y),
    "tree": lambda: DecisionTreeClassifier(random_state=0).fit(X, NAMES),
    "scaled forest": lambda: make_pipeline(StandardScaler(), RandomForestClassifier(9, random_state=0)).fit(X, NAMES),
    "forest of numbers": lambda: ExtraTreesRegressor(9, random_state=0).fit(XR, YR),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=5, random_state=0).fit(X, Y),
    "support vectors": lambda: SVC().fit(X, Y),
    "support vectors of numbers": lambda: SVR().fit(X, Y),
    "decision between two": lambda: SGDClassifier(random_state=0).fit(X, Y > 0),
    "neighbours": lambda: KNeighborsClassifier().fit(X, Y),
    "naive Bayes": lambda: GaussianNB().fit(X, NAMES),
    "perceptron": lambda: MLPClassifier((8,), max_iter=20, random_state=0).fit(X, Y),
    "linear": lambda: Ridge().fit(XR, YR),
    "several targets": lambda: Ridge().fit(XR, np.stack([YR, -YR], axis=1)),
    "clusters": lambda: KMeans(3, random_state=0).fit(X),
    "components": lambda: PCA(2).fit(X),
    "mixed columns": lambda: make_pipeline(_columns(), LogisticRegression()).fit(FRAME, SURVIVED),
    "mixed columns, forest": lambda: make_pipeline(_columns(), RandomForestClassifier(5, random_state=0)).fit(FRAME, SURVIVED),
    "texts in a matrix": lambda: make_pipeline(OneHotEncoder(), LogisticRegression()).fit(
        np.array([["a", "x"], ["b", "y"], ["a", "y"]], object), [0, 1, 1]
    ),
}
WIDE = 1e-4
"""For numbers of float32, which other processors sum up otherwise."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_graph_answers_as_the_estimator(convert: Callable[..., Made], tmp_path: Path, family: str) -> None:
    """By the estimator's own columns: the same schema but for the precision of its numbers."""
    made = convert(FAMILIES[family](), Order("onnx", source="d" * 64, tolerance=WIDE))
    assert made.report["problem"] == ""
    assert made.report["rows"] > 100
    assert [taken["rows"] for taken in made.report["speed"]] == [1, 64]
    path = tmp_path / "made.onnx"
    path.write_bytes(made.data)
    assert made.report["size_bytes"] == len(made.data)
    before, after = load(tmp_path / "model.pkl", Options()).schema, load(path, Options()).schema
    assert (after.task, after.classes, after.is_named) == (before.task, before.classes, before.is_named)
    assert [(item.name, item.type, item.shape) for item in after.inputs] == [(item.name, item.type, item.shape) for item in before.inputs]
    assert [(item.name, item.shape) for item in after.outputs] == [(item.name, item.shape) for item in before.outputs]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            lambda: make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["so", "no"], [0, 1]),
            "TfidfVectorizer cuts texts into words",
        ),
        (lambda: HistGradientBoostingClassifier(max_iter=2).fit(X, Y), "HistGradientBoosting compares in float64"),
        (
            lambda: make_pipeline(StandardScaler(), SplineTransformer(), LogisticRegression(max_iter=500)).fit(X, Y),
            'the step "splinetransformer" (SplineTransformer) has no graph',
        ),
        (lambda: make_pipeline(StandardScaler(), FunctionTransformer(np.cbrt), Ridge()).fit(X, Y), 'the step "functiontransformer"'),
        (
            lambda: make_pipeline(
                ColumnTransformer([("a", OrdinalEncoder(), [0]), ("b", StandardScaler(), [1])]), LogisticRegression()
            ).fit(np.array([["a", 1.0], ["b", 2.0], ["a", 3.0]], object), [0, 1, 1]),
            "takes numbers and texts in one matrix",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_no_graph_expresses_is_refused_by_its_name(convert: Callable[..., Made], model: Callable[[], object], said: str) -> None:
    with pytest.raises(NotConvertible) as caught:
        convert(model(), Order("onnx"))
    assert said in caught.value.message
    assert "serve the file itself" in caught.value.message or "data frame" in caught.value.message


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tolerance", [None, 1.0])
def test_the_tolerance_decides(convert: Callable[..., Made], tolerance: float | None) -> None:
    """LinearSVC has a graph in float32 only, whose scores of large rows are not those of float64."""
    made = convert(LinearSVC(random_state=0).fit(X * 1e4, Y), Order("onnx", tolerance=0.0 if tolerance is None else tolerance))
    assert made.report["holds"] is (tolerance is not None)
    assert bool(made.data) is (tolerance is not None)
    assert made.report["largest_difference"] > 0


@pytest.mark.parametrize("family", ["scaled forest", "mixed columns"])
def test_a_skops_file_answers_bit_by_bit(convert: Callable[..., Made], family: str) -> None:
    made = convert(FAMILIES[family](), Order("skops", tolerance=0.0))
    assert made.report["problem"] == ""
    assert made.report["largest_difference"] == 0.0
    assert made.data[:2] == b"PK"


def test_given_rows_are_the_ones_compared(convert: Callable[..., Made]) -> None:
    rows = Columns({"#float64": X})
    made = convert(LogisticRegression(max_iter=500).fit(X, NAMES), Order("onnx", has_data=True), rows)
    assert (made.report["rows"], made.report["compared_on"]) == (150, "the given rows")
