"""Walks what was unpickled of an older file and repairs it, innermost objects first.

Nothing of the file is run: attributes are read and set, and only the methods of scikit-learn's own classes are called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import FunctionType, MappingProxyType, ModuleType
from typing import TypeAlias

import numpy as np
from sklearn.base import BaseEstimator

from modelport.formats.older import boosting, columns, ensembles, histograms, linear, naive_bayes, neighbors, svm, text, trees
from modelport.formats.older.kinds import Version

Repair: TypeAlias = Callable[[object, Version], None]

REPAIRS: Mapping[str, Repair] = MappingProxyType(
    {
        **dict.fromkeys(("LogisticRegression", "LogisticRegressionCV"), linear.logistic),
        **dict.fromkeys(("SGDClassifier", "SGDRegressor", "SGDOneClassSVM", "Perceptron"), linear.descent),
        **dict.fromkeys(("PassiveAggressiveClassifier", "PassiveAggressiveRegressor"), linear.descent),
        **dict.fromkeys(("PoissonRegressor", "GammaRegressor", "TweedieRegressor"), linear.generalized),
        **dict.fromkeys(("RidgeClassifier", "RidgeClassifierCV"), linear.ridge),
        **dict.fromkeys(("PLSRegression", "PLSCanonical", "CCA"), linear.least_squares),
        "TfidfTransformer": text.frequencies,
        "GaussianNB": naive_bayes.variances,
        **dict.fromkeys(("SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM"), svm.machine),
        **dict.fromkeys(("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"), trees.tree),
        **dict.fromkeys(("RandomForestClassifier", "RandomForestRegressor", "RandomTreesEmbedding"), trees.forest),
        **dict.fromkeys(("ExtraTreesClassifier", "ExtraTreesRegressor"), trees.forest),
        **dict.fromkeys(("BaggingClassifier", "BaggingRegressor"), trees.forest),
        **dict.fromkeys(("GradientBoostingClassifier", "GradientBoostingRegressor"), boosting.gradient),
        **dict.fromkeys(("AdaBoostClassifier", "AdaBoostRegressor"), boosting.adaptive),
        **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), histograms.histograms),
        "_BinMapper": histograms.mapper,
        "TreePredictor": histograms.predictor,
        **dict.fromkeys(("KNeighborsClassifier", "KNeighborsRegressor", "NearestNeighbors"), neighbors.searched),
        **dict.fromkeys(("RadiusNeighborsClassifier", "RadiusNeighborsRegressor", "LocalOutlierFactor"), neighbors.searched),
        "SimpleImputer": columns.imputer,
        "OneHotEncoder": columns.one_hot,
        "OrdinalEncoder": columns.ordinal,
        "ColumnTransformer": columns.transformer,
        "IsolationForest": ensembles.isolation,
        **dict.fromkeys(("CalibratedClassifierCV", "_CalibratedClassifier"), ensembles.calibrated),
        "IsotonicRegression": ensembles.isotonic,
        **dict.fromkeys(("KMeans", "MiniBatchKMeans"), ensembles.clusters),
        "OneVsOneClassifier": ensembles.pairs,
        "LinearDiscriminantAnalysis": linear.discriminant,
        **dict.fromkeys(("DummyClassifier", "DummyRegressor"), ensembles.dummy),
        **dict.fromkeys(("MLPClassifier", "MLPRegressor", "SelectKBest", "SelectPercentile", "VarianceThreshold"), ensembles.widths),
        **dict.fromkeys(("KBinsDiscretizer", "PowerTransformer", "QuantileTransformer", "KernelRidge", "RFE"), ensembles.widths),
        "StackingClassifier": ensembles.stacked,
        "PolynomialFeatures": ensembles.polynomial,
    }
)
"""The class to what is done to each of its objects."""

_PLAIN = (str, int, float, bool, bytes, complex, type, FunctionType, ModuleType, type(None), np.generic, np.dtype)


def repair(root: object, made: Version) -> None:
    """Repair an object and everything in it, in place. Raises: LoadError where something cannot be made to answer as it did."""
    _Walk(made).visit(root)


class _Walk:
    """One walk: what was seen is kept alive, so that no two objects have the same id."""

    def __init__(self, made: Version) -> None:
        self._made = made
        self._seen: dict[int, object] = {}

    def visit(self, value: object) -> None:
        """Repair what is in a value, then the value."""
        if isinstance(value, _PLAIN) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        for part in _parts(value):
            self.visit(part)
        if type(value).__module__.startswith("sklearn."):
            if isinstance(value, BaseEstimator):
                _fill(value)
            if found := REPAIRS.get(type(value).__name__):
                found(value, self._made)


def _parts(value: object) -> list[object]:
    if isinstance(value, list | tuple | set | frozenset):
        return [item for item in value if not isinstance(item, _PLAIN)]
    if isinstance(value, np.ndarray):
        return (
            [item for item in value.ravel() if not isinstance(item, _PLAIN)] if value.dtype.hasobject and value.dtype.names is None else []
        )
    inside = [item for item in value.values() if not isinstance(item, _PLAIN)] if isinstance(value, dict) else []
    state = getattr(value, "__dict__", None)
    return inside + [item for item in state.values() if not isinstance(item, _PLAIN)] if isinstance(state, dict) else inside


def _fill(model: BaseEstimator) -> None:
    """Give an estimator the parameters that came after its day, at their defaults."""
    state = vars(model)
    for name, parameter in inspect.signature(type(model).__init__).parameters.items():
        if name not in state and parameter.default is not inspect.Parameter.empty:
            state[name] = parameter.default
