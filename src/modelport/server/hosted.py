"""The service inside somebody else's process and event loop, as one ASGI 3 application that starts and ends with its lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from modelport.bundle.folder import open_bundle
from modelport.bundle.snapshot import take
from modelport.config import Value, resolve
from modelport.engine.engine import Engine
from modelport.engine.models import Models
from modelport.errors import NotReady, UnreadableFile, UsageError
from modelport.http.asgi import Asgi, Message, Receive, Send, asgi
from modelport.http.limits import limits
from modelport.server.versions import Part, engine, versions
from modelport.server.workers import options

_ONLY_A_SERVER = ("host", "port", "fronts", "tls_cert", "tls_key")


class Hosted:
    """Engines, workers and routes of ``modelport serve``, without its sockets and signals.

    They are started by the lifespan's startup and ended by its shutdown, after what is in flight is answered.
    """

    def __init__(self, files: Sequence[Path], given: Mapping[str, Value], digests: Sequence[str] = ()) -> None:
        """``given``: settings of ``modelport serve`` by name; ``digests``: of the artifacts that must be these very ones, or "".

        Raises: UsageError for settings that only a server of its own has.
        """
        for name in _ONLY_A_SERVER:
            if given.get(name) is not None:
                raise UsageError(f'the setting "{name}" is for a server of its own; here whoever hosts the application decides it')
        self._files = list(files)
        self._given = dict(given)
        self._digests = list(digests)
        self._held = ExitStack()
        self._engines: list[Engine] = []
        self._drain_s = 0.0
        self._answer: Asgi | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request as ``modelport serve`` does, or follow the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._answer is not None:
            await self._answer(scope, receive, send)
        else:
            raise NotReady("the application was not started; its host has to run its lifespan")

    @property
    def is_ready(self) -> bool:
        """Whether every model answers."""
        return bool(self._engines) and all(each.is_ready for each in self._engines)

    async def start(self) -> None:
        """Load the models. Raises: UsageError, ManifestError, and whatever stands in the way of loading one; nothing is left then."""
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is in flight, end the workers, remove the copies of the files."""
        await asyncio.gather(*(each.drain(self._drain_s) for each in self._engines))
        await asyncio.gather(*(each.close() for each in self._engines))
        self._engines = []
        self._answer = None
        self._held.close()

    async def _start(self) -> None:
        bundles = [open_bundle(path) for path in self._files]
        settings = resolve(self._given, bundles[0].manifest.serve if len(bundles) == 1 else {})
        self._drain_s = settings.drain
        snapshots = [self._held.enter_context(take(bundle, options(settings))) for bundle in bundles]
        for path, digest, snapshot in zip(self._files, self._digests, snapshots, strict=False):
            _check(path, digest, snapshot.sha256)
        served = versions(snapshots, settings, Part())
        models = Models()
        self._engines = [engine(version.snapshot.bundle, settings, is_only=len(served) == 1) for version in served]
        for each in self._engines:
            models.add(each)
        self._answer = asgi(models, limits(settings))
        executors = [version.executor(each, settings) for version, each in zip(served, self._engines, strict=True)]
        await asyncio.gather(*(each.start(computing) for each, computing in zip(self._engines, executors, strict=True)))
        for version in served:
            version.mark()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()  # what it raises tells the host that there is no service
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _check(path: Path, asked: str, found: str) -> None:
    """Compare what will be loaded with what was deployed. Raises: UnreadableFile naming both."""
    if asked and asked != found:
        raise UnreadableFile(f"{path}: its SHA-256 is {found or 'none'} on this machine, {asked} was deployed; copy the file there anew")
