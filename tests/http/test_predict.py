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
