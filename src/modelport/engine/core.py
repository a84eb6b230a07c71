"""The worker core: frames over a socket, and the loop receive -> predict -> send. One self-contained file.

It needs nothing but the standard library and numpy and keeps to the syntax of Python 3.6: the same file runs inside an old
model's own environment, too, where modelport cannot be installed. The front takes its frame functions from here.

A frame is a prefix, a JSON header and raw buffers, each padded to 8 bytes so that arrays are read where they lie. The prefix
is ``<header length: uint32> <rows: uint32> <body length: uint64> <id: int64> <predict_s: float64>``; the header is the same for
all batches of one layout, so both ends keep what they made of it. Its ``columns`` are ``[name, dtype, shape]``, the first length
null where it is the rows; a string column (``"str"``) lies as int64 offsets (n + 1), UTF-8 bytes, and a mask of missing values.
"""

import json
import select
import struct
import time
from functools import lru_cache

import numpy as np

PREFIX = struct.Struct("<IIQqd")
LIMIT_HEADER_BYTES = 64 * 1024 * 1024
LIMIT_BODY_BYTES = 8 * 1024 * 1024 * 1024
ALIGNMENT = 8
_PADS = [b"\0" * n for n in range(ALIGNMENT)]
_DTYPES = {name: np.dtype(name) for name in ["|b1", "|i1", "|u1"] + [order + size for order in ("<i", "<u", "<f") for size in "248"]}
_DTYPES["str"] = None  # no dtype of numpy's: offsets, bytes and a mask
_OFFSET, _BYTE = np.dtype("<i8"), np.dtype("u1")
_NO_BYTES = b""
_NO_ID, _LAST_ID, _NO_SECONDS = -1, 2**63 - 1, float("nan")
_LAST_ROW = 2**32 - 1
_KEPT_BYTES = 64 * 1024
_LIMIT_KEPT_HEADER_BYTES = 4096


class FrameError(Exception):
    """The other side sent something that is not a frame, or the arrays are not ones that a frame carries."""


def encode(header, columns=None):
    """Return the buffers of one frame, to be written in order.

    header: a dict that JSON takes; columns: dict of name -> array (strings as object arrays of str or None).
    Raises: FrameError for an array of another kind.
    """
    rest, out, rows = dict(header), [_NO_BYTES, _NO_BYTES], 0
    number = rest.pop("id") if type(rest.get("id")) is int and 0 <= rest["id"] <= _LAST_ID else _NO_ID
    seconds = rest.pop("predict_s") if type(rest.get("predict_s")) is float else _NO_SECONDS
    if columns is None:
        out[1] = _padded(rest)
    else:
        rows = min([array.shape[0] for array in columns.values() if array.shape] + [_LAST_ROW]) if columns else 0
        layout = tuple([_append(name, array, rows, out) for name, array in columns.items()])
        out[1] = _padded(dict(rest, columns=layout)) if rest else _head(layout)
    body_bytes = sum([len(buffer) for buffer in out]) - len(out[1])
    out[0] = PREFIX.pack(len(out[1]), rows, body_bytes, number, seconds)
    return out


def _padded(header):
    head = json.dumps(header).encode("utf-8")
    return head + b" " * (-(len(head) + PREFIX.size) % ALIGNMENT)


@lru_cache(maxsize=256)
def _head(layout):
    """Return the header of a batch without anything but columns, which is that of the next batch, too."""
    return _padded({"columns": layout})


def _append(name, array, rows, out):
    """Add a column's buffers to ``out``, and return how the header describes it."""
    if array.dtype.kind == "O":
        dtype, buffers = "str", _string_buffers(name, array)
    elif array.dtype.kind in "biuf":
        if array.dtype.itemsize > 8:
            array = array.astype("<f8")  # long doubles: no reader on the other side of any wire takes more
        elif array.dtype.byteorder == ">":
            array = array.astype(array.dtype.newbyteorder("<"))
        dtype, buffers = array.dtype.str, [memoryview(np.ascontiguousarray(array)).cast("B")] if array.size else []
    else:
        raise FrameError('column "%s" has dtype %s; a frame carries numbers, booleans and strings' % (name, array.dtype))
    for buffer in buffers:
        out += (buffer, _PADS[-len(buffer) % ALIGNMENT])
    return name, dtype, (None,) + array.shape[1:] if array.shape[:1] == (rows,) else array.shape


