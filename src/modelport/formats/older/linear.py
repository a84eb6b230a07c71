"""Linear models of older versions: logistic regression of several schemes, stochastic gradient descent, ridge, PLS."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

from modelport.formats.older.kinds import Version, become, like_parent
from modelport.formats.older.schemes import scheme

_Floats = npt.NDArray[np.float64]
_RENAMED = {"log": "log_loss", "squared_loss": "squared_error"}
_RATIOS_SINCE = (0, 21)  # discriminant analysis divides exponentials by their sum
_ROWS_ARE_TARGETS = (1, 3)  # of the coefficients of PLS; before, they were its columns
_CENTRED_ONLY = (1, 5)  # PLS multiplies rows that are centred and not scaled since


def _one_vs_rest(model: object, rows: object) -> _Floats:
    found: _Floats = model._predict_proba_lr(rows)  # type: ignore[attr-defined]  # of scikit-learn's LinearClassifierMixin
    return found


def _softmax_of_two(model: object, rows: object) -> _Floats:
    scores = model.decision_function(rows)  # type: ignore[attr-defined]
    found: _Floats = softmax(np.c_[-scores, scores], axis=1)
    return found


@like_parent
class _OneVsRest(LogisticRegression):  # type: ignore[misc]  # scikit-learn is untyped, here and below
    probabilities_by = "one by one"

    def predict_proba(self, X: object) -> _Floats:  # noqa: N803  # scikit-learn's name for it
        return _one_vs_rest(self, X)


@like_parent
class _OneVsRestCV(LogisticRegressionCV):  # type: ignore[misc]
    probabilities_by = "one by one"

    def predict_proba(self, X: object) -> _Floats:  # noqa: N803
        return _one_vs_rest(self, X)


@like_parent
class _Softmax(LogisticRegression):  # type: ignore[misc]
    probabilities_by = "softmax of both signs"

    def predict_proba(self, X: object) -> _Floats:  # noqa: N803
        return _softmax_of_two(self, X)


@like_parent
class _SoftmaxCV(LogisticRegressionCV):  # type: ignore[misc]
    probabilities_by = "softmax of both signs"

    def predict_proba(self, X: object) -> _Floats:  # noqa: N803
        return _softmax_of_two(self, X)


def logistic(model: object, made: Version) -> None:
    """Make probabilities by the scheme of the day."""
    state = vars(model)
    chosen = scheme(state.get("multi_class"), state.get("solver"), made, len(state["coef_"]) if "coef_" in state else None)
    is_cv = isinstance(model, LogisticRegressionCV)
    if chosen == "ovr":
        become(model, _OneVsRestCV if is_cv else _OneVsRest)
    elif chosen == "multinomial":
        become(model, _SoftmaxCV if is_cv else _Softmax)


def descent(model: object, made: Version) -> None:  # noqa: ARG001  # one signature for all repairs
    """Rename the loss; the object that computed it served for fitting only."""
    state = vars(model)
    state["loss"] = _RENAMED.get(state.get("loss", ""), state.get("loss"))
    for name in ("loss_function", "loss_function_"):
        state.pop(name, None)


def generalized(model: object, made: Version) -> None:  # noqa: ARG001
    """Make the loss anew, whose link turns scores into predictions."""
    state = vars(model)
    if "_base_loss" in state:
        state["_base_loss"] = model._get_loss()  # type: ignore[attr-defined]


def ridge(model: object, made: Version) -> None:  # noqa: ARG001
    """Write down the classes, which used to be read from the binarizer."""
    state = vars(model)
    if "classes_" not in state and "_label_binarizer" in state:
        state["classes_"] = state["_label_binarizer"].classes_


def least_squares(model: object, made: Version) -> None:
    """Turn the coefficients and means of PLS into those of rows that are centred and not scaled."""
    state = vars(model)
    for old, new in (("x_mean_", "_x_mean"), ("y_mean_", "_y_mean"), ("x_std_", "_x_std"), ("y_std_", "_y_std")):
        if old in state:
            state[new] = state.pop(old)
    is_turned = "_coef_" in state or made >= _ROWS_ARE_TARGETS
    coefficients = state.pop("_coef_", state.get("coef_"))
    if made >= _CENTRED_ONLY or coefficients is None:
        return
    state.setdefault("_predict_1d", False)
    state["intercept_"] = np.asarray(state["_y_mean"])
    scaled = np.asarray(coefficients) if is_turned else np.asarray(coefficients).T
    state["coef_"] = scaled / np.asarray(state["_x_std"])


def discriminant(model: object, made: Version) -> None:
    """Normalize sigmoids instead of exponentials."""
    if made < _RATIOS_SINCE and len(vars(model).get("classes_", ())) > 2:
        become(model, _Discriminant)


@like_parent
class _Discriminant(LinearDiscriminantAnalysis):  # type: ignore[misc]
    probabilities_by = "one by one"

    def predict_proba(self, X: object) -> _Floats:  # noqa: N803
        sigmoids = expit(self.decision_function(X))
        return np.asarray(sigmoids / sigmoids.sum(axis=1, keepdims=True))
