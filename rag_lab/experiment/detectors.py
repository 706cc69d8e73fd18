"""Domain detection by every variant: how well on easy and hard questions, how soon for one, how fast for many.

Every detector reads text and says a domain. The easy set is all test queries, which come from different
collections. The hard set is questions to the scientific literature, all of one style, whose topic was labelled by
a rule that was checked by hand (see `data.packaged.labels`); only the default data holds it.

Shapes: Q queries, C domains, R rounds. Units: milliseconds, queries a second.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from rag_lab import wiring
from rag_lab.data.packaged import consensus
from rag_lab.errors import RagLabError
from rag_lab.experiment import live
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.latency import in_turn
from rag_lab.experiment.live import Materials
from rag_lab.experiment.variants import standing
from rag_lab.l2_domain.signature import Fitted, Signature
from rag_lab.metrics import detection
from rag_lab.metrics.detection import Quality
from rag_lab.types import Dataset

ONE_BY_ONE = "one by one"
AT_ONCE = 32  # texts encoded in one call
TIE = 1e-5  # targets.md: labels may differ where the two best scores are so close
NO_HARD_SET = "The hard set is not measured: its questions are in the default data alone (data=packaged)."


class Asked(NamedTuple):
    """Labelled questions. cluster: within their domain."""

    texts: tuple[str, ...]
    truth: Int[np.ndarray, " Q"]
    cluster: Int[np.ndarray, " Q"]


class Judged(NamedTuple):
    """A detector variant on the sets, by their names; `silent`: the same when it may hold back unsure answers."""

    quality: dict[str, Quality]
    silent: dict[str, Quality]


class Batching(NamedTuple):
    """Queries a second, round by round: one at a time, and by batch size."""

    sequential: Float[np.ndarray, " R"]
    batched: dict[int, Float[np.ndarray, " R"]]


class Paired(NamedTuple):
    """Two detectors' labels of the same questions. tied: of the differing, those within TIE of a tie.

    gain: right (1) or wrong (0) of the one less that of the other, question by question, ties apart.
    """

    differing: int
    tied: int
    gain: Int[np.ndarray, " Q"]


def sets(dataset: Dataset) -> dict[str, Asked]:
    """The easy set, and the hard one where the data holds it."""
    easy, hard = [], []
    for number, one in enumerate(dataset.collections):
        easy += [(query, number) for query in one.queries if query.split == "test"]
        hard += [
            (query, number)
            for query in (*one.queries, *one.unanswerable)
            if query.split == "test" and query.id.startswith(f"{one.domain}/{consensus.PREFIX}")
        ]
    found = {"easy": easy} | ({"hard": hard} if dataset.name == "packaged" and hard else {})
    return {
        name: Asked(
            tuple(query.text for query, _ in queries),
            np.array([number for _, number in queries]),
            np.array([query.cluster for query, _ in queries]),
        )
        for name, queries in found.items()
    }


def judge_all(
    lab: Lab, given: Materials, asked: Mapping[str, Asked], precision: float, resamples: int
) -> tuple[dict[str, Judged], dict[str, str]]:
    """Every variant of conf/detector/, the chosen one as configured; and why a variant has no figures.

    precision: the share of answers that must be right where a detector may be silent.
    """
    judged, skipped = {}, {}
    names = live.names("detector")
    vectors = {name: _vectors(given, one.texts) for name, one in asked.items()}

    def on_all(node: Mapping[str, Any], vectors: Mapping[str, Float[np.ndarray, "Q D"]]) -> dict[str, Quality]:
        detector: Fitted = wiring.build(node, "detector").fit(given.train, given.live)
        scored = {}
        for name, one in asked.items():
            said = detector(one.texts, vectors.get(name))
            scored[name] = detection.quality(
                one.truth, said.probabilities, said.domain, one.cluster, seed=lab.seed, resamples=resamples
            )
        return scored

    with lab.progress("judge detectors", len(names), "variants") as bar:
        for name in names:
            node = lab.config["detector"] if name == lab.choices["detector"] else standing(name, group="detector")
            try:
                as_configured = on_all(node, {})
                # Only its threshold differs, so known vectors may spare it the reading.
                silent = on_all({**node, "precision": precision}, vectors) if "precision" in node else {}
                judged[name] = Judged(as_configured, silent)
            except (RagLabError, ImportError) as error:
                skipped[name] = " ".join(str(error).split())
            bar.advance()
    return judged, skipped


def _vectors(given: Materials, texts: Sequence[str]) -> Float[np.ndarray, "Q D"]:
    """The texts' vectors, by the same encoder."""
    encode = jax.jit(given.live.encode, compiler_options=dict(given.live.options))
    found = []
    for part in _cut([*texts, *[""] * (-len(texts) % AT_ONCE)], AT_ONCE):
        tokens = given.live.tokenise(part)
        found.append(np.asarray(encode(given.live.weights, tokens.ids, tokens.real))[: tokens.filled])
    return np.concatenate(found)[: len(texts)]


