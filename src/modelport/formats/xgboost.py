"""XGBoost files, .json and .ubj: looked at without XGBoost, answered by it as its own scikit-learn classes answer.

The objective decides what is answered. Where such a class stopped early and saved the file, the trees up to the best round count, as
they do there; a file that a Booster saved counts all, as Booster.predict does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from modelport.columns import Array
from modelport.errors import LoadError, MissingExtra, ModelportError, RefusedFile
from modelport.formats import streams
from modelport.formats.base import Options, Report, Step
from modelport.formats.boosted import BoostedModel, BoostedPredictor, Compute, Matrix, labels_of
from modelport.formats.lowering.xgboost import lower_file
from modelport.formats.xgboost_file import Content, read
from modelport.formats.xgboost_schema import schema_of
from modelport.schema import Schema

if TYPE_CHECKING:
    import xgboost

_DISTRIBUTIONS = ("xgboost", "xgboost-cpu")


def inspect(path: Path, options: Options) -> Report:
    """Report what an XGBoost file holds, from its bytes alone.

    Raises: UnreadableFile for a damaged file. A file that is refused is reported so.
    """
    del options
    raw = streams.read(path)
    size = {"size_bytes": raw.size_bytes, "sha256": raw.sha256}
    try:
        content = read(raw.data)
    except RefusedFile as error:
        problem, _, cure = error.message.rpartition("; ")
        return Report("xgboost", "xgboost", None, "model", verdict="refused", plan="none", problem=problem, cure=cure, **size)  # type: ignore[arg-type]  # named above
    except ModelportError as error:
        raise type(error)(f"{path.name}: {error.message}") from error
    problem = newer(content, installed())
    schema = schema_of(content)
    return Report(
        format="xgboost",
        library="xgboost",
        library_version=".".join(str(part) for part in content.version),
        model=content.objective,
        steps=steps_of(content),
        features=tuple(item.name for item in schema.inputs),
        classes=schema.classes,
        schema=schema,
        plan="none" if problem else "shimmed" if content.notes else "native",
        problem=problem,
        notes=content.notes,
        size_bytes=raw.size_bytes,
        sha256=raw.sha256,
    )


def steps_of(content: Content) -> tuple[Step, ...]:
    """Return the booster as the one step of a report."""
    told: dict[str, str | int | float | bool | None] = {"objective": content.objective, "rounds": content.rounds}
    if content.booster != "gblinear":
        told["trees"] = content.trees
    return (Step("booster", content.booster, told),)


def installed() -> str:
    """Return the version of XGBoost here, from whichever distribution brought it; "" where there is none."""
    for name in _DISTRIBUTIONS:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def newer(content: Content, here: str) -> str:
    """Say that a file comes from a newer XGBoost than the one ``here``, which may not know what is in it; "" otherwise."""
    if not here or content.version[:2] <= tuple(int(part) for part in here.split(".")[:2]):
        return ""
    written = ".".join(str(part) for part in content.version)
    return (
        f"the file was written by XGBoost {written} and {here} is installed, an older library cannot know what a newer one wrote; "
        f"install that version, or save the model again with {here}"
    )


def load(path: Path, options: Options) -> BoostedPredictor:
    """Return a predictor for an XGBoost file.

    Raises: UnreadableFile, RefusedFile, MissingExtra, LoadError.
    """
    try:
        content = read(streams.read(path).data)
        return predictor_of(content, options)
    except ModelportError as error:
        raise type(error)(f"{path.name}: {error.message}") from error


def predictor_of(content: Content, options: Options) -> BoostedPredictor:
    """Return a predictor for a model that was read. Raises: MissingExtra, LoadError where the library does not take it."""
    booster = open_booster(content, options.threads or 1)
    from xgboost.core import XGBoostError

    schema = schema_of(content)
    compute = _compute(content, booster, schema)
    made = partial(lower_file, content, schema)
    native = BoostedModel(schema, compute, booster)
    return BoostedPredictor(schema, native, compute, (XGBoostError, ValueError, TypeError), notes=content.notes, form_of=made)


def open_booster(content: Content, threads: int | None) -> xgboost.Booster:
    """Give a checked model to the library. ``threads``: None for what the process is set to.

    Raises: MissingExtra, LoadError where the library does not take it.
    """
    try:
        import xgboost
    except ModuleNotFoundError as error:
        raise MissingExtra(f"it needs {error.name}, which is not installed; run: pip install 'modelport[xgboost]'") from error
    if problem := newer(content, xgboost.__version__):
        raise LoadError(problem)
    try:
        with xgboost.config_context(verbosity=0):
            return xgboost.Booster({"nthread": threads} if threads else None, model_file=bytearray(content.document))
    except (xgboost.core.XGBoostError, ValueError) as error:
        said = str(error).rsplit("Check failed:", 1)[-1].split("\n", 1)[0].strip()[:200]
        raise LoadError(f"XGBoost {xgboost.__version__} does not take the model ({said}); save it again with this version") from error


def content_of(booster: object, *, is_wrapper: bool) -> Content:
    """Read a booster that was loaded already. ``is_wrapper``: of a scikit-learn class, for which the best round counts."""
    made = cast("xgboost.Booster", booster)
    if not is_wrapper:
        return read(bytes(made.save_raw("ubj")))
    kept = made.attr("scikit_learn")
    made.set_attr(scikit_learn="{}")
    try:
        return read(bytes(made.save_raw("ubj")))
    finally:
        made.set_attr(scikit_learn=kept)


def _compute(content: Content, booster: xgboost.Booster, schema: Schema) -> Compute:
    import xgboost

    rounds = (0, content.rounds if content.is_stopped else 0)

    def raw(rows: Matrix, *, margin: bool = False) -> Array:
        if content.booster == "gblinear":  # the only one that cannot read an array in place
            data = xgboost.DMatrix(rows, feature_types=booster.feature_types, enable_categorical=True)
            return cast("Array", booster.predict(data, output_margin=margin, validate_features=False))
        kind = "margin" if margin else "value"
        return cast("Array", booster.inplace_predict(rows, iteration_range=rounds, predict_type=kind, validate_features=False))

    if schema.task == "regressor":
        shape = schema.outputs[0].shape
        return lambda rows, wanted: {"prediction": raw(rows).reshape(len(rows), *shape)}  # noqa: ARG005  # the only output
    if content.targets > 1:
        return lambda rows, wanted: _targets(raw(rows))  # noqa: ARG005  # both are one array
    label = labels_of(content.classes)
    if content.objective == "multi:softmax":
        return lambda rows, wanted: _softmax(raw(rows, margin=True), wanted, label)
    if content.groups > 1:
        return lambda rows, wanted: _chances(raw(rows), wanted, label)
    return lambda rows, wanted: _binary(raw(rows), wanted, label)


_Label: TypeAlias = Callable[[npt.NDArray[np.intp]], Array]


def _targets(values: Array) -> Mapping[str, Array]:
    return {"label": np.asarray(values > np.float32(0.5), np.int64), "probabilities": values}


def _binary(values: Array, wanted: Sequence[str], label: _Label) -> Mapping[str, Array]:
    positive = values.astype(np.float32, copy=False).reshape(-1)
    answers = {"label": label(np.asarray(positive > np.float32(0.5), np.intp)), "scores": positive[:, None]}
    if "probabilities" in wanted:
        answers["probabilities"] = np.stack((np.float32(1) - positive, positive), axis=1)
    return answers


def _chances(values: Array, wanted: Sequence[str], label: _Label) -> Mapping[str, Array]:
    return {"label": label(np.argmax(values, axis=1)) if "label" in wanted else values, "probabilities": values}


def _softmax(margins: Array, wanted: Sequence[str], label: _Label) -> Mapping[str, Array]:
    if "probabilities" not in wanted:
        return {"label": label(np.argmax(margins, axis=1))}
    from scipy.special import softmax  # XGBoost needs SciPy itself

    return _chances(cast("Array", softmax(margins, axis=1)), wanted, label)
