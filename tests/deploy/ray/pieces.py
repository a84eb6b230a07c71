"""Ask again and again on one connection; run by the test, inside the cluster's network namespace.

Arguments: port, body, how often. Tells in how many pieces each answer came: what leaves in one write, and is shorter than a packet, is
read at once or not at all.
"""

from __future__ import annotations

import json
import re
import socket
import sys

port, body, count = int(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
request = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def is_whole(answer: bytes) -> bool:
    head, end, text = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(end) and head.startswith(b"HTTP/1.1 200 ") and length is not None and len(text) == int(length[1])


pieces = []
with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
    for _ in range(count):
        connection.sendall(request)
        answer, read = b"", 0
        while not is_whole(answer):
            piece = connection.recv(65536)
            assert piece, f"the connection was closed after {answer!r}"
            answer, read = answer + piece, read + 1
        pieces.append(read)
print(json.dumps(pieces))
