"""The encoder, held against an independent forward pass and against published vectors."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from doubles import Bars, collection
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab import wiring
from rag_lab.encoder import minilm
from rag_lab.encoder.minilm import LENGTHS, MiniLM, batches
from rag_lab.encoder.wordpiece import load
from rag_lab.errors import ConfigError

NODE = {
    "_target_": "rag_lab.encoder.minilm.build",
    "max_tokens": 256,
    "batch_tokens": 512,
    "precision": "float32",
}
SHORT = [
    "What lowers a fever?",
    "naïve Δx 中文",
    "",
    "A much longer question, about bonds, stocks and their taxes?",
]
LONG = " ".join(f"Sentence {number} speaks of calcium, bonds and rivers." for number in range(40))


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    one, other = one.astype(np.float64), other.astype(np.float64)
    return (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


# Batches


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(2, 256), max_size=60), st.sampled_from([256, 512, 2048]))
def test_every_text_is_in_one_batch_as_short_as_its_longest_allows(lengths: list[int], batch_tokens: int) -> None:
    grouped = list(batches(lengths, batch_tokens))
    assert sorted(position for _, positions in grouped for position in positions) == list(range(len(lengths)))
    for padded, positions in grouped:
        longest = max(lengths[position] for position in positions)
        assert padded == min(length for length in LENGTHS if length >= longest)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(2, 256), max_size=200))
def test_batches_are_full_but_for_the_last_and_the_longest_come_first(lengths: list[int]) -> None:
    grouped = list(batches(lengths, 2048))
    assert all(len(positions) == 2048 // padded for padded, positions in grouped[:-1])
    assert all(len(positions) <= 2048 // padded for padded, positions in grouped)
    order = [lengths[position] for _, positions in grouped for position in positions]
    assert order == sorted(lengths, reverse=True)


# The model


@pytest.fixture(scope="module")
def shared() -> MiniLM:
    """One encoder for all tests here: its programs are compiled once."""
    return wiring.build(NODE, "encoder")


@pytest.fixture
def encoder(shared: MiniLM, cache: Path) -> MiniLM:
    """The shared encoder, with no vector kept."""
    return shared


class Counted:
    """The encoder's program, noting the shape of every batch that it is run on."""

    def __init__(self, program: Any) -> None:
        self.program, self.earlier = program, program._cache_size()
        self.shapes: list[tuple[int, int]] = []

    def __call__(self, weights: Any, tokens: np.ndarray, real: np.ndarray) -> Any:
        self.shapes.append(tokens.shape)
        return self.program(weights, tokens, real)

    @property
    def compilations(self) -> int:
        """How many programs XLA has made of it from here on."""
        return self.program._cache_size() - self.earlier


