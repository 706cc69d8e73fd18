"""A little live pipeline for tests: real stages over two tiny collections, and an encoder of a few numbers."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import yaml
from doubles import collection
from jaxtyping import Array

from rag_lab import wiring
from rag_lab.cache.layering import Cache, Nothing
from rag_lab.cache.recall import Names, Recall
from rag_lab.encoder.live import Live, Tokens
from rag_lab.l1_retrieval.index import Index
from rag_lab.l2_domain.signature import Labelled
from rag_lab.l4_feedback.policy import Judged, Setting
from rag_lab.pipeline import Stages
from rag_lab.types import Collection, Query

CONF = Path(__file__).resolve().parents[1] / "conf"
ALPHAS = np.round(np.arange(11) / 10, 1)
WORDS = {
    "medicine": ("fever", "cough", "drug", "nurse", "virus", "sleep"),
    "money": ("bond", "tax", "stock", "loan", "bank", "price"),
}
TABLE = np.random.default_rng(0).standard_normal((256, 16)).astype(np.float32)
LENGTH = 16  # tokens of every text


def built(group: str, name: str, **changes: Any) -> Any:
    """A variant as its file says, but for the changes."""
    node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))
    node.pop("defaults", None)
    return wiring.build(node | changes, group)


def encoder() -> Live:
    """The mean of a random vector for each word, at unit length."""

    def tokenise(texts: Sequence[str]) -> Tokens:
        rows = 1 << (len(texts) - 1).bit_length()
        ids, real = np.zeros((rows, LENGTH), np.int32), np.zeros((rows, LENGTH), bool)
        for row, text in enumerate(texts):
            for place, word in enumerate(text.lower().split()[:LENGTH]):
                ids[row, place], real[row, place] = zlib.crc32(word.encode()) % len(TABLE), True
        return Tokens(ids, real, len(texts))

    def encode(weights: Array, ids: Array, real: Array) -> Array:
        total = (weights[ids] * real[..., None]).sum(axis=1)
        return total / jnp.maximum(jnp.linalg.norm(total, axis=1, keepdims=True), 1e-9)

    return Live(tokenise, encode, jnp.asarray(TABLE))


def texts(domain: str, count: int) -> list[str]:
    """Sentences in the domain's own words, all different."""
    words = WORDS[domain]
    return [f"{words[n % 6]} {words[n // 6 % 6]} {domain}{n} matters. Then more." for n in range(count)]


def little(domain: str, passages: int = 30, queries: int = 20) -> Collection:
    """A domain whose query n asks for passage n."""
    asked = [" ".join(text.split()[:2]) for text in texts(domain, queries)]
    one = collection(texts(domain, passages), asked, [{n: 1} for n in range(queries)], domain=domain)
    return Collection(
        domain,
        one.passages,
        tuple(query._replace(id=f"{domain}-{query.id}") for query in one.queries),
        {f"{domain}-{query}": judged for query, judged in one.qrels.items()},
        passages,
        queries,
    )


COLLECTIONS = tuple(map(little, WORDS))


def queries(count: int) -> list[Query]:
    """Queries of both domains in turn."""
    pairs = zip(*(one.queries for one in COLLECTIONS), strict=True)
    return [query for pair in pairs for query in pair][:count]


def vectors(live: Live, given: Sequence[str]) -> np.ndarray:
    """The vectors of texts."""
    tokens = live.tokenise(given)
    return np.asarray(jax.jit(live.encode)(live.weights, tokens.ids, tokens.real))[: tokens.filled]


def setting() -> Setting:
    """What policies start with; α 0.7 is believed best for medicine, 0.2 for money, 0.5 otherwise."""
    shape = len(ALPHAS)
    return Setting(
        tuple(WORDS),
        tuple(f"α {alpha:g}" for alpha in ALPHAS),
        ALPHAS,
        np.stack([ALPHAS, ALPHAS**2], axis=1),
        ("one", "other"),
        np.array([0.7, 0.2, 0.5]),
        lambda per_domain, budget: np.zeros(3, np.int64),
        lambda: Judged(np.zeros((2, 2)), np.zeros(2, np.int64), np.zeros((2, shape))),
    )


def stages(**chosen: Any) -> Stages:
    """The baseline's stages over the tiny collections, but for those chosen."""
    live, retriever = encoder(), built("retriever", "hybrid", pool=20)
    asked = [query for one in COLLECTIONS for query in one.queries]
    train = Labelled(
        [query.text for query in asked],
        vectors(live, [query.text for query in asked]),
        np.array([list(WORDS).index(query.domain) for query in asked]),
        [[passage.indexed_text for passage in one.passages] for one in COLLECTIONS],
    )
    given = {
        "live": live,
        "detector": built("detector", "sequential").fit(train, live),
        "policy": built("policy", "static"),
        "generator": built("generator", "lead"),
        "filter": built("filter", "scalar"),
        "indexes": {
            one.domain: Index(retriever, one, vectors(live, [passage.indexed_text for passage in one.passages]))
            for one in COLLECTIONS
        },
        "recall": recall(Nothing()),
        "shown": 10,
        "window": 100,
    }
    return Stages(**(given | chosen))


def recall(cache: Cache | Nothing) -> Recall:
    """A cache around the tiny collections' stages."""
    return Recall(cache, Names("tiny", {one.domain: f"index of {one.domain}" for one in COLLECTIONS}, {}, {}), 10)
