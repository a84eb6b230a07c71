"""The same front on real sockets and, where it is installed, on uvloop: what a transport in memory cannot show."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from modelport.http.limits import HttpLimits

try:
    import uvloop
except ImportError:
    uvloop = None

LOOPS = {"asyncio": asyncio.new_event_loop} | ({"uvloop": uvloop.new_event_loop} if uvloop else {})
QUICK = HttpLimits(silence_s=0.1, head_s=0.3, idle_s=0.1, send_s=0.1, linger_s=0.1)


@pytest.fixture(params=LOOPS)
def serve(request, kit) -> Callable[[Callable[..., Awaitable[None]], HttpLimits | None], None]:
    """Run a scenario against a listening front."""

    @asynccontextmanager
    async def listening(limits: HttpLimits | None):
        front = await kit.front(limits).start()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(front.app.connect(loop), "127.0.0.1", 0)
        try:
            yield front, server.sockets[0].getsockname()[1]
        finally:
            server.close()

    def run(scenario, limits=None) -> None:
        async def main() -> None:
            async with listening(limits) as (front, port), asyncio.timeout(20):
                await scenario(front, port)

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(main())

    return run


async def _exchange(port: int, data: bytes) -> bytes:
    """Send everything, then read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    return answer


def test_many_requests_over_one_connection(serve, kit) -> None:
    async def scenario(front, port) -> None:
        data = kit.post() * 30 + kit.get() * 30 + kit.get(fields="Connection: close\r\n")
        assert [answer.status for answer in kit.parse(await _exchange(port, data))] == [200] * 61

    serve(scenario)


def test_many_connections_at_once_are_batched_and_each_gets_its_own_answer(serve, kit) -> None:
    async def scenario(front, port) -> None:
        def message(number: int) -> bytes:
            return kit.post(body=b'{"a":[%d],"b":[0.5]}' % number, fields="Connection: close\r\n")

        answers = await asyncio.gather(*(_exchange(port, message(number)) for number in range(60)))
        assert [kit.parse(answer)[0].json() for answer in answers] == [[{"prediction": number + 0.5}] for number in range(60)]

    serve(scenario)


def test_a_large_body_and_a_large_answer_pass(serve, kit) -> None:
    async def scenario(front, port) -> None:
        rows = b",".join(b'{"a":%d.25,"b":1}' % number for number in range(9000))
        (answer,) = kit.parse(await _exchange(port, kit.post(body=b"[" + rows + b"]", fields="Connection: close\r\n")))
        assert answer.status == 200 and [row["prediction"] for row in answer.json()] == [number + 1.25 for number in range(9000)]

    serve(scenario)


@pytest.mark.parametrize("size", [20_000_000, 200_000_000])
def test_a_client_that_sends_far_too_much_still_reads_its_413(serve, kit, size) -> None:
    async def scenario(front, port) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(b"x" * 5_000_000)
        (answer,) = kit.parse(await reader.read())
        assert answer.status == 413
        writer.close()

    serve(scenario)


def test_a_client_that_stops_in_the_middle_is_408(serve, kit) -> None:
    async def scenario(front, port) -> None:
        for data in (b"GET /li", kit.post()[:-3]):
            assert [answer.status for answer in kit.parse(await _exchange(port, data))] == [408]

    serve(scenario, QUICK)


def test_an_idle_client_is_let_go_and_one_that_says_nothing_too(serve, kit) -> None:
    async def scenario(front, port) -> None:
        assert [answer.status for answer in kit.parse(await _exchange(port, kit.get()))] == [200]
        assert await _exchange(port, b"") == b""

    serve(scenario, QUICK)


def test_a_client_that_does_not_read_is_cut_and_harms_nobody(serve, kit) -> None:
    async def scenario(front, port) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await loop.sock_connect(deaf, ("127.0.0.1", port))

            async def flood() -> None:
                while True:
                    await loop.sock_sendall(deaf, kit.get("/metrics") * 500)

            flooding = asyncio.ensure_future(flood())
            assert (await _exchange(port, kit.get(fields="Connection: close\r\n")))[9:12] == b"200"
            with pytest.raises(OSError):
                await flooding  # reset, not held for ever
        await front.app.drained()

    serve(scenario, HttpLimits(send_s=0.2))


def test_a_client_that_leaves_before_its_turn_is_not_computed(serve, kit) -> None:
    async def scenario(front, port) -> None:
        front.executor.is_held = True
        busy = asyncio.ensure_future(_exchange(port, kit.post(fields="Connection: close\r\n")))
        while not front.executor.held:  # noqa: ASYNC110  # lets the loop turn until the first batch is there
            await asyncio.sleep(0)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(kit.post())
        while front.models.get(None, None).status()["queued_rows"] != 1:  # noqa: ASYNC110  # the loop turns until it is so
            await asyncio.sleep(0)
        writer.close()
        while front.models.get(None, None).status()["queued_rows"] != 0:  # noqa: ASYNC110  # the loop turns until it is so
            await asyncio.sleep(0)
        front.executor.release()
        assert (await busy)[9:12] == b"200" and front.executor.computed == 1

    serve(scenario)


def test_drain_under_load_loses_nothing(serve, kit) -> None:
    async def scenario(front, port) -> None:
        front.executor.is_held = True
        waiting = [asyncio.ensure_future(_exchange(port, kit.post())) for _ in range(32)]
        while sum(len(batch.tickets) for batch in front.executor.held) + front.models.get(None, None).status()["queued_rows"] < 32:  # noqa: ASYNC110  # the loop turns until it is so
            await asyncio.sleep(0)
        front.app.drain()
        front.executor.is_held = False
        front.executor.release()
        answers = [kit.parse(answer) for answer in await asyncio.gather(*waiting)]
        assert [[one.status for one in answer] for answer in answers] == [[200]] * 32
        assert all(answer[0].headers["connection"] == "close" for answer in answers)
        await front.app.drained()
        assert front.app.is_idle

    serve(scenario)


def test_https_answers_too_and_refusals_end_cleanly(kit, tmp_path, require_program) -> None:
    import subprocess

    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [require_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*command, "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"], check=True, capture_output=True)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(cert, key)
    theirs = ssl.create_default_context(cafile=str(cert))
    theirs.check_hostname = False

    async def main() -> None:
        front = await kit.front(QUICK).start()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(front.app.connect(loop), "127.0.0.1", 0, ssl=ours)
        for data, statuses in ((kit.post() + kit.get(), [200, 200]), (kit.post() + b"BROKEN\r\n\r\n", [200, 400])):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1], ssl=theirs)
            writer.write(data)
            assert [answer.status for answer in kit.parse(await reader.read())] == statuses
            writer.close()
        server.close()

    for make in LOOPS.values():
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(main())
