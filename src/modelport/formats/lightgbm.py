"""LightGBM text models: looked at without LightGBM, answered by it as its own scikit-learn classes answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from modelport.columns import Array
from modelport.errors import LoadError, MissingExtra, ModelportError, RefusedFile
from modelport.formats import streams
from modelport.formats.base import Options, Report, Step
from modelport.formats.boosted import BoostedModel, BoostedPredictor, Compute, Matrix, inputs_of, label_field, labels_of
from modelport.formats.lightgbm_file import Content, read
from modelport.formats.lowering.lightgbm import lower_file
from modelport.schema import Field, Schema

if TYPE_CHECKING:
    import lightgbm

_CODED = "a category, by the number it had when the model was fitted"


def inspect(path: Path, options: Options) -> Report:
    """Report what a LightGBM file holds, from its bytes alone.

    Raises: UnreadableFile for a damaged file. A file that is refused is reported so.
    """
    del options
    raw = streams.read(path)
    try:
        content = read(raw.data)
    except RefusedFile as error:
        problem, _, cure = error.message.rpartition("; ")
        refused = Report("lightgbm", "lightgbm", None, "model", verdict="refused", plan="none", problem=problem, cure=cure)
        return replace(refused, size_bytes=raw.size_bytes, sha256=raw.sha256)
    except ModelportError as error:
        raise type(error)(f"{path.name}: {error.message}") from error
    schema = schema_of(content)
    return Report(
        format="lightgbm",
        library="lightgbm",
        library_version=None,  # a file tells the version of its layout only
        model=content.objective or "custom objective",
        steps=(Step("booster", "trees", {"objective": content.objective, "trees": content.trees, "layout": content.version}),),
        features=tuple(item.name for item in schema.inputs),
        classes=schema.classes,
        schema=schema,
        size_bytes=raw.size_bytes,
        sha256=raw.sha256,
    )


def schema_of(content: Content) -> Schema:
    """Return what a model takes and answers, told by its objective."""
    names = content.names or tuple(f"x{at}" for at in range(content.features))
    inputs = tuple(
        replace(item, description=_CODED) if at in content.coded else item
        for at, item in enumerate(inputs_of(names, content.categories, closed=False))
    )
    is_named = bool(content.names)
    if content.classes:
        outputs = (label_field(content.classes), Field("probabilities", "float64", (len(content.classes),)))
        return Schema(inputs, outputs, "classifier", content.classes, is_named=is_named)
    shape = (content.outputs,) if content.outputs > 1 else ()
    return Schema(inputs, (Field("prediction", "float64", shape),), "regressor", is_named=is_named)


def load(path: Path, options: Options) -> BoostedPredictor:
    """Return a predictor for a LightGBM file.

    Raises: UnreadableFile, RefusedFile, MissingExtra, LoadError.
    """
    try:
        return predictor_of(read(streams.read(path).data), options)
    except ModelportError as error:
        raise type(error)(f"{path.name}: {error.message}") from error


def predictor_of(content: Content, options: Options) -> BoostedPredictor:
    """Return a predictor for a model that was read. Raises: MissingExtra, LoadError where the library does not take it."""
    booster = open_booster(content)
    from lightgbm.basic import LightGBMError

    schema = schema_of(content)
    threads = options.threads or 1

    def raw(rows: Matrix) -> npt.NDArray[np.float64]:
        return cast("npt.NDArray[np.float64]", booster.predict(rows, num_threads=threads))

    compute = _compute(schema, raw)
    native, failures = BoostedModel(schema, compute, booster), (LightGBMError, ValueError, TypeError)
    return BoostedPredictor(schema, native, compute, failures, form_of=partial(lower_file, content, schema))


def open_booster(content: Content) -> lightgbm.Booster:
    """Give a checked model to the library. Raises: MissingExtra, LoadError where the library does not take it."""
    try:
        import lightgbm
    except ModuleNotFoundError as error:
        raise MissingExtra(f"it needs {error.name}, which is not installed; run: pip install 'modelport[lightgbm]'") from error
    try:
        return lightgbm.Booster(model_str=content.document.decode())
    except (lightgbm.basic.LightGBMError, ValueError, TypeError) as error:
        said = str(error).split("\n", 1)[0][:200]
        raise LoadError(f"LightGBM {lightgbm.__version__} does not take the model ({said}); save it again with this version") from error


def content_of(booster: object) -> Content:
    """Read a booster that was loaded already, up to its best round where training stopped early."""
    return read(cast("lightgbm.Booster", booster).model_to_string().encode())


def _compute(schema: Schema, raw: Callable[[Matrix], npt.NDArray[np.float64]]) -> Compute:
    if schema.task == "classifier":
        label = labels_of(schema.classes)
        return lambda rows, wanted: _classify(raw(rows), label)  # noqa: ARG005  # labels come from the probabilities anyway
    shape = schema.outputs[0].shape
    return lambda rows, wanted: {"prediction": raw(rows).reshape(len(rows), *shape)}  # noqa: ARG005  # the only output


def _classify(values: npt.NDArray[np.float64], label: Callable[[npt.NDArray[np.intp]], Array]) -> Mapping[str, Array]:
    chances = values if values.ndim > 1 else np.stack((1.0 - values, values), axis=1)
    return {"label": label(np.argmax(chances, axis=1)), "probabilities": chances}
