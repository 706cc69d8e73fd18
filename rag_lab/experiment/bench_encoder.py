"""The MiniLM encoder against ONNX Runtime with the same weights, and how near both come to their matrix products.

Cells: `b<B>_t<T>`, B rows of T seeded token ids in, vectors out; `passages`, texts of the data set in, vectors
out, tokenising included and nothing kept. The peers are those of `encoder_peers`, each at its best. The floor
`matmul` is the bare product of every token with every weight of the layers, the quickest of NumPy's and XLA's;
attention's own products are left out. All run in one process, on all its cores.

A result is right where its vectors point as ONNX Runtime's do: a cosine of 0.9999 at least, or 0.999 if the
encoder computes in bfloat16. Where ONNX Runtime is not installed, our own float32 program takes its place.

Shapes: B texts, T padded tokens, D dimensions. Units: milliseconds.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from pydantic import Field

from rag_lab.encoder import compiler, minilm, onnx_session, wordpiece
from rag_lab.encoder.minilm import MiniLM
from rag_lab.errors import AssetError, ConfigError
from rag_lab.experiment import benchmark, encoder_peers
from rag_lab.experiment.benchmark import Cell, Effort, Program
from rag_lab.experiment.encoder_peers import Cut, Spread, Vectors, Way, ways
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.summary import Findings
from rag_lab.kernels.transformer import Layer, Transformer, encode
from rag_lab.types import ProgressFactory

WORDS = (1000, 29000)  # ids of ordinary words in the vocabulary
COSINE = {"float32": 0.9999, "bfloat16": 0.999}
FLOOR_ROWS = (512, 4096)  # tokens in one product, beside the encoder's own batch: caches like few, other BLAS many
Positive = Annotated[int, Field(ge=1)]


class BenchEncoder(NamedTuple):
    """The experiment's settings; see conf/experiment/bench_encoder.yaml."""

    name: str
    question: str
    batches: tuple[int, ...]
    tokens: tuple[int, ...]
    passages: int
    effort: Effort

    @property
    def needs_data(self) -> bool:
        """Without data there is no cell `passages`; ids are made up."""
        return False

    def check(self, lab: Lab) -> None:
        """ConfigError where the encoder chosen computes nothing."""
        _minilm(lab)

    def execute(self, lab: Lab) -> Findings:
        """Measure every cell."""
        contest = Contest(_minilm(lab), lab.progress)
        facts = {
            "data": f"seeded token ids; passages of data={lab.dataset.name}; seed {lab.seed}",
            "precision": contest.encoder.precision,
            "right": contest.right,
            "threads_set": {
                "xla": "all cores of the process",
                "onnxruntime": "as many",
                "numpy": "its BLAS' own default, or the environment's",
            },
        }
        cells = self._cells(contest, lab)
        document = benchmark.run(lab, self.name.removeprefix("bench_"), cells, self.effort, facts)
        for row in document["cells"]:
            row["peer_ways"] = contest.ways[row["case"]]
            if row["ours_ms"] is not None:
                row["gflop_per_s"] = 2 * contest.weights * row["size"]["real_tokens"] / row["ours_ms"] / 1e6
        return benchmark.publish(document)

    def _cells(self, contest: Contest, lab: Lab) -> Iterator[Cell]:
        random = np.random.default_rng(lab.seed)
        for size in self.batches:
            for length in self.tokens:
                yield contest.of_ids(random.integers(*WORDS, (size, length)).astype(np.int32))
        texts = [passage.indexed_text for one in lab.dataset.collections for passage in one.passages]
        if texts:
            yield contest.of_texts([texts[at] for at in random.permutation(len(texts))[: self.passages]])


class Contest:
    """Our encoder and what it is held against. ways: by case and peer, how the peer was at its best; weights: how
    many numbers every token is multiplied with."""

    def __init__(self, encoder: MiniLM, progress: ProgressFactory) -> None:
        self.encoder, self.progress = encoder, progress
        self.ways: dict[str, dict[str, str]] = {}
        own = encoder.weights(progress)
        try:
            full, self.right = minilm.weights(progress), "float32"
        except AssetError:  # a machine without network that was only given the smaller copy
            full = jax.tree.map(lambda array: array.astype(np.float32), own)
            self.right = f"float32 arithmetic on the weights in {encoder.precision}"
        self._layers = own.layers
        self.weights = sum(matrix.size for w in own.layers for matrix in (w.qkv, w.out, w.up, w.down))
        self._full = full
        self._peers: dict[str, Mapping[str, Spread]] = {}
        self._absent: dict[str, str] = {}
        if onnx_session.missing():
            self._absent["onnxruntime"] = "not installed; pip install 'rag-lab[peers]'"
        else:
            self._peers["onnxruntime"] = encoder_peers.onnx_runtime(full, benchmark.threads())
        if importlib.util.find_spec("sentence_transformers") is None:
            self._absent["sentence_transformers"] = (
                "not installed; it brings PyTorch: pip install sentence-transformers"
            )
        else:
            self._peers["sentence_transformers"] = encoder_peers.sentence_transformers(progress, benchmark.threads())

    def of_ids(self, ids: Int[np.ndarray, "B T"]) -> Cell:
        """The cell of rows without padding."""
        size, length = ids.shape
        real = np.ones_like(ids, bool)
        return self._cell(
            f"b{size}_t{length}",
            {"texts": size, "tokens": length, "real_tokens": ids.size},
            lambda: self.encoder.vectors(ids, real, self.progress),
            partial(encoder_peers.rows, ids, real),
        )

    def of_texts(self, texts: Sequence[str]) -> Cell:
        """The cell of texts."""
        tokenizer = wordpiece.load(self.encoder.max_tokens, self.progress)
        count = sum(len(one.ids) for one in tokenizer.encode_batch_fast(list(texts)))

        def ours() -> Vectors:
            found = np.empty((len(texts), minilm.DIMENSIONS), np.float32)
            for positions, vectors in self.encoder.compute(texts, self.progress):
                found[positions] = vectors
            return found

        return self._cell(
            "passages",
            {"texts": len(texts), "real_tokens": count},
            ours,
            partial(encoder_peers.sorted_texts, tokenizer, texts),
        )

    def _cell(self, case: str, size: dict[str, int], ours: Callable[[], Vectors], cut: Cut) -> Cell:
        best = {name: encoder_peers.quickest(ways(cut, spreads)) for name, spreads in self._peers.items()}
        self.ways[case] = {name: way.words for name, way in best.items()}
        sizes = (*FLOOR_ROWS, self.encoder.batch_tokens)
        return Cell(
            case=case,
            size=size,
            ours=ours,
            peers={name: way.run for name, way in best.items()},
            floors={"matmul": products(self._layers, size["real_tokens"], sizes)},
            check=partial(wrong, self._expected(cut, best), COSINE[self.encoder.precision]),
            absent=self._absent,
        )

    def _expected(self, cut: Cut, best: Mapping[str, Way]) -> Vectors:
        if "onnxruntime" in best:
            return best["onnxruntime"].run()
        (part,), place = cut(sys.maxsize)
        expected = np.empty((len(place), minilm.DIMENSIONS), np.float32)
        expected[place] = _forward(self._full, part.ids, part.real)
        return expected


