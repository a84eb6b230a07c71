"""Response heads, prepared: everything that does not change from one answer to the next is joined once.

An answer leaves in one ``write``: the head's fixed part, what changes (request id, timing, length), the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from modelport.errors import MethodNotAllowed, ModelportError, Unauthorized, UnsupportedMedia
from modelport.http.request import Request
from modelport.wire.problem import problem

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus if status >= 200}
STATUS_LINES[413] = b"HTTP/1.1 413 Content Too Large\r\n"
STATUS_LINES[414] = b"HTTP/1.1 414 URI Too Long\r\n"
STATUS_LINES[422] = b"HTTP/1.1 422 Unprocessable Content\r\n"
STATUS_LINES[499] = b"HTTP/1.1 499 Client Closed Request\r\n"
# Short times, written out: a look into a dict instead of formatting a float (0.2 µs, four times for each answer).
MILLISECONDS = {us: b"%.3f" % (us / 1e3) for us in range(5000)}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_NOSNIFF = b"x-content-type-options: nosniff\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers. ``fields``: further header lines, each ending in CRLF."""

    status: int
    content_type: bytes
    body: bytes
    fields: bytes = b""


def render(answer: Answer, request: Request, total_s: float) -> bytes:
    """Return the bytes of an answer. ``total_s``: time since the request was complete, for Server-Timing."""
    body = b"" if request.method == b"HEAD" else answer.body
    kind = b"content-type: %b\r\n" % answer.content_type if answer.content_type else b""
    length = b"" if answer.status == 204 else b"content-length: %d\r\n" % len(answer.body)
    return b"%b%b%b%bx-request-id: %b\r\nserver-timing: total;dur=%.3f\r\n%b%b%b" % (
        STATUS_LINES[answer.status],
        kind,
        _NOSNIFF,
        answer.fields,
        request.id,
        total_s * 1e3,
        length,
        request.tail,
        body,
    )


def predict_head(version: str, form: str) -> bytes:
    """Return the template of a model's 200 answers.

    To be filled with: request id, four texts of milliseconds (decode, queue, predict, encode), body length, tail, body.
    """
    fixed = b"".join(
        (STATUS_LINES[200], b"content-type: application/json\r\n", _NOSNIFF, model_fields(version, form)),
    )
    return fixed.replace(b"%", b"%%") + (
        b"x-request-id: %b\r\nserver-timing: decode;dur=%b, queue;dur=%b, predict;dur=%b, encode;dur=%b\r\ncontent-length: %d\r\n%b%b"
    )


def milliseconds(us: int) -> bytes:
    """Write microseconds as milliseconds."""
    return b"%.3f" % (us / 1e3)


def model_fields(version: str, form: str) -> bytes:
    """Return the header lines that say which model version and which arithmetic answered."""
    return b"x-model-version: %b\r\nx-model-form: %b\r\n" % (_printable(version), _printable(form))


def failure(error: ModelportError, fields: bytes = b"") -> Answer:
    """Turn an error into problem+json with the headers that belong to it (Allow, Retry-After, …)."""
    reply = problem(error)
    if error.status in (429, 503):
        fields += b"retry-after: %d\r\n" % max(1, error.retry_after_s or 1)
    if isinstance(error, MethodNotAllowed):
        fields += b"allow: %b\r\n" % ", ".join(error.allow).encode("ascii")
    if isinstance(error, Unauthorized):
        fields += b"www-authenticate: Bearer\r\n"
    if isinstance(error, UnsupportedMedia):
        fields += b"accept-encoding: gzip, deflate\r\n"
    return Answer(reply.status, reply.content_type.encode("ascii"), reply.body, fields)


def _printable(text: str) -> bytes:
    return "".join(char if " " < char < "\x7f" else "-" for char in text).encode("ascii")
