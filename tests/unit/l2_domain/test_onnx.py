"""The peer's engine and our own, from text to label, on a small random encoder with as many heads as the model."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from rag_lab import wiring
from rag_lab.encoder.live import Live, Tokens
from rag_lab.encoder.minilm import EPSILON, HEADS
from rag_lab.errors import ConfigError
from rag_lab.kernels.transformer import Layer, Transformer, encode
from rag_lab.l2_domain.signature import Labelled, Signature

WORDS = ["fever", "cough", "pain", "drug", "bond", "tax", "stock", "loan", "river", "song", "king", "war"]
WIDTH, WIDE, LENGTH = 2 * HEADS, 4 * HEADS, 8
NODE = {"_target_": "rag_lab.l2_domain.onnx.build", "precision": 0.0, "max_batch": 16, "threads": 1}
RANDOM = np.random.default_rng(0)


def random(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.3, shape).astype(np.float32)


SHAPES = {"qkv": (WIDTH, 3 * WIDTH), "out": (WIDTH, WIDTH), "up": (WIDTH, WIDE), "down": (WIDE, WIDTH),
          "qkv_bias": (3 * WIDTH,), "up_bias": (WIDE,)}  # fmt: skip


def layer() -> Layer:
    return Layer(*((name.endswith("scale")) + random(*SHAPES.get(name, (WIDTH,))) for name in Layer._fields))


WEIGHTS = Transformer(random(len(WORDS), WIDTH), random(LENGTH, WIDTH), 1 + random(WIDTH), random(WIDTH),
                      (layer(), layer()))  # fmt: skip


def tokenise(texts: Sequence[str]) -> Tokens:
    """A number a word; four rows of filler at the end."""
    ids, real = np.zeros((len(texts) + 4, LENGTH), np.int32), np.zeros((len(texts) + 4, LENGTH), bool)
    for row, text in enumerate(texts):
        numbers = [WORDS.index(word) for word in text.split()]
        ids[row, : len(numbers)], real[row, : len(numbers)] = numbers, True
    return Tokens(ids, real, len(texts))


LIVE = Live(
    tokenise,
    jax.vmap(partial(encode, heads=HEADS, epsilon=EPSILON), in_axes=(None, 0, 0)),
    jax.device_put(WEIGHTS),
)


def asked(domains: np.ndarray) -> list[str]:
    return [" ".join(RANDOM.choice(WORDS[4 * one : 4 * one + 4], RANDOM.integers(1, LENGTH))) for one in domains]


def detect(node: dict[str, Any], texts: Sequence[str]) -> Signature:
    """By a detector that has learned from vectors of the same encoder."""
    domains = np.arange(60) % 3
    known = asked(domains)
    tokens = tokenise(known)
    vectors = np.asarray(jax.jit(LIVE.encode)(LIVE.weights, tokens.ids, tokens.real))[: tokens.filled]
    train = Labelled(known, vectors, domains, [[" ".join(WORDS)]] * 3)
    return wiring.build(node, "detector").fit(train, LIVE)(texts)


def test_its_labels_are_those_of_batched_but_for_ties() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    texts = asked(RANDOM.integers(0, 3, 50))
    batched = {"_target_": "rag_lab.l2_domain.batched.build", "precision": 0.0, "max_batch": 16}
    state = RANDOM.bit_generator.state
    ours = detect(batched, texts)
    RANDOM.bit_generator.state = state  # the same train queries
    found = detect(NODE, texts)
    np.testing.assert_allclose(found.probabilities, ours.probabilities, atol=1e-5)
    best = np.sort(ours.probabilities, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-5
    assert clear.sum() > 40 and (found.domain == ours.domain)[clear].all()


def test_without_the_package_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    with pytest.raises(ConfigError, match=r"^detector=onnx needs .*onnxruntime; pip install 'rag-lab\[peers\]'"):
        wiring.build(NODE, "detector")
