"""What the encoder benchmark takes for right, and how it lets its peers run."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest

from rag_lab.encoder.live import Tokens
from rag_lab.encoder.minilm import DIMENSIONS
from rag_lab.experiment import encoder_peers
from rag_lab.experiment.bench_encoder import wrong
from rag_lab.experiment.encoder_peers import Way

UNIT = np.eye(3, DIMENSIONS, dtype=np.float32)


def turned(cosine: float) -> np.ndarray:
    """The unit vectors, the second of them turned."""
    found = UNIT.copy()
    found[1, :5] = [0, cosine, 0, 0, (1 - cosine**2) ** 0.5]
    return found


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (UNIT, None),
        (turned(0.99995), None),
        (turned(0.9998), "a cosine of 0.9998"),
        (UNIT * 1.01, "a vector of length 1.01"),
        (np.full_like(UNIT, np.nan), "a vector of length nan"),
        (UNIT[:2], "shape"),
        (UNIT[[1, 0, 2]], "a cosine of 0"),
    ],
)
def test_a_result_is_right_where_every_vector_points_as_expected(found: np.ndarray, why: str | None) -> None:
    said = wrong(UNIT, 0.9999, found)
    assert said is None if why is None else said is not None and said.startswith(why)


def by_first(parts: list[Tokens]) -> list[np.ndarray]:
    """A peer whose vector is the text's first token, over and over, whatever the padding."""
    return [np.repeat(part.ids[:, :1], DIMENSIONS, axis=1).astype(np.float32) for part in parts]


def test_however_a_peer_is_run_its_rows_keep_their_places() -> None:
    ids = np.arange(12 * 100, dtype=np.int32).reshape(12, 100)
    cut = partial(encoder_peers.rows, ids, np.ones_like(ids, bool))
    found = encoder_peers.ways(cut, {"so": by_first, "or so": by_first})
    assert [way.words for way in found] == [f"{size} tokens a batch, {how}" for size in (256, 512, 1024, 2048)
                                            for how in ("so", "or so")]  # fmt: skip
    assert all((way.run()[:, 0] == ids[:, 0]).all() for way in found)


def test_texts_are_sorted_cut_and_padded_to_their_longest_alone() -> None:
    class Words:
        """A tokenizer whose tokens are numbers."""

        class One:
            def __init__(self, text: str) -> None:
                self.ids = list(map(int, text.split()))

        def encode_batch_fast(self, texts: list[str]) -> list[Words.One]:
            return [self.One(text) for text in texts]

    texts = [" ".join([str(number)] * size) for number, size in enumerate((3, 40, 200, 7, 100), start=1)]
    parts, place = encoder_peers.sorted_texts(Words(), texts, 256)
    assert [part.ids.shape for part in parts] == [(1, 200), (2, 100), (2, 7)]
    assert place.tolist() == [2, 4, 1, 3, 0]
    (way, *_) = encoder_peers.ways(partial(encoder_peers.sorted_texts, Words(), texts), {"so": by_first})
    assert way.run()[:, 0].tolist() == [1, 2, 3, 4, 5]


def test_the_quickest_way_competes() -> None:
    slow = Way("slow", lambda: time.sleep(0.02) or UNIT)
    quick = Way("quick", lambda: UNIT)
    assert encoder_peers.quickest([slow, quick, slow]).words == "quick"
