"""What a fitted scikit-learn estimator answers: its task, its outputs, and which of its methods gives each.

Which methods there are is read from the estimator; how wide their answers are, from one trial on two made-up rows, because
no attribute tells it for every class (targets in several columns, one-against-one scores, sparse features).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np

from modelport.columns import Array
from modelport.errors import LoadError, ModelError
from modelport.formats.estimator_labels import Method
from modelport.formats.estimator_tree import class_name, is_from_sklearn, tags_of
from modelport.schema import Field, Scalar, Task, Type

FOREIGN = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    MemoryError,
    OSError,
    ImportError,
)
"""What the code of an estimator raises when it cannot answer."""

DENSE_LIMIT_BYTES = 256 << 20
"""The most that one call's sparse answer may take when it is written out in full."""

Trial: TypeAlias = Callable[[Method], object]
"""Calls a method of the final estimator on a few rows. Raises: one of FOREIGN."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One output, the method that gives it, and which item of that method's answer it is, where that is a list."""

    field: Field
    method: Method
    at: int | None = None


def task_of(estimator: object) -> Task:
    """Return what kind of model it is. Raises: LoadError where it can answer nothing for rows it has not seen."""
    kind, _ = tags_of(estimator)
    can_predict = hasattr(estimator, "predict")
    if can_predict and kind in ("classifier", "regressor", "outlier_detector", "clusterer"):
        return cast("Task", kind)
    if can_predict and (kind == "density_estimator" or hasattr(estimator, "cluster_centers_") or hasattr(estimator, "means_")):
        return "clusterer"
    if can_predict:
        return "classifier" if hasattr(estimator, "classes_") else "regressor"
    if hasattr(estimator, "transform"):
        return "transformer"
    name = class_name(estimator)
    raise LoadError(f"{name} has neither predict nor transform: it can only speak of the rows it was fitted on, so it cannot be served")


def answers_of(estimator: object, task: Task, trial: Trial) -> tuple[Answer, ...]:
    """Return the outputs in the order of a record."""
    if task == "classifier":
        return _classifier(estimator, trial)
    if task == "outlier_detector":
        method: Method = "decision_function" if hasattr(estimator, "decision_function") else "score_samples"
        return (Answer(Field("label", "int64"), "predict"), Answer(Field("score", "float64"), method))
    if task == "clusterer":
        return (Answer(Field("cluster", "int64"), "predict"),)
    name, method = ("prediction", "predict") if task == "regressor" else ("features", "transform")
    shown = _try(trial, cast("Method", method))
    if shown is None:
        return (Answer(Field(name, "float64", () if task == "regressor" else (None,)), cast("Method", method)),)
    array = dense(shown)
    kind = _type_of(array)
    if task == "regressor" and kind == "int64" and is_from_sklearn(estimator):
        kind = "float64"  # what nothing is near to, RadiusNeighborsRegressor fills with the target's type
    return (Answer(Field(name, kind, array.shape[1:]), cast("Method", method)),)


def classes_of(estimator: object) -> tuple[Scalar, ...]:
    """Return a single-output classifier's labels in the order of its probabilities, as plain Python values."""
    found = getattr(estimator, "classes_", None)
    if not isinstance(found, np.ndarray) or found.ndim != 1 or _is_multilabel(estimator):
        return ()
    return tuple(cast("list[Scalar]", found.tolist()))


def _is_multilabel(estimator: object) -> bool:
    binarizer = getattr(estimator, "_label_binarizer", None)
    return bool(getattr(estimator, "multilabel_", False)) or str(getattr(binarizer, "y_type_", "")).startswith("multilabel")


def _classifier(estimator: object, trial: Trial) -> tuple[Answer, ...]:
    classes = classes_of(estimator)
    shown = _try(trial, "predict")
    array = None if shown is None else dense(shown)
    kind = _type_of(np.asarray(getattr(estimator, "classes_"))) if classes else "int64" if array is None else _type_of(array)  # noqa: B009  # mypy knows no such attribute of an object
    label = Answer(Field("label", kind, () if array is None else array.shape[1:]), "predict")
    if hasattr(estimator, "predict_proba"):
        shown = _try(trial, "predict_proba", lacking=())
        if shown is not None:
            return (label, *_probabilities(shown, len(classes)))
    if hasattr(estimator, "decision_function"):
        return (label, *_scores(_try(trial, "decision_function", lacking=()), classes))
    return (label,)


