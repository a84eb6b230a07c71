"""XGBoost and LightGBM as programs: every committed file of many versions is proven equal, or left alone for a reason that is listed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn import datasets
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelport.errors import LoadError, UnreadableFile
from modelport.formats import lightgbm as lightgbm_format
from modelport.formats import pickled
from modelport.formats import xgboost as xgboost_format
from modelport.formats.base import Options, Predictor
from modelport.formats.estimator import from_estimator
from modelport.formats.lowering.boosted import flags
from modelport.formats.lowering.draft import NotLowered
from modelport.forms import parity
from modelport.forms.parity import Evidence
from modelport.forms.program.compiled import make_ready
from modelport.forms.program.steps import Program, Step, dump, load

pytestmark = pytest.mark.filterwarnings("ignore")
ARTIFACTS = Path(__file__).parents[1] / "artifacts"
FORMATS = {"xgboost": xgboost_format, "lightgbm": lightgbm_format}
FILES = [
    path
    for library in FORMATS
    for path in sorted((ARTIFACTS / library).glob("*/*"))
    if path.suffix not in (".npz", ".py") and path.parent.name not in ("0.90", "1.3.3")  # which are in a format that is gone
]
LEFT = {
    "aft": "survival:aft",
    "cox": "survival:cox",
    "hinge": "binary:hinge",
    "raw": "binary:logitraw",
    "labels": "several labels a row",
    "linear": "linear booster",
    "vectors": "several outputs",
    "lambda": "cross_entropy_lambda",
    "roots": "regression sqrt",
    "slopes": "linear trees",
    "zeros": "zeros for missing values",
}
"""Which files keep their library, by the names of the files, and what says why."""

X, Y = datasets.load_breast_cancer(return_X_y=True)
DIGITS, DIGIT = datasets.load_digits(return_X_y=True)
HOLES = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
KINDS = np.c_[np.arange(len(X)) % 40, X[:, :3]]


def opened(path: Path) -> Predictor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (pickled if path.suffix == ".pkl" else FORMATS[path.parents[1].name]).load(path, Options())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parents[1].name} {path.parent.name} {path.name}")
def test_a_file_is_proven_or_left_alone_for_a_known_reason(path: Path) -> None:
    try:
        predictor = opened(path)
    except UnreadableFile as error:
        assert "old binary format" in str(error)  # what can be loaded goes on below
        return
    if path.stem in LEFT:
        with pytest.raises(NotLowered, match=LEFT[path.stem]):
            predictor.lower()
        return
    if path.stem == "categories" and path.parent.name in ("1.7.6", "2.1.4"):
        with pytest.raises(NotLowered, match="numbers of no list"):
            predictor.lower()
        return
    program = load(dump(predictor.lower()))
    evidence = parity.prove(predictor.predict, make_ready(program), predictor.schema, program)
    assert evidence.problem == ""
    assert evidence.rows > 300


MAKE: dict[str, Callable[[], object]] = {
    "binary": lambda: xgboost.XGBClassifier(n_estimators=20).fit(HOLES, Y),
    "ten classes": lambda: xgboost.XGBClassifier(n_estimators=5, max_depth=3).fit(DIGITS, DIGIT),
    "forest": lambda: xgboost.XGBRFClassifier(n_estimators=20).fit(X, Y),
    "two targets": lambda: xgboost.XGBRegressor(n_estimators=5).fit(X, np.c_[Y, 1 - 2 * Y]),
    "dart": lambda: xgboost.XGBRegressor(n_estimators=8, booster="dart", rate_drop=0.5).fit(X, X[:, 0]),
    "numbered categories": lambda: lightgbm.LGBMClassifier(n_estimators=9, verbose=-1).fit(KINDS, Y, categorical_feature=[0]),
    "LightGBM": lambda: lightgbm.LGBMClassifier(n_estimators=20, verbose=-1).fit(HOLES, np.where(Y, "yes", "no")),
    "LightGBM, ten classes": lambda: lightgbm.LGBMClassifier(n_estimators=4, verbose=-1).fit(DIGITS, DIGIT),
    "LightGBM, one against all": lambda: lightgbm.LGBMClassifier(n_estimators=4, objective="multiclassova", verbose=-1).fit(DIGITS, DIGIT),
    "LightGBM regressor": lambda: lightgbm.LGBMRegressor(n_estimators=20, verbose=-1).fit(HOLES, X[:, 0]),
    "LightGBM, poisson": lambda: lightgbm.LGBMRegressor(n_estimators=20, objective="poisson", verbose=-1).fit(X, X[:, 0]),
    "LightGBM of a leaf": lambda: lightgbm.LGBMRegressor(n_estimators=2, min_child_samples=400, verbose=-1).fit(X, X[:, 0]),
    "pipeline": lambda: make_pipeline(StandardScaler(), xgboost.XGBRegressor(n_estimators=9)).fit(X, X[:, 0]),
    "table": lambda: make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [0]), remainder="passthrough"), lightgbm.LGBMClassifier(verbose=-1)
    ).fit(KINDS, Y),
}


@pytest.mark.parametrize("name", MAKE)
def test_a_class_of_the_library_is_proven(name: str, proven: Callable[[object], Evidence]) -> None:
    assert proven(MAKE[name]()).rows > 1000


class Shifted(lightgbm.LGBMRegressor):
    """A subclass may answer in a way of its own."""


NOT: dict[str, Callable[[], object]] = {
    "Shifted": lambda: Shifted(n_estimators=2, verbose=-1).fit(X, Y),
    "missing value": lambda: xgboost.XGBRegressor(n_estimators=2, missing=-1.0).fit(X, Y),
    "linear booster": lambda: xgboost.XGBRegressor(n_estimators=2, booster="gblinear").fit(X, Y),
    "multi:softmax": lambda: xgboost.XGBClassifier(n_estimators=2, objective="multi:softmax").fit(DIGITS, DIGIT),
}


@pytest.mark.parametrize("name", NOT)
def test_what_has_no_program_says_why(name: str) -> None:
    with pytest.raises(NotLowered, match=name):
        from_estimator(NOT[name](), Options()).lower()


def test_a_category_above_the_flags_has_no_program() -> None:
    assert flags([np.array([0, 255]), np.zeros(0, np.int64)]).sum(axis=1).tolist() == [2, 0]
    with pytest.raises(NotLowered, match="above 255"):
        flags([np.array([256])])


def test_sums_and_start_that_do_not_fit_are_refused() -> None:
    step = Step("single_sums", (0,), {}, {"values": np.zeros((2, 2)), "start": np.zeros(1)})
    with pytest.raises(LoadError, match="single_sums"):
        make_ready(Program((step,), {}))
