"""The hot path leaves nothing behind."""

from __future__ import annotations

import gc


def test_an_answered_prediction_leaves_no_garbage_for_the_collector(kit) -> None:
    """Reference counts free all of it; what only the collector can find costs every client a pause."""

    async def main() -> int:
        running = kit.front()
        await running.start()
        client = running.connect()
        client.send(kit.post())
        await kit.turn()
        gc.collect()
        gc.disable()
        try:
            for _ in range(50):
                client.send(kit.post())
                await kit.turn()
            return gc.collect()
        finally:
            gc.enable()

    assert kit.run(main()) == 0


def test_who_shared_a_batch_with_a_caller_that_left_gets_the_same_answer(kit) -> None:
    async def main():
        running = await kit.front().start()
        clients = [running.connect() for _ in range(3)]
        running.executor.is_held = True
        for at, client in enumerate(clients):
            client.send(kit.post(body=b'{"a":[%d],"b":[2]}' % at))
        await kit.turn()
        clients[1].connection.connection_lost(None)
        running.executor.release()
        await kit.turn()
        answers = [[answer.json() for answer in client.responses] for client in clients]
        clients[0].send(kit.get("/metrics"))
        await kit.turn()
        return answers, clients[0].responses[-1].body.decode().splitlines()

    answers, metrics = kit.run(main())
    assert answers == [[[{"prediction": 2.0}]], [], [[{"prediction": 4.0}]]]
    assert {'modelport_in_flight_requests{model="sums"} 0.0', 'modelport_cancelled_total{model="sums"} 1.0'} <= set(metrics)
    assert 'modelport_requests_total{code="200",kind="predict",model="sums"} 2.0' in metrics
