"""Hold: the moment after a batch in which the next one waits for those who are answered now and ask again at once."""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter

from modelport.engine.batcher import Batch
from modelport.engine.executor import Listener

# How long, while requests come in at every look: a share of what the last batch took, and at least what the front takes to write the
# answers of some 64 requests and to read as many. Smaller ones leave requests behind, larger ones make batches no larger.
_SHARE, _LEAST_S = 0.2, 1e-3


class Hold:
    """Whether an executor takes no batch yet. It lasts for one look at the sockets, and for another as long as requests come in.

    (For two where the batch was computed here, since the first comes at once after what is done with the requests of this turn.)

    Without it callers go in two groups that never meet, the one computed while the other is answered: twice the batches for the
    same requests, where a larger batch costs less a row. A caller who was alone in his batch holds nobody back.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.is_on = False

    def begin(self, batch: Batch, predict_s: float) -> None:
        """Hold the next batch after this one, which took so many seconds; call it before the engine is told of the answer."""
        if len(batch.tickets) > 1 and not self.is_on:
            self._look_soon(self._listener.waiting, perf_counter() + max(_LEAST_S, _SHARE * predict_s))

    def _look_soon(self, seen: int, until_s: float) -> None:
        self.is_on = True
        loop = asyncio.get_running_loop()
        # What is called soon comes before the sockets are looked at, what is called soon from there comes after.
        loop.call_soon(loop.call_soon, partial(self._look, seen, until_s))

    def _look(self, seen: int, until_s: float) -> None:
        waiting = self._listener.waiting
        if waiting > seen and perf_counter() < until_s:
            self._look_soon(waiting, until_s)
        else:
            self.is_on = False
            self._listener.freed()
