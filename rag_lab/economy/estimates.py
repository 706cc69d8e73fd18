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
from rag_lab.errors import DataError

COST, QUALITY, DIVERSITY = range(3)


class Beliefs(NamedTuple):
    """Of one query: each action's expected objectives, and the standard deviation of each expectation."""

    mean: Float[Array, "A M"]
    deviation: Float[Array, "A M"]

    def cautious(self, deviations: float) -> Float[Array, "A M"]:
        """The objectives, worse by so many deviations: a lower bound of quality, an upper bound of cost."""
        return self.mean + deviations * self.deviation


class Estimates(NamedTuple):
    """A fitted model: float32 arrays, a pytree.

    center, scale: of each feature on train. mean: of each context, the last over all domains. weight: the
    observations that a context's mean stands on, the prior's included. variance: of one answer's objectives about
    their estimate. slopes: what a standardised feature adds. spread: the slopes' covariance, in units of variance.
    """

    center: Float[Array, " F"]
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
    """Learn from train queries; those with a score missing for any action are left out.

    strength: observations that the mean over all domains is worth in a domain; ridge: the penalty on squared
    slopes, in observations. DataError where no query is left.
    """
    values = objectives(outcomes).astype(np.float64)
    whole = np.isfinite(values).all(axis=(1, 2))
    if not whole.any():
        raise DataError("no train query has a score for every action, so nothing can be estimated from them")
    values, context, features = values[whole], context[whole], outcomes.features[whole].astype(np.float64)
    center, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)

    count = np.bincount(context, minlength=contexts).astype(np.float64)
    count[-1] = 0  # the unknown domain's queries tell of all domains alike
    sums = np.zeros((contexts, *values.shape[1:]))
    np.add.at(sums, context, values)
    pooled = values.mean(axis=0)
    mean = (np.where(count[:, None, None] > 0, sums, 0) + strength * pooled) / (count + strength)[:, None, None]

    design = (features - center) / scale
    left = values - mean[context]
    centered = design - _means(design, context, contexts)[context]
    spread = np.linalg.inv(centered.T @ centered + ridge * np.eye(design.shape[1]))
    slopes = np.einsum("fg,qg,qam->fam", spread, centered, left)
    residual = left - np.einsum("qf,fam->qam", centered, slopes)
    freedom = max(len(values) - contexts + 1 - design.shape[1], 1)
    variance = (residual**2).sum(axis=0) / freedom
    weight = count + strength
    weight[-1] = len(values)
    arrays = (center, scale, mean, weight, variance, slopes, spread)
    return Estimates(*(jnp.asarray(array, jnp.float32) for array in arrays))
