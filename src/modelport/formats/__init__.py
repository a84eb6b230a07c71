"""File formats: each module turns one kind of artifact into a Predictor. The table FORMATS names them all.

A row's module is imported when a file of its kind is met, so that nobody needs the libraries of formats they do not use.
No loader falls back to another.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, cast

from modelport.errors import MissingExtra, UnreadableFile
from modelport.formats import streams
from modelport.formats.base import Options, Predictor, Report
from modelport.formats.identify import kind_of


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of artifact: its usual suffixes, the module that reads it, the extra that brings its libraries.

    ``trust`` says what loading one means: "data" is only parsed, "code" can name things to import and is checked first.
    """

    name: str
    suffixes: tuple[str, ...]
    module: str
    extra: str
    trust: Literal["data", "code"]


FORMATS: tuple[Format, ...] = (
    Format("pickle", (".pkl", ".pickle", ".joblib", ".sav", ".model"), "modelport.formats.pickled", "sklearn", "code"),
    Format("keras", (".hdf5", ".h5", ".keras"), "modelport.formats.keras", "keras", "data"),
    Format("onnx", (".onnx",), "modelport.formats.onnx", "onnx", "data"),
    Format("skops", (".skops",), "modelport.formats.skops", "skops", "code"),
    Format("xgboost", (".ubj", ".json", ".model"), "modelport.formats.xgboost", "xgboost", "data"),
    Format("lightgbm", (".txt", ".lgb", ".model"), "modelport.formats.lightgbm", "lightgbm", "data"),
)


class _Module(Protocol):
    def inspect(self, path: Path, options: Options) -> Report: ...
    def load(self, path: Path, options: Options) -> Predictor: ...


def identify(path: Path) -> Format:
    """Return the format that a file's content has.

    Raises: UnreadableFile if it has none, or if its suffix is that of another format.
    """
    kind = kind_of(path)
    found = next(item for item in FORMATS if item.name == kind)
    claimed = [item for item in FORMATS if path.suffix.lower() in item.suffixes]
    if claimed and found not in claimed:
        raise UnreadableFile(
            f"{path.name}: is named like a {claimed[0].name} file ({path.suffix}) but its content is {found.name}; "
            f"rename it to {path.stem}{found.suffixes[0]} if that is what it should be"
        )
    return found


def inspect(path: Path, options: Options) -> Report:
    """Report what a file says of itself, without executing anything of it.

    Raises: UnreadableFile, RefusedFile, MissingExtra.
    """
    report = _module(identify(path)).inspect(path, options)
    if report.sha256:
        return report
    size_bytes, sha256 = streams.digest(path)
    return replace(report, size_bytes=size_bytes, sha256=sha256)


def load(path: Path, options: Options) -> Predictor:
    """Load a file, in a worker process only.

    Raises: UnreadableFile, NeedsTrust, RefusedFile, MissingExtra, LoadError.
    """
    return _module(identify(path)).load(path, options)


def _module(chosen: Format) -> _Module:
    try:
        return cast("_Module", importlib.import_module(chosen.module))
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("modelport"):
            raise
        raise MissingExtra(
            f"{chosen.name} files need {error.name}, which is not installed; run: pip install 'modelport[{chosen.extra}]'"
        ) from error