def wrong(expected: Vectors, cosine: float, found: Vectors) -> str | None:
    """What is wrong with a result: None if every vector is of length 1 and points as the expected one does."""
    if found.shape != expected.shape:
        return f"shape {found.shape}, asked {expected.shape}"
    length = np.linalg.norm(found, axis=1)
    if not np.abs(length - 1).max() < 1e-3:
        return f"a vector of length {length[np.abs(length - 1).argmax()]:.4f}"
    wide, other = found.astype(np.float64), expected.astype(np.float64)
    least = ((wide * other).sum(axis=1) / np.linalg.norm(wide, axis=1) / np.linalg.norm(other, axis=1)).min()
    return None if least >= cosine else f"a cosine of {least:.6f} to the expected vector"


def products(layers: Sequence[Layer], tokens: int, sizes: Sequence[int]) -> list[Program]:
    """Programs that multiply so many tokens with the layers' matrices and do nothing else, by XLA and, in float32,
    by NumPy, so many rows in one product (a remainder is left out)."""
    programs: list[Program] = []
    for rows in dict.fromkeys(min(size, tokens) for size in sizes):
        programs.append(_by_xla(layers, rows, tokens // rows))
        if layers[0].qkv.dtype == np.float32:
            programs.append(_by_numpy(layers, rows, tokens // rows))
    return programs


def _by_xla(layers: Sequence[Layer], rows: int, times: int) -> Program:
    @partial(jax.jit, compiler_options=compiler.options())
    def bare(layers: Sequence[Layer], x: Float[Array, "rows D"]) -> Float[Array, "rows D"]:
        for w in layers:  # one after another, as they must; max: or XLA might see that not all is used
            x = (((x @ w.qkv).reshape(rows, 3, -1).max(axis=1) @ w.out) @ w.up) @ w.down
        return x

    x = jnp.ones((rows, minilm.DIMENSIONS), layers[0].qkv.dtype)

    def run() -> None:
        for _ in range(times):
            bare(layers, x).block_until_ready()

    return run


def _by_numpy(layers: Sequence[Layer], rows: int, times: int) -> Program:
    host = [[np.asarray(matrix) for matrix in (w.qkv, w.out, w.up, w.down)] for w in layers]
    x, (qkv, result, hidden, _) = (
        np.ones((rows, minilm.DIMENSIONS), np.float32),
        (np.ones((rows, matrix.shape[1]), np.float32) for matrix in host[0]),
    )

    def run() -> None:
        for _ in range(times):
            for first, out, up, down in host:
                np.matmul(x, first, out=qkv)
                np.matmul(x, out, out=result)
                np.matmul(x, up, out=hidden)
                np.matmul(hidden, down, out=result)

    return run


def build(
    *,
    name: str,
    question: str,
    batches: tuple[Positive, ...],
    tokens: tuple[Annotated[int, Field(ge=1, le=256)], ...],
    passages: Positive,
    budget_s: Annotated[float, Field(ge=0)],
    rounds: Positive,
    turn_s: Annotated[float, Field(ge=0)],
    rest_s: Annotated[float, Field(ge=0)],
) -> Any:
    """The experiment: a cell for each number of rows and of tokens, and one for so many passages of the data.

    budget_s: measuring time of a cell; rounds: at least so many; turn_s: of one program in a round, repeated until
    it is over; rest_s: before each turn.
    """
    return BenchEncoder(name, question, batches, tokens, passages, Effort(budget_s, rounds, turn_s, rest_s))


def _minilm(lab: Lab) -> MiniLM:
    if not isinstance(lab.encoder, MiniLM):
        raise ConfigError(
            f"encoder={lab.choices['encoder']} computes nothing that could be measured; give encoder=minilm"
        )
    return lab.encoder


@jax.jit
def _forward(weights: Transformer, ids: Int[Array, "B T"], real: Bool[Array, "B T"]) -> Float[Array, "B D"]:
    """Eight texts at a time, so that memory holds them."""
    one = partial(encode, weights, heads=minilm.HEADS, epsilon=minilm.EPSILON)
    return jax.lax.map(lambda text: one(*text), (ids, real), batch_size=8)
