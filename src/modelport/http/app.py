"""App: the one table of routes, and what happens to every request on its way through it.

The handlers are plain functions on the loop's thread; none of them waits. Predictions answer later, from the engine's callback.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from time import perf_counter

import structlog

from modelport.engine.engine import Engine
from modelport.engine.models import Models
from modelport.errors import Draining, MethodNotAllowed, ModelportError, NotFound, UsageError
from modelport.http import meta
from modelport.http.access import Keys
from modelport.http.heads import Answer, failure, render
from modelport.http.limits import HttpLimits
from modelport.http.logged import Logged
from modelport.http.memo import Memo
from modelport.http.page.pages import Pages
from modelport.http.predict import Predictions
from modelport.http.protocol import Connection
from modelport.http.request import Request
from modelport.http.routes import Handler, Route, Table
from modelport.http.together import Peers, Together
from modelport.telemetry.logs import is_debugging
from modelport.telemetry.metrics import FrontState
from modelport.telemetry.reports import Everybody, Report, report_of, state_of

_log = structlog.get_logger(__name__)
_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
GET, POST = b"GET", b"POST"


class App:
    """The front of one process: routes, API keys, metrics, drain. ``connections``: those open now. ``peers``: other fronts, if any."""

    def __init__(self, models: Models, limits: HttpLimits, clock: Callable[[], float] = perf_counter) -> None:
        self.limits = limits
        self.memo = Memo()
        self.connections: set[Connection] = set()
        self.is_draining = False
        self._models = models
        self._clock = clock
        self._keys = Keys(limits.api_keys)
        self._ids = map((os.urandom(4).hex().encode() + b"-%x").__mod__, count(1))
        self._state = FrontState(engines=tuple, connections=lambda: len(self.connections))
        self.peers: Peers | None = None
        self._other = self._state.tally("other")
        self._pages = Pages(models, lambda: self._table.routes)
        self._emptied: asyncio.Event | None = None
        self._logs_access = is_debugging()
        self._is_plain = not self._keys and not self._logs_access  # no request needs more than its route
        self._table = Table(())
        self._predictions: dict[Engine, Predictions] = {}
        self.refresh()

    def refresh(self) -> None:
        """Write the table of routes anew; to be called when models came or went. Raises: UsageError for a path taken twice."""
        self.memo.clear()
        self._predictions.clear()
        self._table = Table(self._routes())

    def connect(self, loop: asyncio.AbstractEventLoop) -> Callable[[], Connection]:
        """Return the protocol factory for ``loop.create_server``."""
        return lambda: Connection(self, loop)

    # --- a request's way --------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> None:
        """Answer a request, now or later, exactly once."""
        head = request.head
        if head is not None and head.start is not None and not self.is_draining:  # all that the head can say was looked at before
            request.id = next(self._ids)
            head.start(request)
            return
        began_s = self._clock()
        given = request.headers.get(b"x-request-id")
        if given is not None and _ID.fullmatch(given):
            request.id = given
        else:
            request.id = next(self._ids)
        if self._logs_access:
            request.sink = Logged(request.sink, self._clock, began_s)
        tally = self._other
        try:
            if self._keys and not self._is_open(request):
                self._keys.check(request)
            route = self._table.find(request.target)
            tally = route.tally
            handler = route.methods.get(request.method) or self._other_method(route, request)
            if self.is_draining:
                self._drain_request(route, request)
            elif head is not None and route.prepare is not None and self._is_plain and request.method == POST:
                head.start = route.prepare(request.headers)
            answer = handler(request)
            error = None
        except ModelportError as caught:
            answer, error = failure(caught), caught.code
        except Exception:  # noqa: BLE001  # one broken request must not take the server with it
            _log.exception("a request failed", request=request.id.decode(), target=request.target.decode("latin-1"))
            broken = ModelportError("the server could not answer this request; its log says why")
            answer, error = failure(broken), broken.code
        if answer is not None:
            tally.count(answer.status, error)
            request.sink.answer(request, render(answer, request, self._clock() - began_s))

    def refuse(self, request: Request, error: ModelportError) -> None:
        """Answer a request with an error, whatever it was."""
        request.id = request.id or next(self._ids)
        answer = failure(error)
        self._other.count(answer.status, error.code)
        request.sink.answer(request, render(answer, request, 0.0))

    def report(self) -> Report:
        """Return what this front counts at this moment."""
        return report_of(self._state, meta.engine_reports(self._models), is_draining=self.is_draining)

    def cancel(self, request: Request) -> None:
        """The caller left."""
        work, request.work = request.work, None
        if work is not None:
            work.cancel()

    # --- the end ----------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Take no new work from now on: 503 on /readyz, connections close as soon as nothing of theirs is in flight."""
        self.is_draining = True
        for connection in list(self.connections):
            connection.drain()

    @property
    def is_idle(self) -> bool:
        """Whether everything is answered and every client has its answer."""
        return not self.connections and not any(tally.in_flight for tally in self._state.tallies)

    async def drained(self) -> None:
        """Wait until every connection is closed; ``drain`` and the connections' time limits see to it that they are."""
        if self._emptied is None:
            self._emptied = asyncio.Event()
        if self.connections:
            self._emptied.clear()
            await self._emptied.wait()

    def give_up(self) -> None:
        """Answer 503 to everything still in flight and close: the time to drain is over."""
        error = Draining("the server shut down before this request was answered; send it again", retry_after_s=1)
        for connection in list(self.connections):
            connection.give_up(error)

    def disconnected(self, connection: Connection) -> None:  # noqa: ARG002
        """Note that a connection is gone."""
        if not self.connections and self._emptied is not None:
            self._emptied.set()

    # --- the table --------------------------------------------------------------------------------------------------

    def _routes(self) -> Iterator[Route]:
        def route(path: str, kind: str, handler: Handler, summary: str, *, is_open: bool = False) -> Route:
            return Route(path, kind, {GET: handler}, summary, is_open=is_open, tally=self._state.tally(kind))

        models = self._models
        yield route("/", "page", self._home, "The page to try the model on; for programs, that the server is alive.")
        yield Route("*", "health", {}, "", is_open=True, tally=self._state.tally("health"))  # OPTIONS * (RFC 9110, section 9.3.7)
        yield route("/apitest", "health", lambda _: meta.WORKING, "Answers API working.", is_open=True)
        yield route("/livez", "health", lambda _: meta.LIVE, "200 while the server runs, whatever its models do.", is_open=True)
        yield route("/healthz", "health", lambda _: meta.LIVE, "The same as /livez.", is_open=True)
        ready, metrics = self._of_all("health", partial(meta.ready, models)), self._of_all("meta", self._metrics)
        yield route("/readyz", "health", ready, "200 when every model predicts, else 503 with the reasons.", is_open=True)
        yield route("/metrics", "meta", metrics, "Metrics for Prometheus.")
        yield route("/openapi.json", "meta", lambda _: self._pages.openapi(), "This description.")
        yield route("/docs", "page", lambda _: self._pages.docs(), "The description as a page.")
        for path, asset in meta.assets().items():
            yield route(path, "page", lambda _, asset=asset: asset, "", is_open=True)  # type: ignore[misc]  # a default binds it
        yield route("/models", "meta", self._of_all("meta", partial(meta.listing, models)), "Every model, its state and its schema.")
        yield self._only()
        built_in = {"/", "/apitest", "/livez", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/models"}
        for engine in self._models.all():
            yield from self._of(engine, built_in)

    def _of(self, engine: Engine, built_in: set[str]) -> Iterator[Route]:
        tally, plain = self._state.tally("predict", engine.name), self._state.tally("meta")
        predictions = self._answering(engine)
        start, prepare = predictions.start, predictions.prepare
        details = self._of_all("meta", partial(meta.details, engine))
        paths = [f"/models/{engine.name}/versions/{engine.version}"]
        if self._models.get(engine.name, None) is engine:
            paths.insert(0, f"/models/{engine.name}")
            if engine.route is not None:
                if engine.route in built_in:
                    raise UsageError(
                        f'model "{engine.name}" wants the route "{engine.route}", which is a path of the server; choose another'
                    )
                summary = f"Predict with {engine.name}."
                yield Route(engine.route, "predict", {POST: start}, summary, engine=engine, tally=tally, prepare=prepare)
            if engine.greeting is not None and engine.greeting not in built_in:
                working: Handler = lambda _: meta.WORKING  # noqa: E731
                health = self._state.tally("health")
                yield Route(engine.greeting, "health", {GET: working}, "Answers API working.", is_open=True, tally=health)
        for path in paths:
            summary = f"Predict with {engine.name}."
            yield Route(f"{path}/predict", "predict", {POST: start}, summary, engine=engine, tally=tally, prepare=prepare)
            yield Route(path, "meta", {GET: details}, f"What {engine.name} takes and answers.", engine=engine, tally=plain)

    def _only(self) -> Route:
        """Return ``/predict``, which is there for the only model; with several it says so."""
        try:
            engine = self._models.get(None, None)
        except NotFound:
            return Route("/predict", "other", {POST: lambda _: self._refuse_unnamed()}, "", tally=self._other)
        predictions, tally = self._answering(engine), self._state.tally("predict", engine.name)
        return Route("/predict", "predict", {POST: predictions.start}, f"Predict with {engine.name}.", engine=engine,
                     tally=tally, prepare=predictions.prepare)  # fmt: skip

    def _answering(self, engine: Engine) -> Predictions:
        """Return what answers an engine's requests, on whatever path: a batch of them is then one caller's."""
        if engine not in self._predictions:
            self._predictions[engine] = Predictions(engine, self.limits, self._state.tally("predict", engine.name), self._clock)
        return self._predictions[engine]

    # --- handlers that need the app ---------------------------------------------------------------------------------

    def _refuse_unnamed(self) -> Answer | None:
        self._models.get(None, None)
        return None

    def _home(self, request: Request) -> Answer:
        return self._pages.home(self._host(request)) if meta.wants_page(request) else meta.ALIVE

    def _of_all(self, kind: str, write: Callable[[Everybody], Answer]) -> Handler:
        """Return a handler whose answer speaks for all fronts: at once with one, else when the others have spoken."""

        def handler(request: Request) -> Answer | None:
            if self.peers is None:
                return write(Everybody(self.report()))
            Together(request, self._state.tally(kind), write, self._clock).start(self.peers, self.report())
            return None

        return handler

    def _metrics(self, everybody: Everybody) -> Answer:
        from modelport.telemetry.exposition import CONTENT_TYPE, Exporter  # brings prometheus_client, which starting need not wait for

        return Answer(200, CONTENT_TYPE, Exporter(state_of(everybody)).render())

    def _host(self, request: Request) -> str:
        return request.header(b"host") or "127.0.0.1:5005"

    def _is_open(self, request: Request) -> bool:
        try:
            return self._table.find(request.target).is_open
        except ModelportError:
            return False

    def _drain_request(self, route: Route, request: Request) -> None:
        request.close()
        if route.kind == "predict":
            raise Draining("the server is shutting down and takes no new work; send the request again", retry_after_s=1)

    def _other_method(self, route: Route, request: Request) -> Handler:
        """Return what answers HEAD and OPTIONS. Raises: MethodNotAllowed."""
        if request.method == b"HEAD" and GET in route.methods:
            return route.methods[GET]
        if request.method == b"OPTIONS":
            allow = b"allow: %b\r\n" % ", ".join(route.allow).encode("ascii")
            return lambda _: Answer(204, b"", b"", allow)
        method = request.method.decode("ascii")
        raise MethodNotAllowed(f"{route.path} does not take {method}; use {' or '.join(route.allow[:1])}", allow=route.allow)


def build(models: Models, limits: HttpLimits | None = None) -> App:
    """Return the application over these models. Raises: UsageError if two of them want the same path."""
    return App(models, limits or HttpLimits())
