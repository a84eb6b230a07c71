"""A connection's life: order, flow, timeouts, disconnects, drain. The clock jumps; no test waits."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from modelport.http.limits import HttpLimits


def test_an_answer_is_one_write(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect().send(kit.post())
        await kit.turn()
        assert client.statuses == [200] and client.transport.writes == 1
        assert client.responses[0].json() == [{"prediction": 3.0}]

    kit.run(main())


def test_pipelined_answers_leave_in_the_order_of_the_requests(kit) -> None:
    async def main() -> None:
        front = await kit.front().start()
        front.executor.is_held = True
        client = front.connect().send(kit.post() + kit.get() + kit.post(body=b'{"a":[5],"b":[2]}') + kit.get("/apitest"))
        await kit.turn()
        assert client.transport.sent == b""  # the first one is not computed yet
        front.executor.release()
        await kit.turn()
        assert client.statuses[:2] == [200, 200]
        front.executor.release()
        await kit.turn()
        assert [response.body for response in client.responses] == [
            b'[{"prediction":3.0}]',
            b'{"live":true}',
            b'[{"prediction":7.0}]',
            b"API working",
        ]

    kit.run(main())


def test_an_error_after_pipelined_requests_waits_for_their_answers(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect().send(kit.post() + b"BROKEN\r\n\r\n")
        await kit.turn()
        assert client.statuses == [200, 400] and client.is_ended

    kit.run(main())


def test_head_answers_like_get_without_the_body(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect()
        client.heads = [True, False]
        client.send(kit.get(method="HEAD") + kit.get())
        first, second = client.responses
        assert first.headers["content-length"] == second.headers["content-length"] == str(len(second.body))

    kit.run(main())


def test_http_1_0_is_told_when_the_connection_stays(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect().send(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.responses[0].headers["connection"] == "keep-alive" and not client.is_ended

    kit.run(main())


def test_100_continue_is_sent_before_the_body_comes(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect()
        head, _, body = kit.post(fields="Expect: 100-continue\r\n").partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        assert client.statuses == [100]
        client.send(body)
        await kit.turn()
        assert client.statuses == [100, 200]

    kit.run(main())


# --- timeouts -------------------------------------------------------------------------------------------------------


HALF_BODY = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"


async def _time_until_end(client, limit_s: float = 200.0) -> float:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while not client.is_ended and loop.time() - began_s < limit_s:  # noqa: ASYNC110  # the clock is a fake one
        await asyncio.sleep(0.25)
    return loop.time() - began_s


@pytest.mark.parametrize(
    ("sent", "status", "after_s"),
    [(b"GET /li", 408, 10), (b"GET /livez HTTP/1.1\r\nHost: a\r\n", 408, 10), (HALF_BODY, 408, 10)],
    ids=["in the request line", "in the head", "in the body"],
)  # fmt: skip
def test_a_request_that_stops_arriving_is_408_after_ten_seconds(kit, sent, status, after_s) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect().send(sent)
        assert abs(await _time_until_end(client) - after_s) <= 0.5
        assert client.statuses == [status] and client.responses[0].headers["connection"] == "close"

    kit.run(main())


def test_a_silent_new_connection_is_closed_without_a_word(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect()
        assert abs(await _time_until_end(client) - 10) <= 0.5
        assert client.transport.sent == b"" and client.transport.is_closed

    kit.run(main())


def test_an_idle_connection_is_closed_after_75_seconds(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect().send(kit.get())
        assert abs(await _time_until_end(client) - 75) <= 0.5
        assert client.statuses == [200]

    kit.run(main())


def test_each_request_begins_the_idle_time_anew(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect().send(kit.get())
        await asyncio.sleep(70)
        client.send(kit.get())
        assert abs(await _time_until_end(client) - 75) <= 0.5

    kit.run(main())


def test_a_head_that_trickles_in_is_cut_after_30_seconds(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect().send(b"GET /livez HTTP/1.1\r\nX-A: ")
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while not client.is_ended:
            client.send(b"a")
            await asyncio.sleep(1)
        assert 29 <= loop.time() - began_s <= 32 and client.statuses == [408]

    kit.run(main())


def test_a_slow_body_that_keeps_coming_is_taken(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect()
        head, _, body = kit.post().partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        for byte in body:
            await asyncio.sleep(9)
            client.send(bytes([byte]))
        await kit.turn()
        assert client.statuses == [200]

    kit.run(main())


def test_a_client_that_waits_for_a_slow_model_is_not_timed_out_by_the_connection(kit) -> None:
    async def main() -> None:
        front = await kit.front(HttpLimits(timeout_s=500)).start()
        front.executor.is_held = True
        client = front.connect().send(kit.post())
        await asyncio.sleep(400)
        assert not client.is_ended
        front.executor.release()
        assert client.statuses == [200]

    kit.run(main())


def test_a_reader_that_takes_nothing_is_cut_after_ten_seconds(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect(is_stuck=True)
        while client.transport.is_reading:
            client.send(kit.get("/openapi.json"))
        assert abs(await _time_until_end(client) - 10) <= 0.5
        assert client.transport.is_aborted

    kit.run(main())


def test_a_slow_reader_that_takes_something_is_kept(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect(is_stuck=True)
        while client.transport.is_reading:
            client.send(kit.get("/openapi.json"))
        for _ in range(20):
            await asyncio.sleep(8)
            client.transport.unsent -= 100
        assert not client.is_ended
        client.transport.unsent = 0
        client.connection.resume_writing()
        assert client.transport.is_reading

    kit.run(main())


def test_a_refused_client_has_time_to_read_its_answer(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect().send(kit.post(fields="Transfer-Encoding: chunked\r\n"))
        assert client.transport.is_half_closed and not client.transport.is_closed
        for _ in range(5):
            await asyncio.sleep(1)
            client.send(b"x" * 1000)  # still sending: read and dropped
        assert client.statuses == [400] and not client.transport.is_closed
        await asyncio.sleep(3)
        assert client.transport.is_closed

    kit.run(main())


def test_one_timer_serves_a_connection_however_many_requests_it_carries(kit) -> None:
    async def main() -> None:
        client = (await kit.front().start()).connect()
        timers = asyncio.get_running_loop()._scheduled
        for _ in range(50):
            client.send(kit.post())
            await kit.turn()
        ours = [timer for timer in timers if not timer.cancelled() and "Watch" in repr(timer)]
        assert client.statuses == [200] * 50 and len(ours) == 1

    kit.run(main())


# --- flow -----------------------------------------------------------------------------------------------------------


def test_reading_stops_while_too_many_requests_wait_and_goes_on_afterwards(kit) -> None:
    async def main() -> None:
        front = await kit.front(HttpLimits(pipelined=4)).start()
        front.executor.is_held = True
        client = front.connect()
        for _ in range(4):
            client.send(kit.post())
        assert not client.transport.is_reading
        front.executor.is_held = False
        await kit.turn()
        front.executor.release()
        await kit.turn(20)
        assert client.transport.is_reading and client.statuses == [200] * 4

    kit.run(main())


def test_more_connections_than_the_limit_are_told_so(kit) -> None:
    async def main() -> None:
        front = await kit.front(HttpLimits(connections=1)).start()
        first, second = front.connect(), front.connect()
        assert second.statuses == [503] and second.is_ended and "retry-after" in second.responses[0].headers
        assert first.send(kit.get()).statuses == [200]

    kit.run(main())


def test_a_packet_full_of_requests_takes_turns_with_everybody_else(kit) -> None:
    async def main() -> None:
        front = await kit.front().start()
        flood, other = front.connect().send(kit.get() * 200), front.connect()
        assert len(flood.responses) == 32 and not flood.transport.is_reading
        assert other.send(kit.get()).statuses == [200]
        await kit.turn(10)
        assert flood.statuses == [200] * 200 and flood.transport.is_reading

    kit.run(main())


def test_what_follows_a_packet_full_of_requests_keeps_its_place(kit) -> None:
    async def main() -> None:
        front = await kit.front().start()
        closing = front.connect().send(kit.get() * 50 + kit.get("/apitest", "Connection: close\r\n") + kit.get())
        broken = front.connect().send(kit.get() * 50 + b"BROKEN\r\n\r\n")
        mixed = front.connect().send((kit.post() + kit.get("/apitest")) * 100)
        leaving = front.connect().send(kit.post() * 100)
        leaving.connection.connection_lost(None)
        await kit.turn(60)
        assert closing.statuses == [200] * 51 and closing.responses[-1].body == b"API working" and closing.is_ended
        assert broken.statuses == [200] * 50 + [400] and broken.is_ended
        assert [response.body for response in mixed.responses] == [b'[{"prediction":3.0}]', b"API working"] * 100
        assert front.executor.computed <= 132

    kit.run(main())


# --- callers who leave ----------------------------------------------------------------------------------------------


def test_a_caller_who_leaves_while_queued_is_not_computed(kit) -> None:
    async def main() -> None:
        front = await kit.front().start()
        front.executor.is_held = True
        busy = front.connect().send(kit.post())
        await kit.turn()
        leaving = front.connect().send(kit.post())
        await kit.turn()
        leaving.connection.eof_received()
        front.executor.is_held = False
        front.executor.release()
        await kit.turn()
        assert busy.statuses == [200] and leaving.transport.sent == b""
        assert front.executor.computed == 1
        assert b'modelport_cancelled_total{model="sums"} 1.0' in front.connect().send(kit.get("/metrics")).responses[0].body

    kit.run(main())


def test_a_caller_who_leaves_while_computed_is_forgotten(kit) -> None:
    async def main() -> None:
        front = await kit.front().start()
        front.executor.is_held = True
        client = front.connect().send(kit.post())
        await kit.turn()
        client.connection.connection_lost(None)
        front.executor.release()
        await kit.turn()
        assert client.transport.sent == b"" and client.connection not in front.app.connections
        assert front.app.is_idle

    kit.run(main())


# --- drain ----------------------------------------------------------------------------------------------------------


def test_drain_answers_what_is_in_flight_and_closes_what_is_idle(kit) -> None:
    async def main() -> None:
        front = await kit.front().start()
        front.executor.is_held = True
        busy, idle = front.connect().send(kit.post()), front.connect().send(kit.get())
        await kit.turn()
        front.app.drain()
        assert idle.transport.is_closed and not busy.is_ended and not front.app.is_idle
        waiting = asyncio.ensure_future(front.app.drained())
        await kit.turn()
        assert not waiting.done()
        front.executor.release()
        await asyncio.wait_for(waiting, 1)
        assert busy.statuses == [200] and busy.responses[0].headers["connection"] == "close" and busy.transport.is_closed
        assert front.app.is_idle

    kit.run(main())


def test_new_work_during_drain_gets_503_and_probes_are_still_answered(kit) -> None:
    async def main() -> None:
        front = await kit.front().start()
        front.app.drain()
        for sent, status in ((kit.post(), 503), (kit.get("/readyz"), 503), (kit.get("/livez"), 200)):
            client = front.connect().send(sent)
            assert client.statuses == [status] and client.responses[0].headers["connection"] == "close"
            assert client.transport.is_closed
        assert front.executor.computed == 0

    kit.run(main())


def test_a_request_that_is_half_there_when_the_drain_begins_is_refused_when_it_is_whole(kit) -> None:
    async def main() -> None:
        front = await kit.front().start()
        data = kit.post()
        client = front.connect().send(data[:50])
        front.app.drain()
        assert not client.is_ended
        client.send(data[50:])
        assert client.statuses == [503] and client.transport.is_closed

    kit.run(main())


def test_after_the_drain_time_everybody_still_waiting_is_told_so(kit) -> None:
    async def main() -> None:
        front = await kit.front().start()
        front.executor.is_held = True
        clients = [front.connect().send(kit.post()), front.connect().send(kit.post() * 3), front.connect().send(kit.post()[:60])]
        await kit.turn()
        front.app.drain()
        front.app.give_up()
        await asyncio.wait_for(front.app.drained(), 60)
        assert [client.statuses for client in clients] == [[503], [503, 503, 503], [503]]
        for client in clients:
            assert client.responses[-1].headers["connection"] == "close"
            assert all("connection" not in early.headers for early, _ in pairwise(client.responses))

    kit.run(main())
