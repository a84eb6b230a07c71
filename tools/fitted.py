"""Fits one model of every kind that scikit-learn, XGBoost, LightGBM and pandas have, small ones, to see how each is pickled.

``samples()`` yields them. It runs with every scikit-learn from 1.3 on: what a version does not have is left out, and what it
has but could not be fitted is yielded as an exception, so that nothing gets lost silently.
"""

from __future__ import annotations

import datetime
import importlib
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

RNG = np.random.RandomState(0)
X = np.abs(RNG.rand(60, 4)) + 0.01
Y = np.tile([0, 1, 2], 20)
Y2 = np.tile([0, 1], 30)
YR = X[:, 0] * 2 + 1
MULTI_Y = np.c_[Y2, np.roll(Y2, 1)]
MULTI_R = np.c_[YR, YR + 1]
DOCS = ["a bad film", "a good film indeed", "well made", "not so well made at all"] * 5
DOC_Y = [0, 1, 1, 0] * 5


@dataclass(frozen=True)
class Sample:
    """One model, or the exception that fitting raised; ``rows`` to predict from, None where it has nothing to predict."""

    name: str
    model: object
    rows: object = None
    error: Exception | None = None


def samples() -> Iterator[Sample]:
    """Yield every model."""
    warnings.filterwarnings("ignore")
    for group in (_estimators, _variants, _pipelines, _plain, _boosters):
        yield from group()


def _estimators() -> Iterator[Sample]:
    from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
    from sklearn.utils import all_estimators

    for name, cls in all_estimators():
        yield _fit(name, lambda name=name, cls=cls: _fitted(name, cls))


def _fit(name: str, make: Callable[[], tuple[object, object]]) -> Sample:
    try:
        model, rows = make()
    except Exception as error:  # noqa: BLE001  # reported by whoever asks for the samples
        return Sample(name, None, None, error)
    return Sample(name, model, rows)


def _fitted(name: str, cls: type) -> tuple[object, object]:
    from sklearn.base import is_regressor

    model = cls(**_arguments(name))
    special = _special(name)
    if special is not None:
        rows, target = special
        model.fit(rows, target) if target is not None else model.fit(rows)
        return model, rows
    target = YR if is_regressor(model) else Y2 if name in {"FixedThresholdClassifier", "TunedThresholdClassifierCV"} else Y
    model.fit(X, target)
    return model, X


def _special(name: str) -> tuple[object, object] | None:
    rows: dict[str, tuple[object, object]] = {
        "CountVectorizer": (DOCS, None),
        "TfidfVectorizer": (DOCS, None),
        "HashingVectorizer": (DOCS, None),
        "DictVectorizer": ([{"a": 1, "b": "x"}, {"a": 2.0}], None),
        "FeatureHasher": ([{"a": 1}, {"b": 2}], None),
        "LabelBinarizer": (Y, None),
        "LabelEncoder": (["b", "a", "c"], None),
        "MultiLabelBinarizer": ([(1, 2), (3,)], None),
        "IsotonicRegression": (X[:, 0], YR),
        "PatchExtractor": (RNG.rand(2, 6, 6), None),
        "KernelCenterer": (X @ X.T, None),
        "SparseCoder": (X, None),
        "TargetEncoder": (np.array([["a"], ["b"]] * 30, dtype=object), YR),
        "Isomap": (X, None),
        "MultiOutputClassifier": (X, MULTI_Y),
        "ClassifierChain": (X, MULTI_Y),
    }
    multi = ("MultiTask", "MultiOutputRegressor", "RegressorChain", "CCA", "PLS")
    return (X, MULTI_R) if name.startswith(multi) else rows.get(name)


