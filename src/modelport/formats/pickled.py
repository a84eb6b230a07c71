"""Pickle and joblib files: reported without executing anything, loaded through an exact allow-list.

The file is read once. The static reader walks the bytes and proves what a restricted ``find_class`` cannot see: that only
listed functions are called, that nothing but objects made by the file is filled, that the end is the end. The same bytes,
without their frames and with joblib's raw arrays replaced by numbers, then go to Python's own fast unpickler.
"""

from __future__ import annotations

import importlib
import io
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from modelport.errors import LoadError, MissingExtra, ModelportError, NeedsTrust, RefusedFile, UnreadableFile
from modelport.formats import allow, arrays, sources, streams, versions
from modelport.formats.base import Global, Options, Predictor, Report
from modelport.formats.boosted_pickles import tell
from modelport.formats.foretold import foretell
from modelport.formats.held import check_estimator
from modelport.formats.making import WRAPPERS
from modelport.formats.objections import cures, file_reader, needs, unknown
from modelport.formats.older.notes import notes
from modelport.formats.older.remains import stand_in
from modelport.formats.own import import_own
from modelport.formats.scan import Scan, scan
from modelport.formats.summary import summarize
from modelport.formats.symbols import Block, Ref, Stream

_EXTRAS = {"sklearn": "sklearn", "joblib": "sklearn", "scipy": "sklearn", "pandas": "table"}
_OLD_JOBLIB = {"NDArrayWrapper", "ZNDArrayWrapper"}
_CLOUDPICKLE = ("cloudpickle", "dill")


class ArrayWrapper:
    """Stands for joblib's wrapper while a file is loaded; the array takes its place before anyone sees it."""


def inspect(path: Path, options: Options) -> Report:
    """Report what a pickle says of itself. Raises: UnreadableFile, RefusedFile for a decompression bomb, UsageError for ``--code``."""
    content = streams.read(path)
    found = _scan(path, content.data, options, file_bytes=content.size_bytes if content.compression else None)
    told, boosters = summarize(content.data, found), tell(content.data, found)
    report = Report(
        format="pickle",
        library=told.library,
        library_version=boosters.version if told.library == "xgboost" else told.library_version,
        model=told.model,
        steps=told.steps,
        features=told.features,
        classes=told.classes,
        globals=tuple(Global(ref.dotted, ref.kind) for ref in found.refs),
        size_bytes=content.size_bytes,
        sha256=content.sha256,
    )
    if refusal := found.refusal or boosters.refusal:
        return replace(report, verdict="refused", plan="none", problem=refusal, cure=_refusal_cure(found))
    if missing := unknown(found):
        return replace(report, verdict="needs_trust", plan="none", problem=needs(missing), cure=cures(missing))
    if problem := file_reader(found):
        return replace(report, verdict="refused", plan="none", problem=problem)
    if problem := _skew(found):
        return replace(report, problem=problem, plan="none", environment=told.library_version or "")
    if boosters.problem:
        return replace(report, problem=boosters.problem, plan="none")
    repaired = _notes(found) + boosters.notes
    schema = foretell(content.data, found.root, versions.older(found, versions.installed()))
    return replace(report, plan="shimmed" if repaired else "native", notes=repaired, schema=schema)


def load(path: Path, options: Options) -> Predictor:
    """Load a pickle, in a worker process only.

    Raises: UnreadableFile, RefusedFile, NeedsTrust; LoadError where the libraries cannot build it or it is no estimator;
        MissingExtra where a library is missing.
    """
    from modelport.formats import boosted_loading
    from modelport.formats.estimator import from_estimator  # keeps scikit-learn out of whoever only inspects

    estimator, repaired = _read(path, options)
    try:
        served = boosted_loading.predictor(estimator, options)
    except ModelportError as error:
        raise type(error)(f"{path.name}: {error.message}") from error
    return served or replace(from_estimator(estimator, options), notes=repaired)


def load_object(path: Path, options: Options) -> object:
    """Load what a pickle holds and check that it is an estimator. Raises: as ``load``."""
    return _read(path, options)[0]


def _read(path: Path, options: Options) -> tuple[object, tuple[str, ...]]:
    content = streams.read(path)
    found = _scan(path, content.data, options, file_bytes=content.size_bytes if content.compression else None)
    if found.refusal:
        raise RefusedFile(f"{path.name}: {found.refusal}")
    if missing := unknown(found):
        raise NeedsTrust(f"{path.name}: {needs(missing)}; {cures(missing)}")
    if problem := file_reader(found):
        raise RefusedFile(f"{path.name}: {problem}")
    if problem := _skew(found):
        raise LoadError(f"{path.name}: {problem}")
    loader = _Loader(content.data, found.names, found.blocks, options.code)
    loader.made = versions.older(found, versions.installed())
    model = _translated(path, loader, found.stream)
    check_estimator(path, model)
    return model, _notes(found)


def _scan(path: Path, data: bytes, options: Options, *, file_bytes: int | None = None) -> Scan:
    try:
        found = scan(data, allow.judge(options.trust, options.code), file_bytes=file_bytes)
    except UnreadableFile as error:
        raise UnreadableFile(f"{path.name}: {error.message}") from error
    if any(ref.name in _OLD_JOBLIB and "joblib" in ref.module for ref in found.refs):
        raise UnreadableFile(
            f"{path.name}: was written by joblib before 0.10, which kept the arrays in separate files beside it; "
            "load it there with joblib and save it again with a newer one"
        )
    return found


