"""Finding non-dominated points: many small sets of three objectives at once, and one large set.

Ours is `kernels.pareto.nondominated`, vmapped over the sets of a batch, and `economy.front.in_blocks` for one set.
Peers: moocore (one call a set; its call for many sets at once is slower still) and pymoo's non-dominated sorting,
told to stop after the first front; both get float64, their own type, made beforehand. Points are uniform in the
cube, so that few stand. Every program's answer is held against NumPy before its time counts: against a comparison
of all pairs (batches), or against a sweep (one set).

Shapes: B sets, N points, M = 3 objectives. Units: milliseconds.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field

from rag_lab.economy import front
from rag_lab.experiment import benchmark
from rag_lab.experiment.benchmark import Cell, Effort
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.summary import Findings
from rag_lab.kernels import pareto

OBJECTIVES = 3
Positive = Annotated[int, Field(ge=1)]
ABSENT = "not installed; pip install 'rag-lab[peers]'"
LARGE = "compares all pairs of points at once, which needs more memory than there is"
MOST_FOR_PYMOO = 10_000  # points of one set

_nondominated = jax.jit(jax.vmap(pareto.nondominated))


class BenchPareto(NamedTuple):
    """The experiment's settings; see conf/experiment/bench_pareto.yaml."""

    name: str
    question: str
    batches: tuple[tuple[int, int], ...]
    fronts: tuple[int, ...]
    effort: Effort

    @property
    def needs_data(self) -> bool:
        """Points are made up."""
        return False

    def check(self, lab: Lab) -> None:
        """Nothing can be wrong with the data: there is none."""

    def execute(self, lab: Lab) -> Findings:
        """Measure every cell."""
        facts = {
            "data": f"points uniform in the unit cube of {OBJECTIVES} objectives, seed {lab.seed}",
            "one_large_set": "ours here is the blocked kernel; economy.front calls moocore where it is installed",
        }
        document = benchmark.run(lab, self.name.removeprefix("bench_"), self._cells(lab.seed), self.effort, facts)
        return benchmark.publish(document)

    def _cells(self, seed: int) -> Iterator[Cell]:
        random = np.random.default_rng(seed)
        for sets, points in self.batches:
            yield batch(random.random((sets, points, OBJECTIVES), np.float32))
        for points in self.fronts:
            yield one(random.random((points, OBJECTIVES), np.float32))


def batch(points: Float[np.ndarray, "B N M"]) -> Cell:
    """Many small sets at once."""
    sets, count, _ = points.shape
    real, exact = np.ones((sets, count), bool), points.astype(np.float64)
    peers, absent = rivals()
    return Cell(
        case=f"batch_{sets}x{count}",
        size={"sets": sets, "points": count},
        ours=lambda: np.asarray(_nondominated(points, real)),
        peers={name: partial(each, find, exact) for name, find in peers.items()},
        floors={},
        check=partial(wrong, np.stack([by_pairs(one) for one in points])),
        absent=absent,
    )


def one(points: Float[np.ndarray, "N M"]) -> Cell:
    """One set."""
    exact = points.astype(np.float64)
    peers, absent = rivals()
    if len(points) > MOST_FOR_PYMOO and "pymoo" in peers:
        del peers["pymoo"]
        absent["pymoo"] = LARGE
    return Cell(
        case=f"front_{len(points)}",
        size={"points": len(points)},
        ours=lambda: front.in_blocks(points),
        peers={name: partial(find, exact) for name, find in peers.items()},
        floors={},
        check=partial(wrong, by_sweep(points)),
        absent=absent,
    )


def rivals() -> tuple[dict[str, Callable[[np.ndarray], np.ndarray]], dict[str, str]]:
    """The peers' ways to find one set's non-dominated points; and why a peer is absent."""
    found: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    if importlib.util.find_spec("moocore"):
        import moocore

        found["moocore"] = partial(moocore.is_nondominated, keep_weakly=True)
    if importlib.util.find_spec("pymoo"):
        from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

        sorting = NonDominatedSorting()
        found["pymoo"] = lambda points: _mask(sorting.do(points, only_non_dominated_front=True), len(points))
    return found, {name: ABSENT for name in ("moocore", "pymoo") if name not in found}


def each(find: Callable[[np.ndarray], np.ndarray], sets: Float[np.ndarray, "B N M"]) -> list[Bool[np.ndarray, " N"]]:
    """One call a set."""
    return [find(points) for points in sets]


def by_pairs(points: Float[np.ndarray, "N M"]) -> Bool[np.ndarray, " N"]:
    """Which points stand, by comparing all pairs."""
    no_worse = (points[:, None] <= points[None]).all(axis=2)
    better = (points[:, None] < points[None]).any(axis=2)
    return np.logical_not((no_worse & better).any(axis=0))


def by_sweep(points: Float[np.ndarray, "N M"]) -> Bool[np.ndarray, " N"]:
    """Which points stand, one after another in lexicographic order, each against those that stood before it."""
    kept, standing = np.zeros(len(points), bool), np.empty((0, points.shape[1]), points.dtype)
    for row in np.lexsort(points.T[::-1]):
        point = points[row]
        if not ((standing <= point).all(axis=1) & (standing < point).any(axis=1)).any():
            kept[row], standing = True, np.vstack([standing, point])
    return kept


def wrong(
    expected: Bool[np.ndarray, "*points"], found: Bool[np.ndarray, "*points"] | Sequence[Bool[np.ndarray, " N"]]
) -> str | None:
    """What is wrong with a result: None if every point is judged as expected."""
    differing = int((np.asarray(found) != expected).sum())
    return f"{differing} of {expected.size} points are judged otherwise" if differing else None


def _mask(rows: np.ndarray, count: int) -> Bool[np.ndarray, " N"]:
    kept = np.zeros(count, bool)
    kept[rows] = True
    return kept


def build(
    *,
    name: str,
    question: str,
    batches: tuple[tuple[Positive, Positive], ...],
    fronts: tuple[Positive, ...],
    budget_s: Annotated[float, Field(ge=0)],
    rounds: Positive,
    turn_s: Annotated[float, Field(ge=0)],
    rest_s: Annotated[float, Field(ge=0)],
) -> Any:
    """The experiment: a cell for each batch of sets × points and for each number of points of one set.

    budget_s: measuring time of a cell; rounds: at least so many; turn_s: of one program in a round, repeated until
    it is over; rest_s: before each turn.
    """
    return BenchPareto(name, question, batches, fronts, Effort(budget_s, rounds, turn_s, rest_s))
