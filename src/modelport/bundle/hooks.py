"""Hooks: the user's own load, preprocess, predict and postprocess around a predictor. Called in a worker process only.

How a hook is called follows from its signature. ``predict``'s first argument is the predictor's native object, its second
the rows; ``preprocess(x)`` and ``postprocess(y, x)`` take rows; further arguments bind by name to the manifest's resources.
Rows arrive as a pandas.DataFrame (index 0…n−1, key columns included), unless the argument is annotated ``numpy.ndarray``
(a matrix of the features) or ``Columns``.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeAlias

import numpy as np

from modelport.bundle.folder import Bundle, inside
from modelport.bundle.rows import frame, matrix
from modelport.columns import Columns
from modelport.errors import LoadError, ManifestError
from modelport.schema import Schema

Form: TypeAlias = Literal["frame", "matrix", "columns"]
_LEADING = {"load": 1, "preprocess": 1, "predict": 2, "postprocess": 2}
_ROWS_AT = {"preprocess": 0, "predict": 1, "postprocess": 1}


@dataclass(frozen=True, slots=True)
class Hook:
    """A bound hook: ``call(*leading)`` adds the resources. ``form``: how it wants its rows."""

    name: str
    call: Callable[..., object]
    form: Form

    def rows(self, columns: Columns, schema: Schema) -> object:
        """Give logical columns the form that this hook asked for. Cost: views where the form allows."""
        if self.form == "columns":
            return columns
        return matrix(columns, schema) if self.form == "matrix" else frame(columns)


def bind(bundle: Bundle) -> dict[str, Hook]:
    """Import the bundle's hook files and bind each hook to its resources.

    Raises: ManifestError where a file, function or argument is missing; LoadError where a file fails to import.
    """
    if not bundle.manifest.hooks:
        return {}
    resources = {name: _resource(bundle.root, path) for name, path in bundle.manifest.resources.items()}
    modules: dict[Path, ModuleType] = {}
    hooks: dict[str, Hook] = {}
    for name, spec in bundle.manifest.hooks.items():
        file, _, function = spec.partition(":")
        path = inside(bundle.root, file, "hook file")
        if path not in modules:
            modules[path] = _import(path)
        found = getattr(modules[path], function, None)
        if not callable(found):
            raise ManifestError(f'hook {name} = "{spec}": the file has no function "{function}"; define it or correct model.toml')
        hooks[name] = _bind_one(name, found, resources)
    return hooks


def _bind_one(name: str, function: Callable[..., object], resources: Mapping[str, object]) -> Hook:
    parameters = list(inspect.signature(function).parameters.values())
    leading, rest = parameters[: _LEADING[name]], parameters[_LEADING[name] :]
    if len(leading) < _LEADING[name]:
        expected = {"load": "folder", "preprocess": "x", "predict": "predictor, x", "postprocess": "y, x"}[name]
        raise ManifestError(f"hook {name} takes {len(parameters)} arguments; expected ({expected}, …)")
    keywords: dict[str, object] = {}
    for parameter in rest:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name in resources:
            keywords[parameter.name] = resources[parameter.name]
        elif parameter.default is parameter.empty:
            known = ", ".join(sorted(resources)) or "none"
            raise ManifestError(
                f'hook {name} wants "{parameter.name}", which [resources] does not name (it names: {known}); add it to model.toml'
            )
    form = _form(leading[_ROWS_AT[name]].annotation) if name in _ROWS_AT else "frame"

    def call(*arguments: object) -> object:
        return function(*arguments, **keywords)

    return Hook(name, call, form)


def _form(annotation: object) -> Form:
    # Annotations may be strings (postponed evaluation), and resolving them would run code for names that may not exist.
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__qualname__", str(annotation))
    last = str(text).split("[", 1)[0].rsplit(".", 1)[-1].strip("'\" ")
    if last in ("ndarray", "NDArray"):
        return "matrix"
    return "columns" if last == "Columns" else "frame"


def _resource(root: Path, name: str) -> object:
    path = inside(root, name, "resource")
    try:
        if path.suffix == ".json":
            return json.loads(path.read_text(encoding="utf-8"))
        if path.suffix in (".npy", ".npz"):
            loaded = np.load(path, allow_pickle=False)
            return dict(loaded) if path.suffix == ".npz" else loaded
    except (OSError, ValueError) as error:
        raise LoadError(f'resource "{name}" cannot be read as {path.suffix[1:]}: {error}') from error
    return path


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ManifestError(f'hook file "{path.name}" is not a Python file')
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # the hook's own neighbours, as when it is run as a script
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's file raises while it is imported
        raise LoadError(f'hook file "{path.name}" failed on import: {type(error).__name__}: {error}') from error
    return module
