"""Remembered values as bytes: compact, versioned, checksummed, bound to their key. No pickle.

    offset  0  "R", version, form, packing      1 byte each
            4  written_s, expires_s             float64 each, the writer's clock
           20  cost_s                           float32: what computing it took
           24  body                             a bare vector, or msgpack; packing 1: compressed by zstd (RFC 8878)
           -8  sum                              uint32, of vectors alone
           -4  checksum                         CRC-32 of all before it

All numbers are little-endian. The checks start from a seed made of version, form and key, so that a value of
another key, or kind, fails like a damaged one; what fails is None, never an exception. The sum is of all 32-bit
words before it with fixed odd weights, modulo 2³² (multilinear hashing; Lemire and Kaser 2014, "Strongly universal
string hashing is fast", Computer Journal 57): it checks a batch of vectors in a fifth of CRC's time. Any change of
one word changes it; any other change goes unseen once in 2³² cases, as with CRC-32.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import shake_128
from itertools import repeat
from typing import Any, Generic, NamedTuple, TypeVar, cast
from zlib import crc32

import msgpack
import numpy as np
import zstandard
from jaxtyping import Float, Int

from rag_lab.cache.keys import KEPT

Value = TypeVar("Value")

VERSION = 1
HEAD = struct.Struct("<4sddf")
TAIL = 4
PLAIN, ZSTD = 0, 1
LARGEST = 1 << 26  # bytes of a body unpacked: a few bytes of zstd may claim to be gigabytes
LEVEL = 3  # zstd's own default


class Form(NamedTuple, Generic[Value]):
    """How one kind of value becomes a body. unpack raises ValueError or TypeError on what pack did not write.

    mark: the kind's byte in the head. is_negative: whether the value says that nothing was found. vector: the
    body is a bare float32 vector, of which a batch is read at once.
    """

    mark: bytes
    pack: Callable[[Value], bytes]
    unpack: Callable[[bytes], Value]
    is_negative: Callable[[Value], bool]
    vector: bool = False

    def head(self, packing: int) -> bytes:
        """The first four bytes of such a value."""
        return _head(VERSION, self.mark, packing)


@lru_cache
def _head(version: int, mark: bytes, packing: int) -> bytes:
    return b"R" + bytes([version]) + mark + bytes([packing])


class Entry(NamedTuple, Generic[Value]):
    """A value read back, when it was written and when it ends, and how much computing it took."""

    value: Value
    written_s: float
    expires_s: float
    cost_s: float


def encode(
    form: Form[Value],
    key: bytes,
    value: Value,
    *,
    written_s: float,
    expires_s: float,
    cost_s: float,
    compress_above: int,
) -> bytes:
    """The bytes of a value that is to stand under `key`. compress_above: try zstd on larger bodies, in bytes."""
    body, packing = form.pack(value), PLAIN
    if not form.vector and len(body) > compress_above:
        smaller = zstandard.compress(body, LEVEL)
        if len(smaller) < len(body):
            body, packing = smaller, ZSTD
    content = HEAD.pack(form.head(packing), written_s, expires_s, cost_s) + body
    if form.vector:
        content += _sum(content, _seed(form.head(PLAIN), key)).to_bytes(TAIL, "little")
    return content + crc32(content, _seed(form.head(PLAIN), key)).to_bytes(TAIL, "little")


def decode(form: Form[Value], key: bytes, data: bytes) -> Entry[Value] | None:
    """What `encode` was given; None where the bytes are not such a value of this key."""
    content = data[:-TAIL]
    if len(content) < HEAD.size or crc32(content, _seed(form.head(PLAIN), key)) != int.from_bytes(
        data[-TAIL:], "little"
    ):
        return None
    head, written_s, expires_s, cost_s = HEAD.unpack_from(content)
    body = content[HEAD.size : -TAIL] if form.vector else content[HEAD.size :]
    try:
        if head == form.head(ZSTD):
            if zstandard.frame_content_size(body) > LARGEST:
                return None
            body = zstandard.decompress(body, max_output_size=LARGEST)
        elif head != form.head(PLAIN):
            return None
        return Entry(form.unpack(body), written_s, expires_s, cost_s)
    except (ValueError, TypeError, zstandard.ZstdError, msgpack.UnpackException):
        return None


class Rows(NamedTuple):
    """Vectors of one length, read at once, with the times of each."""

    vectors: Float[np.ndarray, "N D"]
    written_s: Float[np.ndarray, " N"]
    expires_s: Float[np.ndarray, " N"]


def decode_rows(form: Form[Value], keys: Sequence[bytes], data: Sequence[bytes | None]) -> Rows | None:
    """Many vectors as one matrix, in a fraction of the time; None where they are not all there, whole and of one
    length: `decode` tells which."""
    try:
        joined = b"".join(cast(Sequence[bytes], data))
    except TypeError:  # one is missing
        return None
    size, rest = divmod(len(joined), 4 * len(data))
    size -= (HEAD.size + 2 * TAIL) // 4  # dimensions
    if rest or size < 1:
        return None
    # With the sum itself, of weight 1, and without the checksum the words come to the seed, which knows the form.
    # Where lengths differ, words fall into wrong rows, and the sums are wrong too.
    words = np.frombuffer(joined, "<u4").reshape(len(data), -1)
    sums = np.einsum("ij,j->i", words, _weights(words.shape[1] - 1))
    if sums.tolist() != list(map(_seed, repeat(form.head(PLAIN)), keys)):
        return None
    table = np.frombuffer(joined, _row(size))
    return Rows(table["body"], table["written_s"], table["expires_s"])


@lru_cache(maxsize=KEPT)
def _seed(head: bytes, key: bytes) -> int:
    """What the checks of a value under this key start from."""
    return crc32(key, crc32(head))


def _sum(content: bytes, seed: int) -> int:
    """What makes the weighted sum of the words the seed."""
    words = np.frombuffer(content, "<u4")
    return (seed - int(np.einsum("i,i->", words, _weights(len(words) + 1)[:-2]))) % (1 << 32)


@lru_cache(maxsize=16)
def _weights(words: int) -> Int[np.ndarray, " W"]:
    """Odd weights of so many words, the same everywhere and always: the last, of the sum, is 1; and a 0 for the
    checksum after it."""
    weights = np.frombuffer(shake_128(b"rag_lab").digest(4 * words), "<u4") | np.uint32(1)
    return np.append(weights[:-1], np.array([1, 0], "<u4"))


@lru_cache(maxsize=16)
def _row(size: int) -> np.dtype[Any]:
    """A whole value of a vector with so many dimensions."""
    times = [("written_s", "<f8"), ("expires_s", "<f8"), ("cost_s", "<f4")]
    return np.dtype([("head", "<u4"), *times, ("body", "<f4", (size,)), ("checks", "<u4", (2,))])
