"""An error as the client sees it: application/problem+json (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

import orjson

from modelport.errors import (
    LoadError,
    ManifestError,
    MissingExtra,
    ModelportError,
    NeedsTrust,
    RefusedFile,
    UnreadableFile,
    UsageError,
)
from modelport.wire.base import Reply

CONTENT_TYPE = "application/problem+json"

# These speak to the person at the terminal and may name files of the server's.
_PRIVATE = (UsageError, UnreadableFile, ManifestError, MissingExtra, NeedsTrust, RefusedFile, LoadError)
_TITLES = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}


def problem(error: ModelportError, *, instance: str | None = None) -> Reply:
    """Render an error as a problem document: type, title, status, detail, code, retryable and every fault with its path.

    ``instance`` identifies this occurrence, usually the request's id. The type is ``about:blank``, so the title is the
    status phrase; programs tell errors apart by ``code``. Source: RFC 9457, section 3 and 4.2.1.
    """
    detail, code = error.message, error.code
    if isinstance(error, _PRIVATE):
        detail, code = "the server cannot answer this request; its log says why", ModelportError.code
    document: dict[str, object] = {
        "type": "about:blank",
        "title": _TITLES.get(error.status, "Error"),
        "status": error.status,
        "detail": _clean(detail),
        "code": code,
        "retryable": error.retryable,
        "faults": [{"path": _clean(item.path), "code": item.code, "message": _clean(item.message)} for item in error.faults],
    }
    if instance is not None:
        document["instance"] = _clean(instance)
    return Reply(error.status, CONTENT_TYPE, orjson.dumps(document))


def _clean(text: str) -> str:
    # A lone surrogate has no UTF-8 form: it would turn the answer into an error of its own.
    return text.encode("utf-8", "replace").decode()
