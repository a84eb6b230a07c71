"""Estimators that are few arrays each: perceptrons, naive Bayes of numbers, quadratic discriminants, support vectors, centres."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from modelport.columns import Array
from modelport.formats.estimator_labels import Method
from modelport.formats.estimator_tree import class_name
from modelport.formats.lowering.draft import Draft, Input, NotLowered, Part
from modelport.formats.lowering.linear import choose, labels, scores
from modelport.forms.program.steps import Floats, Plain

Answers = Mapping[Method, int]
Lower = Callable[[object, Input, Draft], Answers]
_KERNELS = ("linear", "poly", "rbf", "sigmoid")


def _get(estimator: object, name: str) -> Floats:
    found = np.asarray(getattr(estimator, name))
    if found.dtype not in (np.float64, np.int64):
        raise NotLowered(f"{class_name(estimator)} fitted in {found.dtype}")
    return found.astype(np.float64)


def _perceptron(estimator: object, given: Input, draft: Draft) -> Answers:
    weights = cast("Sequence[Array]", getattr(estimator, "coefs_"))  # noqa: B009  # of an object, as all below
    biases = cast("Sequence[Array]", getattr(estimator, "intercepts_"))  # noqa: B009
    if any(array.dtype != np.float64 for array in (*weights, *biases)):
        raise NotLowered(f"{class_name(estimator)} fitted in float32")
    inner = {"activation": str(getattr(estimator, "activation"))}  # noqa: B009
    register = draft.matrix(given).register
    for at, (matrix, bias) in enumerate(zip(weights, biases, strict=True)):
        settings: dict[str, Plain] = {"activation": "identity"} if at == len(weights) - 1 else {**inner}
        register = draft.add("layer", [register], settings, weights=matrix, bias=bias)
    last = str(getattr(estimator, "out_activation_"))  # noqa: B009
    if getattr(estimator, "classes_", None) is None:
        if last != "identity":
            raise NotLowered(f"{class_name(estimator)} that answers through {last}")
        return {"predict": draft.add("first_column", [register]) if len(biases[-1]) == 1 else register}
    if last == "softmax":
        return {"predict_proba": draft.add("softmax", [register]), "predict": labels(register, estimator, "largest by margin", draft)}
    if len(biases[-1]) > 1:
        raise NotLowered(f"{class_name(estimator)} with several labels a row")
    flat = draft.add("first_column", [register])
    return {"predict_proba": draft.add("two_sided", [flat]), "predict": labels(flat, estimator, "sign by margin", draft)}


def _of_logs(estimator: object, joint: int, draft: Draft) -> Answers:
    return {"predict_proba": draft.add("from_logs", [joint]), "predict": labels(joint, estimator, "largest by margin", draft)}


def _gaussian(estimator: object, given: Input, draft: Draft) -> Answers:
    variance = "var_" if hasattr(estimator, "var_") else "sigma_"
    prior = np.log(_get(estimator, "class_prior_"))
    arrays = {"prior": prior, "mean": _get(estimator, "theta_"), "variance": _get(estimator, variance)}
    return _of_logs(estimator, draft.add("gaussian", [draft.matrix(given).register], None, **arrays), draft)


def _bernoulli(estimator: object, given: Input, draft: Draft) -> Answers:
    threshold = getattr(estimator, "binarize", None)
    part = draft.matrix(given)
    if threshold is not None:
        part = Part(draft.add("above", [part.register], None, threshold=np.array([float(threshold)])), part.width)
    chance = _get(estimator, "feature_log_prob_")
    other = np.log(1 - np.exp(chance))
    joint = scores(np.ascontiguousarray((chance - other).T), _get(estimator, "class_log_prior_") + other.sum(axis=1), (part,), draft)
    return _of_logs(estimator, joint, draft)


def _quadratic(estimator: object, given: Input, draft: Draft) -> Answers:
    scalings = cast("Sequence[Floats]", getattr(estimator, "scalings_"))  # noqa: B009
    rotations = cast("Sequence[Floats]", getattr(estimator, "rotations_"))  # noqa: B009
    turns = [turn * (scale**-0.5) for turn, scale in zip(rotations, scalings, strict=True)]
    decided = draft.add(
        "quadratic",
        [draft.matrix(given).register],
        None,
        prior=np.log(_get(estimator, "priors_")),
        offset=np.array([np.sum(np.log(scale)) for scale in scalings]),
        mean=_get(estimator, "means_"),
        turn=np.concatenate(turns, axis=1),
        widths=np.array([turn.shape[1] for turn in turns]),
    )
    return {"predict_proba": draft.add("softmax", [decided]), "predict": labels(decided, estimator, "largest by margin", draft)}


def _centers(estimator: object, given: Input, draft: Draft) -> Answers:
    return {"predict": draft.add("nearest", [draft.matrix(given).register], None, centers=_get(estimator, "cluster_centers_"))}


def _kernel(estimator: object, given: Input, draft: Draft) -> int:
    kind = getattr(estimator, "kernel", "")
    if kind not in _KERNELS or getattr(estimator, "_sparse", False):
        raise NotLowered(f"{class_name(estimator)} with a kernel of its own")
    settings: dict[str, Plain] = {
        "kind": kind,
        "gamma": float(getattr(estimator, "_gamma")),  # noqa: B009
        "start": float(getattr(estimator, "coef0", 0.0)),
        "degree": int(getattr(estimator, "degree", 1)),
    }
    return draft.add("kernel", [draft.matrix(given).register], settings, examples=_get(estimator, "support_vectors_"))


def _weighed(register: int, weights: Floats, intercept: Floats, draft: Draft) -> int:
    return draft.add("project", [register], None, matrix=np.ascontiguousarray(weights), after=intercept)


def _vectors(estimator: object, given: Input, draft: Draft) -> Answers:
    """SVR and NuSVR, OneClassSVM; SVC and NuSVC of two classes or, pair by pair, of several."""
    classes = getattr(estimator, "classes_", None)
    near = _kernel(estimator, given, draft)
    weights, intercept = _get(estimator, "dual_coef_"), _get(estimator, "intercept_")
    if classes is not None and len(classes) > 2:
        return _pairs(estimator, near, draft)
    flat = draft.add("first_column", [_weighed(near, weights.T, intercept, draft)])
    if class_name(estimator) == "OneClassSVM":
        label = choose(flat, np.array([-1, 1]), {"rule": "sign by margin"}, draft)
        return {"predict": label, "decision_function": flat}
    if classes is None:
        return {"predict": flat}
    return {"predict": labels(flat, estimator, "sign by margin", draft), "decision_function": flat}


def _pairs(estimator: object, near: int, draft: Draft) -> Answers:
    if getattr(estimator, "break_ties", False):
        raise NotLowered(f"{class_name(estimator)} that breaks ties")
    weights, own = _get(estimator, "dual_coef_"), np.asarray(getattr(estimator, "n_support_"), np.int64)  # noqa: B009
    count = len(own)
    home = np.repeat(np.arange(count), own)
    columns = [
        np.where(home == one, weights[other - 1], np.where(home == other, weights[one], 0.0))
        for one in range(count)
        for other in range(one + 1, count)
    ]
    decided = _weighed(near, np.stack(columns, axis=1), _get(estimator, "intercept_"), draft)
    settings: dict[str, Plain] = {"count": count}
    label = picked(draft.add("pair_winner", [decided], settings), np.asarray(getattr(estimator, "classes_")), draft)  # noqa: B009
    is_pairs = getattr(estimator, "decision_function_shape", "ovr") == "ovo"
    return {"predict": label, "decision_function": decided if is_pairs else draft.add("pair_scores", [decided], settings)}


def picked(register: int, classes: Array, draft: Draft) -> int:
    """Add the step from the places of classes to their labels. Raises: NotLowered for labels that a program does not hold."""
    if classes.dtype.kind in "OU":
        listed = classes.tolist()
        if not all(isinstance(item, str) for item in listed):
            raise NotLowered("class labels that are neither all text nor all numbers")
        return draft.add("pick", [register], {"classes": listed})
    kinds = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}
    return draft.add("pick", [register], None, classes=classes.astype(kinds[classes.dtype.kind]))


CLASSIC: Mapping[str, Lower] = {
    "MLPClassifier": _perceptron,
    "MLPRegressor": _perceptron,
    "GaussianNB": _gaussian,
    "BernoulliNB": _bernoulli,
    "QuadraticDiscriminantAnalysis": _quadratic,
    **dict.fromkeys(("KMeans", "MiniBatchKMeans"), _centers),
    **dict.fromkeys(("SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM"), _vectors),
}
