"""The service as a guest in this process, started by its lifespan as a host would."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelport.server.hosted import Hosted


@dataclass
class Guest:
    """A hosted application and the lifespan that it lives by."""

    app: Hosted
    _said: asyncio.Queue[dict[str, Any]]
    _heard: asyncio.Queue[dict[str, Any]]
    _life: asyncio.Task[None]

    @classmethod
    async def start(cls, *files: Path, **settings: Any) -> Guest:
        said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        app = Hosted(files, settings)
        guest = cls(app, said, heard, asyncio.ensure_future(app({"type": "lifespan"}, said.get, heard.put)))
        await guest._tell("startup")
        return guest

    async def stop(self) -> None:
        await self._tell("shutdown")
        await self._life

    async def ask(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        given = {"host": "a", "content-type": "application/json"} | dict(headers or {})
        scope = {"type": "http", "method": "GET" if body is None else "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
                 "headers": [(name.encode(), value.encode()) for name, value in given.items()]}  # fmt: skip
        messages = [{"type": "http.request", "body": body or b"", "more_body": False}]
        sent: list[dict[str, Any]] = []
        never = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not messages:
                await never.wait()
            return messages.pop()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        head = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], head, b"".join(each.get("body", b"") for each in sent[1:])

    async def _tell(self, word: str) -> None:
        await self._said.put({"type": f"lifespan.{word}"})
        heard = asyncio.ensure_future(self._heard.get())
        await asyncio.wait((heard, self._life), return_when=asyncio.FIRST_COMPLETED)
        if not heard.done():
            heard.cancel()
            await self._life  # raises what stood in the way
        assert (await heard)["type"] == f"lifespan.{word}.complete"


@pytest.fixture
def guest() -> Callable[..., Any]:
    """Start a guest: ``await guest(*files, **settings)``."""
    return Guest.start
