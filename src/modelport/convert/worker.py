"""The process that converts: it loads the model in its sandbox, is given an order and rows, answers with a report and a file, and ends.

Started as ``python -m modelport.convert.worker FD``, or by ``confined`` within its sandbox; FD is the inherited end of a socket
pair. It is never used for anything else, so whatever a model file does to it is gone with it.
"""

from __future__ import annotations

import signal
import socket
import sys
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from modelport.bundle.folder import open_bundle
from modelport.bundle.model import load_model
from modelport.columns import Columns
from modelport.convert.order import Order
from modelport.convert.work import work
from modelport.engine import core, kernel, sandbox
from modelport.engine.sandbox import Level
from modelport.errors import LoadError, ModelportError, SandboxMissing, public_reason
from modelport.formats.base import Options


def main(fd: int, level: Level) -> None:
    """Convert one model and end. ``level``: of the sandbox that this process is in."""
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this, who then closes the socket
    try:
        frame = core.receive(sock)
        if frame is not None:
            _work(sock, frame[0], level)
    except (OSError, core.FrameError):
        return  # the other side is gone; there is nobody left to tell


def _work(sock: socket.socket, request: Mapping[str, object], level: Level) -> None:
    try:
        if request.get("sandbox") == "require" and not level.is_whole:
            raise SandboxMissing(f"--sandbox require: this system cannot hold a worker ({level}); use a newer kernel, or --sandbox auto")
        sandbox.limit_memory()
        bundle = open_bundle(Path(cast("str", request["source"])))
        options = _options(request)
        if bundle.manifest.artifact is not None:
            options = replace(options, trust=options.trust | frozenset(bundle.manifest.artifact.trust))
        model = load_model(bundle, options, is_checked=True)
        core.send(sock, {"kind": "ready", "schema": model.schema.to_dict(), "sandbox": str(level)})
        if (frame := core.receive(sock)) is None:
            return
        header, arrays = frame
        made = work(bundle, model, options, Order.from_dict(header["order"]), Columns(arrays) if arrays else None)
        core.send(sock, {"kind": "made", "report": made.report}, {"file": np.frombuffer(made.data, np.uint8)})
    except Exception as error:  # noqa: BLE001  # whatever loading or converting raises is told to whoever waits
        if request.get("debug"):
            traceback.print_exc()
        core.send(sock, {"kind": "failed", "error": _described(error)})


def _options(request: Mapping[str, object]) -> Options:
    architecture = request.get("architecture")
    return Options(
        trust=frozenset(cast("list[str]", request["trust"])),
        code=tuple(Path(path) for path in cast("list[str]", request["code"])),
        architecture=Path(cast("str", architecture)) if architecture else None,
        threads=1,
    )


def _described(error: Exception) -> dict[str, str]:
    if isinstance(error, ModelportError):
        return {"code": error.code, "message": error.message}
    return {"code": LoadError.code, "message": f"converting the model failed: {public_reason(error)}"}


if __name__ == "__main__":
    kernel.die_with_parent()
    main(int(sys.argv[1]), sandbox.OFF)