def _refusal_cure(found: Scan) -> str:
    if any(ref.module.startswith(_CLOUDPICKLE) for ref in found.refs):
        return "it holds code, saved by cloudpickle; put that code in a module, save with pickle or joblib, and load with --code PATH"
    return "do not load it anywhere else either, unless you know who wrote it and why"


def _skew(found: Scan) -> str:
    return versions.skew(found, versions.installed())


def _notes(found: Scan) -> tuple[str, ...]:
    return notes(found, versions.older(found, versions.installed()))


class _Loader:
    """Makes the objects of one scanned file: looks up the approved globals, cuts out the arrays, runs the unpickler."""

    def __init__(self, data: bytes, names: Mapping[tuple[str, str], Ref], blocks: Sequence[Block], code: Sequence[Path]) -> None:
        self._data = data
        self._names = names
        self._blocks = blocks
        self._code = code
        self.made: tuple[int, ...] | None = None

    def run(self, stream: Stream) -> object:
        """Unpickle one stream of the data."""
        return _Unpickler(self, _prepare(self._data, stream)).load()

    def find(self, module: str, name: str) -> object:
        """Return an approved global. Raises: RefusedFile for any other, which the scan should have seen."""
        ref = self._names.get((module, name))
        if ref is None or ref.kind not in {"known", "trusted"} or "." in name:
            raise RefusedFile(f"the pickle asks for {module}.{name}, which was not seen when it was checked")
        if ref.dotted in WRAPPERS:
            return ArrayWrapper
        from modelport.formats.boosted_loading import guarded

        if (guard := guarded(ref.dotted)) is not None:
            return guard
        if self.made is not None and (instead := stand_in(ref.dotted, self.made)) is not None:
            return instead
        own = sources.find(ref.module, ref.name, self._code) if ref.kind == "trusted" else None
        home = import_own(*own) if own else importlib.import_module(ref.module)
        try:
            return getattr(home, ref.name)
        except AttributeError as error:
            raise LoadError(
                f"the installed {ref.module.partition('.')[0]} has no {ref.dotted}; install the version that wrote the file"
            ) from error

    def array(self, number: int) -> object:
        """Return the array block of that number."""
        block = self._blocks[number]
        return self.run(block.nested) if block.nested else arrays.realize(self._data, block)


class _Unpickler(pickle.Unpickler):
    """Python's C unpickler, asking the loader for every global and every array."""

    def __init__(self, loader: _Loader, stream: bytes) -> None:
        super().__init__(io.BytesIO(stream), encoding="latin1")
        self._loader = loader

    def find_class(self, module: str, name: str) -> object:
        return self._loader.find(module, name)

    def persistent_load(self, pid: object) -> object:
        return self._loader.array(cast("int", pid))


def _prepare(data: bytes, stream: Stream) -> bytes:
    """Return the stream as one frame, without the frames and raw arrays that the scan found in it.

    In one frame the C unpickler reads from memory; without, it would call back for every opcode.
    """
    parts, position = list[bytes | memoryview](), stream.start
    view = memoryview(data)
    for start, stop, replacement in stream.cuts:
        parts += [view[position:start], replacement]
        position = stop
    parts.append(view[position : stream.stop])
    head = b""
    if data[stream.start] == 0x80:
        head, parts[0] = data[stream.start : stream.start + 2], parts[0][2:]
    size = sum(len(part) for part in parts)
    return b"".join([head, b"\x95", size.to_bytes(8, "little"), *parts])


def _translated(path: Path, loader: _Loader, stream: Stream) -> object:
    """Run the unpickler and turn whatever a library raises meanwhile into one sentence."""
    try:
        with warnings.catch_warnings():
            # Versions were judged above, case by case; scikit-learn's own warning is the same for right and wrong numbers.
            warnings.filterwarnings("ignore", message="Trying to unpickle estimator")
            warnings.filterwarnings("ignore", message="Class .* is deprecated", category=FutureWarning)
            model = loader.run(stream)
            if loader.made is not None:
                from modelport.formats.older.repairs import repair  # imports scikit-learn

                repair(model, loader.made)
            return model
    except ModelportError as error:
        raise type(error)(f"{path.name}: {error.message}") from error
    except ModuleNotFoundError as error:
        raise _missing(path, error) from error
    except MemoryError as error:
        raise LoadError(f"{path.name}: there is not enough memory to build the model") from error
    except Exception as error:  # a library's __setstate__ may raise anything; a worker must say what it was
        raise LoadError(
            f"{path.name}: its objects cannot be built with the libraries installed here ({type(error).__name__}: {str(error)[:200]}); "
            "install the versions that wrote it"
        ) from error


def _missing(path: Path, error: ModuleNotFoundError) -> ModelportError:
    top = (error.name or "").partition(".")[0]
    if sources.is_installed(top):
        return LoadError(f"{path.name}: the installed {top} has no module {error.name}; install the version that wrote the file")
    how = f"'modelport[{_EXTRAS[top]}]'" if top in _EXTRAS else top
    return MissingExtra(f"{path.name}: needs {top}, which is not installed; run: pip install {how}")
