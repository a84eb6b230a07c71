"""A worker inside an old model's own environment: its Python, its scikit-learn, and nothing of modelport but the worker core.

Started as ``OLD_PYTHON foreign.py FD`` and written in the syntax of Python 3.6 on the standard library and numpy, like the core
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
import warnings

import numpy as np

# Started with -I, so that the modules beside this file cannot shadow the environment's own; what is needed is taken by its path.
_HERE = os.path.dirname(os.path.abspath(__file__))


def _import_beside(name):
    spec = importlib.util.spec_from_file_location("modelport_" + name, os.path.join(_HERE, name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


core = _import_beside("core")
models = _import_beside("foreign_model")


def _die_with_the_front():
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


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
    _die_with_the_front()
    frame = core.receive(sock)
    if frame is None:
        return
    request = frame[0]
    warnings.showwarning = lambda *_, **__: None  # scikit-learn sets its own filters over ours when it is imported
    try:
        try:
            model = models.Model(_unpickle(request["source"], request["sha256"]))
            model.warm_up()
        except Exception as error:  # noqa: BLE001  # whatever loading raises is told to the front
            core.send(sock, {"kind": "failed", "error": {"code": "load_failed", "message": _say(error)}})
            return
        details = {"environment": _environment(), "is_row_wise": True}
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
