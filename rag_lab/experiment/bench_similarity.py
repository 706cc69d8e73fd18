"""The benchmark of exact similarity top-k: ours against faiss' IndexFlatIP and NumPy, with what nothing can beat.

Passages and queries are seeded random unit vectors: an exact search does the same work on any vectors. Floors:
`read_once`, the time to read the passages' matrix; `matmul`, the time of the bare product of queries and
passages. Both are the quickest of NumPy's and XLA's, measured in turn with the rest.

Shapes: N passages, D dimensions, Q queries, K winners.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.experiment import benchmark
from rag_lab.experiment.benchmark import Cell, Effort
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.summary import Findings
from rag_lab.l1_retrieval.dense import Dense, plan
from rag_lab.l1_retrieval.selection import Nearest

JUDGED = 16  # queries of a cell that are held against float64
TOLERANCE = 2e-6  # of a float32 inner product of unit vectors
NUMPY_SCORES = 1 << 25  # NumPy's tile of queries: larger ones only lose the cache
Positive = Annotated[int, Field(ge=1)]
ABSENT = "not installed; pip install 'rag-lab[peers]'"


class BenchSimilarity(NamedTuple):
    """The experiment's settings; see conf/experiment/bench_similarity.yaml."""

    name: str
    question: str
    queries: tuple[int, ...]
    passages: tuple[int, ...]
    k: tuple[int, ...]
    dimensions: int
    effort: Effort

    @property
    def needs_data(self) -> bool:
        """Vectors are made up."""
        return False

    def check(self, lab: Lab) -> None:
        """Nothing can be wrong with the data: there is none."""

    def execute(self, lab: Lab) -> Findings:
        """Measure every cell."""
        facts = {
            "data": f"random unit vectors, seed {lab.seed}",
            "threads_set": {
                "faiss": "omp_set_num_threads",
                "xla": "all cores of the process",
                "numpy": "its BLAS' own default, or the environment's",
            },
        }
        document = benchmark.run(lab, self.name.removeprefix("bench_"), self._cells(lab.seed), self.effort, facts)
        return benchmark.publish(document)

    def _cells(self, seed: int) -> Iterator[Cell]:
        random = np.random.default_rng(seed)
        queries = unit(random, max(self.queries), self.dimensions)
        for count in self.passages:
            corpus = Corpus(unit(random, count, self.dimensions), queries[:JUDGED], max(self.k))
            for size in self.queries:
                for k in self.k:
                    yield corpus.cell(queries[:size], min(k, count))


