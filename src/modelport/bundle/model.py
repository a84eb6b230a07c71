"""A bundle at work: the predictor and the hooks around it, as one function from columns to columns. Worker processes only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from modelport import formats
from modelport.bundle import hooks as hooking
from modelport.bundle.folder import Bundle, verify
from modelport.bundle.hooks import Hook
from modelport.bundle.rows import frame, result
from modelport.columns import Array, Columns
from modelport.errors import ManifestError, ModelError, ModelportError, SchemaError, public_reason
from modelport.formats.base import Options, Predictor
from modelport.formats.keras_native import NetworkModel
from modelport.schema import Field, Schema

T = TypeVar("T")
_NOTHING_TO_LOAD = 'there is neither an [artifact] nor a "load" hook; add `[artifact]` with `path = "…"`'
Predict = Callable[[Columns, Sequence[str] | None], Columns]


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded bundle. ``predict`` takes the physical columns of ``schema.layout``; ``warm_up`` holds rows it should take.

    ``details``: more facts for ``GET /models``, such as what was repaired in a file of an older library.
    ``predictor``: what answers alone, None where hooks have a part in it. ``network``: the network that those hooks call, where it is
    one that we compute.
    """

    schema: Schema
    form: str
    is_row_wise: bool
    predict: Predict
    warm_up: tuple[Columns, ...]
    details: Mapping[str, object] = field(default_factory=dict)
    predictor: Predictor | None = None
    network: Predictor | None = None


def load_model(bundle: Bundle, options: Options, *, is_checked: bool = False, instead: Predictor | None = None) -> Model:
    """Check the artifact's digest, load it, import the hooks, and join them.

    ``is_checked``: the bundle is a snapshot's, whose artifact was compared with the pin when it was copied.
    ``instead``: what stands for the artifact, which is not read then.
    Raises: UnreadableFile, NeedsTrust, RefusedFile, MissingExtra, ManifestError or LoadError, each saying what to do.
    """
    if not is_checked:
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
        predictor = formats.load(bundle.artifact, options) if instead is None else instead
        native = predictor.native
    schema = manifest.schema(None if predictor is None else predictor.schema)
    if predictor is not None and not {"preprocess", "predict"} & set(bound):
        _match(schema, predictor.schema)
    if bound:
        predict: Predict = _Hooked(schema, predictor, native, bound)
    elif predictor is not None:
        predict = _plain(schema, predictor)
    else:
        raise ManifestError(_NOTHING_TO_LOAD)
    form = "hook" if predictor is None else predictor.form
    is_row_wise = predictor is None or predictor.is_row_wise
    notes = getattr(predictor, "notes", ())
    details = {"plan": "shimmed", "repaired": list(notes)} if notes else {}
    network = predictor if bound and isinstance(native, NetworkModel) else None
    return Model(schema, form, is_row_wise, predict, _warm_up(bundle, schema), details, None if bound else predictor, network)


def _match(schema: Schema, own: Schema) -> None:
    """Make sure that the rows go to the artifact as it names them. Raises: ManifestError."""
    if [item.name for item in schema.features] != [item.name for item in own.features]:
        raise ManifestError(
            f"model.toml declares the features {_names(schema)}, the artifact has {_names(own)}; name the artifact's, in its order, "
            "or add a hook that turns one into the other"
        )


def _plain(schema: Schema, predictor: Predictor) -> Predict:
    own = predictor.schema
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
        hook = self._hooks.get("postprocess")
        answer = self._predict(given, outputs if hook is None else None)
        if hook is not None:
            answer = result(
                _call(hook, hook.answer(answer), hook.rows(given, self._schema)), given.rows, self._names, f"the {hook.name} hook"
            )
        if outputs is None:
            return answer
        if unknown := [name for name in outputs if name not in answer]:
            raise SchemaError(f'there is no output "{unknown[0]}"; the model answers {", ".join(answer)}')
        return answer.select(outputs)

    def _predict(self, given: Columns, outputs: Sequence[str] | None) -> Columns:
        before, hook = self._hooks.get("preprocess"), self._hooks.get("predict")
        prepared = None if before is None else _call(before, before.rows(given, self._schema))
        if hook is not None:
            rows = hook.rows(given, self._schema) if before is None else prepared
            return result(_call(hook, self._native, rows), given.rows, self._names, "the predict hook")
        if self._predictor is None:
            rows = frame(given) if before is None else prepared
            return result(_guard("the model", self._native.predict, rows), given.rows, self._names, "the model")  # type: ignore[attr-defined]  # checked above
        own = self._predictor.schema
        columns = own.pack(given) if before is None else _feed(prepared, given.rows, own)
        return self._predictor.predict(columns, outputs)


