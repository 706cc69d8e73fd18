"""Heads for signs of support, fitted on examples whose truth is known, and the thresholds at which they say yes.

Logistic regression with a ridge (`kernels.logistic`). Numbers are rounded, so that the head written in a
configuration is the head that was measured.

Shapes: N examples, G signs.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from rag_lab.kernels import calibration, logistic
from rag_lab.kernels.support import Head
from rag_lab.metrics.support import probabilities

RIDGE, STEPS = 1e-3, 2000  # little: five signs and hundreds of examples need no more to keep the weights finite
DIGITS = 3
STEP = 10**-DIGITS


def fit(signs: Float[np.ndarray, "N G"], true: Bool[np.ndarray, " N"]) -> Head:
    """The head for these examples, which says yes to all; true and false count the same, however many of each."""
    kinds = np.flatnonzero(true), np.flatnonzero(~true)
    balanced = np.concatenate([np.resize(kind, max(map(len, kinds))) for kind in kinds])
    program = jax.jit(partial(logistic.fit, classes=2, ridge=RIDGE, steps=STEPS))
    found = program(jnp.asarray(signs[balanced], jnp.float32), jnp.asarray(true[balanced].astype(np.int32)))
    weights, bias = np.asarray(found.weights), np.asarray(found.bias)
    numbers = [*(weights[:, 1] - weights[:, 0]), bias[1] - bias[0], 0.0]
    return Head(*(round(float(number), DIGITS) for number in numbers))


def rarely_fooled(head: Head, false: Float[np.ndarray, "N G"], share: float) -> Head:
    """The head with the least threshold at which it says yes to at most this share of the false examples."""
    likely = np.sort(probabilities(head, false))[::-1]
    highest_allowed = likely[math.floor(share * len(likely))]  # so many lie above it
    return head._replace(threshold=min(round(float(highest_allowed) + STEP, DIGITS), 1.0))


def rarely_silent(head: Head, signs: Float[np.ndarray, "N G"], true: Bool[np.ndarray, " N"], precision: float) -> Head:
    """The head with the largest threshold such that of the examples below it at least this share are false; with
    0, so that it says yes to all, where there is none.
    """
    doubt = jnp.asarray(1 - probabilities(head, signs), jnp.float32)
    cut = float(calibration.threshold(doubt, jnp.asarray(~true), precision))
    return head._replace(threshold=max(math.floor((1 - cut) / STEP) * STEP, 0.0))
