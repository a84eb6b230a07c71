"""The hot path: one request to one prediction, without a task, a coroutine or a branch on protocol, model or format.

    body -> codec.decode -> engine.submit … (the loop turns) … done -> codec.encode -> one write

What is the same for every request of a model (codec, response head) is built when the engine becomes ready.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from time import perf_counter

import structlog

from modelport.columns import Columns
from modelport.engine.batcher import Ticket
from modelport.engine.engine import Engine
from modelport.errors import BadRequest, ModelportError, NotReady
from modelport.http.body import decompress
from modelport.http.heads import MILLISECONDS, failure, milliseconds, model_fields, predict_head, render
from modelport.http.limits import HttpLimits
from modelport.http.request import Request
from modelport.schema import Schema
from modelport.telemetry.metrics import Tally
from modelport.wire.base import Call, Codec, Limits
from modelport.wire.native import codec

_log = structlog.get_logger(__name__)
_TIMEOUT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(ms|s|)")


class Predictions:
    """Answers the predictions of one engine."""

    __slots__ = ("_clock", "_codec", "_engine", "_fields", "_form", "_head", "_limits", "_loop", "_schema", "_tally")

    def __init__(self, engine: Engine, limits: HttpLimits, tally: Tally, clock: Callable[[], float] = perf_counter) -> None:
        self._engine = engine
        self._limits = limits
        self._tally = tally
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._codec: Codec | None = None
        self._schema: Schema | None = None
        self._form = ""
        self._fields = model_fields(engine.version, "none")
        self._head = b""

    def start(self, request: Request) -> None:
        """Decode a request and queue it; its answer follows. A refusal is answered at once."""
        began_s = self._clock()
        try:
            self._start(request, began_s)
        except ModelportError as error:
            self.fail(request, error, began_s)
        except Exception:  # noqa: BLE001  # one broken request must not take the server with it
            _log.exception("decoding a request failed", request=request.id.decode(), model=self._engine.name)
            self.fail(request, ModelportError("the request could not be read; the server's log says why"), began_s)

    def _start(self, request: Request, began_s: float) -> None:
        engine = self._engine
        if engine.schema is not self._schema or engine.form is not self._form:
            self._bind()
        if self._codec is None or self._loop is None:
            raise NotReady(f'the model "{engine.name}" is not ready; try again shortly', retry_after_s=1)
        headers = request.headers
        body = request.body
        if b"content-encoding" in headers:
            body = decompress(body, headers[b"content-encoding"], self._limits.body_bytes)
        kind = headers.get(b"content-type")
        timeout_s = self._limits.timeout_s
        if b"x-request-timeout" in headers:
            timeout_s = min(timeout_s, _seconds(headers[b"x-request-timeout"]))
        call = self._codec.decode(body, None if kind is None else kind.decode("latin-1"))
        prediction = Prediction(self, request, call, began_s)
        ticket = Ticket(call.columns, call.outputs, call.params, self._loop.time() + timeout_s, prediction.done)
        prediction.ticket = ticket
        prediction.decoded_s = self._clock()
        engine.submit(ticket)
        request.work = prediction
        self._tally.in_flight += 1

    def finish(self, prediction: Prediction, ticket: Ticket, result: Columns) -> None:
        """Encode an answer, count it and send it."""
        clock = self._clock
        request, tally = prediction.request, self._tally
        encoding_s = clock()
        assert self._codec is not None  # noqa: S101  # what was decoded here has a codec
        body = self._codec.encode(result, prediction.call)
        ended_s = clock()
        decode_us = int((prediction.decoded_s - prediction.began_s) * 1e6 + 0.5)
        queue_us = int(ticket.queued_s * 1e6 + 0.5)
        predict_us = int(ticket.predict_s * 1e6 + 0.5)
        encode_us = int((ended_s - encoding_s) * 1e6 + 0.5)
        known = MILLISECONDS.get
        head = self._head if ticket.form is None else predict_head(self._engine.version, ticket.form)
        payload = head % (
            request.id,
            known(decode_us) or milliseconds(decode_us),
            known(queue_us) or milliseconds(queue_us),
            known(predict_us) or milliseconds(predict_us),
            known(encode_us) or milliseconds(encode_us),
            len(body),
            request.tail,
            body,
        )
        tally.predicted(decode_us, queue_us, predict_us, encode_us, int((ended_s - prediction.began_s) * 1e6 + 0.5))
        request.sink.answer(request, payload)

    def fail(self, request: Request, error: ModelportError, began_s: float) -> None:
        """Answer an error, count it, and log it if it is the server's."""
        total_s = self._clock() - began_s
        self._tally.count(error.status, error.code)
        self._tally.total.add(int(total_s * 1e6 + 0.5))
        if error.status >= 500 and not error.retryable:
            _log.error("a prediction failed", request=request.id.decode(), model=self._engine.name, code=error.code, detail=error.message)
        request.sink.answer(request, render(failure(error, self._fields), request, total_s))

    def ended(self, *, is_cancelled: bool) -> None:
        """One prediction less in flight."""
        self._tally.in_flight -= 1
        if is_cancelled:
            self._tally.cancelled += 1

    def cancel(self, ticket: Ticket) -> None:
        """Tell the engine that nobody waits."""
        self._engine.cancel(ticket)

    def elapsed_s(self, since_s: float) -> float:
        """Seconds since a moment of this clock."""
        return self._clock() - since_s

    def _bind(self) -> None:
        engine = self._engine
        if not engine.is_ready:
            return
        self._loop = asyncio.get_running_loop()
        self._codec = codec(engine.schema, Limits(rows=self._limits.rows))
        self._schema, self._form = engine.schema, engine.form
        self._fields = model_fields(engine.version, engine.form)
        self._head = predict_head(engine.version, engine.form)


class Prediction:
    """One prediction in flight."""

    __slots__ = ("_owner", "began_s", "call", "decoded_s", "request", "ticket")

    def __init__(self, owner: Predictions, request: Request, call: Call, began_s: float) -> None:
        self._owner = owner
        self.request = request
        self.call = call
        self.began_s = began_s
        self.decoded_s = began_s
        self.ticket: Ticket | None = None

    def done(self, ticket: Ticket) -> None:
        """Answer; called by the engine, once."""
        owner, request = self._owner, self.request
        request.work = self.ticket = None  # the ticket holds this object: a cycle would be the garbage collector's work
        owner.ended(is_cancelled=False)
        if ticket.result is None:
            owner.fail(request, ticket.error or ModelportError("the prediction ended without an answer"), self.began_s)
            return
        try:
            owner.finish(self, ticket, ticket.result)
        except ModelportError as error:
            owner.fail(request, error, self.began_s)
        except Exception:  # noqa: BLE001  # one broken request must not take the server with it
            _log.exception("encoding an answer failed", request=request.id.decode())
            owner.fail(request, ModelportError("the answer could not be written; the server's log says why"), self.began_s)

    def cancel(self) -> None:
        """Forget it: the caller left."""
        if self.ticket is not None:
            self._owner.cancel(self.ticket)
            self._owner.ended(is_cancelled=True)


def _seconds(value: bytes) -> float:
    """Read ``x-request-timeout``: "50ms", "2s", or seconds. Raises: BadRequest."""
    found = _TIMEOUT.fullmatch(value.decode("latin-1").strip())
    amount = float(found[1]) if found else 0.0
    if not found or amount <= 0:
        raise BadRequest('the header x-request-timeout is not a time above zero; write it as "50ms", "2s" or "1.5"')
    return amount / 1e3 if found[2] == "ms" else amount
