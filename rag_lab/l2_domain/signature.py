"""What a detector says of a query, and how it knows when to be silent.

Shapes: Q queries, C domains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.encoder.live import Live
from rag_lab.kernels import calibration

UNKNOWN = -1
FOLDS = 5  # of cross-fitting: calibration must not see the queries that a model was fitted on
TEMPERATURES = np.geomspace(0.005, 500, 300, dtype=np.float32)  # cosines want small ones, summed log-odds large


_best_temperature = jax.jit(calibration.best_temperature)
_threshold = jax.jit(calibration.threshold)


class Signature(NamedTuple):
    """probabilities of each domain; the domain chosen, -1 where it abstains; the largest probability."""

    probabilities: Float[np.ndarray, "Q C"]
    domain: Int[np.ndarray, " Q"]
    confidence: Float[np.ndarray, " Q"]


class Labelled(NamedTuple):
    """What a detector learns from: train queries with their domain, and every domain's passages.

    vectors: of the queries. passages: texts by domain, in the order of domain indexes.
    """

    texts: Sequence[str]
    vectors: Float[np.ndarray, "Q D"]
    domain: Int[np.ndarray, " Q"]
    passages: Sequence[Sequence[str]]


class Fitted(Protocol):
    """A detector that has learned."""

    def __call__(self, texts: Sequence[str], vectors: Float[np.ndarray, "Q D"] | None = None) -> Signature:
        """The signature of each text. `vectors` spares encoding where they are known already."""
        ...


class Detector(Protocol):
    """The detector stage."""

    def fit(self, train: Labelled, live: Live | None) -> Fitted:
        """Learn the domains. Without `live` the fitted detector answers only where vectors are given."""
        ...


class Model(NamedTuple):
    """A classifier of vectors, pure: fit(vectors, labels, classes) -> parameters; logits(parameters, vector)."""

    fit: Callable[[Float[Array, "Q D"], Int[Array, " Q"], int], Any]
    logits: Callable[[Any, Float[Array, " D"]], Float[Array, " C"]]


class Calibration(NamedTuple):
    """temperature: divides logits before softmax; threshold: the least confidence that is not silence."""

    temperature: float
    threshold: float


def calibrate(
    model: Model, vectors: Float[np.ndarray, "Q D"], labels: Int[np.ndarray, " Q"], classes: int, precision: float
) -> Calibration:
    """Temperature and threshold from train queries alone, each scored by a model that was fitted without it.

    precision: the share of answers, among those not withheld, that must be right.
    """
    scores = np.zeros((len(labels), classes), np.float32)
    fold = np.arange(len(labels)) % FOLDS
    fit = jax.jit(model.fit, static_argnums=2)
    each = jax.jit(jax.vmap(model.logits, in_axes=(None, 0)))
    for held in range(min(FOLDS, len(labels))):
        rest = fold != held
        scores[~rest] = each(fit(vectors[rest], labels[rest], classes), vectors)[~rest]
    return calibrate_scores(scores, labels, precision)


def calibrate_scores(scores: Float[np.ndarray, "Q C"], labels: Int[np.ndarray, " Q"], precision: float) -> Calibration:
    """Temperature and threshold from scores of queries that the scorer has not seen."""
    temperature = _best_temperature(scores, labels, TEMPERATURES)
    probabilities = np.asarray(jax.nn.softmax(scores / temperature, axis=1))
    right = probabilities.argmax(axis=1) == labels
    cut = _threshold(probabilities.max(axis=1), right, precision)
    return Calibration(float(temperature), float(cut))


def sign(probabilities: Float[np.ndarray, "Q C"], threshold: float) -> Signature:
    """Choose the likeliest domain where it is likely enough; ties to the first."""
    confidence = probabilities.max(axis=1)
    return Signature(
        probabilities, np.where(confidence >= threshold, probabilities.argmax(axis=1), UNKNOWN), confidence
    )
