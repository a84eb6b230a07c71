"""Estimators made of estimators as steps of a program: each member's own steps over the same rows, and what is made of their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from modelport.columns import Array
from modelport.formats.estimator_labels import Method
from modelport.formats.estimator_tree import class_name
from modelport.formats.lowering.classic import picked
from modelport.formats.lowering.draft import Draft, Input, NotLowered, Part, Rows
from modelport.formats.lowering.linear import labels
from modelport.formats.lowering.trees import boosting
from modelport.forms.program.steps import Floats

_LEAST = float(np.finfo(np.float64).eps)
Answers = Mapping[Method, int]
Whole = Callable[[object, Input, Draft], Answers]
"""Adds the steps of a member, of whatever class it is."""
Lower = Callable[[object, Input, Draft, Whole], Answers]


def _members(estimator: object, name: str = "estimators_") -> Sequence[object]:
    return [member for member in cast("Sequence[object]", getattr(estimator, name)) if member is not None and not isinstance(member, str)]


def _classes(estimator: object) -> Array:
    return np.asarray(getattr(estimator, "classes_"))  # noqa: B009  # of an object, as all below


def _answer(answers: Answers, method: Method, estimator: object) -> int:
    if method not in answers:
        raise NotLowered(f"{class_name(estimator)} has no other form of its {method}")
    return answers[method]


def _mean(registers: Sequence[int], width: int, weights: Floats | None, draft: Draft) -> int:
    """Add the weighted average of matrices of one width."""
    shares = np.full(len(registers), 1.0 / len(registers)) if weights is None else weights / weights.sum()
    matrix = np.concatenate([share * np.eye(width) for share in shares])
    return draft.add("project", [draft.add("join", registers)], None, matrix=matrix)


def _weights(estimator: object) -> Floats | None:
    """Return the weights of the members that were not dropped."""
    found = getattr(estimator, "_weights_not_none", None)
    return None if found is None else np.asarray(found, np.float64)


def _voting(estimator: object, given: Input, draft: Draft, whole: Whole) -> Answers:
    members = _members(estimator)
    count = len(_classes(estimator))
    if any(not np.array_equal(_classes(member), np.arange(count)) for member in members):
        raise NotLowered("VotingClassifier whose members know other classes")
    answers = [whole(member, given, draft) for member in members]
    if getattr(estimator, "voting", "hard") == "soft":
        chances = [_answer(found, "predict_proba", member) for found, member in zip(answers, members, strict=True)]
        mean = _mean(chances, count, _weights(estimator), draft)
        return {"predict_proba": mean, "predict": labels(mean, estimator, "largest by margin", draft)}
    columns = [draft.add("as_column", [_answer(found, "predict", member)]) for found, member in zip(answers, members, strict=True)]
    weights = _weights(estimator)
    weighed = np.ones(len(members)) if weights is None else weights
    winner = draft.add("votes", [draft.add("join", columns)], {"count": count}, weights=weighed)
    return {"predict": picked(winner, _classes(estimator), draft)}


def _numbers(estimator: object, given: Input, draft: Draft, whole: Whole) -> list[int]:
    """Add each member's predictions as a column."""
    return [draft.add("as_column", [_answer(whole(member, given, draft), "predict", member)]) for member in _members(estimator)]


def _voting_numbers(estimator: object, given: Input, draft: Draft, whole: Whole) -> Answers:
    columns = _numbers(estimator, given, draft, whole)
    return {"predict": draft.add("first_column", [_mean(columns, 1, _weights(estimator), draft)])}


def _stacking(estimator: object, given: Input, draft: Draft, whole: Whole) -> Answers:
    classes = getattr(estimator, "classes_", None)
    methods = cast("Sequence[Method]", [method for method in getattr(estimator, "stack_method_") if method])  # noqa: B009
    parts = [
        _stacked(member, method, whole(member, given, draft), draft) for member, method in zip(_members(estimator), methods, strict=True)
    ]
    if getattr(estimator, "passthrough", False):
        parts += [draft.matrix(given)] if isinstance(given, Rows) else given
    found = dict(whole(getattr(estimator, "final_estimator_"), tuple(parts), draft))  # noqa: B009
    if classes is not None:
        found["predict"] = picked(_answer(found, "predict", estimator), np.asarray(classes), draft)
    return found


