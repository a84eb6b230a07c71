"""Raw HTTP, read strictly: every line of the table is one message and the only outcome that is right.

``ok`` answers 200 and stays open; a number is the status of the only answer, after which the connection ends. Where two
statuses stand, the server answers two requests. Rules: RFC 9110, RFC 9112.
"""

from __future__ import annotations

import gzip
import zlib

import pytest

OK = (200,)
BODY = b'{"a":[1],"b":[2]}'
H = b"Host: a\r\n"
GET = b"GET /livez HTTP/1.1\r\n" + H
POST = b"POST /predict HTTP/1.1\r\n" + H + b"Content-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SIZE = b"Content-Length: 17\r\n"
NEXT = b"GET /livez HTTP/1.1\r\nHost: smuggled\r\n\r\n"
CHUNKS = b"11\r\n" + BODY + b"\r\n0\r\n\r\n"

# name, bytes, statuses, whether the connection stays open
VECTORS: list[tuple[str, bytes, tuple[int, ...], bool]] = [
    # --- plain requests
    ("get", GET + b"\r\n", OK, True),
    ("post", POST + SIZE + b"\r\n" + BODY, OK, True),
    ("post chunked", CHUNKED + CHUNKS, OK, True),
    ("chunked in small pieces", CHUNKED + b"".join(b"1\r\n%c\r\n" % c for c in BODY) + b"0\r\n\r\n", OK, True),
    ("two in one packet", GET + b"\r\n" + GET + b"\r\n", (200, 200), True),
    ("post and get in one packet", POST + SIZE + b"\r\n" + BODY + GET + b"\r\n", (200, 200), True),
    ("empty lines before", b"\r\n\r\n" + GET + b"\r\n", OK, True),
    ("get with a body", GET + b"Content-Length: 3\r\n\r\nabc", OK, True),
    ("names in any case", b"GET /livez HTTP/1.1\r\nhOsT: a\r\n\r\n", OK, True),
    ("no space after the colon", b"GET /livez HTTP/1.1\r\nHost:a\r\n\r\n", OK, True),
    ("space around a value", b"GET /livez HTTP/1.1\r\nHost: \t a \t \r\n\r\n", OK, True),
    ("empty value", GET + b"X-Nothing:\r\n\r\n", OK, True),
    ("latin-1 in a value", GET + b"X-Name: caf\xe9\r\n\r\n", OK, True),
    ("query", b"GET /livez?a=b&c HTTP/1.1\r\n" + H + b"\r\n", OK, True),
    ("percent-encoded path", b"GET /%6civez HTTP/1.1\r\n" + H + b"\r\n", OK, True),
    ("absolute form", b"GET http://a/livez HTTP/1.1\r\n" + H + b"\r\n", OK, True),
    ("connection close", GET + b"Connection: close\r\n\r\n", OK, False),
    ("connection close, then more", GET + b"Connection: close\r\n\r\n" + NEXT, OK, False),
    ("connection close among others", GET + b"Connection: foo, close\r\n\r\n", OK, False),
    ("http/1.0", b"GET /livez HTTP/1.0\r\n\r\n", OK, False),
    ("http/1.0 keep-alive", b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", OK, True),
    ("upgrade to h2c is not taken", GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n", OK, True),
    ("upgrade, then a request", GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + GET + b"\r\n", (200, 200), True),
    ("upgrade of a post", POST + SIZE + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + BODY + GET + b"\r\n", (200, 200), True),
    ("expect", POST + SIZE + b"Expect: 100-continue\r\n\r\n" + BODY, (100, 200), True),
    ("unknown path", b"GET /nothing HTTP/1.1\r\n" + H + b"\r\n", (404,), True),
    ("options of the server", b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n", (204,), True),
    ("get of the server", b"GET * HTTP/1.1\r\n" + H + b"\r\n", (405,), True),
    ("wrong method", b"DELETE /livez HTTP/1.1\r\n" + H + b"\r\n", (405,), True),
    ("ipv6 host", b"GET /livez HTTP/1.1\r\nHost: [::1]:5005\r\n\r\n", OK, True),
    ("repeated list header", GET + b"Accept: a/b\r\nAccept: c/d\r\n\r\n", OK, True),
    # --- the request line
    ("bare lf", b"GET /livez HTTP/1.1\nHost: a\n\n", (400,), False),
    ("lower-case method", b"get /livez HTTP/1.1\r\n" + H + b"\r\n", (400,), False),
    ("unknown method", b"BREW /livez HTTP/1.1\r\n" + H + b"\r\n", (400,), False),
    ("no version", b"GET /livez\r\n\r\n", (400,), False),
    ("version 0.9", b"GET /livez HTTP/0.9\r\n\r\n", (400,), False),
    ("version 1.2", b"GET /livez HTTP/1.2\r\n" + H + b"\r\n", (400,), False),
    ("version 2.0", b"GET /livez HTTP/2.0\r\n" + H + b"\r\n", (400,), False),
    ("http/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,), False),
    ("lower-case version", b"GET /livez http/1.1\r\n" + H + b"\r\n", (400,), False),
    ("space in the target", b"GET /li vez HTTP/1.1\r\n" + H + b"\r\n", (400,), False),
    ("nul in the target", b"GET /li\0vez HTTP/1.1\r\n" + H + b"\r\n", (400,), False),
    ("latin-1 in the target", b"GET /liv\xe9z HTTP/1.1\r\n" + H + b"\r\n", (400,), False),
    ("space before the method", b" GET /livez HTTP/1.1\r\n" + H + b"\r\n", (400,), False),
    ("tab after the method", b"GET\t/livez HTTP/1.1\r\n" + H + b"\r\n", (400,), False),
    ("space after the version", b"GET /livez HTTP/1.1 \r\n" + H + b"\r\n", (400,), False),
    ("tls hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400,), False),
    ("connect", b"CONNECT a:443 HTTP/1.1\r\n" + H + b"\r\n", (400,), True),
    ("fragment in the target", b"GET /livez#x HTTP/1.1\r\n" + H + b"\r\n", (400,), True),
    ("percent without digits", b"GET /%zz HTTP/1.1\r\n" + H + b"\r\n", (400,), True),
    ("encoded slash", b"GET /models%2Fsums HTTP/1.1\r\n" + H + b"\r\n", (404,), True),
    ("encoded nul", b"GET /models/a%00b HTTP/1.1\r\n" + H + b"\r\n", (404,), True),
    ("dot segments", b"GET /models/../livez HTTP/1.1\r\n" + H + b"\r\n", (404,), True),
    ("long target", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + H + b"\r\n", (414,), False),
    # --- Host
    ("no host", b"GET /livez HTTP/1.1\r\n\r\n", (400,), False),
    ("two hosts", GET + b"Host: b\r\n\r\n", (400,), False),
    ("two equal hosts", GET + b"Host: a\r\n\r\n", (400,), False),
    ("empty host", b"GET /livez HTTP/1.1\r\nHost: \r\n\r\n", (400,), False),
    ("host list", b"GET /livez HTTP/1.1\r\nHost: a, b\r\n\r\n", (400,), False),
    ("host with a path", b"GET /livez HTTP/1.1\r\nHost: a/b\r\n\r\n", (400,), False),
    ("host with user", b"GET /livez HTTP/1.1\r\nHost: u@a\r\n\r\n", (400,), False),
    ("host with a bad port", b"GET /livez HTTP/1.1\r\nHost: a:http\r\n\r\n", (400,), False),
    ("host with markup", b"GET /livez HTTP/1.1\r\nHost: <script>\r\n\r\n", (400,), False),
    ("bad host in http/1.0", b"GET /livez HTTP/1.0\r\nHost: a b\r\n\r\n", (400,), False),
    # --- header fields
    ("obs-fold", GET + b"X-A: b\r\n c\r\n\r\n", (400,), False),
    ("fold before the first", b"GET /livez HTTP/1.1\r\n X-A: b\r\n" + H + b"\r\n", (400,), False),
    ("lf between fields", GET + b"X-A: b\nX-C: d\r\n\r\n", (400,), False),
    ("cr between fields", GET + b"X-A: b\rX-C: d\r\n\r\n", (400,), False),
    ("lf as the last line", GET + b"\n", (400,), False),
    ("nul in a value", GET + b"X-A: b\0c\r\n\r\n", (400,), False),
    ("nul in a name", GET + b"X\0A: b\r\n\r\n", (400,), False),
    ("control in a value", GET + b"X-A: b\x01\r\n\r\n", (400,), False),
    ("del in a value", GET + b"X-A: b\x7f\r\n\r\n", (400,), False),
    ("space before the colon", GET + b"X-A : b\r\n\r\n", (400,), False),
    ("tab before the colon", GET + b"X-A\t: b\r\n\r\n", (400,), False),
    ("no colon", GET + b"X-A\r\n\r\n", (400,), False),
    ("no name", GET + b": b\r\n\r\n", (400,), False),
    ("non-ascii name", GET + b"X-\xe9: b\r\n\r\n", (400,), False),
    ("101 fields", GET + b"".join(b"X-%d: a\r\n" % n for n in range(100)) + b"\r\n", (431,), False),
    ("100 fields", GET + b"".join(b"X-%d: a\r\n" % n for n in range(99)) + b"\r\n", OK, True),
    ("101 equal fields", GET + b"Accept: a\r\n" * 100 + b"\r\n", (431,), False),
    ("a field of 40 kB", GET + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n", (431,), False),
    ("fields of 40 kB", GET + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 1000) for n in range(40)) + b"\r\n", (431,), False),
    ("a field of 30 kB", GET + b"X-A: " + b"a" * 30_000 + b"\r\n\r\n", OK, True),
    ("a field that never ends", GET + b"X-A: " + b"a" * 60_000, (431,), False),
    # --- Content-Length
    ("length twice, equal", POST + SIZE + SIZE + b"\r\n" + BODY, (400,), False),
    ("length twice, different", POST + SIZE + b"Content-Length: 3\r\n\r\n" + BODY, (400,), False),
    ("length list", POST + b"Content-Length: 17, 17\r\n\r\n" + BODY, (400,), False),
    ("length plus", POST + b"Content-Length: +17\r\n\r\n" + BODY, (400,), False),
    ("length minus", POST + b"Content-Length: -17\r\n\r\n" + BODY, (400,), False),
    ("length hex", POST + b"Content-Length: 0x11\r\n\r\n" + BODY, (400,), False),
    ("length with an underscore", POST + b"Content-Length: 1_7\r\n\r\n" + BODY, (400,), False),
    ("length empty", POST + b"Content-Length: \r\n\r\n", (400,), False),
    ("length with a space inside", POST + b"Content-Length: 1 7\r\n\r\n" + BODY, (400,), False),
    ("length beyond 64 bits", POST + b"Content-Length: 99999999999999999999\r\n\r\n", (400,), False),
    ("length over the limit", POST + b"Content-Length: 16777217\r\n\r\n", (413,), False),
    ("length over the limit, expect", POST + b"Expect: 100-continue\r\nContent-Length: 16777217\r\n\r\n", (413,), False),
    ("body shorter than told, then a request", POST + b"Content-Length: 3\r\n\r\n" + BODY, (400, 400), False),
    # --- Transfer-Encoding
    ("length, then coding", POST + SIZE + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS + NEXT, (400,), False),
    ("coding, then length", POST + b"Transfer-Encoding: chunked\r\n" + SIZE + b"\r\n" + CHUNKS + NEXT, (400,), False),
    ("length 0 and coding", POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS, (400,), False),
    ("coding twice", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS + NEXT, (400,), False),
    ("chunked, chunked", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS + NEXT, (400,), False),
    ("identity", POST + b"Transfer-Encoding: identity\r\n" + SIZE + b"\r\n" + BODY, (400,), False),
    ("unknown coding", POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS, (400,), False),
    ("gzip, chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS, (400,), False),
    ("chunked, identity", POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS, (400,), False),
    ("vertical tab before chunked", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS, (400,), False),
    ("quoted chunked", POST + b'Transfer-Encoding: "chunked"\r\n\r\n' + CHUNKS, (400,), False),
    ("chunked in http/1.0", b"POST /predict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS, (400,), False),
    ("CHUNKED", POST + b"Transfer-Encoding: CHUNKED\r\n\r\n" + CHUNKS, OK, True),
    # --- chunks
    ("chunk extension", CHUNKED + b"11;name=value\r\n" + BODY + b"\r\n0\r\n\r\n", OK, True),
    ("trailer", CHUNKED + b"11\r\n" + BODY + b"\r\n0\r\nX-Check: 1\r\n\r\n", OK, True),
    (
        "trailer, then a request without host",
        CHUNKED + b"11\r\n" + BODY + b"\r\n0\r\nHost: b\r\n\r\nGET /livez HTTP/1.1\r\n\r\n",
        (200, 400),
        False,
    ),
    ("leading zeros", CHUNKED + b"0011\r\n" + BODY + b"\r\n0\r\n\r\n", OK, True),
    ("chunk 0x", CHUNKED + b"0x11\r\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("chunk plus", CHUNKED + b"+11\r\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("chunk minus", CHUNKED + b"-11\r\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("chunk with a space after", CHUNKED + b"11 \r\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("chunk with a space before", CHUNKED + b" 11\r\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("chunk without a size", CHUNKED + b"\r\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("chunk size not hex", CHUNKED + b"1g\r\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("chunk size beyond 64 bits", CHUNKED + b"fffffffffffffffff\r\n", (400,), False),
    ("chunk line by lf", CHUNKED + b"11\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("chunk data by lf", CHUNKED + b"11\r\n" + BODY + b"\n0\r\n\r\n", (400,), False),
    ("chunk longer than told", CHUNKED + b"10\r\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("chunk shorter than told", CHUNKED + b"12\r\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("nul in an extension", CHUNKED + b"11;a=\0\r\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("lf in an extension", CHUNKED + b"11;a=b\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("cr in an extension", CHUNKED + b"11;a\rb\r\n" + BODY + b"\r\n0\r\n\r\n", (400,), False),
    ("last chunk by lf", CHUNKED + b"11\r\n" + BODY + b"\r\n0\n\n", (400,), False),
    ("length in a trailer", CHUNKED + b"11\r\n" + BODY + b"\r\n0\r\nContent-Length: 3\r\n\r\n", (400,), False),
    ("coding in a trailer", CHUNKED + b"11\r\n" + BODY + b"\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", (400,), False),
    ("bad trailer", CHUNKED + b"11\r\n" + BODY + b"\r\n0\r\nX Y\r\n\r\n", (400,), False),
    ("too many chunks", CHUNKED + b"1\r\n \r\n" * 16_385, (413,), False),
    ("an extension that never ends", CHUNKED + b"11;a=" + b"b" * 400_000, (413,), False),
    ("trailers that never end", CHUNKED + b"0\r\n" + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 1000) for n in range(400)), (413,), False),
    # --- headers of ours that must not be doubled
    ("content-type twice", POST + b"Content-Type: text/plain\r\n" + SIZE + b"\r\n" + BODY, (400,), False),
    ("request id twice", GET + b"X-Request-Id: a\r\nX-Request-Id: b\r\n\r\n", (400,), False),
    ("authorization twice", GET + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", (400,), False),
]


def _coded(coding: bytes, body: bytes) -> bytes:
    return POST + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (coding, len(body), body)


VECTORS += [
    ("gzip", _coded(b"gzip", gzip.compress(BODY)), OK, True),
    ("x-gzip", _coded(b"x-gzip", gzip.compress(BODY)), OK, True),
    ("gzip of two members", _coded(b"gzip", gzip.compress(BODY[:5]) + gzip.compress(BODY[5:])), OK, True),
    ("deflate", _coded(b"deflate", zlib.compress(BODY)), OK, True),
    ("raw deflate", _coded(b"deflate", zlib.compress(BODY, wbits=-15)), OK, True),
    ("identity coding", _coded(b"identity", BODY), OK, True),
    ("gzip cut off", _coded(b"gzip", gzip.compress(BODY)[:-6]), (400,), True),
    ("gzip that is not", _coded(b"gzip", BODY), (400,), True),
    ("deflate with more after it", _coded(b"deflate", zlib.compress(BODY) + b"x"), (400,), True),
    ("gzip of many members", _coded(b"gzip", gzip.compress(b"") * 50), (400,), True),
    ("brotli", _coded(b"br", BODY), (415,), True),
    ("two codings", _coded(b"gzip, gzip", gzip.compress(gzip.compress(BODY))), (415,), True),
    ("gzip bomb", _coded(b"gzip", gzip.compress(b"0" * (64 << 20), 1)), (413,), True),
]


def _check(kit, pieces, statuses, stays_open) -> None:
    async def main() -> None:
        front = await kit.front().start()
        for _ in range(2):  # the second time, its head may be known already
            await one(front.connect())

    async def one(client) -> None:
        for piece in pieces:
            client.send(piece)
        await kit.turn(12)
        assert client.statuses == list(statuses)
        assert client.is_ended != stays_open
        for response in client.responses:
            if response.status >= 400:
                assert response.headers["content-type"] == "application/problem+json"
                assert response.json()["status"] == response.status
        if not stays_open:
            assert client.responses[-1].headers["connection"] == "close"

    kit.run(main())


@pytest.mark.parametrize(("data", "statuses", "stays_open"), [case[1:] for case in VECTORS], ids=[case[0] for case in VECTORS])
def test_a_message_in_one_packet(kit, data, statuses, stays_open) -> None:
    _check(kit, [data], statuses, stays_open)


@pytest.mark.parametrize(("data", "statuses", "stays_open"), [case[1:] for case in VECTORS], ids=[case[0] for case in VECTORS])
def test_a_message_in_two_packets_cut_anywhere(kit, data, statuses, stays_open) -> None:
    for at in {1, 2, len(data) // 3, len(data) // 2, len(data) - 2, len(data) - 1}:
        _check(kit, [data[:at], data[at:]], statuses, stays_open)


@pytest.mark.parametrize(("data", "statuses", "stays_open"), [case[1:] for case in VECTORS if len(case[1]) < 2000],
                         ids=[case[0] for case in VECTORS if len(case[1]) < 2000])  # fmt: skip
def test_a_message_byte_by_byte(kit, data, statuses, stays_open) -> None:
    _check(kit, [bytes([byte]) for byte in data], statuses, stays_open)


def test_the_table_is_large_enough() -> None:
    assert len({case[0] for case in VECTORS}) == len(VECTORS) >= 80