def _feed(prepared: object, rows: int, schema: Schema) -> Columns:
    """Bring what preprocess returned to the predictor's physical columns."""
    where = "the preprocess hook"
    names = [item.name for item in schema.features]
    is_one = len(schema.layout) == 1
    columns = result(prepared, rows, [schema.layout[0].name] if is_one else names, where)
    if set(names) <= set(columns):
        return _guard(where, schema.pack, columns)
    if len(columns) == 1 and is_one:
        block = schema.layout[0]
        (array,) = columns.values()
        return Columns({block.name: _guard(where, lambda: array.astype(block.dtype, copy=False))})
    raise ModelError(f"{where} returned the columns {', '.join(columns)}; the model takes {', '.join(names)}")


def _call(hook: Hook, *arguments: object) -> object:
    return _guard(f"the {hook.name} hook", hook.call, *arguments)


def _guard(where: str, function: Callable[..., T], *arguments: object) -> T:
    try:
        return function(*arguments)
    except ModelportError:
        raise
    except Exception as error:  # whatever user code raises becomes the one error that says whose it was
        raise ModelError(f"{where} failed: {public_reason(error)}") from error


def _warm_up(bundle: Bundle, schema: Schema) -> tuple[Columns, ...]:
    """Return rows to try in turn: the manifest's sample if it has one, else zeros and then ones."""
    if bundle.manifest.sample:
        return (_sample(bundle.manifest.sample, schema),)
    zeros = schema.sample(1)
    ones = Columns({name: array if array.dtype == object else np.ones_like(array) for name, array in zeros.items()})
    return zeros, ones


def _sample(sample: Mapping[str, list[object]], schema: Schema) -> Columns:
    known = {item.name: item for item in schema.inputs}
    if unknown := sorted(set(sample) - set(known)):
        raise ManifestError(f'[sample] has a column "{unknown[0]}"; known are {", ".join(known)}')
    if missing := [item.name for item in schema.features if item.name not in sample]:
        raise ManifestError(f'[sample] has no "{missing[0]}"; give a list of values for every feature')
    rows = len(next(iter(sample.values())))
    arrays: dict[str, Array] = {}
    for item in schema.inputs:
        values = sample.get(item.name)
        if values is None:  # a key: hooks see row numbers where none is given
            values = [str(at) if item.type == "string" else at for at in range(rows)]
        if not rows or len(values) != rows:
            raise ManifestError(f'[sample] "{item.name}" has {len(values)} values and another column {rows}; give the same rows of all')
        arrays[item.name] = _sample_array(item, values)
    return schema.pack(arrays)


def _sample_array(item: Field, values: list[object]) -> Array:
    where = f'[sample] "{item.name}"'
    try:
        array = np.asarray(values, item.dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise ManifestError(f"{where}: {error}; expected {item.type}") from error
    if array.ndim != len(item.shape) + 1 or any(want not in (None, have) for want, have in zip(item.shape, array.shape[1:], strict=False)):
        raise ManifestError(f"{where}: its values have the shape {list(array.shape[1:])}; expected {list(item.shape)}")
    if item.type == "string" and not all(isinstance(value, str) for value in array.reshape(-1).tolist()):
        raise ManifestError(f"{where}: expected strings")
    return array


def _names(schema: Schema) -> str:
    names = [item.name for item in schema.features]
    return ", ".join(names[:8]) + (f", … ({len(names)})" if len(names) > 8 else "")