def _arguments(name: str) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    logistic, ridge = LogisticRegression(), Ridge()
    fixed: dict[str, dict[str, Any]] = {
        "ColumnTransformer": {"transformers": [("a", StandardScaler(), [0, 1])], "remainder": "passthrough"},
        "FeatureUnion": {"transformer_list": [("a", StandardScaler())]},
        "Pipeline": {"steps": [("a", StandardScaler()), ("b", logistic)]},
        "FrozenEstimator": {"estimator": LogisticRegression().fit(X, Y)},
        "GridSearchCV": {"estimator": logistic, "param_grid": {"C": [0.1, 1.0]}, "cv": 2},
        "HalvingGridSearchCV": {"estimator": logistic, "param_grid": {"C": [0.1, 1.0]}, "cv": 2},
        "RandomizedSearchCV": {"estimator": logistic, "param_distributions": {"C": [0.1, 1.0]}, "n_iter": 2, "cv": 2},
        "HalvingRandomSearchCV": {"estimator": logistic, "param_distributions": {"C": [0.1, 1.0]}, "cv": 2},
        "SparseCoder": {"dictionary": X[:5]},
        "VotingClassifier": {"estimators": [("a", logistic)]},
        "StackingClassifier": {"estimators": [("a", logistic)], "cv": 2},
        "VotingRegressor": {"estimators": [("a", ridge)]},
        "StackingRegressor": {"estimators": [("a", ridge)], "cv": 2},
        "TunedThresholdClassifierCV": {"estimator": logistic, "cv": 2},
        "SelfTrainingClassifier": _inner(name, logistic),
        "GaussianRandomProjection": {"n_components": 2},
        "SparseRandomProjection": {"n_components": 2},
        "PatchExtractor": {"patch_size": (2, 2)},
        "SpectralBiclustering": {"n_clusters": 2},
        "LocalOutlierFactor": {"novelty": True},
        "TSNE": {"perplexity": 5, "max_iter": 250} if _has("TSNE", "max_iter") else {"perplexity": 5, "n_iter": 250},
    }
    if name.startswith(("CCA", "PLS")):
        return {"n_components": 1}
    if name in fixed:
        return fixed[name]
    if name in {"MultiOutputRegressor", "RegressorChain"}:
        return {"estimator": ridge} if name == "MultiOutputRegressor" else {_chain(): ridge}
    if name == "ClassifierChain":
        return {_chain(): logistic}
    wrapped = {
        "MultiOutputClassifier",
        "OneVsOneClassifier",
        "OneVsRestClassifier",
        "OutputCodeClassifier",
        "RFE",
        "RFECV",
        "SelectFromModel",
    }
    return {"estimator": logistic} if name in wrapped | {"SequentialFeatureSelector", "FixedThresholdClassifier"} else {}


def _has(cls: str, parameter: str) -> bool:
    manifold = importlib.import_module("sklearn.manifold")
    return parameter in getattr(manifold, cls)().get_params()


def _chain() -> str:
    from sklearn.linear_model import Ridge
    from sklearn.multioutput import RegressorChain

    try:
        RegressorChain(estimator=Ridge())
    except TypeError:
        return "base_estimator"
    return "estimator"


def _inner(name: str, model: object) -> dict[str, object]:
    from sklearn.semi_supervised import SelfTrainingClassifier

    parameters = SelfTrainingClassifier(model).get_params(deep=False)
    return {"estimator" if "base_estimator" not in parameters else "base_estimator": model} if name else {}


def _variants() -> Iterator[Sample]:
    from sklearn import ensemble, linear_model, naive_bayes, neighbors, svm, tree

    for metric in (
        "euclidean",
        "manhattan",
        "chebyshev",
        "minkowski",
        "seuclidean",
        "mahalanobis",
        "hamming",
        "canberra",
        "braycurtis",
        "haversine",
    ):
        for algorithm in ("auto", "brute", "kd_tree", "ball_tree"):
            if algorithm == "kd_tree" and metric not in {"euclidean", "manhattan", "chebyshev", "minkowski"}:
                continue
            yield _neighbour(neighbors, metric, algorithm)
    for loss in ("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron", "squared_error", "huber", "epsilon_insensitive"):
        yield _fit(f"sgd {loss}", lambda loss=loss: (linear_model.SGDClassifier(loss=loss).fit(X, Y), X))
    for loss in ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive"):
        yield _fit(f"sgdr {loss}", lambda loss=loss: (linear_model.SGDRegressor(loss=loss).fit(X, YR), X))
    for loss in ("squared_error", "absolute_error", "huber", "quantile"):
        yield _fit(f"gbr {loss}", lambda loss=loss: (ensemble.GradientBoostingRegressor(loss=loss, n_estimators=3).fit(X, YR), X))
    for loss in ("log_loss", "exponential"):
        yield _fit(f"gbc {loss}", lambda loss=loss: (ensemble.GradientBoostingClassifier(loss=loss, n_estimators=3).fit(X, Y2), X))
    for loss in ("squared_error", "absolute_error", "gamma", "poisson", "quantile"):
        arguments = {"quantile": 0.5} if loss == "quantile" else {}
        yield _fit(f"hgbr {loss}", lambda loss=loss, a=arguments: (_hist(ensemble.HistGradientBoostingRegressor, YR, loss=loss, **a), X))
    yield _fit("hgb binary", lambda: (_hist(ensemble.HistGradientBoostingClassifier, Y2), X))
    yield _fit("hgb early", lambda: (_hist(ensemble.HistGradientBoostingClassifier, Y, early_stopping=True, categorical_features=[0]), X))
    for kernel in ("linear", "poly", "rbf", "sigmoid"):
        yield _fit(f"svc {kernel}", lambda kernel=kernel: (svm.SVC(kernel=kernel, random_state=np.random.RandomState(1)).fit(X, Y), X))
    for criterion in ("gini", "entropy", "log_loss"):
        yield _fit(f"tree {criterion}", lambda c=criterion: (tree.DecisionTreeClassifier(criterion=c, splitter="random").fit(X, Y), X))
    for criterion in ("squared_error", "friedman_mse", "absolute_error", "poisson"):
        yield _fit(f"treer {criterion}", lambda c=criterion: (tree.DecisionTreeRegressor(criterion=c).fit(X, YR), X))
    yield _fit(
        "oob forest", lambda: (ensemble.RandomForestClassifier(5, oob_score=True, random_state=np.random.RandomState(0)).fit(X, MULTI_Y), X)
    )
    yield _fit("named nb", lambda: (naive_bayes.GaussianNB().fit(X, np.array(["a", "b", "c"] * 20, dtype=object)), X))
    yield from _processes()


