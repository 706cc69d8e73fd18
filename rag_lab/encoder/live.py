"""An encoder's parts, for callers that compile them into a larger program: a detector, the live pipeline.

Shapes: B texts of a padded batch, T padded tokens, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int


class Tokens(NamedTuple):
    """A padded batch. Its first `filled` rows are texts, the rest fill the batch up to a compiled size."""

    ids: Int[np.ndarray, "B T"]
    real: Bool[np.ndarray, "B T"]
    filled: int


class Live(NamedTuple):
    """tokenise(texts) -> Tokens, cut and padded to one of a few sizes. encode(weights, ids, real) -> unit vectors
    [B, D], pure and not yet compiled. weights: what encode wants first. options: XLA's, with which a program that
    holds encode is quickest: `jax.jit(…, compiler_options=live.options)`."""

    tokenise: Callable[[Sequence[str]], Tokens]
    encode: Callable[[Any, Int[Array, "B T"], Bool[Array, "B T"]], Float[Array, "B D"]]
    weights: Any
    options: Mapping[str, Any] = MappingProxyType({})