@pytest.fixture
def program(encoder: MiniLM, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The encoder's program, counted from here on."""
    counted = Counted(minilm._program())
    monkeypatch.setattr(minilm, "_program", lambda: counted)
    return counted


@pytest.mark.network
def test_an_independent_forward_pass_agrees(
    encoder: MiniLM, tensors: Mapping[str, np.ndarray], tokenizer_json: str
) -> None:
    """Texts of one to 256 tokens; the last is cut."""
    texts = [*SHORT, LONG]
    found = encoder.encode(texts, Bars(), "test")
    tokens = [reference.minilm_tokens(text, tokenizer_json) for text in texts]
    assert len(tokens[-1]) == 256
    expected = np.array([reference.mean_pool_minilm(one, tensors) for one in tokens])
    assert found.shape == (5, 384) and found.dtype == np.float32
    assert cosines(found, expected).min() >= 0.9999
    np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.network
@pytest.mark.shared_data
def test_published_vectors_agree(encoder: MiniLM, shared_data: Path) -> None:
    """Real claims and abstracts, several of them longer than 256 tokens, by their rows in the source files."""
    vectors = shared_data.parent / "vectors" / "scifact"
    if not vectors.is_dir():
        pytest.skip("no shared/vectors beside the checkout")
    with gzip.open(shared_data / "scifact" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line, _ in zip(file, range(60), strict=False)]
    passages = [f"{row['title']} {row['text']}" if row["title"] else row["text"] for row in rows]
    lengths = [len(one.ids) for one in load(None, Bars()).encode_batch_fast(passages)]
    taken = np.argsort(lengths)[[0, 1, 20, 30, -5, -3, -2, -1]]
    assert sum(lengths[row] > 256 for row in taken) >= 4
    published = np.load(vectors / "corpus.npy", mmap_mode="r")[taken]
    assert cosines(encoder.encode([passages[row] for row in taken], Bars(), "test"), published).min() >= 0.9999

    lines = (shared_data / "scifact" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    chosen = np.arange(0, len(lines), 60)
    found = encoder.encode([json.loads(lines[row])["text"] for row in chosen], Bars(), "test")
    assert cosines(found, np.load(vectors / "queries.npy", mmap_mode="r")[chosen]).min() >= 0.9999


@pytest.mark.network
def test_what_stands_between_128_and_256_tokens_counts_and_nothing_after(encoder: MiniLM) -> None:
    ids = load(None, Bars()).encode(LONG).ids
    words = LONG.split()
    assert len(ids) > 300 and len(words) == 320

    def changed(place: int) -> str:
        return " ".join([*words[:place], "volcano", *words[place + 1 :]])

    early, late = changed(140), changed(310)
    assert len(load(None, Bars()).encode(" ".join(words[:140])).ids) in range(128, 250)
    plain, one, other = encoder.encode([LONG, early, late], Bars(), "test")
    assert np.abs(one - plain).max() > 1e-3
    np.testing.assert_allclose(other, plain, atol=1e-6)


@pytest.mark.network
def test_company_does_not_matter(encoder: MiniLM, cache: Path, tmp_path: Path) -> None:
    """A text has the same vector alone as in a full batch, wherever it stands in the list."""
    many = [f"{text} {number}" for number in range(20) for text in SHORT]
    together = encoder.encode(many, Bars(), "test")
    for path in (cache / "vectors").rglob("*.npy"):
        path.unlink()
    for place in (3, 41, 79):
        np.testing.assert_allclose(encoder.encode([many[place]], Bars(), "test")[0], together[place], atol=1e-6)


@pytest.mark.network
def test_one_compilation_for_each_padded_length(encoder: MiniLM, program: Counted) -> None:
    """However many texts there are, and again when other texts come."""
    texts = [" ".join(["word"] * size) for size in (1, 5, 9, 13, 20, 28, 25, 250, 260, 400)]
    encoder.encode(texts, Bars(), "test")
    assert {length for _, length in program.shapes} == {32, 256}
    assert program.compilations <= 2  # none for what earlier tests compiled
    encoder.encode([f"{text} {number}" for text in texts[:7] for number in range(8)], Bars(), "test")
    lengths = {length for _, length in program.shapes}
    assert lengths > {32, 256} and {rows * length for rows, length in program.shapes} <= set(range(480, 513))
    before = program.compilations
    encoder.encode([f"{text} again {number}" for text in texts[:6] for number in range(8)], Bars(), "test")
    assert {length for _, length in program.shapes} == lengths
    assert program.compilations == before


@pytest.mark.network
def test_kept_vectors_are_not_computed_again(encoder: MiniLM, program: Counted, cache: Path) -> None:
    first = encoder.encode(SHORT, Bars(), "test")
    count = len(program.shapes)
    assert count > 0
    bars = Bars()
    again = encoder.encode([*reversed(SHORT), SHORT[0]], bars, "test")
    assert len(program.shapes) == count and bars.opened == []
    assert (again == first[[3, 2, 1, 0, 0]]).all()
    fresh = wiring.build(NODE, "encoder")  # another run: it does not even read the weights
    assert (fresh.encode(SHORT, Bars(), "test") == first).all() and fresh._weights is None


@pytest.mark.network
def test_only_new_texts_are_computed_each_once(encoder: MiniLM, program: Counted) -> None:
    encoder.encode(["seen"], Bars(), "test")
    del program.shapes[:]
    bars = Bars()
    encoder.encode(["new", "seen", "new", "newer"], bars, "domain")
    assert program.shapes == [(512 // 8, 8)]
    assert [(bar.what, bar.total, bar.done, bar.unit) for bar in bars.opened] == [("encode domain", 2, 2, "texts")]


@pytest.mark.network
def test_an_interruption_keeps_the_finished_segments(
    encoder: MiniLM, program: Counted, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """160 texts in five batches, two of which make a segment: in the fifth, a segment at least has been kept."""
    monkeypatch.setattr(minilm, "SEGMENT_TEXTS", 64)
    texts = [f"this is the text with number {number}" for number in range(160)]

    def interrupted(*arguments: Any) -> Any:
        if len(program.shapes) == 4:
            raise KeyboardInterrupt
        return program(*arguments)

    def segments() -> list[Path]:
        return [path for path in (cache / "vectors").rglob("*") if path.is_file()]

    with monkeypatch.context() as patch:
        patch.setattr(minilm, "_program", lambda: interrupted)
        with pytest.raises(KeyboardInterrupt):
            encoder.encode(texts, Bars(), "test")
    kept = sum(len(np.load(path)) for path in segments())
    assert kept in (64, 96)  # what XLA still had in hand is lost
    del program.shapes[:]
    bars = Bars()
    found = encoder.encode(texts, bars, "test")
    assert bars.opened[0].total == bars.opened[0].done == 160 - kept
    assert len(program.shapes) == (160 - kept) // 32
    for path in segments():
        path.unlink()
    np.testing.assert_allclose(encoder.encode(texts, Bars(), "test"), found, atol=1e-6)


@pytest.mark.network
def test_a_collections_texts(encoder: MiniLM) -> None:
    """Passages as title, a space, text; queries as they are."""
    one = collection(["fever", "bonds"], ["what?"], [{0: 1}])
    titled = [passage._replace(title="Aspirin") for passage in one.passages]
    one = type(one)(**{field: getattr(one, field) for field in one.__slots__} | {"passages": tuple(titled)})
    expected = encoder.encode(["Aspirin fever", "Aspirin bonds", "what?"], Bars(), "test")
    assert (encoder.passages(one, Bars()) == expected[:2]).all()
    assert (encoder.queries(one, Bars()) == expected[2:]).all()


@pytest.mark.network
def test_another_cut_is_another_encoder(encoder: MiniLM, cache: Path) -> None:
    """Vectors of texts cut elsewhere are never taken for these."""
    one = collection([LONG], ["q"], [{0: 1}])
    other = wiring.build(NODE | {"max_tokens": 16}, "encoder")
    assert other.identity(one) != encoder.identity(one)
    assert wiring.build(NODE | {"batch_tokens": 4096}, "encoder").identity(one) == encoder.identity(one)
    assert np.abs(other.passages(one, Bars()) - encoder.passages(one, Bars())).max() > 1e-3


@pytest.mark.parametrize(("key", "value"), [("max_tokens", 257), ("max_tokens", 2), ("batch_tokens", 255)])
def test_values_that_are_not_allowed(key: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"^encoder\.{key}: given {value}; "):
        wiring.build(NODE | {key: value}, "encoder")


@pytest.mark.network
def test_bfloat16_vectors_point_where_float32_ones_do(encoder: MiniLM, cache: Path) -> None:
    """By weights half the size, which are kept; and its vectors are never taken for the others."""
    smaller = wiring.build(NODE | {"precision": "bfloat16"}, "encoder")
    one = collection([LONG], ["q"], [{0: 1}])
    assert smaller.identity(one) != encoder.identity(one)
    texts = [*SHORT, LONG]
    found, wide = (each.encode(texts, Bars(), "test") for each in (smaller, encoder))
    assert found.dtype == np.float32 and cosines(found, wide).min() >= 0.999
    assert np.abs(found - wide).max() > 1e-5
    (kept,) = (cache / "weights").iterdir()
    assert 45e6 < kept.stat().st_size < 46e6
