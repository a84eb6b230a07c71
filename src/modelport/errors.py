"""The one tree of errors: what can go wrong, what clients and shells are told about it.

A request's way, with the error that belongs to each arrow::

    bytes --http--> body --wire.decode--> Columns --engine.admit--> queue --worker--> Columns --wire.encode--> bytes
          BadRequest      DecodeError            Overloaded     DeadlineExceeded
          TooLarge        SchemaError            NotReady       WorkerDied
          Unauthorized    UnsupportedMedia       Draining       ModelError

A file's way::

    path --identify--> format --inspect--> verdict --load--> Predictor
         UnreadableFile        NeedsTrust           MissingExtra
                               RefusedFile          LoadError

Every class has a stable ``code``, the HTTP ``status`` it becomes, whether a client may send the same request again
(``retryable``) and the ``exit_code`` of a command that ends with it. The message is one sentence that says what was found,
what was expected, where, and what to do. It is shown to clients, so it holds no path, no module name and no traceback
(errors of a file's way are for the person at the terminal and may name the file).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request, and where.

    ``path`` is a JSON Pointer (RFC 6901) into the request body, or "" for the whole of it.
    """

    path: str
    code: str
    message: str


class ModelportError(Exception):
    """Anything modelport itself reports. Catch this one to catch them all."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, faults: tuple[Fault, ...] = (), retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.faults = faults
        self.retry_after_s = retry_after_s


# --- a request's way ------------------------------------------------------------------------------------------------


class BadRequest(ModelportError):
    """The HTTP message itself is malformed."""

    code = "bad_request"
    status = 400


class DecodeError(ModelportError):
    """The body is not what its content type says: invalid JSON, invalid UTF-8."""

    code = "bad_json"
    status = 400


class Unauthorized(ModelportError):
    """The API key is missing or wrong."""

    code = "unauthorized"
    status = 401


class NotFound(ModelportError):
    """No such path, model or version."""

    code = "not_found"
    status = 404


class MethodNotAllowed(ModelportError):
    """The path exists, but not for this method."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, message: str, *, allow: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeout(ModelportError):
    """The client stopped sending before its request was complete."""

    code = "request_timeout"
    status = 408
    retryable = True


class TooLarge(ModelportError):
    """The body, or the number of rows in it, is over the limit."""

    code = "too_large"
    status = 413


class UriTooLong(ModelportError):
    """The request target is longer than the limit."""

    code = "uri_too_long"
    status = 414


class UnsupportedMedia(ModelportError):
    """The content type or content encoding is not one that this path takes."""

    code = "unsupported_media_type"
    status = 415


class SchemaError(ModelportError):
    """Valid JSON that does not fit the model's schema; ``faults`` lists every fault with its path."""

    code = "schema_mismatch"
    status = 422


class HeadersTooLarge(ModelportError):
    """More header bytes or fields than the limit."""

    code = "headers_too_large"
    status = 431


class Overloaded(ModelportError):
    """The queue is full; refused at once instead of after a timeout."""

    code = "overloaded"
    status = 429
    retryable = True


class NotReady(ModelportError):
    """The model is still loading, or its workers cannot be kept alive."""

    code = "not_ready"
    status = 503
    retryable = True


class Draining(ModelportError):
    """The server is shutting down and takes no new work."""

    code = "draining"
    status = 503
    retryable = True


class WorkerDied(ModelportError):
    """The worker process died computing this request, again when it was redone alone."""

    code = "worker_died"
    status = 500


class DeadlineExceeded(ModelportError):
    """The request was not answered within its time limit."""

    code = "deadline_exceeded"
    status = 504
    retryable = True


class Cancelled(ModelportError):
    """The caller left before its answer was ready; nobody sees this but the log."""

    code = "cancelled"
    status = 499


class ModelError(ModelportError):
    """The model, or a hook around it, failed on this input."""

    code = "model_error"
    status = 500


# --- a file's way ---------------------------------------------------------------------------------------------------


class UsageError(ModelportError):
    """The command or a setting was given something it does not take."""

    code = "usage"
    exit_code = 2


class UnreadableFile(ModelportError):
    """The file is missing, damaged, or of no kind that modelport knows."""

    code = "unreadable_file"
    exit_code = 2


class ManifestError(ModelportError):
    """A bundle's ``model.toml`` does not say what it must, or says what it must not."""

    code = "bad_manifest"
    exit_code = 2


class MissingExtra(ModelportError):
    """A library that this file needs is not installed; the message names the extra that brings it."""

    code = "missing_extra"
    exit_code = 2


class NeedsTrust(ModelportError):
    """The file names code that is not on the allow-list; the message names it and the cure."""

    code = "needs_trust"
    exit_code = 3


class RefusedFile(ModelportError):
    """The file does what no benign model file does; nothing makes modelport load it."""

    code = "refused_file"
    exit_code = 3


class NotConvertible(ModelportError):
    """The model has a step that the format to convert it to cannot express; the message names it."""

    code = "not_convertible"
    exit_code = 3


class TargetRefused(ModelportError):
    """A registry, cloud or cluster did not do what it was asked; the message holds its own words and what to do."""

    code = "target_refused"
    exit_code = 4


class SandboxMissing(ModelportError):
    """A sandbox was required for the workers, and this system cannot give it; the message names what it lacks."""

    code = "no_sandbox"
    exit_code = 3


class LoadError(ModelportError):
    """The file was allowed, but building a predictor from it failed."""

    code = "load_failed"
    exit_code = 1


# Several segments anywhere, or an absolute path of one; "m/s" and "3 / 4" are neither.
_PATH_LIKE = re.compile(r"(?:[A-Za-z]:)?(?:[\\/][\w.@+~ -]+){2,}[\\/]?|(?<![\w)\]])(?:~|[A-Za-z]:)?[\\/][\w.@+~-]+[\\/]?")
# Only libraries that models come from: a dotted word may as well be a column's name.
_MODULE_LIKE = re.compile(
    r"\b(?:sklearn|numpy|scipy|pandas|joblib|keras|tensorflow|torch|onnxruntime|modelport|builtins)\.(?:\w+\.)*(?=\w)"
)
_LIMIT_REASON_CHARS = 300


def public_text(text: str) -> str:
    """Return the first line of a foreign message, fit for clients: no paths, no modules of libraries, at most 300 characters."""
    lines = text.strip().splitlines()
    first = _MODULE_LIKE.sub("", _PATH_LIKE.sub("<path>", lines[0] if lines else ""))
    return first if len(first) <= _LIMIT_REASON_CHARS else first[: _LIMIT_REASON_CHARS - 1] + "…"


def public_reason(error: BaseException) -> str:
    """Say what a foreign exception says, fit for clients: its class, and its first line as ``public_text`` shows it."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001  # somebody else's __str__
        said = ""
    return public_text(f"{type(error).__name__}: {said}" if said.strip() else type(error).__name__)
