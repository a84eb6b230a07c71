"""A worker inside an old model's own environment: its Python, its scikit-learn, and nothing of modelport but the worker core.

Started by the launcher as ``OLD_PYTHON -I foreign.py FD LEVEL FILTER`` (how far the sandbox holds, as JSON, and its last filter, in
hexadecimal digits) and written in the syntax of Python 3.6 on the standard library and numpy, like the core
that stands beside it. The front has read the file statically before and found only listed names in it; the bytes are hashed here
again and loaded from memory, so that what was checked is what is loaded.
"""

import hashlib
import importlib
import importlib.util
import io
import json
import os
import signal
import socket
import sys
import time
import warnings

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_REHEARSED_ROWS = 64
_LARGE = 1e30


def _deny_programs(code):
    """Put on the filter that ends what the launcher had to leave open. Returns what stands in the way, "" for nothing."""
    try:
        import ctypes
    except ImportError:
        return "this Python has no ctypes"

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("lines", ctypes.c_void_p)]

    lines = ctypes.create_string_buffer(code, len(code))
    given = Filter(len(code) // 8, ctypes.addressof(lines))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(given), 0, 0):
        return os.strerror(ctypes.get_errno())
    return ""


def _level():
    """Finish the sandbox. Returns (whether it is whole, what holds in words)."""
    level = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {"landlock": 0, "seccomp": False, "missing": "switched off"}
    missing = level["missing"]
    if level["seccomp"]:
        reason = _deny_programs(bytes.fromhex(sys.argv[3]))
        if reason:
            level["seccomp"] = False
            missing = "; ".join(filter(None, [missing, "programs are not denied by seccomp: " + reason]))
    parts = (["landlock%d" % level["landlock"]] if level["landlock"] else []) + (["seccomp"] if level["seccomp"] else [])
    return len(parts) == 2, ("+".join(parts) or "none") + (" (%s)" % missing if missing else "")


IS_WHOLE, LEVEL = _level()

import numpy as np  # noqa: E402  # its threads start with its import, and have to be inside

# Started with -I, so that the modules beside this file cannot shadow the environment's own; what is needed is taken by its path.
_HERE = os.path.dirname(os.path.abspath(__file__))


def _import_beside(name):
    spec = importlib.util.spec_from_file_location("modelport_" + name, os.path.join(_HERE, name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


core = _import_beside("core")
models = _import_beside("foreign_model")


def _unpickle(path, sha256):
    with open(path, "rb") as file:
        data = file.read()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise models.Unfit("the file changed while it was being loaded; start again")
    failure = None
    for joblib in _joblibs():
        # These very bytes were walked by the front, which found only names that are listed or trusted (see _unpickle's digest).
        # A file of scikit-learn's own copy of joblib is nonsense to joblib itself, and the other way round.
        try:
            found = joblib.load(io.BytesIO(data))
        except Exception as error:  # noqa: BLE001  # the other one may read it
            failure = failure or error
            continue
        if hasattr(found, "predict") or hasattr(found, "transform"):
            return found
        failure = failure or models.Unfit("the file holds a %s; an estimator with predict or transform was expected" % type(found).__name__)
    raise failure


def _joblibs():
    found = []
    for name in ("sklearn.externals.joblib", "joblib"):
        try:
            found.append(importlib.import_module(name))
        except ImportError:
            continue
    return found


def _rehearse(model, warm_up_s):
    """Predict odd rows where nothing is lost by it, as modelport's own workers do: what crashes or hangs ends this process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    signal.setitimer(signal.ITIMER_REAL, 10 + 50 * warm_up_s)
    noise = np.random.RandomState(0).normal(0, 3, (_REHEARSED_ROWS, max(len(model.numbers), 1)))
    for block in [noise[:1], noise] + [np.full_like(noise[:2], value) for value in (_LARGE, -_LARGE, -1.0, np.nan)]:
        try:
            model.predict(model.columns(block), None, None)
        except MemoryError as error:
            raise models.Unfit("there is not enough memory to predict %d rows; use a machine with more" % len(block)) from error
        except Exception:  # noqa: BLE001, S112  # a model may refuse a value in any way it likes, as long as it comes back
            continue
    signal.setitimer(signal.ITIMER_REAL, 0)


def _lift_memory_limit():
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    except (ImportError, ValueError):  # no such limit on this system
        return


def _environment():
    import sklearn

    return "Python %d.%d.%d, scikit-learn %s, numpy %s" % (sys.version_info[:3] + (sklearn.__version__, np.__version__))


def _say(error):
    lines = str(error).strip().splitlines()
    words = [word if word.count("/") < 2 else "<path>" for word in (lines[0] if lines else "").split(" ")]
    text = " ".join(words)[:300]
    return text if isinstance(error, models.Unfit) else "%s: %s" % (type(error).__name__, text)


def main():
    """Serve batches until the front closes the connection."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    frame = core.receive(sock)
    if frame is None:
        return
    request = frame[0]
    warnings.showwarning = lambda *_, **__: None  # scikit-learn sets its own filters over ours when it is imported
    try:
        if request.get("sandbox") == "require" and not IS_WHOLE:
            says = "--sandbox require: this system cannot hold a worker (%s); use a newer kernel, or --sandbox auto" % LEVEL
            core.send(sock, {"kind": "failed", "error": {"code": "no_sandbox", "message": says}})
            return
        try:
            model = models.Model(_unpickle(request["source"], request["sha256"]))
            started = time.time()
            model.warm_up()
            if request.get("is_probe"):
                _rehearse(model, time.time() - started)
            _lift_memory_limit()
        except Exception as error:  # noqa: BLE001  # whatever loading raises is told to the front
            core.send(sock, {"kind": "failed", "error": {"code": "load_failed", "message": _say(error)}})
            return
        details = {"environment": _environment(), "is_row_wise": True, "sandbox": LEVEL}
        core.send(sock, {"kind": "ready", "schema": model.schema, "form": "environment", "details": details})
        core.run(sock, model.predict, lambda error: {"code": "model_error", "message": "the model failed on this input: " + _say(error)})
    except (OSError, core.FrameError):
        return  # the front is gone; there is nobody left to tell


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1] == "--facts":
        import sklearn

        print(json.dumps({"python": list(sys.version_info[:3]), "scikit-learn": sklearn.__version__}))  # noqa: T201  # asked for
    else:
        main()
