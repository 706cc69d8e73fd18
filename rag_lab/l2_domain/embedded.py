"""Detection from a query's vector: what `sequential`, `batched`, `classifier` and `onnx` share.

From text to probabilities is one compiled program: encode, score, divide by the temperature, softmax. Another
engine may encode in its stead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab.encoder.live import Live, Tokens
from rag_lab.errors import ConfigError
from rag_lab.kernels.centroid import centroids
from rag_lab.l2_domain.signature import Labelled, Model, Signature, calibrate, sign

# Nearest centroid on the unit sphere: cosines are its logits.
CENTROID = Model(
    fit=centroids,
    logits=lambda centres, vector: jnp.matmul(centres, vector, precision=jax.lax.Precision.HIGHEST),
)

# score(parameters, vectors) -> probabilities, pure; read(parameters, tokens) -> the same, of filler rows as well.
Score = Callable[[Any, Float[Array, "B D"]], Float[Array, "B C"]]
Read = Callable[[Any, Tokens], Float[Array, "B C"]]


def compiled(live: Live, score: Score) -> Read:
    """Encode and score in one program."""

    def read(weights: Any, parameters: Any, ids: Int[Array, "B T"], real: Bool[Array, "B T"]) -> Float[Array, "B C"]:
        return score(parameters, live.encode(weights, ids, real))

    program = jax.jit(read, compiler_options=dict(live.options))
    return lambda parameters, tokens: program(live.weights, parameters, tokens.ids, tokens.real)


class Embedded(NamedTuple):
    """A detector stage. batch: texts that one call of the program takes at most; precision: see `calibrate`;
    engine: from the encoder's parts and a score to what reads tokens."""

    model: Model
    precision: float
    batch: int
    engine: Callable[[Live, Score], Read] = compiled

    def fit(self, train: Labelled, live: Live | None) -> FittedEmbedded:
        """Learn the domains from the train queries' vectors."""
        classes = len(train.passages)
        parameters = jax.jit(self.model.fit, static_argnums=2)(train.vectors, train.domain, classes)
        calibration = calibrate(self.model, train.vectors, train.domain, classes, self.precision)
        return FittedEmbedded(self, parameters, calibration.temperature, calibration.threshold, live)


class FittedEmbedded:
    """See `rag_lab.l2_domain.signature.Fitted`."""

    def __init__(
        self, stage: Embedded, parameters: Any, temperature: float, threshold: float, live: Live | None
    ) -> None:
        self.temperature, self.threshold = temperature, threshold
        self._batch, self._live, self._parameters = stage.batch, live, parameters
        each = jax.vmap(stage.model.logits, in_axes=(None, 0))

        def score(parameters: Any, vectors: Float[Array, "B D"]) -> Float[Array, "B C"]:
            return jax.nn.softmax(each(parameters, vectors) / temperature, axis=1)

        self._score = jax.jit(score)
        self._read = None if live is None else stage.engine(live, score)

    def __call__(self, texts: Sequence[str], vectors: Float[np.ndarray, "Q D"] | None = None) -> Signature:
        """The signature of each text, from its vector where it is given."""
        if vectors is not None:
            return sign(np.asarray(self._score(self._parameters, vectors)), self.threshold)
        if self._live is None or self._read is None:
            raise ConfigError("the encoder only knows the vectors in its files; for live text take encoder=minilm")
        found = []
        for start in range(0, len(texts), self._batch):
            tokens = self._live.tokenise(texts[start : start + self._batch])
            found.append(np.asarray(self._read(self._parameters, tokens))[: tokens.filled])
        return sign(np.concatenate(found), self.threshold)
