"""Clients that keep their connections and ask again and again; run by the test, inside the cluster's network namespace.

Arguments: port, clients, a JSON file of [body, expected answer] pairs. Lines on standard input: "look" tells the figures so far, an end
tells the last ones. A request counts as failed unless its answer is 200 and the expected one; nothing is asked again. An answer whose
head came and whose body did not counts as cut, with the time (seconds since the epoch) at which that was seen.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from pathlib import Path

THINKS_S = 0.02  # between two requests of a client, as clients do; it leaves a busy machine some room, too
port, clients, file = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
pairs = [(body.encode(), answer) for body, answer in json.loads(file.read_text())]
lock, stopping = threading.Lock(), threading.Event()
answered, failed, slowest = 0, [], 0.0
cut: list[float] = []


def close(found, expected) -> bool:
    if isinstance(expected, dict):
        return isinstance(found, dict) and found.keys() == expected.keys() and all(close(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(close, found, expected))
    if isinstance(expected, float):
        return isinstance(found, float) and abs(found - expected) <= 1e-9 + 1e-6 * abs(expected)
    return found == expected


def client(number: int) -> None:
    global answered, slowest
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    at = number
    while not stopping.wait(THINKS_S):
        body, expected = pairs[at % len(pairs)]
        at += 1
        began = time.monotonic()
        is_cut = False
        try:
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            problem = None if answer.status == 200 and close(json.loads(text), expected) else f"{answer.status} {text[:200]!r}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
            is_cut = isinstance(error, http.client.IncompleteRead)
            connection.close()
        took = time.monotonic() - began
        with lock:
            answered += problem is None
            slowest = max(slowest, took)
            if is_cut:
                cut.append(time.time())
            elif problem is not None:
                failed.append(f"{time.strftime('%H:%M:%S')} after {took:.3f} s: {problem}")


def tell() -> None:
    with lock:
        print(json.dumps({"answered": answered, "failed": failed, "cut": cut, "slowest": slowest}), flush=True)


threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(clients)]
for thread in threads:
    thread.start()
for _ in sys.stdin:
    tell()
stopping.set()
for thread in threads:
    thread.join(150)
tell()