def _hist(cls: type, target: object, **arguments: object) -> object:
    return cls(max_iter=3, **arguments).fit(np.c_[Y, X[:, 1:]], target)


def _neighbour(neighbors: Any, metric: str, algorithm: str) -> Sample:
    rows = X[:, :2] if metric == "haversine" else X
    extra: dict[str, object] = {"seuclidean": {"V": np.var(X, 0)}, "mahalanobis": {"V": np.cov(X.T)}}.get(metric, {})

    def make() -> tuple[object, object]:
        return neighbors.KNeighborsClassifier(3, metric=metric, algorithm=algorithm, metric_params=extra or None).fit(rows, Y), rows

    return _fit(f"knn {metric} {algorithm}", make)


def _processes() -> Iterator[Sample]:
    from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor, kernels

    used = [
        kernels.RBF() + kernels.WhiteKernel(),
        kernels.ConstantKernel() * kernels.Matern(),
        kernels.RationalQuadratic(),
        kernels.ExpSineSquared(),
        kernels.DotProduct(),
        kernels.Exponentiation(kernels.RBF(), 2),
        kernels.PairwiseKernel(),
        kernels.CompoundKernel([kernels.RBF(), kernels.Matern()]),
    ]
    for kernel in used:
        model = GaussianProcessRegressor(kernel, alpha=100.0, optimizer=None)
        if isinstance(kernel, kernels.CompoundKernel):
            yield Sample("gp compound, unfitted", model)
        else:
            yield _fit(f"gp {kernel}", lambda model=model: (model.fit(X, YR), X))
    yield _fit("gpc binary", lambda: (GaussianProcessClassifier().fit(X, Y2), X))


def _pipelines() -> Iterator[Sample]:
    import pandas as pd
    from sklearn import compose, feature_selection, impute, metrics, model_selection, pipeline, preprocessing
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    frame = pd.DataFrame(
        {"a": [1.0, 2, np.nan, 4] * 5, "b": list("xyxz") * 5, "c": pd.Categorical(list("ppqq") * 5), "d": [1, 2, 3, 4] * 5}
    )
    numeric = pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler())
    columns = compose.make_column_transformer(
        (numeric, compose.make_column_selector(dtype_include=np.number)),
        (preprocessing.OneHotEncoder(handle_unknown="ignore"), ["b", "c"]),
        remainder="drop",
    )
    pipe = pipeline.make_pipeline(columns, LogisticRegression())
    yield _fit("frame pipeline", lambda: (pipe.fit(frame, DOC_Y), frame))
    text = pipeline.make_pipeline(TfidfVectorizer(ngram_range=(1, 2), stop_words="english", dtype=np.float32), LogisticRegression())
    yield _fit("text pipeline", lambda: (text.fit(DOCS, DOC_Y), DOCS))
    scorers = ("f_classif", "chi2", "mutual_info_classif", "f_regression", "mutual_info_regression", "r_regression", "f_oneway")
    for name in scorers:
        score = getattr(feature_selection, name)
        yield _fit(f"select {name}", lambda score=score: (feature_selection.SelectKBest(score, k=2).fit(X, Y), X))
    for name in metrics.get_scorer_names():
        yield Sample(f"scorer {name}", model_selection.GridSearchCV(LogisticRegression(), {"C": [1.0]}, scoring=metrics.get_scorer(name)))
    splitters = ("KFold", "StratifiedKFold", "GroupKFold", "ShuffleSplit", "StratifiedShuffleSplit", "TimeSeriesSplit", "RepeatedKFold")
    more = ("RepeatedStratifiedKFold", "LeaveOneOut", "GroupShuffleSplit", "LeaveOneGroupOut", "StratifiedGroupKFold")
    for name in (*splitters, *more):
        yield Sample(
            f"splitter {name}", model_selection.GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=getattr(model_selection, name)())
        )
    search = model_selection.GridSearchCV(
        text, {"logisticregression__C": [0.5, 1.0]}, cv=model_selection.StratifiedKFold(2), scoring="f1_macro"
    )
    yield _fit("search over text", lambda: (search.fit(DOCS, DOC_Y), DOCS))


