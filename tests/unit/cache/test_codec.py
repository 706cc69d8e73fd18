"""Values as bytes: they come back as they were; whatever was done to the bytes is a miss, never an exception."""

from __future__ import annotations

import pickletools
import struct
import zlib
from typing import Any, NamedTuple

import msgpack
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import TypeAdapter

from rag_lab.cache import codec, forms
from rag_lab.cache.codec import Form, decode, decode_rows, encode
from rag_lab.cache.forms import EMBEDDING, EVIDENCE, EXPLANATION, Evidence
from rag_lab.types import Answer, Sentence, Usage

KEY = b"n:evidence:i:s:q"
TIMES = {"written_s": 1.75e9, "expires_s": 1.75e9 + 1800, "cost_s": 0.25, "compress_above": 2048}
VECTORS = arrays.arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32))
TEXTS, COUNTS = st.lists(st.text()).map(tuple), st.integers(0, 2**63 - 1)
ANSWERS = st.builds(
    Answer,
    text=st.text(),
    citations=TEXTS,
    sentences=st.lists(st.builds(Sentence, st.text(), TEXTS)).map(tuple),
    refused=st.booleans(),
    confidence=st.none() | st.floats(0, 1),
    usage=st.none() | st.builds(Usage, COUNTS, COUNTS, COUNTS, st.booleans()),
)
EVIDENCES = st.integers(0, 12).flatmap(
    lambda size: st.builds(
        Evidence,
        arrays.arrays(np.int32, size, elements=st.integers(-1, 2**31 - 1)),
        arrays.arrays(np.float32, size, elements=st.floats(width=32)),
    )
)
VALUES = st.one_of(
    st.tuples(st.just(EMBEDDING), VECTORS),
    st.tuples(st.just(EVIDENCE), EVIDENCES),
    st.tuples(st.just(EXPLANATION), ANSWERS),
)


def bits(value: Any) -> Any:
    """Something equal only where every bit is: a NaN equals itself."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return tuple(map(bits, value)) if isinstance(value, Evidence) else value


@given(VALUES, st.integers(0, 3000))
def test_values_come_back_bit_for_bit(given: tuple[Form, Any], above: int) -> None:
    form, value = given
    found = decode(form, KEY, encode(form, KEY, value, **{**TIMES, "compress_above": above}))
    assert found is not None and bits(found.value) == bits(value)
    assert found[1:] == (TIMES["written_s"], TIMES["expires_s"], TIMES["cost_s"])


@given(VALUES, st.data())
@settings(max_examples=300)
def test_a_changed_bit_is_a_miss(given: tuple[Form, Any], data: st.DataObject) -> None:
    form, value = given
    whole = bytearray(encode(form, KEY, value, **TIMES))
    place = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[place // 8] ^= 1 << place % 8
    assert decode(form, KEY, bytes(whole)) is None


@given(VALUES, st.data())
def test_a_truncated_or_lengthened_value_is_a_miss(given: tuple[Form, Any], data: st.DataObject) -> None:
    form, value = given
    whole = encode(form, KEY, value, **TIMES)
    assert decode(form, KEY, whole[: data.draw(st.integers(0, len(whole) - 1))]) is None
    assert decode(form, KEY, whole + data.draw(st.binary(min_size=1, max_size=9))) is None


@given(st.binary(max_size=200))
def test_foreign_bytes_are_a_miss(data: bytes) -> None:
    assert all(decode(form, KEY, data) is None for form in (EMBEDDING, EVIDENCE, EXPLANATION))


@given(VALUES, st.binary(max_size=40))
def test_a_value_under_another_key_is_a_miss(given: tuple[Form, Any], other: bytes) -> None:
    form, value = given
    whole = encode(form, KEY, value, **TIMES)
    assert (decode(form, other, whole) is None) is (other != KEY)


def test_a_value_of_another_kind_or_version_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encode(EXPLANATION, KEY, Answer("yes", ()), **TIMES)
    assert decode(EVIDENCE, KEY, whole) is None
    monkeypatch.setattr(codec, "VERSION", codec.VERSION + 1)
    assert decode(EXPLANATION, KEY, whole) is None


def sealed(form: Form, body: bytes, packing: int = codec.PLAIN) -> bytes:
    """Bytes with the right checksum around any body: what only a mistake of ours could have written."""
    content = codec.HEAD.pack(form.head(packing), 0.0, 1.0, 0.0) + body
    return content + zlib.crc32(content, zlib.crc32(KEY, zlib.crc32(form.head(codec.PLAIN)))).to_bytes(4, "little")


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", msgpack.packb(7), msgpack.packb(["x"]), msgpack.packb([1, 2]), msgpack.packb(["x", "y"]),
     msgpack.packb([b"\0\0\0", b""]), msgpack.packb([b"\0" * 8, b"\0" * 4]), msgpack.packb(["x", [1]]) + b"!"],
)  # fmt: skip
def test_a_right_checksum_around_a_wrong_body_is_a_miss(body: bytes) -> None:
    assert decode(EVIDENCE, KEY, sealed(EVIDENCE, body)) is None
    assert decode(EXPLANATION, KEY, sealed(EXPLANATION, body)) is None


def test_packed_bytes_that_are_no_zstd_or_claim_too_much_are_a_miss() -> None:
    assert decode(EXPLANATION, KEY, sealed(EXPLANATION, b"no zstd", codec.ZSTD)) is None
    bomb = zstandard.compress(b"\0" * (codec.LARGEST + 1))
    assert len(bomb) < 1 << 14
    assert decode(EXPLANATION, KEY, sealed(EXPLANATION, bomb, codec.ZSTD)) is None


def test_long_answers_are_compressed_and_short_ones_are_not() -> None:
    long, short = Answer("the same again " * 400, ()), Answer("short", ())
    assert len(encode(EXPLANATION, KEY, long, **TIMES)) < 200
    assert encode(EXPLANATION, KEY, short, **TIMES)[3] == codec.PLAIN


def test_the_worked_bytes_of_a_short_answer() -> None:
    """Head, times, msgpack of ["yes", ["p1"], [], false, nil, nil], CRC-32 from the key's."""
    content = (
        b"R\x01a\x00" + struct.pack("<ddf", 1.75e9, 1.75e9 + 1800, 0.25) + b"\x96\xa3yes\x91\xa2p1\x90\xc2\xc0\xc0"
    )
    check = zlib.crc32(content, zlib.crc32(KEY, zlib.crc32(b"R\x01a\x00")))
    found = encode(EXPLANATION, KEY, Answer("yes", ("p1",)), **TIMES)
    assert found == content + struct.pack("<I", check)