class Corpus:
    """Passages as every program wants them, and the right answers to the first queries."""

    def __init__(self, vectors: Float[np.ndarray, "N D"], judged: Float[np.ndarray, "J D"], k: int) -> None:
        self.vectors = vectors
        self.index = Dense(vectors, plan())
        self.best = best_scores(vectors, judged, min(k, len(vectors)))
        self.faiss = _faiss(vectors)

    def cell(self, queries: Float[np.ndarray, "Q D"], k: int) -> Cell:
        """The cell of these queries."""
        (size, dimensions), count = queries.shape, len(self.vectors)
        one, transposed = queries[0], self.vectors.T
        tile = max(1, min(size, NUMPY_SCORES // count))
        scores = np.empty((tile, count), np.float32)
        tiles = [queries[at : at + tile] for at in range(0, size, tile)]
        batch = self.index.plan.tiles[-1]
        batches = [queries[at : at + batch] for at in range(0, size, batch)]

        def numpy_product() -> None:
            for part in tiles:
                np.matmul(part, transposed, out=scores[: len(part)])

        def xla_product() -> None:
            for block in self.index.blocks:
                for part in batches:
                    _product(part, block).block_until_ready()

        peers: dict[str, Callable[[], Any]] = {"numpy": lambda: by_numpy(self.vectors, tiles, k)}
        if (search := self.faiss) is not None:
            peers["faiss"] = lambda: Nearest(*search(queries, k)[::-1])
        return Cell(
            case=f"q{size}_n{count}_k{k}",
            size={"queries": size, "passages": count, "k": k, "dimensions": dimensions},
            ours=lambda: self.index.search(queries, k),
            peers=dict(sorted(peers.items())),
            floors={
                "read_once": (lambda: self.vectors @ one, lambda: _read(self.index.blocks)),
                "matmul": (numpy_product, xla_product),
            },
            check=lambda found: self.wrong(found, queries, k),
            absent={} if self.faiss is not None else {"faiss": ABSENT},
        )

    def wrong(self, found: Nearest, queries: Float[np.ndarray, "Q D"], k: int) -> str | None:
        """What is wrong with a result: None if it names k different passages each, the best, best first."""
        passage, score = (np.asarray(part) for part in found)
        if passage.shape != (len(queries), k) or score.shape != passage.shape:
            return f"shape {passage.shape}, asked {(len(queries), k)}"
        ordered = np.sort(passage, axis=1)
        if ordered[:, 0].min() < 0 or ordered[:, -1].max() >= len(self.vectors) or (np.diff(ordered) == 0).any():
            return "a passage that does not exist, or one twice"
        if (np.diff(score) > 0).any():
            return "not best first"
        for at in range(0, len(queries), JUDGED):
            part = slice(at, at + JUDGED)
            own = np.einsum("qkd,qd->qk", self.vectors[passage[part]], queries[part])
            if np.abs(own - score[part]).max() > TOLERANCE:
                return "a score that is not the passage's inner product"
        judged = min(JUDGED, len(queries))
        if np.abs(score[:judged] - self.best[:judged, :k]).max() > TOLERANCE:
            return "not the best passages"
        return None


def unit(random: np.random.Generator, rows: int, dimensions: int) -> Float[np.ndarray, "rows D"]:
    """Random directions."""
    vectors = random.standard_normal((rows, dimensions), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def best_scores(
    vectors: Float[np.ndarray, "N D"], queries: Float[np.ndarray, "J D"], k: int
) -> Float[np.ndarray, "J K"]:
    """The k best inner products of each query in float64, best first, a block of passages at a time."""
    wide, best = queries.astype(np.float64), np.empty((len(queries), 0))
    for at in range(0, len(vectors), 1 << 16):
        both = np.concatenate([best, wide @ vectors[at : at + (1 << 16)].T.astype(np.float64)], axis=1)
        best = np.sort(both, axis=1)[:, ::-1][:, :k]
    return best


def by_numpy(vectors: Float[np.ndarray, "N D"], tiles: list[Float[np.ndarray, "Q D"]], k: int) -> Nearest:
    """The peer: a product, argpartition, and the winners sorted."""
    parts = []
    for queries in tiles:
        scores = queries @ vectors.T
        place = np.argpartition(scores, -k, axis=1)[:, -k:]
        value = np.take_along_axis(scores, place, axis=1)
        order = np.argsort(-value, axis=1)
        parts.append((np.take_along_axis(place, order, axis=1), np.take_along_axis(value, order, axis=1)))
    return Nearest(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _faiss(vectors: Float[np.ndarray, "N D"]) -> Callable[[Any, int], tuple[Any, Int[np.ndarray, "Q K"]]] | None:
    """faiss' search over the vectors; None where it is not installed."""
    if importlib.util.find_spec("faiss") is None:
        return None
    import faiss

    faiss.omp_set_num_threads(benchmark.threads())
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index.search


@jax.jit
def _product(queries: Float[Array, "Q D"], passages: Float[Array, "N D"]) -> Float[Array, "Q N"]:
    return jnp.matmul(queries, passages.T, precision=jax.lax.Precision.HIGHEST)


@jax.jit
def _most(passages: Float[Array, "N D"]) -> Float[Array, " D"]:
    return passages.max(axis=0)


def _read(blocks: list[Any]) -> None:
    for block in blocks:
        _most(block).block_until_ready()


def build(
    *,
    name: str,
    question: str,
    queries: tuple[Positive, ...],
    passages: tuple[Positive, ...],
    k: tuple[Positive, ...],
    dimensions: Positive,
    budget_s: Annotated[float, Field(ge=0)],
    rounds: Positive,
    turn_s: Annotated[float, Field(ge=0)],
    rest_s: Annotated[float, Field(ge=0)],
) -> Any:
    """The experiment: a cell for each number of queries, of passages and of winners.

    budget_s: measuring time of a cell; rounds: at least so many; turn_s: of one program in a round, repeated until
    it is over; rest_s: before each turn.
    """
    return BenchSimilarity(name, question, queries, passages, k, dimensions, Effort(budget_s, rounds, turn_s, rest_s))
