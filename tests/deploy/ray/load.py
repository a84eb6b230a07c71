"""Clients that keep their connections and ask again and again; run by the test, inside the cluster's network namespace.

Arguments: port, clients, a JSON file of [body, expected answer] pairs. Lines on standard input: "look" tells the figures so far, an end
tells the last ones. A request counts as failed unless its answer is 200, whole and the expected one; nothing is asked again.
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


def close(found, expected) -> bool:
    if isinstance(expected, dict):
        return isinstance(found, dict) and found.keys() == expected.keys() and all(close(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(close, found, expected))
    if isinstance(expected, float):
        return isinstance(found, float) and abs(found - expected) <= 1e-9 + 1e-6 * abs(expected)
    return found == expected


def ask(connection: http.client.HTTPConnection, body: bytes, *, is_slow: bool) -> None:
    """Send a request; the body of a slow client comes well after the head."""
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    if is_slow:
        stopping.wait(THINKS_S)
    connection.send(body)


def client(number: int) -> None:
    global answered, slowest
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    at = number
    while not stopping.wait(THINKS_S):
        body, expected = pairs[at % len(pairs)]
        at += 1
        began = time.monotonic()
        try:
            ask(connection, body, is_slow=number % 2 == 1)
            answer = connection.getresponse()
            text = answer.read()
            problem = None if answer.status == 200 and close(json.loads(text), expected) else f"{answer.status} {text[:200]!r}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
            connection.close()
        took = time.monotonic() - began
        with lock:
            answered += problem is None
            slowest = max(slowest, took)
            if problem is not None:
                failed.append(f"{time.strftime('%H:%M:%S')} after {took:.3f} s: {problem}")


def tell() -> None:
    with lock:
        print(json.dumps({"answered": answered, "failed": failed, "slowest": slowest}), flush=True)


threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(clients)]
for thread in threads:
    thread.start()
for _ in sys.stdin:
    tell()
stopping.set()
for thread in threads:
    thread.join(150)
tell()
