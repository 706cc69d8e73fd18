"""Temperature scaling, expected calibration error, and the confidence from which a classifier may speak.

Guo, Pleiss, Sun and Weinberger 2017 ("On Calibration of Modern Neural Networks", ICML) for temperature and for
the error over equal-width bins; selective classification after Geifman and El-Yaniv 2017 (NeurIPS).

Shapes: N examples, C classes, G grid points.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

BINS = 15  # Guo et al.'s choice


def nll(logits: Float[Array, "N C"], labels: Int[Array, " N"], temperature: Float[Array, ""]) -> Float[Array, ""]:
    """Mean negative log-likelihood of the labels under softmax(logits / temperature)."""
    scores = jax.nn.log_softmax(logits / temperature)
    return -jnp.take_along_axis(scores, labels[:, None], axis=1).mean()


def best_temperature(
    logits: Float[Array, "N C"], labels: Int[Array, " N"], grid: Float[Array, " G"]
) -> Float[Array, ""]:
    """The temperature of the grid with the smallest negative log-likelihood; ties to the first."""
    return grid[jnp.argmin(jax.vmap(nll, in_axes=(None, None, 0))(logits, labels, grid))]


def expected_calibration_error(confidence: Float[Array, " N"], right: Bool[Array, " N"]) -> Float[Array, ""]:
    """Mean distance between confidence and accuracy over equal-width bins, weighted by their size."""
    place = jnp.clip((confidence * BINS).astype(int), 0, BINS - 1)
    sums = jax.ops.segment_sum(jnp.stack([confidence, right.astype(float)], axis=1), place, num_segments=BINS)
    return jnp.abs(sums[:, 0] - sums[:, 1]).sum() / confidence.shape[0]


def threshold(
    confidence: Float[Array, " N"], right: Bool[Array, " N"], precision: Float[Array, ""] | float
) -> Float[Array, ""]:
    """The smallest confidence such that of all examples at least as confident, `precision` are right.

    0 where all of them together are right often enough; above 1, so that nothing passes, where no cut is.
    """
    order = jnp.argsort(-confidence)
    sorted_confidence, hits = confidence[order], jnp.cumsum(right[order])
    # Equal confidences stand or fall together: only the last of a run is a cut.
    last = jnp.concatenate([sorted_confidence[1:] != sorted_confidence[:-1], jnp.ones(1, bool)])
    good = last & (hits >= precision * jnp.arange(1, confidence.shape[0] + 1))
    found = jnp.where(good, sorted_confidence, jnp.inf).min()
    return jnp.where(good[-1], 0.0, jnp.where(jnp.isfinite(found), found, 2.0))
