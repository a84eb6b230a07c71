"""Fits one model of every kind that scikit-learn, XGBoost, LightGBM and pandas have, small ones, to see how each is pickled.

``samples()`` yields them: every estimator, then what depends on parameters (metrics, losses, kernels, scorers, splitters),
pipelines, what estimators may hold, and the boosters.
"""

from __future__ import annotations

import datetime
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from fitted_estimators import DOC_Y, DOCS, MULTI_Y, Y2, YR, Sample, X, Y, estimators, fit


def samples() -> Iterator[Sample]:
    """Yield every model."""
    warnings.filterwarnings("ignore")
    np.random.seed(0)  # for every estimator without a random_state; what a model holds can depend on how its fit went
    for group in (estimators, _variants, _pipelines, _plain, _boosters):
        yield from group()


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
        yield fit(f"sgd {loss}", lambda loss=loss: (linear_model.SGDClassifier(loss=loss).fit(X, Y), X))
    for loss in ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive"):
        yield fit(f"sgdr {loss}", lambda loss=loss: (linear_model.SGDRegressor(loss=loss).fit(X, YR), X))
    for loss in ("squared_error", "absolute_error", "huber", "quantile"):
        yield fit(f"gbr {loss}", lambda loss=loss: (ensemble.GradientBoostingRegressor(loss=loss, n_estimators=3).fit(X, YR), X))
    for loss in ("log_loss", "exponential"):
        yield fit(f"gbc {loss}", lambda loss=loss: (ensemble.GradientBoostingClassifier(loss=loss, n_estimators=3).fit(X, Y2), X))
    for loss in ("squared_error", "absolute_error", "gamma", "poisson", "quantile"):
        arguments = {"quantile": 0.5} if loss == "quantile" else {}
        yield fit(f"hgbr {loss}", lambda loss=loss, a=arguments: (_hist(ensemble.HistGradientBoostingRegressor, YR, loss=loss, **a), X))
    yield fit("hgb binary", lambda: (_hist(ensemble.HistGradientBoostingClassifier, Y2), X))
    yield fit("hgb early", lambda: (_hist(ensemble.HistGradientBoostingClassifier, Y, early_stopping=True, categorical_features=[0]), X))
    for kernel in ("linear", "poly", "rbf", "sigmoid"):
        yield fit(f"svc {kernel}", lambda kernel=kernel: (svm.SVC(kernel=kernel, random_state=np.random.RandomState(1)).fit(X, Y), X))
    for criterion in ("gini", "entropy", "log_loss"):
        yield fit(f"tree {criterion}", lambda c=criterion: (tree.DecisionTreeClassifier(criterion=c, splitter="random").fit(X, Y), X))
    for criterion in ("squared_error", "friedman_mse", "absolute_error", "poisson"):
        yield fit(f"treer {criterion}", lambda c=criterion: (tree.DecisionTreeRegressor(criterion=c).fit(X, YR), X))
    yield fit(
        "oob forest", lambda: (ensemble.RandomForestClassifier(5, oob_score=True, random_state=np.random.RandomState(0)).fit(X, MULTI_Y), X)
    )
    yield fit("named nb", lambda: (naive_bayes.GaussianNB().fit(X, np.array(["a", "b", "c"] * 20, dtype=object)), X))
    yield from _processes()


def _hist(cls: type, target: object, **arguments: object) -> object:
    return cls(max_iter=3, **arguments).fit(np.c_[Y, X[:, 1:]], target)


def _neighbour(neighbors: Any, metric: str, algorithm: str) -> Sample:
    rows = X[:, :2] if metric == "haversine" else X
    extra: dict[str, object] = {"seuclidean": {"V": np.var(X, 0)}, "mahalanobis": {"V": np.cov(X.T)}}.get(metric, {})

    def make() -> tuple[object, object]:
        return neighbors.KNeighborsClassifier(3, metric=metric, algorithm=algorithm, metric_params=extra or None).fit(rows, Y), rows

    return fit(f"knn {metric} {algorithm}", make)


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
            yield fit(f"gp {kernel}", lambda model=model: (model.fit(X, YR), X))
    yield fit("gpc binary", lambda: (GaussianProcessClassifier().fit(X, Y2), X))


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
    yield fit("frame pipeline", lambda: (pipe.fit(frame, DOC_Y), frame))
    text = pipeline.make_pipeline(TfidfVectorizer(ngram_range=(1, 2), stop_words="english", dtype=np.float32), LogisticRegression())
    yield fit("text pipeline", lambda: (text.fit(DOCS, DOC_Y), DOCS))
    scorers = ("f_classif", "chi2", "mutual_info_classif", "f_regression", "mutual_info_regression", "r_regression", "f_oneway")
    for name in scorers:
        score = getattr(feature_selection, name)
        yield fit(f"select {name}", lambda score=score: (feature_selection.SelectKBest(score, k=2).fit(X, Y), X))
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
    yield fit("search over text", lambda: (search.fit(DOCS, DOC_Y), DOCS))


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
                yield fit(kind, lambda kind=kind, target=target: (getattr(xgboost, kind)(n_estimators=3).fit(X, target), X))
        yield fit("XGBRanker", lambda: (xgboost.XGBRanker(n_estimators=3).fit(X, Y, qid=np.repeat([0, 1], 30)), X))
        yield fit("xgboost train", lambda: (xgboost.train({"max_depth": 2}, xgboost.DMatrix(X, Y2), 3), None))
    try:
        import lightgbm
    except ImportError:
        return
    for kind, target in (("LGBMClassifier", Y), ("LGBMRegressor", YR)):
        yield fit(kind, lambda kind=kind, target=target: (getattr(lightgbm, kind)(n_estimators=3, verbose=-1).fit(X, target), X))
    yield fit("LGBMRanker", lambda: (lightgbm.LGBMRanker(n_estimators=3, verbose=-1).fit(X, Y, group=[30, 30]), X))
    yield fit("lightgbm train", lambda: (lightgbm.train({"verbose": -1}, lightgbm.Dataset(X, Y2), 3), None))