class Said(NamedTuple):
    text: str
    citations: tuple[str, ...]


class Richer(NamedTuple):
    """An answer that says more: nested, optional and numeric fields."""

    text: str
    sentences: tuple[Said, ...] = ()
    confidence: float | None = None
    refused: bool = False


def test_whatever_an_answer_consists_of_comes_back_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "_ANSWER", TypeAdapter(Richer))
    value = Richer("yes", (Said("yes", ("p1",)),), 0.5, True)
    found = decode(EXPLANATION, KEY, encode(EXPLANATION, KEY, value, **TIMES))
    assert found is not None and found.value == value and type(found.value.sentences[0]) is Said
    assert decode(EXPLANATION, KEY, sealed(EXPLANATION, msgpack.packb(["x", [["y"]]]))) is None


def test_an_answer_of_another_shape_is_another_value(monkeypatch: pytest.MonkeyPatch) -> None:
    before = forms.answer_shape()
    monkeypatch.setattr(forms, "_ANSWER", TypeAdapter(Richer))
    assert forms.answer_shape() != before


def test_no_value_is_a_pickle() -> None:
    for form, value in ((EXPLANATION, Answer("x", ("p",))), (EMBEDDING, np.ones(4, np.float32))):
        with pytest.raises(ValueError):
            list(pickletools.genops(encode(form, KEY, value, **TIMES)))


# Batches of vectors


def batch(count: int, size: int, seed: int) -> tuple[list[bytes], np.ndarray, list[bytes]]:
    vectors = np.random.default_rng(seed).standard_normal((count, size), np.float32)
    keys = [b"n:embeddings:i:s:%d" % place for place in range(count)]
    return keys, vectors, [encode(EMBEDDING, key, one, **TIMES) for key, one in zip(keys, vectors, strict=True)]


@given(st.integers(1, 20), st.integers(1, 50), st.integers(0, 1000))
def test_a_batch_is_what_its_members_are(count: int, size: int, seed: int) -> None:
    keys, vectors, data = batch(count, size, seed)
    rows = decode_rows(EMBEDDING, keys, data)
    assert rows is not None and (rows.vectors == vectors).all()
    assert set(rows.written_s) == {TIMES["written_s"]} and set(rows.expires_s) == {TIMES["expires_s"]}
    assert all((decode(EMBEDDING, *one).value == row).all() for *one, row in zip(keys, data, vectors, strict=True))


@given(st.integers(2, 6), st.integers(1, 9), st.data())
@settings(max_examples=200)
def test_a_batch_with_a_changed_bit_is_left_to_decode(count: int, size: int, data: st.DataObject) -> None:
    """But for the checksum itself, which only `decode` looks at."""
    keys, _, values = batch(count, size, 0)
    which = data.draw(st.integers(0, count - 1))
    whole = bytearray(values[which])
    place = data.draw(st.integers(0, 8 * (len(whole) - 4) - 1))
    whole[place // 8] ^= 1 << place % 8
    values[which] = bytes(whole)
    assert decode_rows(EMBEDDING, keys, values) is None
    assert [decode(EMBEDDING, *one) is None for one in zip(keys, values, strict=True)].count(True) == 1


def test_a_batch_with_a_gap_other_lengths_or_turned_round_is_left_to_decode() -> None:
    keys, _, values = batch(4, 8, 0)
    longer = encode(EMBEDDING, keys[0], np.ones(9, np.float32), **TIMES)
    shorter = encode(EMBEDDING, keys[1], np.ones(7, np.float32), **TIMES)
    for wrong in (
        [None, *values[1:]],
        [longer, *values[1:]],
        [longer, shorter, *values[2:]],
        values[::-1],
        [b""] * 4,
    ):
        assert decode_rows(EMBEDDING, keys, wrong) is None
    assert decode_rows(EXPLANATION, keys, values) is None
