"""Linear estimators of scikit-learn as steps of a program: scores, and what each class makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from modelport.columns import Array
from modelport.formats.estimator_labels import Method
from modelport.formats.estimator_tree import class_name
from modelport.formats.lowering.draft import Draft, Input, NotLowered, Parts, Rows
from modelport.forms.program.steps import Plain

Answers = Mapping[Method, int]
Lower = Callable[[object, Input, Draft], Answers]

_EXPONENTIAL = frozenset({"PoissonRegressor", "GammaRegressor"})


def scores(weights: Array, intercept: Array, given: Input, draft: Draft) -> int:
    """Add input @ weights + intercept. Shapes: weights (width, k), intercept (k,); codes are summed up from their rows of weights."""
    parts: Parts = (draft.matrix(given),) if isinstance(given, Rows) else given
    if sum(part.width for part in parts) != len(weights):
        raise NotLowered("a linear model of another width than its input")
    if len(parts) == 1 and parts[0].is_sparse:
        return draft.add("project_sparse", [parts[0].register], None, matrix=np.ascontiguousarray(weights), after=intercept)
    arrays: dict[str, Array] = {}
    start = 0
    inputs = list[int]()
    for at, part in enumerate(parts):
        own = weights[start : start + part.width]
        start += part.width
        if part.is_sparse:  # its own scores, to be added as they are
            inputs.append(draft.add("project_sparse", [part.register], None, matrix=np.ascontiguousarray(own)))
            arrays[f"w{at}"] = np.eye(own.shape[1])
            continue
        inputs.append(part.register)
        if part.is_codes:
            arrays[f"s{at}"] = np.cumsum([0, *part.lengths[:-1]])
            own = np.concatenate([own, np.zeros((1, own.shape[1]))])
        arrays[f"w{at}"] = np.ascontiguousarray(own)
    return draft.add("linear", inputs, None, intercept=intercept, **arrays)


def labels(register: int, estimator: object, rule: str, draft: Draft) -> int:
    """Add the step from scores or probabilities to the estimator's class labels."""
    return choose(register, np.asarray(getattr(estimator, "classes_")), {"rule": rule}, draft)  # noqa: B009  # of an object


def choose(register: int, classes: Array, rule: Mapping[str, Plain], draft: Draft) -> int:
    """Add the step from scores or probabilities to class labels, by a rule of the operation."""
    if classes.dtype.kind in "OU":
        listed = classes.tolist()
        if not all(isinstance(item, str) for item in listed):
            raise NotLowered("class labels that are neither all text nor all numbers")
        return draft.add("labels", [register], {**rule, "classes": listed})
    kind = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}.get(classes.dtype.kind)
    if kind is None:
        raise NotLowered(f"class labels of {classes.dtype}")
    return draft.add("labels", [register], rule, classes=classes.astype(kind))


def _weights(estimator: object) -> tuple[Array, Array]:
    """Return coef_ as (width, k) and intercept_ as (k,)."""
    weights = getattr(estimator, "coef_", None)
    if weights is None or not isinstance(weights, np.ndarray) or weights.dtype.kind != "f":
        raise NotLowered(f"{class_name(estimator)} whose weights are not a plain array of numbers")
    wide = np.atleast_2d(weights).astype(np.float64)
    intercept = np.broadcast_to(np.asarray(getattr(estimator, "intercept_", 0.0), np.float64).reshape(-1), (len(wide),))
    return wide.T, np.array(intercept)


def _regressor(estimator: object, given: Input, draft: Draft) -> Answers:
    weights, intercept = _weights(estimator)
    register = scores(weights, intercept, given, draft)
    if class_name(estimator) in _EXPONENTIAL:
        register = draft.add("link", [register], {"link": "exp"})
    is_flat = np.ndim(getattr(estimator, "coef_")) == 1 or (len(intercept) == 1 and "Support" in class_name(estimator))  # noqa: B009  # of an object
    return {"predict": draft.add("first_column", [register]) if is_flat else register}


def _decision(estimator: object, given: Input, draft: Draft) -> tuple[int, bool]:
    """Add the decision function. Returns its register, (rows,) for two classes, and whether there are two."""
    weights, intercept = _weights(estimator)
    register = scores(weights, intercept, given, draft)
    is_binary = weights.shape[1] == 1
    return (draft.add("first_column", [register]) if is_binary else register), is_binary


