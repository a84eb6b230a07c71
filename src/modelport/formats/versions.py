"""Which pickles of other scikit-learn versions give wrong numbers without an error, and which are right.

Measured by loading files of 0.20, 0.22, 1.0, 1.3, 1.5 and 1.7 with 1.9 and comparing predictions: most estimators agree or fail
loudly, these do neither. Better refused than silently wrong.
"""

from __future__ import annotations

from modelport.formats.scan import Scan
from modelport.formats.summary import attribute, version_key, version_of
from modelport.formats.symbols import Block, Node, Symbol

_CLASSIFIER_TREES = {"DecisionTreeClassifier", "ExtraTreeClassifier", "RandomForestClassifier", "ExtraTreesClassifier"}
_FRACTIONS_SINCE = (1, 4)  # tree nodes hold fractions of their samples; before, counts
_PLS = {"CCA", "PLSCanonical", "PLSRegression"}
_PLS_SINCE = (1, 5)  # 1.5.2 was found right and 1.3.2 wrong; what lies between was not measured
_RENAMED_BEFORE = (0, 22)  # modules without a leading underscore


def skew(scan: Scan, installed: str) -> str:
    """Say why a file's numbers would differ under the installed scikit-learn; "" where they are known to agree.

    ``installed`` is a version such as "1.9.1".
    """
    written = version_of(scan)
    if written is None:
        return ""
    made, here = version_key(written), version_key(installed)
    if made[:2] > here[:2]:
        return _sentence(written, installed, "an older library cannot know what a newer one wrote")
    if made[:2] == here[:2]:
        return ""
    if made < _RENAMED_BEFORE:
        return _sentence(written, installed, "modules and results have changed since")
    for node in scan.nodes:
        if node.maker.module.startswith("sklearn.") and (reason := _reason(node, made)):
            return _sentence(written, installed, reason)
    return ""


def _sentence(written: str, installed: str, reason: str) -> str:
    return (
        f"the file was written by scikit-learn {written} and {installed} is installed: {reason}; "
        f"install that version (pip install scikit-learn=={written}) or save the model again with a newer one"
    )


def _reason(node: Node, made: tuple[int, ...]) -> str:
    name = node.maker.name
    if name in _CLASSIFIER_TREES and made < _FRACTIONS_SINCE:
        return f"probabilities of {name} would be wrong, because trees held counts where they hold fractions since 1.4"
    if name == "TfidfTransformer" and attribute(node, "_idf_diag") is not None and attribute(node, "idf_") is None:
        return "the inverse document frequencies of its TF-IDF would be lost"
    if name == "AdaBoostClassifier" and attribute(node, "algorithm") == "SAMME.R":
        return "its AdaBoostClassifier uses the algorithm SAMME.R, which is gone and would be computed as SAMME"
    if name in _PLS and made < _PLS_SINCE:
        return f"predictions of {name} would be wrong, because its intercept is added differently"
    if name in {"LogisticRegression", "LogisticRegressionCV"} and _is_one_vs_rest(node):
        return "its multi-class LogisticRegression is one-vs-rest, which would be computed as softmax"
    return ""


def _is_one_vs_rest(node: Node) -> bool:
    """``multi_class`` chose one-vs-rest until 1.7: by name, or as what "auto" meant for liblinear, and "warn" before 0.22."""
    chosen = attribute(node, "multi_class")
    is_chosen = chosen in ("ovr", "warn") or (chosen in ("auto", "deprecated") and attribute(node, "solver") == "liblinear")
    return is_chosen and _rows(attribute(node, "coef_")) != 1


def _rows(array: Symbol) -> int | None:
    if isinstance(array, Block):
        return array.shape[0] if array.shape else None
    if not isinstance(array, Node):
        return None
    shape = array.args[2] if len(array.args) >= 3 and not array.is_built else None
    if isinstance(array.state, tuple) and len(array.state) == 5:
        shape = array.state[1]
    return shape[0] if isinstance(shape, tuple) and shape and isinstance(shape[0], int) else None