def one_by_one(detectors: Mapping[str, Fitted], texts: Sequence[str], lab: Lab) -> dict[str, Float[np.ndarray, " Q"]]:
    """Milliseconds from one query's text to its label, detectors taking turns; warm."""
    with lab.progress("detect one by one", 2 * len(texts), "queries") as bar:
        for text in texts:
            for detector in detectors.values():
                detector([text])
            bar.advance()
        asking = {name: partial(_ask, detector, [[text] for text in texts]) for name, detector in detectors.items()}
        return in_turn(asking, len(texts), bar)


def in_batches(
    sequential: Fitted, batched: Fitted, texts: Sequence[str], sizes: Sequence[int], rounds: int, lab: Lab
) -> Batching:
    """Throughput of detection one by one and in batches, on the same queries in turn, other ones in each round.

    One by one must be warm already, as `one_by_one` leaves it; batches are warmed up here.
    """
    each = max(sizes)  # queries of a round; what does not fill a batch is left out of it
    random = np.random.default_rng(lab.seed)
    drawn = [[texts[place] for place in random.choice(len(texts), each)] for _ in range(rounds)]
    parts = {size: [_cut(round_texts, size) for round_texts in drawn] for size in (1, *sizes)}

    def work(detector: Fitted, size: int, repeat: int) -> None:
        for part in parts[size][repeat]:
            detector(part)

    batches = {str(size): partial(work, batched, size) for size in sizes}
    with lab.progress("detect in batches", rounds * 2, "rounds") as bar:
        in_turn(batches, rounds, bar)
        taken = in_turn({ONE_BY_ONE: partial(work, sequential, 1), **batches}, rounds, bar)

    def rate(name: str, size: int) -> Float[np.ndarray, " R"]:
        return 1000 * sum(map(len, parts[size][0])) / taken[name]

    return Batching(rate(ONE_BY_ONE, 1), {size: rate(str(size), size) for size in sizes})


def keep_busy(detector: Fitted, texts: Sequence[str], size: int, seconds: float) -> None:
    """Detect in batches for so long."""
    over = time.perf_counter() + seconds
    while time.perf_counter() < over:
        for part in _cut(texts, size):
            detector(part)


def paired(treatment: Signature, baseline: Signature, truth: Int[np.ndarray, " Q"]) -> Paired:
    """Hold labels against each other. A tie is of the baseline's two best scores."""
    best = np.sort(baseline.probabilities, axis=1)[:, -2:]
    differing = treatment.domain != baseline.domain
    tied = differing & (best[:, -1] - best[:, 0] <= TIE)
    gain = (treatment.domain == truth).astype(int) - (baseline.domain == truth).astype(int)
    return Paired(int(differing.sum()), int(tied.sum()), np.where(tied, 0, gain))


def _ask(detector: Fitted, questions: Sequence[Sequence[str]], number: int) -> Signature:
    return detector(questions[number])


def _cut(texts: Sequence[str], size: int) -> list[Sequence[str]]:
    """Whole batches."""
    return [texts[start : start + size] for start in range(0, len(texts) - size + 1, size)]
