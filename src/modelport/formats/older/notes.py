"""What a file of an older scikit-learn needs so that it answers as on its day, read from its scan alone.

Measured by ``tests/artifacts/sklearn``: files of each generation against the predictions recorded in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modelport.formats.older.renames import moved
from modelport.formats.older.schemes import scheme
from modelport.formats.scan import Scan
from modelport.formats.summary import attribute
from modelport.formats.symbols import Block, Node, Symbol

Version = tuple[int, ...]
_ALWAYS: Version = (99,)
_FILLED = frozenset(
    [
        "SimpleImputer",
        "RidgeClassifier",
        "RidgeClassifierCV",
        "SGDClassifier",
        "SGDRegressor",
        "Perceptron",
        "PassiveAggressiveClassifier",
        "PassiveAggressiveRegressor",
        "PoissonRegressor",
        "GammaRegressor",
        "TweedieRegressor",
        "HistGradientBoostingClassifier",
        "HistGradientBoostingRegressor",
    ]
)
_RENAMED = frozenset(
    [
        "GaussianNB",
        "SVC",
        "NuSVC",
        "SVR",
        "NuSVR",
        "OneClassSVM",
        "OneHotEncoder",
        "OrdinalEncoder",
        "CalibratedClassifierCV",
        "_CalibratedClassifier",
        "BaggingClassifier",
        "BaggingRegressor",
        "AdaBoostRegressor",
        "IsotonicRegression",
        "DummyClassifier",
        "KMeans",
        "MLPClassifier",
        "MLPRegressor",
        "SelectKBest",
        "SelectPercentile",
        "VarianceThreshold",
        "KBinsDiscretizer",
        "PowerTransformer",
        "QuantileTransformer",
        "KernelRidge",
        "RFE",
        "StackingClassifier",
        "PolynomialFeatures",
        "MiniBatchKMeans",
    ]
)
_TREES = frozenset(["DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"])
_COUNTS = frozenset(["DecisionTreeClassifier", "ExtraTreeClassifier"])
_BOOSTING = frozenset(["GradientBoostingClassifier", "GradientBoostingRegressor"])
_NEIGHBORS = frozenset(["KDTree", "BallTree", "BinaryTree"])
_LOGISTIC = frozenset(["LogisticRegression", "LogisticRegressionCV"])
_SVC = frozenset(["SVC", "NuSVC", "OneVsOneClassifier"])
_PLS = frozenset(["PLSRegression", "PLSCanonical", "CCA"])


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence about objects of some classes, in files of before a version, where a condition holds."""

    classes: frozenset[str]
    before: Version
    sentence: str
    holds: Callable[[Node, Version], bool] = lambda _node, _made: True


def _is(chosen: str) -> Callable[[Node, Version], bool]:
    def holds(node: Node, made: Version) -> bool:
        return scheme(attribute(node, "multi_class"), attribute(node, "solver"), made, rows(attribute(node, "coef_"))) == chosen

    return holds


def _is_real(node: Node, made: Version) -> bool:
    return attribute(node, "algorithm") in (None, "SAMME.R") and made < (1, 6)


NOTES: tuple[Note, ...] = (
    Note(_TREES, (1, 4), "decision trees are rebuilt in today's layout, and refuse missing values if they did"),
    Note(_COUNTS, (1, 4), "the counts in decision trees become the shares that they hold since 1.4"),
    Note(_LOGISTIC, _ALWAYS, "the multi-class logistic regression stays one-vs-rest", _is("ovr")),
    Note(_LOGISTIC, _ALWAYS, "the two-class logistic regression stays a softmax", _is("multinomial")),
    Note(frozenset({"TfidfTransformer"}), (1, 4), "the inverse document frequencies of TF-IDF are taken off their diagonal matrix"),
    Note(_BOOSTING, (1, 4), "gradient boosting starts from the constants of its day"),
    Note(_BOOSTING, _ALWAYS, "the loss of gradient boosting is made anew"),
    Note(frozenset({"AdaBoostClassifier"}), (1, 6), "AdaBoost votes by SAMME.R, which is gone from scikit-learn", _is_real),
    Note(
        frozenset({"AdaBoostClassifier"}),
        (1, 3),
        "AdaBoost counts its votes as then",
        lambda node, made: not _is_real(node, made),
    ),
    Note(_NEIGHBORS, (1, 4), "the search tree of the nearest neighbours is built anew from the stored points"),
    Note(_PLS, (1, 5), "the coefficients of PLS are scaled as they are since 1.5"),
    Note(_SVC, (0, 21), "scores of several classes are scaled by the largest of a call, as then, so that calls are not batched"),
    Note(frozenset({"LinearDiscriminantAnalysis"}), (0, 21), "the discriminant analysis normalizes sigmoids, as then"),
    Note(frozenset({"IsolationForest"}), (0, 22), "the isolation forest uses the path lengths and the threshold of its day"),
    Note(frozenset({"ColumnTransformer"}), (1, 0), "the columns that each transformer reads are listed"),
    Note(_RENAMED, (1, 4), "attributes that were renamed since get their present names"),
    Note(_FILLED, _ALWAYS, "attributes that came later are filled in"),
)


def notes(scan: Scan, made: Version | None) -> tuple[str, ...]:
    """Return what is repaired in a file of an older scikit-learn, a sentence each; none where it loads as it is.

    ``made``: the older version that wrote it, None where that is not an older one.
    """
    return () if made is None else tuple(dict.fromkeys(_found(scan, made)))


def _found(scan: Scan, made: Version) -> Iterator[str]:
    if any(module.startswith("sklearn.") and moved(module, name) != (module, name) for module, name in scan.names):
        yield "names that have moved since are looked up where they are today"
    for note in NOTES:
        if made < note.before and any(_is_meant(node, note, made) for node in scan.nodes):
            yield note.sentence
    if made < (1, 4) and any(ref.name in _NEIGHBORS for ref in scan.refs):
        yield next(note.sentence for note in NOTES if note.classes is _NEIGHBORS)


def _is_meant(node: Node, note: Note, made: Version) -> bool:
    return node.maker.module.startswith("sklearn.") and node.maker.name in note.classes and note.holds(node, made)


def rows(array: Symbol) -> int | None:
    """Return the first length of an array in the file; None where it is none."""
    if isinstance(array, Block):
        return array.shape[0] if array.shape else None
    if not isinstance(array, Node):
        return None
    shape = array.args[2] if len(array.args) >= 3 and not array.is_built else None
    if isinstance(array.state, tuple) and len(array.state) == 5:
        shape = array.state[1]
    return shape[0] if isinstance(shape, tuple) and shape and isinstance(shape[0], int) else None