def _probabilities(shown: object, count: int) -> tuple[Answer, ...]:
    if isinstance(shown, list):  # one array for each target column
        arrays = [dense(item) for item in shown]
        return tuple(
            Answer(Field(f"probabilities_{at}", _type_of(array), array.shape[1:]), "predict_proba", at) for at, array in enumerate(arrays)
        )
    if isinstance(shown, tuple):  # the method is there, but the made-up rows did not suit it
        return (Answer(Field("probabilities", "float64", (count or None,)), "predict_proba"),)
    array = dense(shown)
    return (Answer(Field("probabilities", _type_of(array), array.shape[1:]), "predict_proba"),)


def _scores(shown: object, classes: tuple[Scalar, ...]) -> tuple[Answer, ...]:
    if shown is None:
        return ()
    array = None if isinstance(shown, tuple) else dense(shown)
    shape: tuple[int | None, ...] = (1 if len(classes) == 2 else len(classes) or None,)
    if array is not None:
        shape = array.shape[1:] or (1,)
    said = ""
    if shape == (1,) and len(classes) == 2:
        said = f"one score, of class {classes[1]!r}: positive where it is predicted, negative where it is {classes[0]!r}"
    elif classes and shape != (len(classes),):
        said = "one score for each pair of classes, in order"
    return (Answer(Field("scores", "float64" if array is None else _type_of(array), shape, description=said), "decision_function"),)


def _try(trial: Trial, method: Method, lacking: object = None) -> object:
    """Call the method; None where the estimator has no such answer, ``lacking`` where the made-up rows did not suit it."""
    try:
        return trial(method)
    except (AttributeError, NotImplementedError) as cause:
        if type(cause).__name__ == "NotFittedError":
            raise LoadError("the estimator was saved before it was fitted; fit it and save it again") from cause
        return None
    except FOREIGN:
        return lacking


def _type_of(array: Array) -> Type:
    """Return the type that keeps an array's values: float32 stays, other floats and integers become their widest."""
    if array.dtype.kind == "O":
        values = array.reshape(-1).tolist()
        found = {type(value) for value in values}
        if found <= {bool, np.bool_} and found:
            return "bool"
        if found and all(issubclass(item, int | np.integer) for item in found):
            return "int64"
        return "float64" if found and all(issubclass(item, int | float | np.number) for item in found) else "string"
    if array.dtype.kind == "f":
        return "float32" if array.dtype == np.float32 else "float64"
    kinds: Mapping[str, Type] = {"b": "bool", "i": "int64", "u": "int64"}
    return kinds.get(array.dtype.kind, "string")


def dense(value: object) -> Array:
    """Return an estimator's answer as an array, sparse matrices and data frames included.

    Raises: ModelError where a sparse answer would take more than DENSE_LIMIT_BYTES.
    """
    expand = getattr(value, "toarray", None)
    if expand is None:
        return np.asarray(value)
    shape, dtype = cast("Sequence[int]", getattr(value, "shape")), np.dtype(getattr(value, "dtype"))  # noqa: B009  # SciPy is untyped
    needed = int(np.prod(shape)) * dtype.itemsize
    if needed > DENSE_LIMIT_BYTES:
        raise ModelError(
            f"the answer has {shape[0]} rows of {shape[1]} numbers, over {DENSE_LIMIT_BYTES >> 20} MB in full; send fewer rows at a time"
        )
    return cast("Array", expand())


def shaped(value: object, field: Field, rows: int) -> Array:
    """Return an estimator's answer as the output's array (rows, *field.shape).

    Raises: ModelError if it has not one row for each input row, or does not fit the output's type.
    """
    array = dense(value)
    if rows == 1 and array.shape == field.shape and array.ndim:
        array = array[None]  # SparsePCA answers a single row without its first axis
    if array.ndim == 0 or array.shape[0] != rows:
        found = array.shape[0] if array.ndim else 1
        raise ModelError(f"the model answered {found} rows for {rows}; it must answer one row for each row it is given")
    if array.ndim == 1 and len(field.shape) == 1:
        array = array[:, None]  # one score for two classes
    try:
        return array.astype(field.dtype, copy=False)
    except (ValueError, TypeError) as cause:
        raise ModelError(f'output "{field.name}": expected {field.type}, the model answered something else') from cause
