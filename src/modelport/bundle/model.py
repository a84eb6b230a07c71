"""A bundle at work: the predictor and the hooks around it, as one function from columns to columns. Worker processes only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelport import formats
from modelport.bundle import hooks as hooking
from modelport.bundle.folder import Bundle, verify
from modelport.bundle.hooks import Hook
from modelport.bundle.rows import result
from modelport.columns import Array, Columns
from modelport.errors import LoadError, ManifestError, ModelError, ModelportError, public_reason
from modelport.formats.base import Options, Predictor
from modelport.schema import Schema

Predict = Callable[[Columns, Sequence[str] | None], Columns]


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded bundle. ``predict`` takes the physical columns of ``schema.layout``; ``warm_up`` holds rows it should take."""

    schema: Schema
    form: str
    predict: Predict
    warm_up: tuple[Columns, ...]


def load_model(bundle: Bundle, options: Options) -> Model:
    """Check the artifact's digest, load it, import the hooks, and join them.

    Raises: UnreadableFile, NeedsTrust, RefusedFile, MissingExtra, ManifestError or LoadError, each saying what to do.
    """
    verify(bundle)
    manifest = bundle.manifest
    if manifest.artifact is not None and manifest.artifact.trust:
        options = replace(options, trust=options.trust | frozenset(manifest.artifact.trust))
    bound = hooking.bind(bundle)
    predictor: Predictor | None = None
    native: object = None
    if "load" in bound:
        native = _call(bound["load"], bundle.root)
    elif bundle.artifact is not None:
        predictor = formats.load(bundle.artifact, options)
        native = predictor.native
    schema = manifest.schema(None if predictor is None else predictor.schema)
    if {"preprocess", "predict", "postprocess", "load"} & set(bound):
        predict: Predict = _Hooked(schema, predictor, native, bound)
        form = "hook"
    elif predictor is not None:
        predict, form = _plain(schema, predictor), predictor.form
    else:  # open_bundle refuses a bundle with neither
        raise LoadError("the bundle has neither an artifact nor a load hook")
    return Model(schema, form if predictor is None else predictor.form, predict, _warm_up(bundle, schema))


def _plain(schema: Schema, predictor: Predictor) -> Predict:
    own = predictor.schema
    if [item.name for item in schema.features] != [item.name for item in own.features]:
        raise ManifestError(
            f"model.toml declares the features {_names(schema)}, the artifact has {_names(own)}; name the artifact's, in its order, "
            "or add a hook that turns one into the other"
        )
    if schema.layout == own.layout:
        return predictor.predict

    def predict(columns: Columns, outputs: Sequence[str] | None) -> Columns:
        return predictor.predict(own.pack(schema.unpack(columns)), outputs)

    return predict


class _Hooked:
    """Rows through preprocess, predict and postprocess, each optional."""

    def __init__(self, schema: Schema, predictor: Predictor | None, native: object, hooks: dict[str, Hook]) -> None:
        self._schema = schema
        self._predictor = predictor
        self._native = native
        self._hooks = hooks
        self._names = [item.name for item in schema.outputs]
        if predictor is None and "predict" not in hooks and not hasattr(native, "predict"):
            raise ManifestError('what the "load" hook returned has no predict; return an object that has, or add a "predict" hook')

    def __call__(self, columns: Columns, outputs: Sequence[str] | None) -> Columns:
        given = self._schema.unpack(columns)
        answer = self._predict(given, outputs)
        hook = self._hooks.get("postprocess")
        if hook is not None:
            answer = result(
                _call(hook, hook.rows(answer, self._schema), hook.rows(given, self._schema)),
                given.rows,
                self._names,
                "the postprocess hook",
            )
        return answer if outputs is None else answer.select([name for name in outputs if name in answer])

    def _predict(self, given: Columns, outputs: Sequence[str] | None) -> Columns:
        before, hook = self._hooks.get("preprocess"), self._hooks.get("predict")
        if hook is not None:
            rows = hook.rows(given, self._schema) if before is None else _call(before, before.rows(given, self._schema))
            return result(_call(hook, self._native, rows), given.rows, self._names, "the predict hook")
        if self._predictor is None:
            rows = (
                Hook("predict", len, "frame").rows(given, self._schema)
                if before is None
                else _call(before, before.rows(given, self._schema))
            )
            return result(_guard("the model", self._native.predict, rows), given.rows, self._names, "the model")  # type: ignore[attr-defined]  # checked above
        if before is None:
            return self._predictor.predict(self._predictor.schema.pack(given), outputs)
        prepared = _call(before, before.rows(given, self._schema))
        return self._predictor.predict(_feed(prepared, given.rows, self._predictor.schema), None)


def _feed(prepared: object, rows: int, schema: Schema) -> Columns:
    """Bring what preprocess returned to the predictor's physical columns."""
    names = [item.name for item in schema.features]
    columns = result(prepared, rows, [schema.layout[0].name] if len(schema.layout) == 1 else names, "the preprocess hook")
    if set(names) <= set(columns):
        return schema.pack(columns)
    if len(columns) == 1 and len(schema.layout) == 1:
        block = schema.layout[0]
        return Columns({block.name: np.asarray(columns[next(iter(columns))]).astype(block.dtype, copy=False)})
    raise ModelError(f"the preprocess hook returned the columns {', '.join(columns)}; the model takes {', '.join(names)}")


def _call(hook: Hook, *arguments: object) -> object:
    return _guard(f"the {hook.name} hook", hook.call, *arguments)


def _guard(where: str, function: Callable[..., object], *arguments: object) -> object:
    try:
        return function(*arguments)
    except ModelportError:
        raise
    except Exception as error:  # whatever user code raises becomes the one error that says whose it was
        raise ModelError(f"{where} failed: {public_reason(error)}") from error


def _warm_up(bundle: Bundle, schema: Schema) -> tuple[Columns, ...]:
    """Return rows to try in turn: the manifest's sample if it has one, else zeros and then ones."""
    sample = bundle.manifest.sample
    if sample:
        arrays: dict[str, Array] = {}
        for item in schema.inputs:
            if item.name not in sample and item.role == "feature":
                raise ManifestError(f'[sample] has no "{item.name}"; give a list of values for every feature')
            if item.name in sample:
                arrays[item.name] = _sample_array(item.name, sample[item.name], item.dtype)
        return (schema.pack(arrays),)
    zeros = schema.sample(1)
    ones = Columns({name: array if array.dtype == object else np.ones_like(array) for name, array in zeros.items()})
    return zeros, ones


def _sample_array(name: str, values: list[object], dtype: np.dtype[np.generic]) -> Array:
    try:
        if dtype.kind == "O":
            out = np.empty(len(values), object)
            out[:] = values
            return out
        return np.asarray(values, dtype)
    except (ValueError, TypeError) as error:
        raise ManifestError(f'[sample] "{name}": {error}') from error


def _names(schema: Schema) -> str:
    names = [item.name for item in schema.features]
    return ", ".join(names[:8]) + (f", … ({len(names)})" if len(names) > 8 else "")