def _string_buffers(name, array):
    encoded, missing = [], bytearray(array.size)
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
    """Return (header bytes, body bytes) announced by a frame's prefix. Raises: FrameError for fewer bytes, and over the limits."""
    if len(data) < PREFIX.size:
        raise FrameError("a frame begins with %d bytes, found %d" % (PREFIX.size, len(data)))
    head_bytes, _, body_bytes, _, _ = PREFIX.unpack_from(data)
    if head_bytes > LIMIT_HEADER_BYTES or body_bytes > LIMIT_BODY_BYTES:
        raise FrameError("a frame of %d + %d bytes is over the limit" % (head_bytes, body_bytes))
    return head_bytes, body_bytes


def decode(prefix, head, body):
    """Return (header dict, columns dict or None) of a frame's three parts.

    Numeric arrays are views into ``body`` (writable where body is a bytearray). Raises: FrameError when they do not fit.
    """
    _, rows, _, number, seconds = PREFIX.unpack_from(prefix)
    head = bytes(head)
    known, layout = (_parse if len(head) <= _LIMIT_KEPT_HEADER_BYTES else _parse.__wrapped__)(head)
    header = dict(known)
    if number != _NO_ID:
        header["id"] = number
    if seconds == seconds:
        header["predict_s"] = seconds
    if layout is None:
        return header, None
    columns, at = {}, 0
    try:
        for name, (dtype, shape, is_by_row, count) in layout.items():
            if is_by_row:
                count, shape = count * rows, (rows,) + shape
            if dtype is None:
                columns[name], at = _read_strings(body, at, count, shape)
            else:
                columns[name], at = _read_numbers(body, at, dtype, count, shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise FrameError("frame body: %s" % error) from error
    return header, columns


@lru_cache(maxsize=256)
def _parse(head):
    """Return (header without its columns, how each column lies or None); neither is to be changed by whoever gets it."""
    layout = {}
    try:
        header = json.loads(head.decode("utf-8"))
        if not isinstance(header, dict):
            raise FrameError("frame header: expected an object, found %s" % type(header).__name__)
        described = header.pop("columns", None)
        if described is None:
            return header, None
        for name, dtype, shape in described:
            if not isinstance(name, str) or name in layout:
                raise FrameError("column name %r is no string, or stands twice" % (name,))
            if dtype not in _DTYPES:
                raise FrameError("a frame carries no %s" % (dtype,))
            layout[name] = (_DTYPES[dtype],) + _shape(shape)
    except (ValueError, TypeError, RecursionError) as error:
        raise FrameError("frame header: %s" % error) from error
    return header, layout


def _shape(shape):
    """Return (lengths, whether the number of rows goes before them, their product); lengths are whole numbers of zero or more."""
    if not isinstance(shape, list):
        raise FrameError("shape %r is no list" % (shape,))
    is_by_row = bool(shape) and shape[0] is None
    lengths = tuple(shape[1:] if is_by_row else shape)
    count = 1
    for length in lengths:
        if type(length) is not int or length < 0:
            raise FrameError("shape %r holds something else than lengths" % (shape,))
        count *= length
    return lengths, is_by_row, count


def _read_numbers(body, at, dtype, count, shape):
    size = count * dtype.itemsize
    if at + size > len(body):
        raise FrameError("the body has %d bytes, a buffer ends at %d" % (len(body), at + size))
    array = np.frombuffer(body, dtype, count, at).reshape(shape) if count else np.empty(shape, dtype)
    return array, at + size + (-size % ALIGNMENT)


def _read_strings(body, at, count, shape):
    offsets, at = _read_numbers(body, at, _OFFSET, count + 1, (count + 1,))
    bounds = offsets.tolist()
    if bounds[0] != 0 or any(b < a for a, b in zip(bounds, bounds[1:])):
        raise FrameError("string offsets are not in order")
    text, at = _read_numbers(body, at, _BYTE, bounds[-1], (bounds[-1],))
    missing, at = _read_numbers(body, at, _BYTE, count, (count,))
    text, missing = text.tobytes(), missing.tobytes()
    values = np.empty(count, dtype=object)
    values[:] = [None if gone else text[a:b].decode("utf-8", "surrogatepass") for a, b, gone in zip(bounds, bounds[1:], missing)]
    return values.reshape(shape), at


class Reader:
    """The frames of a blocking socket, one after the other; a small one costs one look and one read.

    Between frames it waits by poll, not in recv: whenever the front takes an answer out of its end, the kernel wakes who sleeps
    in recv on this one, for nothing, which was two switches of process a batch.
    """

    def __init__(self, sock):
        self._sock, self._poll = sock, select.poll()
        self._poll.register(sock, select.POLLIN)
        self._kept = bytearray(_KEPT_BYTES)
        self._start = self._end = 0

    def receive(self):
        """Return the next (header, columns), or None at a clean end. Raises: FrameError, OSError."""
        if self._start == self._end:
            self._renew()
            self._poll.poll()
        while self._end - self._start < PREFIX.size:
            if not self._more():
                return None
        head_bytes, body_bytes = decode_prefix(memoryview(self._kept)[self._start :])
        middle, size = PREFIX.size + head_bytes, PREFIX.size + head_bytes + body_bytes
        if self._start + size > len(self._kept):
            self._move(size)
        while self._end - self._start < size:
            self._more()
        frame = memoryview(self._kept)[self._start : self._start + size]
        self._start += size
        return decode(frame, frame[PREFIX.size : middle], frame[middle:])

    def _renew(self):
        """Begin at the front of the buffer, or of a new one where a model still has arrays in it, which must not change."""
        self._start = self._end = 0
        try:
            self._kept.append(0)  # refused while anybody has a view
            del self._kept[_KEPT_BYTES:]
        except BufferError:
            self._kept = bytearray(_KEPT_BYTES)

    def _move(self, size):
        rest = self._kept[self._start : self._end]
        self._kept = rest + bytearray(max(size, _KEPT_BYTES) - len(rest))
        self._start, self._end = 0, len(rest)

    def _more(self):
        """Read what is there, or wait for some. Returns whether there was any; an end is none within a frame."""
        count = self._sock.recv_into(memoryview(self._kept)[self._end :])
        if not count and self._start != self._end:
            raise FrameError("the connection ended inside a frame")
        self._end += count
        return count > 0


def receive(sock):
    """Return the one frame that comes before anything is answered, like the receive of a Reader."""
    return Reader(sock).receive()


def send(sock, header, columns=None):
    """Write one frame to a blocking socket. Cost: one system call for a small frame."""
    _write(sock, encode(header, columns))


def _write(sock, buffers):
    is_small = sum([len(buffer) for buffer in buffers]) <= _KEPT_BYTES
    for buffer in [_NO_BYTES.join(buffers)] if is_small else buffers:
        if len(buffer):
            sock.sendall(buffer)


def run(sock, predict, describe_error):
    """Answer batches until the front closes the connection.

    predict(columns, outputs, params) -> dict of arrays. describe_error(exception) -> dict with "code" and "message".
    One frame in, one frame out with the same id; an exception becomes an "error" in the header, never the end of the loop.
    """
    reader = Reader(sock)
    while True:
        frame = reader.receive()
        if frame is None:
            return
        # Apart from the computing: an OSError here means that the front is gone, there it is the model's.
        _write(sock, _answer(frame, predict, describe_error))
        del frame  # its buffer is used again


def _answer(frame, predict, describe_error):
    header, columns = frame
    started = time.perf_counter()
    try:
        answer = predict(columns, header.get("outputs"), header.get("params"))
        return encode({"id": header["id"], "predict_s": time.perf_counter() - started}, answer)
    except Exception as error:  # noqa: BLE001  # the worker must survive whatever a model does
        seconds = time.perf_counter() - started
        return encode({"id": header["id"], "predict_s": seconds, "error": _described(error, describe_error)})


def _described(error, describe_error):
    try:
        return describe_error(error)
    except Exception:  # noqa: BLE001  # it asks the exception for its text, which is the model's code, too
        return {"code": "model_error", "message": "the model failed: %s" % type(error).__name__}
