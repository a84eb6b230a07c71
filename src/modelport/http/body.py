"""Request bodies that came compressed: gzip and deflate, with a bound on what they become."""

from __future__ import annotations

import zlib

from modelport.errors import BadRequest, TooLarge, UnsupportedMedia

MEMBERS = 16  # of one gzip body; each costs a copy of what follows it
_WBITS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}


def decompress(body: bytes, coding: bytes, limit_bytes: int) -> bytes:
    """Undo a Content-Encoding (RFC 9110, section 8.4.1).

    Memory: never more than ``limit_bytes`` and one block, whatever the body claims.
    Raises: UnsupportedMedia for another coding or several; TooLarge; BadRequest for damaged data.
    """
    name = coding.strip().lower()
    if name in (b"", b"identity"):
        return body
    wbits = _WBITS.get(name)
    if wbits is None:
        raise UnsupportedMedia("the Content-Encoding is not one that this server takes; send the body plain, or with gzip or deflate")
    if name == b"deflate" and body and (body[0] & 0x0F) != 8:
        wbits = -15  # many clients send the raw stream under this name (RFC 9110, 8.4.1.2)
    parts: list[bytes] = []
    room = limit_bytes
    while body:  # a gzip body may be several members, one after the other (RFC 1952, section 2.2)
        inflater = zlib.decompressobj(wbits)
        try:
            part = inflater.decompress(body, room + 1)
        except zlib.error as error:
            raise BadRequest("the body is not valid data of its Content-Encoding") from error
        room -= len(part)
        if room < 0:
            raise TooLarge(f"the decompressed body is over the limit of {limit_bytes} bytes; send fewer rows a request")
        if not inflater.eof:
            raise BadRequest("the compressed body ends before its data does; it was cut off on the way")
        if inflater.unused_data and name == b"deflate":
            raise BadRequest("the compressed body goes on after its end")
        parts.append(part)
        if len(parts) > MEMBERS:
            raise BadRequest(f"the gzip body has more than {MEMBERS} members; send it as one")
        body = inflater.unused_data
    return b"".join(parts)
