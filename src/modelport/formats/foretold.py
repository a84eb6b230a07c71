"""The schema of a pickled estimator, told from the file without making the estimator.

A likeness is asked for its columns as the loaded one would be; instead of a trial of its methods on made-up rows there are rules
for what shape they answer with. Where no rule is sure, there is no schema: only loading can tell.
"""

from __future__ import annotations

import numpy as np

from modelport.columns import Array
from modelport.errors import ModelportError
from modelport.formats.estimator_feed import read_inputs
from modelport.formats.estimator_labels import Method
from modelport.formats.estimator_outputs import answers_of, classes_of, task_of
from modelport.formats.estimator_tree import feature_names, flatten
from modelport.formats.foretold_rows import is_single
from modelport.formats.foretold_shapes import Shape, predicted
from modelport.formats.foretold_widths import widths
from modelport.formats.likeness import Likeness, likeness
from modelport.formats.pictures import Untold
from modelport.formats.symbols import Symbol
from modelport.schema import Schema

_HANDED_ON = ("RFE", "RFECV", "FixedThresholdClassifier", "TunedThresholdClassifierCV", "SelfTrainingClassifier")
_LINEAR = ("LogisticRegression", "LogisticRegressionCV")
_PAIRS = ("SVC", "NuSVC")
_WHAT_FAILS = (ModelportError, Untold, AttributeError, TypeError, ValueError, LookupError, ArithmeticError, RuntimeError, MemoryError)


def foretell(data: bytes, root: Symbol, made: tuple[int, ...] | None) -> Schema | None:
    """Return the schema that the loaded object will have, or None where only loading can tell.

    ``made``: the older scikit-learn that wrote the file, or None.
    """
    try:
        return _schema(likeness(data, root, made))
    except _WHAT_FAILS:  # an object of a kind without rules, or a file that contradicts itself: loading says what is wrong
        return None


def _schema(model: object) -> Schema:
    inputs, _, form = read_inputs(model)
    _, final = flatten(model)
    is_named = form == "texts" or feature_names(model) is not None
    task, classes = task_of(final), classes_of(final)
    is_32 = is_single(model)
    answers = answers_of(final, task, lambda method: _surely(final, method, is_single=is_32))
    return Schema(inputs, tuple(item.field for item in answers), task, classes, is_named=is_named)


def _surely(model: object, method: Method, *, is_single: bool) -> object:
    """Answer by the rules; a rule that fails is not an estimator that refuses the rows, and must not be taken for one."""
    try:
        return _answer(model, method, is_single=is_single)
    except _WHAT_FAILS as cause:
        raise Untold(f"{method}: {cause}") from cause


def _answer(model: object, method: Method, *, is_single: bool) -> object:
    """Return zeros of the shape and type of a method's answer to two rows."""
    if not isinstance(model, Likeness):
        raise Untold("no estimator")
    if method == "transform":
        count, kind = widths(model)
        return _zeros((count,), kind)
    if method == "predict":
        shape, kind = predicted(model)
        if is_single and kind.kind == "f" and type(model).__name__ not in _LINEAR:
            raise Untold("what it makes of numbers of 32 bits")
        return _zeros(shape, kind)
    kind = _of_product(model) if is_single else np.dtype(np.float64)
    shapes = _chances(model) if method == "predict_proba" else _scores(model)
    return [_zeros(shape, kind) for shape in shapes] if isinstance(shapes, list) else _zeros(shapes, kind)


def _zeros(shape: Shape, kind: np.dtype[np.generic]) -> Array:
    """Return two rows that take no memory, however large a number the file names."""
    return np.broadcast_to(np.zeros((), kind), (2, *shape))


def _of_product(model: Likeness) -> np.dtype[np.generic]:
    """Return the type of what a linear model answers to numbers of 32 bits."""
    weights = getattr(model, "coef_", None)
    if type(model).__name__ not in _LINEAR or not isinstance(weights, np.ndarray):
        raise Untold("what it makes of numbers of 32 bits")
    return np.result_type(np.float32, weights.dtype)


def _classes(model: Likeness) -> int | list[int]:
    """Return how many classes there are, or how many in each of several outputs."""
    found = model.classes_
    if isinstance(found, np.ndarray) and found.ndim == 1:
        return len(found)
    if isinstance(found, list) and all(isinstance(item, np.ndarray) and item.ndim == 1 for item in found):
        return [len(item) for item in found]
    raise Untold("classes of another kind")


def _chances(model: Likeness) -> Shape | list[Shape]:
    count = _classes(model)
    if isinstance(count, int):
        return (count,)
    return (len(count),) if type(model).__name__ == "ClassifierChain" else [(item,) for item in count]


def _scores(model: Likeness) -> Shape:
    inner = getattr(model, "estimator_", None) if type(model).__name__ in _HANDED_ON else None
    if isinstance(inner, Likeness):
        return _scores(inner)
    count = _classes(model)
    if not isinstance(count, int):
        raise Untold("scores of several outputs")
    if type(model).__name__ in _PAIRS and count > 2 and model.decision_function_shape != "ovr":
        return (count * (count - 1) // 2,)
    is_multilabel = not classes_of(model)
    return () if count == 2 and not is_multilabel else (count,)
