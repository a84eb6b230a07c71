"""A worker process: open the bundle, load the model, answer a first real prediction, then batches until the front closes.

Started as ``python -m modelport.engine.worker FD``, or by ``confined`` within its sandbox; FD is the inherited end of a socket
pair. Everything else it needs to know arrives as the first frame.
"""

from __future__ import annotations

import gc
import mmap
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np

from modelport.bundle.compiling import adopt, compile_model, formed
from modelport.bundle.folder import Bundle, open_bundle
from modelport.bundle.model import Model, load_model
from modelport.columns import Array, Columns
from modelport.engine import core, kernel, sandbox
from modelport.engine.rehearsal import rehearse
from modelport.engine.sandbox import Level
from modelport.errors import LoadError, ModelError, ModelportError, SandboxMissing, public_reason
from modelport.formats.base import Options, Predictor
from modelport.formats.lowering.draft import NotLowered
from modelport.forms.program.form import Form, dump, load


def main(fd: int, level: Level) -> None:
    """Run until the front closes the connection. ``level``: of the sandbox that this process is in."""
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)
    _leave_signals()
    try:
        frame = core.receive(sock)
        if frame is not None:
            _work(sock, frame[0], level)
    except (OSError, core.FrameError):
        return  # the front is gone; there is nobody left to tell


def _work(sock: socket.socket, request: Mapping[str, object], level: Level) -> None:
    is_debug = bool(request.get("debug"))
    try:
        if request.get("sandbox") == "require" and not level.is_whole:
            raise SandboxMissing(f"--sandbox require: this system cannot hold a worker ({level}); use a newer kernel, or --sandbox auto")
        model, whole = _load(request)
        details = {"is_row_wise": model.is_row_wise, "sandbox": str(level), **model.details}
        ready: dict[str, object] = {"kind": "ready", "schema": model.schema.to_dict(), "form": model.form, "details": details}
        compiled = None if whole is None else _compile(whole, ready)
        core.encode(ready)
    except Exception as error:  # noqa: BLE001  # whatever loading raises is told to the front, which reports it
        if is_debug:
            traceback.print_exc()
        core.send(sock, {"kind": "failed", "error": _describe(error, LoadError, "loading failed")})
        return
    _give_back_memory()
    core.send(sock, ready, compiled)

    def predict(columns: Mapping[str, Array], outputs: list[str] | None, params: object) -> Columns:
        del params
        return _predict(model, Columns(columns), outputs)

    def describe(error: Exception) -> dict[str, str]:
        if is_debug:
            traceback.print_exception(error)
        return _describe(error, ModelError, "the model failed on this input")

    core.run(sock, predict, describe)


def _load(request: Mapping[str, object]) -> tuple[Model, Model | None]:
    """Return what answers, and the original where the front is to be given the form of it."""
    is_probe = bool(request.get("is_probe"))
    sandbox.limit_memory()
    bundle = open_bundle(Path(cast("str", request["source"])))
    model, whole = _model(request, bundle)
    started_s = time.monotonic()
    _warm_up(model)
    if is_probe:
        rehearse(model, time.monotonic() - started_s, is_own_code=bool(bundle.manifest.hooks))
    sandbox.lift_memory_limit()
    return model, whole


def _compile(model: Model, ready: dict[str, object]) -> dict[str, Array] | None:
    """Return the model's proven form as the bytes of a column, or note in ``ready`` why there is none."""
    try:
        return {"form": np.frombuffer(dump(compile_model(model)), np.uint8)}
    except NotLowered as reason:
        ready["no_form"] = str(reason)
        return None


def _model(request: Mapping[str, object], bundle: Bundle) -> tuple[Model, Model | None]:
    def original(instead: Predictor | None = None) -> Model:
        return load_model(bundle, _options(request), is_checked=bool(request.get("is_snapshot")), instead=instead)

    threads = cast("int | None", request.get("threads"))
    if request.get("is_probe"):
        whole = original()
        return whole, whole if request.get("compile") else None
    if request.get("form"):
        try:
            return formed(_form(request), original, threads), None
        except LoadError:  # it no longer holds: the model is there to make another, for this worker and for the next start
            whole = original()
            return adopt(whole, threads), whole
    return adopt(original(), threads) if request.get("adopt") else original(), None


def _form(request: Mapping[str, object]) -> Form:
    """Map the form's file, which all workers do, so that its large arrays are in memory once."""
    with Path(cast("str", request["form"])).open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return load(mapped[cast("int", request["form_at"]) :])


def _predict(model: Model, rows: Columns, outputs: list[str] | None) -> Columns:
    answer = model.predict(rows, outputs)
    if answer.rows != rows.rows:
        raise ModelError(f"the model answered {answer.rows} rows for {rows.rows}; it must answer one row for each row it is given")
    return answer


def _leave_signals() -> None:
    """Leave Ctrl-C and SIGTERM to the front, which drains before its workers end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _give_back_memory() -> None:
    """Return to the system what loading used and freed; glibc would keep it (10 MB of 155 with the sentiment example)."""
    gc.collect()
    kernel.trim()


def _options(request: Mapping[str, object]) -> Options:
    architecture = request.get("architecture")
    return Options(
        trust=frozenset(cast("list[str]", request.get("trust") or [])),
        code=tuple(Path(path) for path in cast("list[str]", request.get("code") or [])),
        architecture=Path(cast("str", architecture)) if architecture else None,
        threads=cast("int | None", request.get("threads")),
    )


def _warm_up(model: Model) -> None:
    """Predict a row of plausible values: readiness means that a real prediction succeeded.

    Raises: LoadError with the first failure if the model takes none of them.
    """
    first = ""
    for rows in model.warm_up:
        try:
            core.encode({}, _predict(model, rows, None))  # an answer that cannot travel is found here, not by the first caller
        except Exception as error:  # noqa: BLE001  # whatever it raises: the next rows may suit the model
            first = first or _describe(error, ModelError, "the model failed")["message"]
        else:
            return
    raise LoadError(
        f"the model was loaded, but its warm-up prediction failed ({first}); write a bundle with `modelport init` and give it rows "
        "that it takes under [sample] in model.toml"
    )


def _describe(error: Exception, otherwise: type[ModelportError], what: str) -> dict[str, str]:
    if isinstance(error, ModelportError):
        return {"code": error.code, "message": error.message}
    return {"code": otherwise.code, "message": f"{what}: {public_reason(error)}"}


if __name__ == "__main__":
    kernel.die_with_parent()
    main(int(sys.argv[1]), sandbox.OFF)
