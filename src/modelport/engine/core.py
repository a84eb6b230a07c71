"""The worker core: frames over a socket, and the loop receive -> predict -> send. One self-contained file.

It needs nothing but the standard library and numpy and keeps to the syntax of Python 3.6, because the same file also runs
inside an old model's own environment, where the rest of modelport cannot be installed. The front imports its frame
functions from here, so that both ends of the socket share one definition.

A frame is ``<header length: uint32> <body length: uint64>``, a JSON header and raw buffers, each padded to 8 bytes so that
arrays are read where they lie. The header's ``columns`` are ``[name, dtype, shape]``; a string column (dtype ``"str"``)
lies as int64 offsets (n + 1), UTF-8 bytes, and a mask of missing values (n bytes). Nothing received is ever unpickled.
"""

import json
import struct
import time

import numpy as np

PREFIX = struct.Struct("<IQ")
LIMIT_HEADER_BYTES = 64 * 1024 * 1024
LIMIT_BODY_BYTES = 8 * 1024 * 1024 * 1024
ALIGNMENT = 8
_PADS = [b"\0" * n for n in range(ALIGNMENT)]
_NO_BYTES = b""


class FrameError(Exception):
    """The other side sent something that is not a frame, or the arrays are not ones that a frame carries."""


def encode(header, columns=None):
    """Return the buffers of one frame, to be written in order.

    header: a dict that JSON takes; columns: dict of name -> array (strings as object arrays of str or None).
    Raises: FrameError for an array of another kind.
    """
    buffers = []
    if columns is not None:
        described = []
        for name, array in columns.items():
            described.append(_describe(name, array, buffers))
        header = dict(header, columns=described)
    head = json.dumps(header).encode("utf-8")
    head += b" " * (-(len(head) + PREFIX.size) % ALIGNMENT)
    body_bytes = 0
    out = [_NO_BYTES, head]
    for buffer in buffers:
        size = len(buffer)
        pad = -size % ALIGNMENT
        body_bytes += size + pad
        out.append(buffer)
        if pad:
            out.append(_PADS[pad])
    out[0] = PREFIX.pack(len(head), body_bytes)
    return out


def _describe(name, array, buffers):
    kind = array.dtype.kind
    if kind == "O":
        buffers.extend(_string_buffers(name, array))
        return [name, "str", list(array.shape)]
    if kind not in "biuf":
        raise FrameError('column "%s" has dtype %s; a frame carries numbers, booleans and strings' % (name, array.dtype))
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    buffers.append(memoryview(array).cast("B") if array.size else _NO_BYTES)
    return [name, array.dtype.str, list(array.shape)]


def _string_buffers(name, array):
    encoded = []
    missing = bytearray(array.size)
    for at, value in enumerate(array.reshape(-1).tolist()):
        if value is None:
            missing[at] = 1
            encoded.append(_NO_BYTES)
        elif isinstance(value, str):
            encoded.append(value.encode("utf-8", "surrogatepass"))
        else:
            raise FrameError('column "%s" holds %s at %d; expected strings' % (name, type(value).__name__, at))
    offsets = np.zeros(len(encoded) + 1, dtype="<i8")
    np.cumsum([len(value) for value in encoded], out=offsets[1:])
    return [memoryview(offsets).cast("B"), _NO_BYTES.join(encoded), bytes(missing)]


def decode_prefix(data):
    """Return (header bytes, body bytes) announced by the first 12 bytes. Raises: FrameError over the limits."""
    head_bytes, body_bytes = PREFIX.unpack_from(data)
    if head_bytes > LIMIT_HEADER_BYTES or body_bytes > LIMIT_BODY_BYTES:
        raise FrameError("a frame of %d + %d bytes is over the limit" % (head_bytes, body_bytes))
    return head_bytes, body_bytes


