"""Which pickles of other scikit-learn versions can answer as on their day under the installed one, and which cannot.

Measured with files of 0.18 to 1.7 and the predictions recorded on their day (``tests/artifacts/sklearn``): what ``older`` repairs
is served, what it does not is refused. Better refused than silently wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata
from types import MappingProxyType

from modelport.formats.older.renames import moved
from modelport.formats.scan import Scan
from modelport.formats.summary import attribute, version_key, version_of
from modelport.formats.symbols import Node

Version = tuple[int, ...]
_SIGNED_SINCE = (0, 18)  # before, files did not say which version wrote them
_COMPARED_SINCE = (1, 3)  # of estimators that COMPARED does not name

COMPARED = frozenset(
    {
        "AdaBoostClassifier",
        "AdaBoostRegressor",
        "BaggingClassifier",
        "BaggingRegressor",
        "BayesianRidge",
        "BernoulliNB",
        "Binarizer",
        "CalibratedClassifierCV",
        "ColumnTransformer",
        "ComplementNB",
        "CountVectorizer",
        "DecisionTreeClassifier",
        "DecisionTreeRegressor",
        "DummyClassifier",
        "DummyRegressor",
        "ElasticNet",
        "ExtraTreeClassifier",
        "ExtraTreeRegressor",
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "FeatureUnion",
        "FunctionTransformer",
        "GaussianMixture",
        "GaussianNB",
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
        "GridSearchCV",
        "HashingVectorizer",
        "HistGradientBoostingClassifier",
        "HistGradientBoostingRegressor",
        "HuberRegressor",
        "IsolationForest",
        "IsotonicRegression",
        "KBinsDiscretizer",
        "KMeans",
        "KNeighborsClassifier",
        "KNeighborsRegressor",
        "KernelRidge",
        "LabelBinarizer",
        "LabelEncoder",
        "Lasso",
        "LassoCV",
        "LinearDiscriminantAnalysis",
        "LinearRegression",
        "LinearSVC",
        "LinearSVR",
        "LocalOutlierFactor",
        "LogOddsEstimator",
        "LogisticRegression",
        "LogisticRegressionCV",
        "MLPClassifier",
        "MLPRegressor",
        "MaxAbsScaler",
        "MeanEstimator",
        "MinMaxScaler",
        "MiniBatchKMeans",
        "MultinomialNB",
        "Normalizer",
        "NuSVC",
        "OneClassSVM",
        "OneHotEncoder",
        "OneVsOneClassifier",
        "OneVsRestClassifier",
        "OrdinalEncoder",
        "PCA",
        "PLSRegression",
        "PassiveAggressiveClassifier",
        "Perceptron",
        "Pipeline",
        "PolynomialFeatures",
        "PowerTransformer",
        "PriorProbabilityEstimator",
        "QuadraticDiscriminantAnalysis",
        "QuantileEstimator",
        "QuantileTransformer",
        "RFE",
        "RadiusNeighborsRegressor",
        "RandomForestClassifier",
        "RandomForestRegressor",
        "RandomizedSearchCV",
        "Ridge",
        "RidgeCV",
        "RidgeClassifier",
        "RobustScaler",
        "SGDClassifier",
        "SGDRegressor",
        "SVC",
        "SVR",
        "ScaledLogOddsEstimator",
        "SelectFromModel",
        "SelectKBest",
        "SelectPercentile",
        "SimpleImputer",
        "StackingClassifier",
        "StandardScaler",
        "TfidfTransformer",
        "TfidfVectorizer",
        "TransformedTargetRegressor",
        "TruncatedSVD",
        "VarianceThreshold",
        "VotingClassifier",
        "VotingRegressor",
        "ZeroEstimator",
        "_BinMapper",
        "_CalibratedClassifier",
        "_RidgeGCV",
        "_SigmoidCalibration",
    }
)
"""Estimators whose files of every generation were compared."""


def installed() -> str:
    """Return the version of scikit-learn here, "" where there is none."""
    try:
        return metadata.version("scikit-learn")
    except metadata.PackageNotFoundError:
        return ""


def older(scan: Scan, here: str) -> Version | None:
    """Return the version that wrote a file, where that is an older one than the installed, so that it may need repairs."""
    written = version_of(scan)
    if written is None or not here:
        return None
    made = version_key(written)
    return made if made[:2] < version_key(here)[:2] else None


def skew(scan: Scan, installed: str) -> str:
    """Say why a file cannot answer as on its day under the installed scikit-learn; "" where it can.

    ``installed`` is a version such as "1.9.1", "" for none.
    """
    written = version_of(scan)
    if not installed:
        return ""
    if written is None:
        return _unsigned(scan, installed)
    made, here = version_key(written), version_key(installed)
    if made[:2] > here[:2]:
        return _sentence(written, installed, "an older library cannot know what a newer one wrote")
    if made[:2] == here[:2]:
        return ""
    for node in scan.nodes:
        if node.maker.module.startswith("sklearn.") and (reason := _reason(node, made)):
            return _sentence(written, installed, reason)
    return ""


def _unsigned(scan: Scan, installed: str) -> str:
    if any(module.startswith("sklearn.") and moved(module, name) != (module, name) for module, name in scan.names):
        return (
            f"the file does not say which scikit-learn wrote it and {installed} is installed: it names what was renamed before 1.0; "
            "load it with the version that wrote it and save the model again there with 0.18 or later"
        )
    return ""


def _sentence(written: str, installed: str, reason: str) -> str:
    return (
        f"the file was written by scikit-learn {written} and {installed} is installed: {reason}; "
        "serve it as it was, in an environment of that version, with --env auto; "
        f"or install that version (pip install scikit-learn=={written}), or save the model again with a newer one"
    )


def _reason(node: Node, made: Version) -> str:
    name = node.maker.name
    if made < _SIGNED_SINCE:
        return "files of before 0.18 were never compared"
    if rule := _RULES.get(name):
        return rule(node, made)
    is_estimator = attribute(node, "_sklearn_version") is not None
    if is_estimator and name not in COMPARED and made < _COMPARED_SINCE:
        return f"{name} of that version was never compared with today's"
    return ""


def _centroid(node: Node, made: Version) -> str:  # noqa: ARG001  # one signature for all rules
    return "NearestCentroid answers by class probabilities since 1.6, for which the file holds nothing" if made < (1, 6) else ""


def _histograms(node: Node, made: Version) -> str:
    if made < (0, 24):
        return "histogram gradient boosting was experimental then, and its trees had another form"
    if made < (1, 4) and attribute(node, "is_categorical_") is not None:
        return "histogram gradient boosting kept its categories in another form before 1.4"
    return ""


def _one_hot(node: Node, made: Version) -> str:  # noqa: ARG001
    if attribute(node, "_legacy_mode") is True or attribute(node, "feature_indices_") is not None:
        return "its OneHotEncoder counts whole numbers up to n_values, as none does since 0.22"
    return ""


def _quantiles(node: Node, made: Version) -> str:  # noqa: ARG001
    return "QuantileTransformer cut values at its bounds differently before 0.22" if made < (0, 22) else ""


def _imputer(node: Node, made: Version) -> str:  # noqa: ARG001
    return "its Imputer fills along rows (axis=1), as none does since 0.22" if attribute(node, "axis") not in (None, 0) else ""


def _boosting(node: Node, made: Version) -> str:
    if made < (0, 21) and isinstance(attribute(node, "init"), Node):
        return "its gradient boosting starts from an estimator of its own, which was added differently before 0.21"
    return ""


_RULES: Mapping[str, Callable[[Node, Version], str]] = MappingProxyType(
    {
        "NearestCentroid": _centroid,
        "HistGradientBoostingClassifier": _histograms,
        "HistGradientBoostingRegressor": _histograms,
        "OneHotEncoder": _one_hot,
        "SimpleImputer": _imputer,
        "QuantileTransformer": _quantiles,
        "GradientBoostingClassifier": _boosting,
        "GradientBoostingRegressor": _boosting,
    }
)
