"""Sessions of ONNX Runtime: how they are opened, and what they raise.

They use one thread unless told otherwise (workers are processes), do not spin while idle, and take memory as they need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelport.columns import Array
from modelport.errors import LoadError

if TYPE_CHECKING:
    import onnxruntime


def open_session(model: bytes, *, threads: int | None, given: Mapping[str, Array] | None = None) -> onnxruntime.InferenceSession:
    """Return a session for the bytes of a model file; ``given`` are the tensors that the file declares and does not hold.

    ONNX Runtime copies the given arrays (its documentation of AddExternalInitializers), so they need not outlive the call.

    Raises: LoadError if ONNX Runtime does not take the model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False  # keeps a plan for every batch size it has seen
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if given:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in given.values()]
        options.add_external_initializers(list(given), values)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except failures() as error:
        raise LoadError(f"ONNX Runtime {onnxruntime.__version__} does not take the graph ({sentence(error)}); export it again") from error


def failures() -> tuple[type[Exception], ...]:
    """Return the exception classes that ONNX Runtime raises, which have no common one of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NotImplemented",
        "RuntimeException",
        "EPFail",
        "NoSuchFile",
        "NoModel",
    )
    own = tuple(getattr(state, name) for name in names if hasattr(state, name))
    return (*own, RuntimeError, ValueError, TypeError)


def sentence(error: BaseException) -> str:
    """Return the first line of a runtime's message without its own prefixes."""
    return str(error).rsplit("Status Message: ", 1)[-1].split("\n", 1)[0].strip().rstrip(".")[:200]
