"""The hot path: one request to one prediction, without a task, a coroutine or a branch on protocol, model or format.

    body -> codec.decode -> engine.submit … (the loop turns) … answer_batch -> codec.encode_batch -> one write each

What is the same for every request of a model (codec, response head) is built when the engine becomes ready.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import cast

import structlog

from modelport.columns import Columns
from modelport.engine.batcher import Batch, Ticket
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
_JSON = b"application/json"
_LOOKED_AT = frozenset((b"content-encoding", b"x-request-timeout"))
_TIMEOUT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(ms|s|)")


class Predictions:
    """Answers the predictions of one engine."""

    __slots__ = ("_clock", "_codec", "_done", "_engine", "_fields", "_form", "_head", "_limits", "_loop", "_schema", "_tally")

    def __init__(self, engine: Engine, limits: HttpLimits, tally: Tally, clock: Callable[[], float] = perf_counter) -> None:
        self._engine = engine
        self._limits = limits
        self._tally = tally
        self._clock = clock
        self._done = self.done  # bound once, not for each request
        self._loop: asyncio.AbstractEventLoop | None = None
        self._codec: Codec | None = None
        self._schema: Schema | None = None
        self._form = ""
        self._fields = model_fields(engine.version, "none")
        self._head = b""

    def prepare(self, headers: Mapping[bytes, bytes]) -> Callable[[Request], None] | None:
        """Return what starts a request with these headers, if they say nothing but JSON, without coding or time limit of its own."""
        is_plain = _LOOKED_AT.isdisjoint(headers) and headers.get(b"content-type", _JSON) == _JSON
        return self.start if is_plain else None

    def start(self, request: Request) -> None:
        """Decode a request and queue it; its answer follows. A refusal is answered at once."""
        began_s = self._clock()
        engine = self._engine
        try:
            if engine.schema is not self._schema or engine.form is not self._form:
                self._bind()
            codec, loop = self._codec, self._loop
            if codec is None or loop is None:
                raise NotReady(f'the model "{engine.name}" is not ready; try again shortly', retry_after_s=1)
            head = request.head
            if head is not None and head.start is not None:  # it is plain JSON, as ``prepare`` saw
                call, timeout_s = codec.decode(request.body, None), self._limits.timeout_s
            else:
                call, timeout_s = self._read(request, codec)
            decoded_s, now_s = self._clock(), loop.time()
            prediction = Prediction(
                *(call.columns, call.outputs, call.params, now_s + timeout_s, self._done, self),
                owner=self,
                request=request,
                call=call,
                began_s=began_s,
                decoded_s=decoded_s,
            )
            engine.submit(prediction, now_s)
        except ModelportError as error:
            self.fail(request, error, began_s)
        except Exception:  # noqa: BLE001  # one broken request must not take the server with it
            _log.exception("decoding a request failed", request=request.id.decode(), model=engine.name)
            self.fail(request, ModelportError("the request could not be read; the server's log says why"), began_s)
        else:
            request.work = prediction
            self._tally.in_flight += 1

    def _read(self, request: Request, codec: Codec) -> tuple[Call, float]:
        """Decode a request as its headers say. Returns also its time limit."""
        headers, body = request.headers, request.body
        if b"content-encoding" in headers:
            body = decompress(body, headers[b"content-encoding"], self._limits.body_bytes)
        timeout_s = self._limits.timeout_s
        if b"x-request-timeout" in headers:
            timeout_s = min(timeout_s, _seconds(headers[b"x-request-timeout"]))
        kind = headers.get(b"content-type")
        return codec.decode(body, None if kind is None else kind.decode("latin-1")), timeout_s

    # --- what the engine calls --------------------------------------------------------------------------------------

    def answer_batch(self, batch: Batch, answer: Columns) -> None:
        """Answer every request of a batch. Raises: what writing the answers raises, before any is sent."""
        tickets = cast("list[Prediction]", batch.tickets)
        payloads = self._payloads(tickets, answer, batch.started_s, batch.predict_s)
        tally = self._tally
        for ticket, payload in zip(tickets, payloads, strict=True):
            ticket.is_open = False
            tally.in_flight -= 1
            request = ticket.request
            request.work = None
            request.sink.answer(request, payload)

    def done(self, ticket: Ticket) -> None:
        """Answer one request."""
        assert isinstance(ticket, Prediction)  # noqa: S101  # no other ticket is told to this method
        request = ticket.request
        request.work = None  # it holds the request: a cycle would be the garbage collector's work
        self._tally.in_flight -= 1
        try:
            if ticket.result is None:
                raise ticket.error or ModelportError("the prediction ended without an answer")
            (payload,) = self._payloads([ticket], ticket.result, ticket.submitted_s + ticket.queued_s, ticket.predict_s)
        except ModelportError as error:
            self.fail(request, error, ticket.began_s)
        except Exception:  # noqa: BLE001  # one broken request must not take the server with it
            _log.exception("encoding an answer failed", request=request.id.decode())
            self.fail(request, ModelportError("the answer could not be written; the server's log says why"), ticket.began_s)
        else:
            request.sink.answer(request, payload)

    def _payloads(self, tickets: list[Prediction], result: Columns, started_s: float, predict_s: float) -> list[bytes]:
        """Encode the rows of each request, write them into answers, and count those."""
        clock, codec, form = self._clock, self._codec, tickets[0].form
        encoding_s = clock()
        assert codec is not None  # noqa: S101  # what was decoded here has a codec
        bodies = codec.encode_batch(result, [ticket.call for ticket in tickets])
        ended_s = clock()
        predict_us, encode_us = int(predict_s * 1e6 + 0.5), int((ended_s - encoding_s) * 1e6 + 0.5)
        predict_ms, encode_ms = milliseconds(predict_us), milliseconds(encode_us)
        head = self._head if form is None else predict_head(self._engine.version, form)
        known = MILLISECONDS.get
        decodes, queues, totals = [], [], []
        payloads = []
        for ticket, body in zip(tickets, bodies, strict=True):
            began_s, request = ticket.began_s, ticket.request
            decode_us = int((ticket.decoded_s - began_s) * 1e6 + 0.5)
            queue_us = int((started_s - ticket.submitted_s) * 1e6 + 0.5)
            decodes.append(decode_us)
            queues.append(queue_us)
            totals.append(int((ended_s - began_s) * 1e6 + 0.5))
            decode_ms, queue_ms = known(decode_us) or milliseconds(decode_us), known(queue_us) or milliseconds(queue_us)
            payloads.append(head % (request.id, decode_ms, queue_ms, predict_ms, encode_ms, len(body), request.tail, body))
        self._tally.predicted(decodes, queues, totals, predict_us=predict_us, encode_us=encode_us)
        return payloads

    # --- inside -----------------------------------------------------------------------------------------------------

    def fail(self, request: Request, error: ModelportError, began_s: float) -> None:
        """Answer an error, count it, and log it if it is the server's."""
        total_s = self._clock() - began_s
        self._tally.count(error.status, error.code)
        self._tally.total.add(int(total_s * 1e6 + 0.5))
        if error.status >= 500 and not error.retryable:
            _log.error("a prediction failed", request=request.id.decode(), model=self._engine.name, code=error.code, detail=error.message)
        request.sink.answer(request, render(failure(error, self._fields), request, total_s))

    def cancel(self, ticket: Prediction) -> None:
        """Forget a request whose caller left."""
        if ticket.is_open:
            self._engine.cancel(ticket)
            self._tally.in_flight -= 1
            self._tally.cancelled += 1

    def _bind(self) -> None:
        engine = self._engine
        if not engine.is_ready:
            return
        self._loop = asyncio.get_running_loop()
        self._codec = codec(engine.schema, Limits(rows=self._limits.rows))
        self._schema, self._form = engine.schema, engine.form
        self._fields = model_fields(engine.version, engine.form)
        self._head = predict_head(engine.version, engine.form)


class Prediction(Ticket, kw_only=True, eq=False):
    """One prediction in flight: the engine's ticket, and the request behind it."""

    owner: Predictions
    request: Request
    call: Call
    began_s: float
    decoded_s: float

    def cancel(self) -> None:
        """Forget it: the caller left."""
        self.owner.cancel(self)


def _seconds(value: bytes) -> float:
    """Read ``x-request-timeout``: "50ms", "2s", or seconds. Raises: BadRequest."""
    found = _TIMEOUT.fullmatch(value.decode("latin-1").strip())
    amount = float(found[1]) if found else 0.0
    if not found or amount <= 0:
        raise BadRequest('the header x-request-timeout is not a time above zero; write it as "50ms", "2s" or "1.5"')
    return amount / 1e3 if found[2] == "ms" else amount
