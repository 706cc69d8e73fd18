"""What each action is expected to cost and to bring on a query, and how sure that is: learned from train queries.

An estimate is the action's mean in the query's domain, drawn towards its mean over all domains as if that were
worth `strength` observations (the shrinkage of empirical Bayes: Efron and Morris 1975, JASA 70), plus a ridge
regression on the query's features, shared by the domains, of what the domain's mean leaves over (Hoerl and Kennard
1970, Technometrics 12). Its deviation is that of the mean and of the regression, not of one answer. Objectives are
minimised (see `kernels.pareto`): cost, −quality, −diversity.

Shapes: Q train queries, C contexts (domains + 1, the last for unknown), A actions, F features, M = 3 objectives.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.economy.outcomes import Outcomes

COST, QUALITY, DIVERSITY = range(3)


class Beliefs(NamedTuple):
    """Of one query: each action's expected objectives, and the standard deviation of each expectation."""

    mean: Float[Array, "A M"]
    deviation: Float[Array, "A M"]

    def cautious(self, deviations: float) -> Float[Array, "A M"]:
        """The objectives, worse by so many deviations: a lower bound of quality, an upper bound of cost."""
        return self.mean + deviations * self.deviation


class Estimates(NamedTuple):
    """A fitted model: float32 arrays.

    center: each context's mean of every feature, the last over all domains; scale: of each feature. mean: each
    context's objectives. weight: the observations that they stand on, the prior's included. variance: of one
    answer's objectives about their estimate. slopes: what a standardised feature adds. spread: the slopes'
    covariance, in units of the variance.
    """

    center: Float[Array, "C F"]
    scale: Float[Array, " F"]
    mean: Float[Array, "C A M"]
    weight: Float[Array, " C"]
    variance: Float[Array, "A M"]
    slopes: Float[Array, "F A M"]
    spread: Float[Array, "F F"]


def objectives(outcomes: Outcomes) -> Float[np.ndarray, "Q A M"]:
    """Cost, −quality, −diversity."""
    return np.stack([outcomes.cost_usd, -outcomes.quality, -outcomes.diversity], axis=-1)


def fit(
    outcomes: Outcomes, context: Int[np.ndarray, " Q"], contexts: int, *, strength: float, ridge: float
) -> Estimates:
    """Learn from train queries that have every score; `context` is each query's.

    strength: observations that the mean over all domains is worth in a domain; ridge: the penalty on squared
    slopes, in observations. Both above 0.
    """
    values = objectives(outcomes).astype(np.float64)
    features = outcomes.features.astype(np.float64)
    scale = features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)

    pooled, typical = values.mean(axis=0), features.mean(axis=0)
    mean, center = np.tile(pooled, (contexts, 1, 1)), np.tile(typical, (contexts, 1))
    weight = np.full(contexts, float(strength))
    weight[-1] = len(values)
    for one in np.unique(context[context < contexts - 1]):
        own = context == one
        weight[one] = own.sum() + strength
        mean[one] = (values[own].sum(axis=0) + strength * pooled) / weight[one]
        center[one] = features[own].mean(axis=0)

    design = (features - center[context]) / scale
    left = values - mean[context]
    spread = np.linalg.inv(design.T @ design + ridge * np.eye(design.shape[1]))
    slopes = np.einsum("fg,qg,qam->fam", spread, design, left, optimize=True)
    residual = left - np.einsum("qf,fam->qam", design, slopes)
    arrays = (center, scale, mean, weight, residual.var(axis=0), slopes, spread)
    return Estimates(*(jnp.asarray(array, jnp.float32) for array in arrays))


def predict(estimates: Estimates, context: Int[Array, ""], features: Float[Array, " F"]) -> Beliefs:
    """What one query's actions are believed to do."""
    moved = (features - estimates.center[context]) / estimates.scale
    mean = estimates.mean[context] + jnp.einsum("f,fam->am", moved, estimates.slopes)
    doubt = 1 / estimates.weight[context] + moved @ estimates.spread @ moved
    return Beliefs(mean, jnp.sqrt(estimates.variance * doubt))


def typical(estimates: Estimates, context: int) -> Beliefs:
    """What the actions are believed to do on a domain's typical query."""
    return predict(estimates, jnp.int32(context), estimates.center[context])