def _stacked(member: object, method: Method, answers: Answers, draft: Draft) -> Part:
    register = _answer(answers, method, member)
    if method == "predict":
        return Part(draft.add("as_column", [register]), 1)
    count = len(_classes(member))
    if count > 2:
        return Part(register, count)
    column = draft.add("take", [register], at=np.array([1])) if method == "predict_proba" else draft.add("as_column", [register])
    return Part(column, 1)


def _calibrated(estimator: object, given: Input, draft: Draft, whole: Whole) -> Answers:
    members = _members(estimator, "calibrated_classifiers_")
    count = len(_classes(estimator))
    mean = _mean([_calibrated_member(member, count, given, draft, whole) for member in members], count, None, draft)
    return {"predict_proba": mean, "predict": labels(mean, estimator, "largest by margin", draft)}


def _calibrated_member(member: object, count: int, given: Input, draft: Draft, whole: Whole) -> int:
    inner = cast("object", getattr(member, "estimator", None))
    method = getattr(member, "method", None)
    calibrators = cast("Sequence[object]", getattr(member, "calibrators", ()))
    if len(_classes(inner)) != count or len(calibrators) != (1 if count == 2 else count) or method not in ("sigmoid", "isotonic"):
        raise NotLowered(f"CalibratedClassifierCV by {method}, or whose members know other classes")
    answers = whole(inner, given, draft)
    if hasattr(inner, "decision_function"):
        register = _answer(answers, "decision_function", inner)
        flat = [register] if count == 2 else _columns(register, range(count), draft)
    else:
        flat = _columns(_answer(answers, "predict_proba", inner), [1] if count == 2 else range(count), draft)
    made = [_curve(calibrator, column, draft) for calibrator, column in zip(calibrators, flat, strict=True)]
    columns = [draft.add("as_column", [register]) for register in made]
    return draft.add("weigh", [draft.add("join", columns)])


def _columns(register: int, places: Sequence[int], draft: Draft) -> list[int]:
    return [draft.add("first_column", [draft.add("take", [register], at=np.array([at]))]) for at in places]


def _curve(calibrator: object, register: int, draft: Draft) -> int:
    if class_name(calibrator) == "_SigmoidCalibration":
        slope, start = float(getattr(calibrator, "a_")), float(getattr(calibrator, "b_"))  # noqa: B009
        scaled = draft.add("scale", [register], None, factor=np.array(-slope), after=np.array(-start))
        return draft.add("link", [scaled], {"link": "expit"})
    x, y = (np.asarray(getattr(calibrator, name, None), np.float64) for name in ("X_thresholds_", "y_thresholds_"))
    if class_name(calibrator) != "IsotonicRegression" or getattr(calibrator, "out_of_bounds", "") != "clip" or x.ndim != 1:
        raise NotLowered(f"calibration by {class_name(calibrator)}")
    return draft.add("interpolate", [register], None, x=x, y=y)


def _bagging(estimator: object, given: Input, draft: Draft, whole: Whole) -> Answers:
    """Members over their own choice of columns, averaged."""
    part = draft.matrix(given)
    members = _members(estimator)
    features = [np.asarray(chosen, np.intp) for chosen in cast("Sequence[Array]", getattr(estimator, "estimators_features_"))]  # noqa: B009
    inputs = [(Part(draft.add("take", [part.register], at=chosen), len(chosen)),) for chosen in features]
    answers = [whole(member, own, draft) for member, own in zip(members, inputs, strict=True)]
    if getattr(estimator, "classes_", None) is None:
        columns = [draft.add("as_column", [_answer(found, "predict", estimator)]) for found in answers]
        return {"predict": draft.add("first_column", [_mean(columns, 1, None, draft)])}
    count = len(_classes(estimator))
    if any(len(_classes(member)) != count for member in members):
        raise NotLowered(f"{class_name(estimator)} whose members know other classes")
    mean = _mean([_answer(found, "predict_proba", estimator) for found in answers], count, None, draft)
    return {"predict_proba": mean, "predict": labels(mean, estimator, "largest by margin", draft)}


