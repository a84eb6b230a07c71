"""Boosting: the losses, which were classes of their own, and the start that the trees add to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, GradientBoostingRegressor

from modelport.errors import LoadError
from modelport.formats.older.kinds import Version, become, like_parent
from modelport.formats.older.remains import Remains
from modelport.formats.older.trees import forest

_Floats = npt.NDArray[np.float64]
_LOSSES = {"deviance": "log_loss", "ls": "squared_error", "lad": "absolute_error"}
_SAME_START_SINCE = (1, 4)
_SYMMETRIC_SINCE = (1, 3)  # SAMME's votes against a class count since
_DECISIONS_SINCE = (0, 22)  # AdaBoost's probabilities follow from its decision function since


def gradient(model: object, made: Version) -> None:
    """Make the loss anew, and start the trees where the day's version did."""
    forest(model, made)
    state = vars(model)
    state["loss"] = _LOSSES.get(state["loss"], state["loss"])
    members = state.get("estimators_")
    if members is None:
        return
    state.setdefault("n_trees_per_iteration_", members.shape[1])
    state.setdefault("n_features_in_", members[0, 0].tree_.n_features)
    if "n_classes_" not in state and "classes_" in state:
        state["n_classes_"] = len(state["classes_"])
    state.pop("loss_", None)
    state["_loss"] = model._get_loss(sample_weight=None)  # type: ignore[attr-defined]  # of scikit-learn's BaseGradientBoosting
    if made >= _SAME_START_SINCE:
        return
    is_classifier = isinstance(model, GradientBoostingClassifier)
    if isinstance(state["init_"], Remains):
        state["_constant_start"] = _constant(state.pop("init_"), members.shape[1])
        state["init_"] = "zero"
    elif made < (0, 21):
        raise LoadError("its gradient boosting starts from an estimator of its own, which scikit-learn before 0.21 added differently")
    become(model, _Classifier if is_classifier else _Regressor)


def _constant(init: Remains, count: int) -> _Floats:
    """Read the constant that 0.18 to 0.20 started from: one attribute of the little estimator that they kept."""
    state = init.state if isinstance(init.state, dict) else {}
    for name in ("priors", "prior", "mean", "quantile"):
        if name in state:
            return np.broadcast_to(np.asarray(state[name], np.float64), (count,)).copy()
    return np.zeros(count)


def _start(model: object, rows: object) -> _Floats:
    state = vars(model)
    checked = state["estimators_"][0, 0]._validate_X_predict(rows, check_input=True)
    count = checked.shape[0]
    if "_constant_start" in state:
        return np.tile(state["_constant_start"], (count, 1))
    if isinstance(state["init_"], str):
        return np.zeros((count, state["n_trees_per_iteration_"]))
    if not isinstance(model, GradientBoostingClassifier):
        return np.asarray(state["init_"].predict(checked), np.float64).reshape(-1, 1)
    tiny = np.finfo(np.float32).eps
    shares = np.clip(state["init_"].predict_proba(checked), tiny, 1 - tiny)
    if state["n_trees_per_iteration_"] > 1:
        return np.asarray(np.log(shares), np.float64)
    odds = np.log(shares[:, 1] / (1 - shares[:, 1]))
    return np.asarray(0.5 * odds if state["loss"] == "exponential" else odds, np.float64).reshape(-1, 1)


@like_parent
class _Classifier(GradientBoostingClassifier):  # type: ignore[misc]  # scikit-learn is untyped, here and below
    def _raw_predict_init(self, X: object) -> _Floats:  # noqa: N803  # scikit-learn's name for it
        return _start(self, X)

    def predict(self, X: object) -> npt.NDArray[np.generic]:  # noqa: N803
        if self.loss == "exponential":
            found: npt.NDArray[np.generic] = super().predict(X)
            return found
        return np.asarray(self.classes_.take(np.argmax(self.predict_proba(X), axis=1)))


@like_parent
class _Regressor(GradientBoostingRegressor):  # type: ignore[misc]
    def _raw_predict_init(self, X: object) -> _Floats:  # noqa: N803
        return _start(self, X)


def adaptive(model: object, made: Version) -> None:
    """Let AdaBoost vote as it did: by logarithms of probabilities (SAMME.R), or without votes against a class."""
    forest(model, made)
    state = vars(model)
    if not isinstance(model, AdaBoostClassifier):
        return
    state["_is_real"] = state.get("algorithm", "SAMME.R") == "SAMME.R" and made < (1, 6)
    state["_is_symmetric"] = made >= _SYMMETRIC_SINCE
    state["_is_mean"] = made < _DECISIONS_SINCE
    if state["_is_real"] or not state["_is_symmetric"]:
        become(model, _AdaptiveApart if state["_is_mean"] and not state["_is_real"] else _Adaptive)


@like_parent
class _Adaptive(AdaBoostClassifier):  # type: ignore[misc]
    def _votes(self, X: object) -> _Floats:  # noqa: N803
        count = self.n_classes_
        if self._is_real:
            total = np.asarray(sum(_logarithms(member, count, X) for member in self.estimators_))
            return np.asarray(total / self.estimator_weights_.sum())
        against = -1 / (count - 1) if self._is_symmetric else 0.0
        pairs = zip(self.estimators_, self.estimator_weights_, strict=False)
        chosen = [np.where((member.predict(X) == self.classes_[:, None]).T, weight, against * weight) for member, weight in pairs]
        return np.asarray(np.asarray(sum(chosen)) / self.estimator_weights_.sum())

    def decision_function(self, X: object) -> _Floats:  # noqa: N803
        votes: _Floats = self._votes(self._check_X(X))
        return votes[:, 1] - votes[:, 0] if self.n_classes_ == 2 else votes

    def predict_proba(self, X: object) -> _Floats:  # noqa: N803
        rows, count = self._check_X(X), self.n_classes_
        if self._is_mean and not self._is_real:
            pairs = zip(self.estimators_, self.estimator_weights_, strict=False)
            votes = np.asarray(sum(member.predict_proba(rows) * weight for member, weight in pairs)) / self.estimator_weights_.sum()
        elif self._is_mean:
            votes = self._votes(rows)
        else:
            scores = self.decision_function(rows)
            votes = np.c_[-scores, scores] / 2 if count == 2 else scores
        return np.asarray(softmax(votes / (count - 1), axis=1))


@like_parent
class _AdaptiveApart(_Adaptive):
    is_label_apart = True  # labels are votes, and probabilities means of the members' own


def _logarithms(member: object, count: int, rows: object) -> _Floats:
    shares = member.predict_proba(rows)  # type: ignore[attr-defined]
    logs = np.log(np.clip(shares, np.finfo(shares.dtype).eps, None))
    return np.asarray((count - 1) * (logs - logs.mean(axis=1, keepdims=True)))