def _scorer(estimator: object, given: Input, draft: Draft) -> Answers:
    """Classes that answer labels and scores: the label is the sign, or the first largest score."""
    decided, is_binary = _decision(estimator, given, draft)
    return {"decision_function": decided, "predict": labels(decided, estimator, _rule(is_binary=is_binary), draft)}


def _rule(*, is_binary: bool) -> str:
    return "sign by margin" if is_binary else "largest by margin"


def _logistic(estimator: object, given: Input, draft: Draft) -> Answers:
    decided, is_binary = _decision(estimator, given, draft)
    scheme = getattr(estimator, "probabilities_by", "")  # of a model that an older version saved
    if scheme == "one by one":
        chance = _one_by_one(decided, draft, is_binary=is_binary)
    elif is_binary:
        chance = draft.add("two_sided", [decided], {"factor": 2.0 if scheme else 1.0})
    else:
        chance = draft.add("softmax", [decided])
    label = labels(decided, estimator, _rule(is_binary=is_binary), draft)
    return {"predict_proba": chance, "decision_function": decided, "predict": label}


def _descent(estimator: object, given: Input, draft: Draft) -> Answers:
    """SGDClassifier: probabilities for the logistic loss, scores else."""
    decided, is_binary = _decision(estimator, given, draft)
    answers: dict[Method, int] = {
        "decision_function": decided,
        "predict": labels(decided, estimator, _rule(is_binary=is_binary), draft),
    }
    loss = getattr(estimator, "loss", "")
    if loss in ("log_loss", "log"):
        answers["predict_proba"] = _one_by_one(decided, draft, is_binary=is_binary)
    elif loss == "modified_huber":
        clipped = draft.add("scale", [decided], {"low": -1.0, "high": 1.0})
        half = draft.add("scale", [clipped], None, factor=np.array(0.5), after=np.array(0.5))
        answers["predict_proba"] = draft.add("weigh", [draft.add("as_column", [half]) if is_binary else half])
    return answers


def _one_by_one(decided: int, draft: Draft, *, is_binary: bool) -> int:
    """One against the rest: each score through a sigmoid, then shares of their sum."""
    if is_binary:
        return draft.add("two_sided", [decided])
    return draft.add("shares", [draft.add("link", [decided], {"link": "expit"})], {"is_even": True})


def _discriminant(estimator: object, given: Input, draft: Draft) -> Answers:
    return _logistic(estimator, given, draft)


def _naive_bayes(estimator: object, given: Input, draft: Draft) -> Answers:
    """Multinomial and complement naive Bayes: joint log likelihoods are linear in the counts."""
    weights = cast("Array", getattr(estimator, "feature_log_prob_")).T  # noqa: B009  # of an object
    name = class_name(estimator)
    prior = np.asarray(getattr(estimator, "class_log_prior_"), np.float64)  # noqa: B009  # of an object
    if name == "ComplementNB" and len(prior) > 1:
        prior = np.zeros_like(prior)
    joint = scores(np.ascontiguousarray(weights), prior, given, draft)
    return {"predict_proba": draft.add("softmax", [joint]), "predict": labels(joint, estimator, "largest by margin", draft)}


LINEAR: Mapping[str, Lower] = {
    **dict.fromkeys(
        (
            "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "Lars", "LarsCV", "LassoLars",
            "LassoLarsCV", "LassoLarsIC", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV", "BayesianRidge", "ARDRegression",
            "HuberRegressor", "TheilSenRegressor", "QuantileRegressor", "SGDRegressor", "LinearSVR", "PoissonRegressor", "GammaRegressor",
            "MultiTaskLasso", "MultiTaskLassoCV", "MultiTaskElasticNet", "MultiTaskElasticNetCV", "PassiveAggressiveRegressor",
        ),
        _regressor,
    ),
    **dict.fromkeys(("LinearSVC", "Perceptron", "PassiveAggressiveClassifier", "RidgeClassifier", "RidgeClassifierCV"), _scorer),
    "LogisticRegression": _logistic,
    "LogisticRegressionCV": _logistic,
    "SGDClassifier": _descent,
    "LinearDiscriminantAnalysis": _discriminant,
    "MultinomialNB": _naive_bayes,
    "ComplementNB": _naive_bayes,
}  # fmt: skip
"""What reads each class. Subclasses, and classes that were repaired from an older version, are not these."""
