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
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeAlias

import numpy as np

from modelport.bundle.folder import Bundle, inside
from modelport.bundle.rows import frame, matrix
from modelport.columns import Columns
from modelport.errors import LoadError, ManifestError, public_reason
from modelport.schema import Schema

Form: TypeAlias = Literal["frame", "matrix", "columns"]
_LEADING = {"load": ("folder",), "preprocess": ("x",), "predict": ("predictor", "x"), "postprocess": ("y", "x")}
_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Hook:
    """A bound hook: ``call(*leading)`` adds the resources. ``forms``: how it wants each of its leading arguments."""

    name: str
    call: Callable[..., object]
    forms: tuple[Form, ...]

    def rows(self, columns: Columns, schema: Schema) -> object:
        """Give the request's logical columns the form that this hook's last leading argument asks for.

        Cost: views where the form allows.
        """
        return _formed(self.forms[-1], columns, [item.name for item in schema.features])

    def answer(self, columns: Columns) -> object:
        """Give a predictor's answer the form that this hook's first argument asks for; a matrix holds all of its columns."""
        return _formed(self.forms[0], columns, list(columns))


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


def _formed(form: Form, columns: Columns, names: list[str]) -> object:
    if form == "columns":
        return columns
    return matrix(columns, names) if form == "matrix" else frame(columns)


def _bind_one(name: str, function: Callable[..., object], resources: Mapping[str, object]) -> Hook:
    wanted = _LEADING[name]
    parameters = _parameters(name, function)
    leading: list[inspect.Parameter] = []
    for parameter in parameters[: len(wanted)]:
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD):
            break
        leading.append(parameter)
        if parameter.kind is parameter.VAR_POSITIONAL:
            leading += [parameter] * (len(wanted) - len(leading))
            break
    if len(leading) < len(wanted):
        taken = ", ".join(map(str, parameters)) or "none"
        raise ManifestError(f"hook {name} takes the arguments ({taken}); expected ({', '.join(wanted)}, …)")
    keywords = _keywords(name, [parameter for parameter in parameters if parameter not in leading], resources)

    def call(*arguments: object) -> object:
        return function(*arguments, **keywords)

    return Hook(name, call, tuple(_form(parameter.annotation) for parameter in leading))


def _parameters(name: str, function: Callable[..., object]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError) as error:
        raise ManifestError(f"hook {name}: its arguments cannot be read; name a function written in Python") from error


def _keywords(name: str, rest: list[inspect.Parameter], resources: Mapping[str, object]) -> dict[str, object]:
    keywords: dict[str, object] = {}
    for parameter in rest:
        if parameter.kind in _MANY:
            continue
        if parameter.name in resources and parameter.kind is not parameter.POSITIONAL_ONLY:
            keywords[parameter.name] = resources[parameter.name]
        elif parameter.default is parameter.empty:
            known = ", ".join(sorted(resources)) or "none"
            raise ManifestError(
                f'hook {name} wants "{parameter.name}", which cannot be bound by name to one of [resources] (they are: {known}); '
                "add it to model.toml"
            )
    return keywords


def _form(annotation: object) -> Form:
    # Annotations may be strings (postponed evaluation), and resolving them would run code for names that may not exist.
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__qualname__", str(annotation))
    last = str(text).split("[", 1)[0].split("|", 1)[0].strip("'\" ").rsplit(".", 1)[-1]
    if last in ("ndarray", "NDArray"):
        return "matrix"
    return "columns" if last == "Columns" else "frame"


def _resource(root: Path, name: str) -> object:
    path = inside(root, name, "resource")
    kind = path.suffix.lower()
    try:
        if kind == ".json":
            return json.loads(path.read_text(encoding="utf-8"))
        if kind == ".npy":
            return np.load(path, allow_pickle=False)
        if kind == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return dict(arrays)
    except (OSError, ValueError, EOFError, TypeError, AttributeError, RecursionError, zipfile.BadZipFile, zlib.error) as error:
        raise LoadError(f'resource "{name}" cannot be read as {kind[1:]}: {public_reason(error)}') from error
    return path


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ManifestError(f'hook file "{path.name}" is not a Python file')
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # the hook's own neighbours, as when it is run as a script
    if path.stem not in sys.modules:  # pickles may name its classes; but random.py must not become everybody's random
        sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's file raises while it is imported
        if sys.modules.get(path.stem) is module:
            del sys.modules[path.stem]
        raise LoadError(f'hook file "{path.name}" failed on import: {type(error).__name__}: {error}') from error
    return module
