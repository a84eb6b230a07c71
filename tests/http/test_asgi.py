"""The ASGI face: the same answers, behind a mount point, without a server."""

from __future__ import annotations

import asyncio

import orjson

from modelport.http.asgi import asgi


async def _call(app, path="/predict", method="POST", body=b'{"a":[1],"b":[2]}', *, root="", parts=1, leaves=False, headers=()):
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": root, "query_string": b"",
             "headers": [(b"host", b"a"), (b"content-type", b"application/json"), *headers]}  # fmt: skip
    size = max(1, len(body) // parts)
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    messages = [{"type": "http.request", "body": piece, "more_body": piece is not pieces[-1]} for piece in pieces]
    sent: list[dict] = []
    never = asyncio.Event()

    async def receive():
        if messages:
            return messages.pop(0)
        if not leaves:
            await never.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent


def _status_and_body(sent):
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"])


def test_a_prediction_through_asgi_is_the_same(kit) -> None:
    async def main() -> None:
        app = asgi((await kit.front().start()).models)
        for parts in (1, 5):
            status, body, headers = _status_and_body(await _call(app, parts=parts))
            assert (status, body) == (200, b'[{"prediction":3.0}]') and headers[b"x-model-form"] == b"sums"
            assert int(headers[b"content-length"]) == len(body) and b"connection" not in headers

    kit.run(main())


def test_the_mount_point_is_taken_off_the_path(kit) -> None:
    async def main() -> None:
        app = asgi((await kit.front().start()).models)
        assert _status_and_body(await _call(app, "/ml/predict", root="/ml"))[0] == 200
        assert _status_and_body(await _call(app, "/ml", "GET", b"", root="/ml"))[1] == b'{"status":"alive"}'
        assert _status_and_body(await _call(app, "/livez", "GET", b"", root="/ml"))[0] == 200  # servers that strip it themselves
        status, body, _ = _status_and_body(await _call(app, "/ml/nowhere", root="/ml"))
        assert status == 404 and orjson.loads(body)["code"] == "not_found"

    kit.run(main())


def test_a_body_over_the_limit_is_413(kit) -> None:
    async def main() -> None:
        app = asgi((await kit.front().start()).models, kit.limits(body_bytes=10))
        assert _status_and_body(await _call(app))[0] == 413

    kit.run(main())


def test_a_caller_who_leaves_is_not_answered_and_not_computed(kit) -> None:
    async def main() -> None:
        front = await kit.front().start()
        front.executor.is_held = True
        app = asgi(front.models)
        busy = asyncio.ensure_future(_call(app))
        await kit.turn()
        assert await _call(app, leaves=True) == []
        front.executor.is_held = False
        front.executor.release()
        assert _status_and_body(await busy)[0] == 200
        await kit.turn()
        assert front.executor.computed == 1

    kit.run(main())


def test_lifespan_is_answered(kit) -> None:
    async def main() -> None:
        app = asgi((await kit.front().start()).models)
        messages, sent = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}], []

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message["type"])

        await app({"type": "lifespan"}, receive, send)
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    kit.run(main())


def test_a_websocket_is_closed(kit) -> None:
    async def main() -> None:
        sent = []

        async def send(message):
            sent.append(message["type"])

        async def receive():
            return {"type": "websocket.connect"}

        await asgi((await kit.front().start()).models)({"type": "websocket"}, receive, send)
        assert sent == ["websocket.close"]

    kit.run(main())