def _one_against_rest(estimator: object, given: Input, draft: Draft, whole: Whole) -> Answers:
    members = _members(estimator)
    count = len(_classes(estimator))
    if getattr(estimator, "multilabel_", False) or len(members) != count or count < 3:
        raise NotLowered("OneVsRestClassifier of two classes, or of several labels a row")
    answers = [whole(member, given, draft) for member in members]
    out: dict[Method, int] = {}
    if all(hasattr(member, "predict_proba") for member in members):
        columns = [draft.add("take", [_answer(found, "predict_proba", estimator)], at=np.array([1])) for found in answers]
        out["predict_proba"] = chance = draft.add("join", columns)
        out["predict_proba"] = draft.add("shares", [chance])
        decided = chance
    if all(hasattr(member, "decision_function") for member in members):
        columns = [draft.add("as_column", [_answer(found, "decision_function", estimator)]) for found in answers]
        out["decision_function"] = decided = draft.add("join", columns)
    if not out:
        raise NotLowered("OneVsRestClassifier of members without scores")
    return {**out, "predict": labels(decided, estimator, "largest by margin", draft)}


def _targets(estimator: object, given: Input, draft: Draft, whole: Whole) -> Answers:
    return {"predict": draft.add("join", _numbers(estimator, given, draft, whole))}


def _of_target(estimator: object, given: Input, draft: Draft, whole: Whole) -> Answers:
    """TransformedTargetRegressor: the prediction turned back by a scaler, or by exp or expm1."""
    found = _answer(whole(getattr(estimator, "regressor_"), given, draft), "predict", estimator)  # noqa: B009
    turn = cast("object", getattr(estimator, "transformer_"))  # noqa: B009
    if getattr(estimator, "_training_dim", 1) != 1:
        raise NotLowered("TransformedTargetRegressor of several targets")
    if class_name(turn) == "FunctionTransformer":
        inverse = getattr(turn, "inverse_func", None)
        name = "exp" if inverse is np.exp else "expm1"
        if inverse is not np.exp and inverse is not np.expm1:
            raise NotLowered("TransformedTargetRegressor by a function of its own")
        return {"predict": draft.add("link", [found], {"link": name})}
    if class_name(turn) != "StandardScaler":
        raise NotLowered(f"TransformedTargetRegressor by {class_name(turn)}")
    factor, after = (getattr(turn, name, None) for name in ("scale_", "mean_"))
    return {"predict": draft.add("scale", [found], None, factor=factor, after=after)}


def _boosted(estimator: object, given: Input, draft: Draft, whole: Whole) -> Answers:
    """Gradient boosting, which may begin with what another model answers, through its loss's link."""
    first = cast("object", getattr(estimator, "init_", None))
    if isinstance(first, str) or class_name(first) in ("DummyClassifier", "DummyRegressor"):
        return boosting(estimator, given, draft)
    is_classifier = getattr(estimator, "classes_", None) is not None
    if is_classifier and len(_classes(estimator)) > 2:
        raise NotLowered("gradient boosting of several classes that begins with another model")

    def begin(rows: Part) -> int:
        answers = whole(first, (rows,), draft)
        if not is_classifier:
            return draft.add("as_column", [_answer(answers, "predict", first)])
        chance = draft.add("take", [_answer(answers, "predict_proba", first)], at=np.array([1]))
        clipped = draft.add("scale", [chance], {"low": _LEAST, "high": 1.0 - _LEAST})
        return draft.add("link", [clipped], {"link": "logit"})

    return boosting(estimator, given, draft, begin)


GROUPS: Mapping[str, Lower] = {
    "GradientBoostingClassifier": _boosted,
    "GradientBoostingRegressor": _boosted,
    "VotingClassifier": _voting,
    "VotingRegressor": _voting_numbers,
    "StackingClassifier": _stacking,
    "StackingRegressor": _stacking,
    "CalibratedClassifierCV": _calibrated,
    "BaggingClassifier": _bagging,
    "BaggingRegressor": _bagging,
    "OneVsRestClassifier": _one_against_rest,
    "MultiOutputRegressor": _targets,
    "TransformedTargetRegressor": _of_target,
}
