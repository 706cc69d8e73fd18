"""Domain detection by the same centroids as `batched`, the encoder executed by ONNX Runtime: a peer.

On CUDA where ONNX Runtime finds it, else on the CPU, with the same weights in float32.
"""

from __future__ import annotations

from typing import Annotated

import jax
from pydantic import Field

from rag_lab.encoder import onnx_session
from rag_lab.encoder.live import Live
from rag_lab.encoder.minilm import EPSILON, HEADS
from rag_lab.errors import ConfigError
from rag_lab.kernels.transformer import Transformer
from rag_lab.l2_domain.embedded import CENTROID, Embedded, Read, Score


def by_onnx(live: Live, score: Score, threads: int) -> Read:
    """Encode by ONNX Runtime, then score. ConfigError where the encoder is another than MiniLM."""
    if not isinstance(live.weights, Transformer):
        raise ConfigError("detector=onnx executes MiniLM alone; give encoder=minilm, or detector=batched")
    session = onnx_session.start(live.weights, heads=HEADS, epsilon=EPSILON, threads=threads)
    scored = jax.jit(score)
    return lambda parameters, tokens: scored(parameters, session(tokens.ids, tokens.real))


def build(
    *,
    precision: Annotated[float, Field(ge=0, le=1)],
    max_batch: Annotated[int, Field(ge=1, le=4096)],
    threads: Annotated[int, Field(ge=0)],
) -> Embedded:
    """The detector.

    precision, max_batch: as for `batched`. threads: ONNX Runtime's on a CPU; 0: one a core.
    ConfigError where a package is missing.
    """
    if absent := onnx_session.missing():
        raise ConfigError(
            f"detector=onnx needs the package {' and '.join(absent)}; pip install 'rag-lab[peers]', or give "
            "detector=batched, which has the same centroids"
        )
    return Embedded(CENTROID, precision, max_batch, lambda live, score: by_onnx(live, score, threads))
