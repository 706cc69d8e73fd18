from __future__ import annotations

import pytest
import reference
from doubles import Bars

from rag_lab.encoder.wordpiece import count_tokens, load

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("cache")]
TEXTS = [
    "Pain and fever.",
    "",
    "naïve Δx 中文 😀 e-mail: a@b.c",
    "hyperparathyroidism " * 40,
    "word " * 300,
]


def test_tokens_are_those_of_the_file_without_its_own_cut(tokenizer_json: str) -> None:
    tokenizer = load(256, Bars())
    for text in TEXTS:
        assert tokenizer.encode(text).ids == reference.minilm_tokens(text, tokenizer_json)


def test_texts_are_cut_at_256_not_at_128_and_not_padded() -> None:
    lengths = [len(one.ids) for one in load(256, Bars()).encode_batch_fast(TEXTS)]
    assert lengths[1] == 2 and lengths[4] == 256
    assert 128 < lengths[3] <= 256
    assert len(load(16, Bars()).encode(TEXTS[4]).ids) == 16


def test_what_a_provider_would_bill_is_neither_cut_nor_marked() -> None:
    assert count_tokens(TEXTS, Bars())[[0, 1, 4]].tolist() == [4, 0, 300]
    uncut = [len(load(None, Bars()).encode(text).ids) - 2 for text in TEXTS]
    assert count_tokens(TEXTS, Bars()).tolist() == uncut