def _plain() -> Iterator[Sample]:
    import pandas as pd
    import scipy.sparse as sp
    from sklearn.utils import Bunch

    values: dict[str, object] = {
        "sets": [
            {1, 2},
            frozenset([1]),
            1j,
            bytearray(b"abc"),
            slice(1, 2),
            range(3),
            b"bytes",
            OrderedDict(a=1),
            Counter("aab"),
            deque([1]),
        ],
        "factories": [defaultdict(int, a=1), defaultdict(list), int, float, str, bool, object, dict, list, tuple, set, bytes, complex],
        "dates": [datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.date(2020, 1, 1), datetime.timedelta(1), datetime.time(1)],
        "arrays": [
            np.array(["a", None], object),
            np.zeros(3, ">f4"),
            np.asfortranarray(X),
            np.datetime64("2020-01-01"),
            np.matrix([[1.0]]),
            np.ma.array([1, 2]),
        ],
        "scalars": [
            kind(1) for kind in (np.float32, np.float64, np.int32, np.int64, np.bool_, np.uint8, np.complex128, np.str_, np.float16)
        ],
        "types": [
            np.float16,
            np.float32,
            np.float64,
            np.int8,
            np.int16,
            np.int32,
            np.int64,
            np.uint8,
            np.bool_,
            np.str_,
            np.object_,
            np.ndarray,
        ],
        "dtype classes": [type(np.dtype(code)) for code in ("f8", "f4", "i8", "O", "?")],
        "random": [np.random.RandomState(0), np.random.default_rng(0), np.random.Generator(np.random.Philox(1)), np.random.SeedSequence(1)],
        "generators": [np.random.Generator(kind(1)) for kind in (np.random.MT19937, np.random.SFC64, np.random.PCG64DXSM)],
        "sparse": [
            getattr(sp, f"{kind}_{what}")(X) for kind in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia") for what in ("matrix", "array")
        ],
        "bunch": Bunch(a=1, b=X),
        "frame": pd.DataFrame({"a": [1.0], "b": ["x"], "c": pd.Categorical(["p"]), "d": pd.to_datetime(["2020-01-01"])}),
        "series": [
            pd.Series([1, 2], name="a"),
            pd.Series(["a"], dtype="string"),
            pd.Series([1, None], dtype="Int64"),
            pd.Series([True, None], dtype="boolean"),
        ],
        "indexes": [
            pd.Index(["a"]),
            pd.RangeIndex(3),
            pd.MultiIndex.from_tuples([(1, "a")]),
            pd.DatetimeIndex(["2020-01-01"]),
            pd.CategoricalIndex(["a"]),
        ],
        "stamps": [pd.Timestamp("2020-01-01", tz="UTC"), pd.Timedelta(1), pd.NaT, pd.NA, pd.CategoricalDtype(["a"]), pd.Interval(0, 1)],
    }
    for name, value in values.items():
        yield Sample(name, value)


def _boosters() -> Iterator[Sample]:
    try:
        import xgboost
    except ImportError:
        pass
    else:
        for target, kinds in ((Y, ("XGBClassifier", "XGBRFClassifier")), (YR, ("XGBRegressor", "XGBRFRegressor"))):
            for kind in kinds:
                yield _fit(kind, lambda kind=kind, target=target: (getattr(xgboost, kind)(n_estimators=3).fit(X, target), X))
        yield _fit("XGBRanker", lambda: (xgboost.XGBRanker(n_estimators=3).fit(X, Y, qid=np.repeat([0, 1], 30)), X))
        yield _fit("xgboost train", lambda: (xgboost.train({"max_depth": 2}, xgboost.DMatrix(X, Y2), 3), None))
    try:
        import lightgbm
    except ImportError:
        return
    for kind, target in (("LGBMClassifier", Y), ("LGBMRegressor", YR)):
        yield _fit(kind, lambda kind=kind, target=target: (getattr(lightgbm, kind)(n_estimators=3, verbose=-1).fit(X, target), X))
    yield _fit("LGBMRanker", lambda: (lightgbm.LGBMRanker(n_estimators=3, verbose=-1).fit(X, Y, group=[30, 30]), X))
    yield _fit("lightgbm train", lambda: (lightgbm.train({"verbose": -1}, lightgbm.Dataset(X, Y2), 3), None))