def decode(head, body):
    """Return (header dict, columns dict or None) of a frame's two parts.

    Numeric arrays are views into ``body`` (writable where body is a bytearray). Raises: FrameError when the two do not fit.
    """
    try:
        header = json.loads(bytes(head).decode("utf-8"))
    except ValueError as error:
        raise FrameError("frame header: %s" % error) from error
    described = header.pop("columns", None)
    if described is None:
        return header, None
    columns = {}
    at = 0
    try:
        for name, dtype, shape in described:
            if dtype == "str":
                columns[name], at = _read_strings(body, at, shape)
            else:
                columns[name], at = _read_numbers(body, at, np.dtype(dtype), shape)
    except (ValueError, TypeError, KeyError) as error:
        raise FrameError("frame body: %s" % error) from error
    return header, columns


def _read_numbers(body, at, dtype, shape):
    if dtype.kind not in "biuf":
        raise FrameError("a frame carries no %s" % dtype)
    count = 1
    for length in shape:
        count *= length
    array = np.frombuffer(body, dtype, count, at).reshape(shape) if count else np.empty(shape, dtype)
    size = count * dtype.itemsize
    return array, at + size + (-size % ALIGNMENT)


def _read_strings(body, at, shape):
    count = 1
    for length in shape:
        count *= length
    offsets, at = _read_numbers(body, at, np.dtype("<i8"), [count + 1])
    bounds = offsets.tolist()
    if bounds[0] != 0 or any(b < a for a, b in zip(bounds, bounds[1:])):
        raise FrameError("string offsets are not in order")
    size = bounds[-1]
    if at + size > len(body):
        raise FrameError("string bytes are missing")
    text = bytes(body[at : at + size])
    at += size + (-size % ALIGNMENT)
    missing = bytes(body[at : at + count])
    at += count + (-count % ALIGNMENT)
    values = np.empty(count, dtype=object)
    values[:] = [None if gone else text[a:b].decode("utf-8", "surrogatepass") for a, b, gone in zip(bounds, bounds[1:], missing)]
    return values.reshape(shape), at


def receive(sock):
    """Read one frame from a blocking socket: (header, columns), or None at a clean end. Raises: FrameError, OSError."""
    prefix = _read_exactly(sock, PREFIX.size, is_end_allowed=True)
    if prefix is None:
        return None
    head_bytes, body_bytes = decode_prefix(prefix)
    head = _read_exactly(sock, head_bytes)
    body = _read_exactly(sock, body_bytes)
    return decode(head, body)


def _read_exactly(sock, size, is_end_allowed=False):
    data = bytearray(size)
    view = memoryview(data)
    have = 0
    while have < size:
        count = sock.recv_into(view[have:])
        if count == 0:
            if is_end_allowed and have == 0:
                return None
            raise FrameError("the connection ended inside a frame")
        have += count
    return data


def send(sock, header, columns=None):
    """Write one frame to a blocking socket. Cost: one system call for a small frame."""
    buffers = encode(header, columns)
    total = sum(len(buffer) for buffer in buffers)
    if total <= 65536:
        sock.sendall(b"".join(buffers))
        return
    for buffer in buffers:
        if len(buffer):
            sock.sendall(buffer)


def run(sock, predict, describe_error):
    """Answer batches until the front closes the connection.

    predict(columns, outputs, params) -> dict of arrays. describe_error(exception) -> dict with "code" and "message".
    One frame in, one frame out with the same id; an exception becomes an "error" in the header, never the end of the loop.
    """
    while True:
        frame = receive(sock)
        if frame is None:
            return
        header, columns = frame
        started = time.perf_counter()
        try:
            answer = predict(columns, header.get("outputs"), header.get("params"))
            buffers_header = {"id": header["id"], "predict_s": time.perf_counter() - started}
            send(sock, buffers_header, answer)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  # the worker must survive whatever a model does
            send(sock, {"id": header["id"], "predict_s": time.perf_counter() - started, "error": describe_error(error)})
