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
_DTYPES = frozenset(["|b1", "|i1", "|u1"] + ["<%s%d" % (kind, size) for kind in "iuf" for size in (2, 4, 8)])
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
    if array.dtype.itemsize > 8:
        array = array.astype("<f8")  # long doubles: no reader on the other side of any wire takes more
    elif array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
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
    """Return (header bytes, body bytes) announced by the first 12 bytes. Raises: FrameError for fewer, and over the limits."""
    if len(data) < PREFIX.size:
        raise FrameError("a frame begins with %d bytes, found %d" % (PREFIX.size, len(data)))
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
    except (ValueError, RecursionError) as error:
        raise FrameError("frame header: %s" % error) from error
    if not isinstance(header, dict):
        raise FrameError("frame header: expected an object, found %s" % type(header).__name__)
    described = header.pop("columns", None)
    if described is None:
        return header, None
    columns = {}
    at = 0
    try:
        for name, dtype, shape in described:
            count = _count(shape)
            if not isinstance(name, str) or name in columns:
                raise FrameError("column name %r is no string, or stands twice" % (name,))
            if dtype == "str":
                columns[name], at = _read_strings(body, at, count, shape)
            elif dtype in _DTYPES:
                columns[name], at = _read_numbers(body, at, np.dtype(dtype), count, shape)
            else:
                raise FrameError("a frame carries no %s" % (dtype,))
    except (ValueError, TypeError, OverflowError) as error:
        raise FrameError("frame body: %s" % error) from error
    return header, columns


def _count(shape):
    """Return how many values a shape holds; only whole lengths of zero or more are taken for one."""
    if not isinstance(shape, list):
        raise FrameError("shape %r is no list" % (shape,))
    count = 1
    for length in shape:
        if type(length) is not int or length < 0:
            raise FrameError("shape %r holds something else than lengths" % (shape,))
        count *= length
    return count


def _take(body, at, size):
    """Return the bytes of one buffer and where the next begins. Raises: FrameError if the body ends before."""
    if at + size > len(body):
        raise FrameError("the body has %d bytes, a buffer ends at %d" % (len(body), at + size))
    return body[at : at + size], at + size + (-size % ALIGNMENT)


def _read_numbers(body, at, dtype, count, shape):
    size = count * dtype.itemsize
    if at + size > len(body):
        raise FrameError("the body has %d bytes, a buffer ends at %d" % (len(body), at + size))
    array = np.frombuffer(body, dtype, count, at).reshape(shape) if count else np.empty(shape, dtype)
    return array, at + size + (-size % ALIGNMENT)


def _read_strings(body, at, count, shape):
    offsets, at = _read_numbers(body, at, np.dtype("<i8"), count + 1, [count + 1])
    bounds = offsets.tolist()
    if bounds[0] != 0 or any(b < a for a, b in zip(bounds, bounds[1:])):
        raise FrameError("string offsets are not in order")
    text, at = _take(body, at, bounds[-1])
    missing, at = _take(body, at, count)
    text, missing = bytes(text), bytes(missing)
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
    _write(sock, encode(header, columns))


def _write(sock, buffers):
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
            buffers = encode({"id": header["id"], "predict_s": time.perf_counter() - started}, answer)
        except Exception as error:  # noqa: BLE001  # the worker must survive whatever a model does
            failure = {"id": header["id"], "predict_s": time.perf_counter() - started, "error": _described(error, describe_error)}
            buffers = encode(failure)
        _write(sock, buffers)  # apart from the above: an OSError here means that the front is gone, there it is the model's


def _described(error, describe_error):
    try:
        return describe_error(error)
    except Exception:  # noqa: BLE001  # it asks the exception for its text, which is the model's code, too
        return {"code": "model_error", "message": "the model failed: %s" % type(error).__name__}
