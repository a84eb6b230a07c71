"""skops files: their schema read like a pickle's opcodes, their objects made by the skops library from what our list approves.

The file is read once. What it names is judged by the allow-list for pickles; only then does skops get the same bytes, and as
trusted types exactly the names that were approved.
"""

from __future__ import annotations

import importlib
import io
import warnings
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import orjson

from modelport.errors import LoadError, MissingExtra, ModelportError, NeedsTrust, RefusedFile, UnreadableFile
from modelport.formats import allow, sources, streams, versions
from modelport.formats.base import Global, Options, Predictor, Report
from modelport.formats.foretold import foretell
from modelport.formats.held import check_estimator
from modelport.formats.objections import cures, file_reader, needs, unknown
from modelport.formats.older.notes import notes
from modelport.formats.own import import_own
from modelport.formats.scan import Scan
from modelport.formats.skops_archive import SCHEMA, Archive, open_archive
from modelport.formats.skops_reader import Reader, mapping
from modelport.formats.skops_values import KINDS
from modelport.formats.summary import summarize, version_key
from modelport.formats.symbols import Judge, Stream, Symbol

_PROTOCOLS = (1, 2)  # of skops 0.7 and later; 0 kept functions in another way
_LEAST = "0.13"  # before, skops made other things than it showed (CVE-2025-54412, -54413, -54886)
_BOOSTERS = ("xgboost", "lightgbm")
_CURE = "save the model with joblib, or get the file again from where it was made"


def inspect(path: Path, options: Options) -> Report:
    """Report what a skops file says of itself. Raises: UnreadableFile; RefusedFile for a decompression bomb."""
    content = streams.read(path)
    try:
        archive = open_archive(content.data)
        found, _ = _scan(archive, allow.judge(options.trust, options.code))
    except (UnreadableFile, RefusedFile) as error:
        raise type(error)(f"{path.name}: {error.message}") from error
    told = summarize(bytes(archive.kept), found)
    report = Report(
        format="skops",
        library=told.library,
        library_version=told.library_version,
        model=told.model,
        steps=told.steps,
        features=told.features,
        classes=told.classes,
        globals=tuple(Global(ref.dotted, ref.kind) for ref in found.refs),
        size_bytes=content.size_bytes,
        sha256=content.sha256,
    )
    if refusal := found.refusal or file_reader(found):
        return replace(report, verdict="refused", plan="none", problem=refusal, cure=_CURE)
    if missing := unknown(found):
        return replace(report, verdict="needs_trust", plan="none", problem=needs(missing), cure=cures(missing, has_stubs=False))
    if problem := _skew(found):
        return replace(report, problem=problem, plan="none")
    return replace(report, schema=foretell(bytes(archive.kept), found.root, versions.older(found, versions.installed())))


def load(path: Path, options: Options) -> Predictor:
    """Load a skops file, in a worker process only.

    Raises: UnreadableFile, RefusedFile, NeedsTrust; LoadError where it cannot be built or is no estimator; MissingExtra.
    """
    from modelport.formats.estimator import from_estimator  # keeps scikit-learn out of whoever only inspects

    content = streams.read(path)
    try:
        found, trusted = _scan(open_archive(content.data), allow.judge(options.trust, options.code))
        if refusal := found.refusal or file_reader(found):
            raise RefusedFile(refusal)
        if missing := unknown(found):
            raise NeedsTrust(f"{needs(missing)}; {cures(missing, has_stubs=False)}")
        if problem := _skew(found):
            raise LoadError(problem)
        _import_own(found, options)
        model = _made(content.data, trusted)
        if (made := versions.older(found, versions.installed())) is not None:
            from modelport.formats.older.repairs import repair  # imports scikit-learn

            repair(model, made)
    except ModelportError as error:
        raise type(error)(f"{path.name}: {error.message}") from error
    check_estimator(path, model)
    return from_estimator(model, options)


def _scan(archive: Archive, judge: Judge) -> tuple[Scan, list[str]]:
    """Read the schema; return what was found, and the names to tell skops. Raises: UnreadableFile."""
    reader, refusal, root = Reader(archive, judge, KINDS), "", None
    try:
        schema = mapping(orjson.loads(archive.read(SCHEMA)))
        if schema.get("protocol") not in _PROTOCOLS or isinstance(schema["protocol"], bool):
            told = str(schema.get("protocol"))[:20]
            raise RefusedFile(f"the skops file has the protocol {told}, expected 1 or 2; save it again with skops {_LEAST} or later")
        root = reader.read(schema)
    except orjson.JSONDecodeError as error:
        raise UnreadableFile(f"the {SCHEMA} of the skops file is no JSON ({error}); copy the file again") from error
    except RefusedFile as error:
        refusal = error.message
    except RecursionError:
        refusal = "the skops file nests deeper than any model does"
    return _verdict(reader, root, refusal), sorted(reader.trusted)


def _verdict(reader: Reader, root: Symbol, refusal: str) -> Scan:
    dangerous = sorted({ref.dotted for ref in reader.found.values() if ref.kind == "dangerous"})
    if dangerous:
        refusal = f"the skops file names {', '.join(dangerous[:5])}, which can run programs or read and write files; no model needs that"
    boosters = sorted({ref.module.partition(".")[0] for ref in reader.found.values()} & set(_BOOSTERS))
    if boosters and not refusal:
        refusal = f"the skops file holds a model of {boosters[0]}, whose bytes skops does not show; save it in {boosters[0]}'s own format"
    return Scan(root, dict(reader.found), tuple(reader.built), (), Stream(0, 0, ()), refusal)


def _skew(found: Scan) -> str:
    """Say why a file of another scikit-learn cannot answer as on its day; skops makes today's objects, so nothing is repaired before."""
    here = versions.installed()
    if problem := versions.skew(found, here):
        return f"{problem.partition('; ')[0]}; load it with the version that wrote it and save it with joblib, which --env auto can serve"
    repairs = notes(found, versions.older(found, here))
    if repairs:
        return f"an older scikit-learn wrote the file, and it needs repairs ({repairs[0]}) that only pickles get; save it there with joblib"
    return ""


def _import_own(found: Scan, options: Options) -> None:
    """Import the user's own modules, so that skops finds them."""
    for ref in found.refs:
        own = sources.find(ref.module, ref.name, options.code) if ref.kind == "trusted" else None
        if own is not None and ref.module == sources.MAIN:
            raise LoadError(f"the file names {ref.dotted}, which skops looks for in vain; put it in a module and save the model again")
        if own is not None:
            import_own(*own)


def _made(data: bytes, trusted: list[str]) -> object:
    """Let skops make the model, and turn whatever it raises into one sentence."""
    try:
        library = importlib.import_module("skops.io")
    except ModuleNotFoundError as error:
        raise MissingExtra(f"skops files need {error.name}, which is not installed; run: pip install 'modelport[skops]'") from error
    if version_key(metadata.version("skops"))[:2] < version_key(_LEAST):
        raise MissingExtra(f"skops files need skops {_LEAST} or later; run: pip install 'modelport[skops]'")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # versions were judged above
            made: object = library.load(io.BytesIO(data), trusted=trusted)
    except Exception as error:  # the library and what it makes may raise anything; a worker must say what it was
        raise LoadError(
            f"its objects cannot be built with the libraries installed here ({type(error).__name__}: {str(error)[:200]}); "
            "install the versions that wrote it"
        ) from error
    return made
