"""The memo answers exactly as the parser would, and is bounded."""

from __future__ import annotations

import gzip

import pytest

from modelport.http import memo
from modelport.http.memo import HEAD_BYTES, HEADS


def _heads(kit, *packets: bytes):
    async def main():
        front = await kit.front().start()
        client = front.connect()
        for packet in packets:
            client.send(packet)
            await kit.turn()
        return set(front.app.memo.heads), client

    return kit.run(main())


def _head(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_a_head_is_kept_once_and_bodies_of_its_length_are_answered_by_it(kit) -> None:
    messages = [kit.post(body=b'{"a":[%d],"b":[2]}' % number) for number in (1, 2, 3)]
    heads, client = _heads(kit, *messages)
    assert heads == {_head(messages[0])}
    assert [answer.json() for answer in client.responses] == [[{"prediction": float(number)}] for number in (3, 4, 5)]


@pytest.mark.parametrize(
    "fields",
    ["Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n", "X-Request-Id: a\r\n", "Traceparent: 00-a\r\n", "Connection: close\r\n",
     "Connection: Upgrade\r\nUpgrade: h2c\r\n", "X-Long: " + "a" * HEAD_BYTES + "\r\n"],
)  # fmt: skip
def test_what_may_mean_something_else_next_time_is_not_kept(kit, fields) -> None:
    assert _heads(kit, kit.get(fields=fields))[0] == set()


@pytest.mark.parametrize("before", [b"\r\n", b"\r\n\r\n", b"\n"])
def test_empty_lines_before_a_request_are_not_taken_for_its_head(kit, before) -> None:
    heads, client = _heads(kit, before + kit.get(), before + kit.get("/apitest"))
    assert not [head for head in heads if not head.startswith(b"GET ")]
    assert [answer.body for answer in client.responses] == [b'{"live":true}', b"API working"]


def test_a_known_head_with_another_body_length_goes_through_the_parser(kit) -> None:
    message = kit.post()
    _, client = _heads(
        kit, message, message + kit.get("/apitest"), message[:-4], message[-4:], _head(message), message[len(_head(message)) :], message
    )
    assert [answer.status for answer in client.responses] == [200] * 6


def test_the_memo_is_bounded(kit, monkeypatch) -> None:
    monkeypatch.setattr(memo, "HEADS", 8)
    heads, client = _heads(kit, *(kit.get(fields=f"X-A: {number}\r\n") for number in range(100)))
    assert len(heads) <= 8 < HEADS and len(client.responses) == 100


def _started(kit, *packets: bytes, **limits: object):
    """Send packets to a front with these limits; return for each head whether it needs no further look, and the client."""

    async def main():
        front = await kit.front(kit.limits(**limits)).start()
        client = front.connect()
        for packet in packets:
            client.send(packet)
            await kit.turn()
        return [head.start is not None for head in front.app.memo.heads.values()], client

    return kit.run(main())


def test_a_head_of_plain_json_is_looked_at_once(kit) -> None:
    started, client = _started(kit, *[kit.post()] * 3, *[kit.post("/sum")] * 3)
    assert started == [True, True]
    assert [answer.json() for answer in client.responses] == [[{"prediction": 3.0}]] * 6
    assert len({answer.headers["x-request-id"] for answer in client.responses}) == 6


@pytest.mark.parametrize("fields", ["Content-Encoding: gzip\r\n", "X-Request-Timeout: 5s\r\n"])
def test_a_head_that_says_more_is_looked_at_each_time(kit, fields) -> None:
    body = gzip.compress(b'{"a":[1],"b":[2]}') if "gzip" in fields else b'{"a":[1],"b":[2]}'
    started, client = _started(kit, *[kit.post(body=body, fields=fields)] * 3)
    assert started == [False]
    assert [answer.json() for answer in client.responses] == [[{"prediction": 3.0}]] * 3


def test_a_content_type_that_is_refused_is_refused_each_time(kit) -> None:
    message = kit.post().replace(b"application/json", b"text/csv")
    started, client = _started(kit, *[message] * 3)
    assert (started, client.statuses) == ([False], [415] * 3)


def test_api_keys_are_asked_for_each_time(kit) -> None:
    known = frozenset(["right"])
    started, client = _started(kit, *[kit.post(fields="X-Api-Key: right\r\n")] * 3, *[kit.post()] * 3, api_keys=known)
    assert (started, client.statuses) == ([False, False], [200] * 3 + [401] * 3)


def test_other_methods_of_a_path_are_refused_each_time(kit) -> None:
    started, client = _started(kit, *[kit.get("/predict")] * 3)
    assert (started, client.statuses) == ([False], [405] * 3)


def test_a_known_head_is_no_way_around_the_drain(kit) -> None:
    async def main():
        front = await kit.front().start()
        client = front.connect()
        for _ in range(3):
            client.send(kit.post())
            await kit.turn()
        front.app.is_draining = True
        client.send(kit.post())
        await kit.turn()
        return client.statuses, client.is_ended

    assert kit.run(main()) == ([200] * 3 + [503], True)


def test_new_routes_forget_what_was_made_of_heads(kit) -> None:
    async def main():
        front = await kit.front().start()
        client = front.connect()
        for _ in range(2):
            client.send(kit.post())
            await kit.turn()
        (head,) = front.app.memo.heads.values()
        assert head.start is not None
        front.app.refresh()
        return head.start, front.app.memo.heads

    assert kit.run(main()) == (None, {})
