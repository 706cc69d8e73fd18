from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.assets.vectors import KEY_BYTES, VectorStore, key

TEXTS = ["", "one", "two words", "Δx = 5 µm", "two  words"]
VECTORS = np.random.default_rng(0).normal(size=(len(TEXTS), 3)).astype(np.float32)


def store(folder: Path, identity: str = "encoder-1") -> VectorStore:
    opened = VectorStore(folder, identity, 3)
    opened.refresh()
    return opened


def test_what_was_added_is_got_exactly_in_any_order(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.add(TEXTS, VECTORS)
    order = [3, 0, 0, 4, 2, 3]
    found = kept.get([TEXTS[place] for place in order])
    assert found.dtype == np.float32 and (found == VECTORS[order]).all()
    assert kept.get([]).shape == (0, 3)


def test_another_process_finds_it(tmp_path: Path) -> None:
    store(tmp_path).add(TEXTS, VECTORS)
    assert (store(tmp_path).get(TEXTS) == VECTORS).all()


def test_a_store_sees_the_segments_of_others_when_it_looks_again(tmp_path: Path) -> None:
    one, other = store(tmp_path), store(tmp_path)
    one.add(TEXTS[:2], VECTORS[:2])
    other.add(TEXTS[2:], VECTORS[2:])
    assert one.missing(TEXTS) == TEXTS[2:]
    one.refresh()
    assert one.missing(TEXTS) == [] and (one.get(TEXTS) == VECTORS).all()


def test_missing_are_the_distinct_ones_in_first_seen_order(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.add(["b"], VECTORS[:1])
    assert kept.missing(["c", "b", "a", "c", "a"]) == ["c", "a"]
    with pytest.raises(KeyError):
        kept.get(["b", "a"])


def test_encoders_do_not_share(tmp_path: Path) -> None:
    store(tmp_path).add(TEXTS, VECTORS)
    assert store(tmp_path, "encoder-2").missing(TEXTS) == TEXTS


def test_the_same_text_twice_is_no_trouble(tmp_path: Path) -> None:
    """Two runs at the same time may both encode a text; they keep the same vector."""
    one, other = store(tmp_path), store(tmp_path)
    one.add(TEXTS[:3], VECTORS[:3])
    other.add(TEXTS[2:], VECTORS[2:])
    other.add(TEXTS[2:], VECTORS[2:])
    assert (store(tmp_path).get(TEXTS) == VECTORS).all()
    assert len(list((tmp_path / "encoder-1").iterdir())) == 2


def test_an_interrupted_writer_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = store(tmp_path)
    kept.add(TEXTS[:2], VECTORS[:2])
    real = np.save

    def broken(path: Path, segment: np.ndarray) -> None:
        real(path, segment[:1])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", broken)
        with pytest.raises(KeyboardInterrupt):
            kept.add(TEXTS[2:], VECTORS[2:])
    assert len(list((tmp_path / "encoder-1").iterdir())) == 1
    for one in (kept, store(tmp_path)):
        assert one.missing(TEXTS) == TEXTS[2:] and (one.get(TEXTS[:2]) == VECTORS[:2]).all()


def test_a_file_that_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    store(tmp_path).add(TEXTS[:2], VECTORS[:2])
    (tmp_path / "encoder-1" / ".0123456789ab.other.npy").write_bytes(b"\x93NUMPY half")
    assert store(tmp_path).missing(TEXTS) == TEXTS[2:]


def test_nothing_is_written_before_something_is_added(tmp_path: Path) -> None:
    store(tmp_path / "vectors").missing(TEXTS)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=50, deadline=None)
@given(st.sets(st.text(st.characters(exclude_categories=["Cs"])), max_size=20))
def test_keys_are_short_stable_and_apart(texts: set[str]) -> None:
    keys = {key(text) for text in texts}
    assert len(keys) == len(texts) and all(len(one) == KEY_BYTES for one in keys)


def test_a_key_by_hand() -> None:
    """The start of sha256("abc"): kept files stay readable by later versions."""
    assert key("abc").hex() == "ba7816bf8f01cfea414140de5dae2223"
