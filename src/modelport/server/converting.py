"""Converting a model file: what ``convert`` does. The file appears whole, and only where it answers as the original does."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from modelport import formats
from modelport.bundle.folder import Bundle
from modelport.bundle.private import sweep
from modelport.bundle.snapshot import Snapshot, take
from modelport.columns import Columns
from modelport.config import Settings
from modelport.convert.order import KNOWN, TARGETS, Order, Target
from modelport.convert.process import Answer, Task, convert
from modelport.errors import LoadError, NotConvertible, UsageError
from modelport.formats.base import Report
from modelport.schema import Schema
from modelport.server.data import read
from modelport.server.environments import HERE, place
from modelport.server.labelled import without
from modelport.server.workers import confinement, options


@dataclass(frozen=True, slots=True)
class Data:
    """The rows to compare on: bytes of a form, and the column of known labels among them, if one is named."""

    body: bytes
    form: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. ``tolerance``: None for the default. ``is_forced``: a file that is there is replaced."""

    target: Target
    out: Path
    quantize: str = ""
    tolerance: float | None = None
    is_forced: bool = False


def run(bundle: Bundle, wish: Wish, data: Data | None, settings: Settings) -> dict[str, object]:
    """Convert a model and write the file if it holds; return the report, whose "holds" says whether it does.

    Raises: UsageError for what was asked, NotConvertible naming the step that the target cannot express, and what stands in the
    way of loading the model.
    """
    _check(wish, data)
    sweep()
    with take(bundle, options(settings)) as snapshot:
        _check_source(snapshot, settings)
        task = Task(_load(snapshot, settings), confinement(snapshot, settings), settings.load_timeout)
        order = Order(wish.target, snapshot.sha256, wish.quantize, wish.tolerance)
        answer = asyncio.run(convert(task, order, _asking(data)))
        before = cast("Path", snapshot.bundle.artifact).stat().st_size
    report: dict[str, object] = {"to": wish.target, "quantize": wish.quantize, "out": str(wish.out), "source_sha256": snapshot.sha256}
    report |= {"source_size_bytes": before, **answer.report}
    if report["holds"]:
        report |= _write(wish, answer, settings)
    return report


def _check(wish: Wish, data: Data | None) -> None:
    suffix = TARGETS[wish.target]
    if wish.out.suffix.lower() != suffix:
        raise UsageError(f'-o "{wish.out}": the suffix is "{wish.out.suffix}", expected {suffix} for --to {wish.target}; name it so')
    if wish.out.exists() and not wish.is_forced:
        raise UsageError(f"-o {wish.out}: is there already, and nothing is overwritten unasked; name another file, or add --force")
    if wish.quantize and wish.target != "onnx":
        raise UsageError(f"--quantize {wish.quantize} is for ONNX graphs; use it with --to onnx")
    if wish.quantize and data is None:
        raise UsageError(f"--quantize {wish.quantize} changes numbers, and only real rows show what that does; give some with --data FILE")
    if wish.tolerance is not None and not 0 <= wish.tolerance < float("inf"):
        raise UsageError(f"--tolerance must be a number of at least 0, found {wish.tolerance}")


def _check_source(snapshot: Snapshot, settings: Settings) -> None:
    bundle = snapshot.bundle
    if bundle.artifact is None or bundle.manifest.hooks:
        name = "the model file itself" if bundle.artifact is None else bundle.artifact.name
        raise NotConvertible(
            f"{bundle.manifest.name}: hooks have a part in its answers, and no file format holds those; convert {name}, not the bundle"
        )
    if place(snapshot, settings, lambda _: None) is not HERE:
        raise NotConvertible(
            f"{bundle.artifact.name}: needs the scikit-learn that wrote it, and the conversion is made with the one installed here; "
            "serve it with --env, or convert it in an environment of that version"
        )


def _load(snapshot: Snapshot, settings: Settings) -> dict[str, object]:
    bundle, given = snapshot.bundle, snapshot.options
    return {
        "source": str(bundle.root if bundle.is_folder else bundle.artifact),
        "trust": sorted(given.trust),
        "code": [str(path) for path in given.code],
        "architecture": None if given.architecture is None else str(given.architecture),
        "debug": settings.debug,
    }


def _asking(data: Data | None) -> Callable[[Schema], Columns | None]:
    """Return what makes the rows to compare on from the model's schema."""

    def ask(schema: Schema) -> Columns | None:
        if data is None:
            return None
        body, known = (data.body, None) if data.label is None else without(data.body, data.form, data.label)
        columns = read(body, "json" if data.label and data.form == "jsonl" else data.form, schema).columns
        return columns if known is None else Columns({**columns, KNOWN: known})

    return ask


def _write(wish: Wish, answer: Answer, settings: Settings) -> dict[str, object]:
    """Write the file beside its place, look at it as anybody would, and move it there; return what was seen."""
    out = wish.out
    try:
        handle, name = tempfile.mkstemp(prefix=f".{out.stem}-", suffix=out.suffix, dir=out.parent)
        made = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(answer.data)
                file.flush()
                os.fsync(file.fileno())
            seen = formats.inspect(made, options(settings))
            if seen.verdict == "refused" or (seen.plan == "none" and seen.verdict == "loadable"):
                raise LoadError(f"the file that was made would not be loaded ({seen.problem}); keep the one there is")
            made.chmod(0o666 & ~_umask())
            made.replace(out)
        finally:
            made.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"-o {out}: cannot be written ({error.strerror}); name a file in a folder that you may write to") from error
    return {"sha256": seen.sha256, "trust": _trust(seen)}


def _trust(seen: Report) -> list[str]:
    """Return the names that opening the file needs beyond the built-in list."""
    return [item.name for item in seen.globals if item.kind in ("trusted", "unknown")]


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
