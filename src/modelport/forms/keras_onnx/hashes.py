"""The two hash functions by which TensorFlow puts a word into a bucket: FarmHash's Fingerprint64, and SipHash-2-4 with a salt.

Their numbers are part of a model: an embedding was trained for the bucket that a word fell into. Both are published algorithms
(FarmHash by Geoff Pike, SipHash by Aumasson and Bernstein), done here on Python's integers cut to 64 bits.
"""

from __future__ import annotations

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def bucket(word: bytes, buckets: int, salt: tuple[int, int] | None = None) -> int:
    """Return the number of a word's bucket, as ``to_hash_bucket_fast`` does, or with a salt ``to_hash_bucket_strong``."""
    return (fingerprint(word) if salt is None else siphash(word, salt)) % buckets


def _eight(word: bytes, at: int) -> int:
    return int.from_bytes(word[at : at + 8], "little")


def _four(word: bytes, at: int) -> int:
    return int.from_bytes(word[at : at + 4], "little")


def _right(value: int, bits: int) -> int:
    value &= _MASK
    return (value >> bits | value << (64 - bits)) & _MASK


def _left(value: int, bits: int) -> int:
    return _right(value, 64 - bits)


def _mix(value: int) -> int:
    value &= _MASK
    return value ^ (value >> 47)


def _join(one: int, two: int, by: int) -> int:
    first = _mix((one ^ two) * by)
    return _mix((two ^ first) * by) * by & _MASK


def fingerprint(word: bytes) -> int:
    """Return FarmHash's Fingerprint64."""
    size = len(word)
    if size <= 16:
        return _up_to_16(word, size)
    if size <= 32:
        by, a = _K2 + size * 2, _eight(word, 0) * _K1
        b, c, d = _eight(word, 8), _eight(word, size - 8) * by, _eight(word, size - 16) * _K2
        return _join((_right(a + b, 43) + _right(c, 30) + d) & _MASK, (a + _right(b + _K2, 18) + c) & _MASK, by)
    return _up_to_64(word, size) if size <= 64 else _longer(word, size)


def _up_to_16(word: bytes, size: int) -> int:
    by = _K2 + size * 2
    if size >= 8:
        a, b = _eight(word, 0) + _K2, _eight(word, size - 8)
        return _join((_right(b, 37) * by + a) & _MASK, (_right(a, 25) + b) * by & _MASK, by)
    if size >= 4:
        return _join((size + (_four(word, 0) << 3)) & _MASK, _four(word, size - 4), by)
    if size:
        first, last = word[0] + (word[size >> 1] << 8), size + (word[size - 1] << 2)
        return _mix(first * _K2 ^ last * _K0) * _K2 & _MASK
    return _K2


def _up_to_64(word: bytes, size: int) -> int:
    by, a, b = _K2 + size * 2, _eight(word, 0) * _K2, _eight(word, 8)
    c, d = _eight(word, size - 8) * by, _eight(word, size - 16) * _K2
    y = (_right(a + b, 43) + _right(c, 30) + d) & _MASK
    z = _join(y, (a + _right(b + _K2, 18) + c) & _MASK, by)
    e, f = _eight(word, 16) * by, _eight(word, 24)
    g, h = (y + _eight(word, size - 32)) * by, (z + _eight(word, size - 24)) * by
    return _join((_right(e + f, 43) + _right(g, 30) + h) & _MASK, (e + _right(f + a, 18) + g) & _MASK, by)


def _block(word: bytes, at: int, seeds: tuple[int, int]) -> tuple[int, int]:
    """Mix the 32 bytes from ``at`` on into two numbers."""
    one, two, three, four = (_eight(word, at + step) for step in (0, 8, 16, 24))
    a, b = seeds
    a += one
    b = _right(b + a + four, 21)
    start = a
    a += two + three
    return (a + four) & _MASK, (b + _right(a, 44) + start) & _MASK


def _longer(word: bytes, size: int) -> int:
    x, y = (81 * _K2 + _eight(word, 0)) & _MASK, (81 * _K1 + 113) & _MASK
    z, v, w = _mix(y * _K2 + 113) * _K2 & _MASK, (0, 0), (0, 0)
    for at in range(0, (size - 1) // 64 * 64, 64):
        x = _right(x + y + v[0] + _eight(word, at + 8), 37) * _K1 & _MASK ^ w[1]
        y = (_right(y + v[1] + _eight(word, at + 48), 42) * _K1 + v[0] + _eight(word, at + 40)) & _MASK
        z = _right(z + w[0], 33) * _K1 & _MASK
        v, w = _block(word, at, (v[1] * _K1, x + w[0])), _block(word, at + 32, (z + w[1], y + _eight(word, at + 16)))
        z, x = x, z
    by, at = _K1 + ((z & 255) << 1), size - 64
    w = (w[0] + ((size - 1) & 63), w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    x = _right(x + y + v[0] + _eight(word, at + 8), 37) * by & _MASK ^ w[1] * 9 & _MASK
    y = (_right(y + v[1] + _eight(word, at + 48), 42) * by + v[0] * 9 + _eight(word, at + 40)) & _MASK
    z = _right(z + w[0], 33) * by & _MASK
    v, w = _block(word, at, (v[1] * by, x + w[0])), _block(word, at + 32, (z + w[1], y + _eight(word, at + 16)))
    first = _join(v[0], w[0], by) + _mix(y) * _K0 + x
    return _join(first & _MASK, (_join(v[1], w[1], by) + z) & _MASK, by)


def siphash(word: bytes, salt: tuple[int, int]) -> int:
    """Return SipHash-2-4 of a word under a salt of two 64-bit numbers."""
    state = [
        0x736F6D6570736575 ^ salt[0] & _MASK,
        0x646F72616E646F6D ^ salt[1] & _MASK,
        0x6C7967656E657261 ^ salt[0] & _MASK,
        0x7465646279746573 ^ salt[1] & _MASK,
    ]
    whole = len(word) // 8 * 8
    last = int.from_bytes(word[whole:], "little") | (len(word) & 255) << 56
    for number in (*(_eight(word, at) for at in range(0, whole, 8)), last):
        state[3] ^= number
        _rounds(state, 2)
        state[0] ^= number
    state[2] ^= 255
    _rounds(state, 4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _rounds(state: list[int], times: int) -> None:
    a, b, c, d = state
    for _ in range(times):
        a, c = (a + b) & _MASK, (c + d) & _MASK
        b, d = _left(b, 13) ^ a, _left(d, 16) ^ c
        a, c = (_left(a, 32) + d) & _MASK, (c + b) & _MASK
        b, d = _left(b, 17) ^ c, _left(d, 21) ^ a
        c = _left(c, 32)
    state[:] = a, b, c, d
