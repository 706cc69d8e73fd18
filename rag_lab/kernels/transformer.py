"""A BERT-style sentence encoder: one tokenised text in, one unit vector out.

Post-norm transformer encoder (Devlin et al. 2019, arXiv:1810.04805) with mean pooling over the real tokens
and L2 normalisation (Reimers and Gurevych 2019, arXiv:1908.10084). Query, key and value projections are one
matrix product. Layers are written out rather than scanned: a scan would copy each layer's weights out of their
stack on every call, and XLA compiles equal layers once either way.

The weights' type is the type of the matrix products and of what passes between them, float32 or bfloat16; means,
variances, softmax and pooling are float32 always.

Shapes: T tokens of one text, D model width, F feed-forward width, H heads.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Float32, Int


class Layer(NamedTuple):
    """The weights of one layer; matrices map a row vector by `x @ w + b`."""

    qkv: Float[Array, "D 3*D"]
    qkv_bias: Float[Array, " 3*D"]
    out: Float[Array, "D D"]
    out_bias: Float[Array, " D"]
    attention_scale: Float[Array, " D"]
    attention_shift: Float[Array, " D"]
    up: Float[Array, "D F"]
    up_bias: Float[Array, " F"]
    down: Float[Array, "F D"]
    down_bias: Float[Array, " D"]
    output_scale: Float[Array, " D"]
    output_shift: Float[Array, " D"]


class Transformer(NamedTuple):
    """All weights. `position` already holds the sum of position and (single) segment embeddings."""

    token: Float[Array, "vocabulary D"]
    position: Float[Array, "positions D"]
    scale: Float[Array, " D"]
    shift: Float[Array, " D"]
    layers: tuple[Layer, ...]


def layer_norm(
    x: Float[Array, "T D"], scale: Float[Array, " D"], shift: Float[Array, " D"], epsilon: float
) -> Float[Array, "T D"]:
    """Normalise each row to mean 0 and variance 1, then scale and shift (Ba et al. 2016, arXiv:1607.06450)."""
    wide = x.astype(jnp.float32)
    centred = wide - wide.mean(axis=-1, keepdims=True)
    variance = jnp.square(centred).mean(axis=-1, keepdims=True)
    return (centred * jax.lax.rsqrt(variance + epsilon) * scale + shift).astype(x.dtype)


def gelu(x: Float[Array, "T F"]) -> Float[Array, "T F"]:
    """x·Φ(x), Φ being the normal distribution's (Hendrycks and Gimpel 2016, arXiv:1606.08415).

    By erf: `jax.nn.gelu` takes erfc, whose relative precision far below 0 costs more than twice the time.
    """
    return 0.5 * x * (1 + jax.lax.erf(x * 0.5**0.5))


def attention(qkv: Float[Array, "T QKV"], real: Bool[Array, " T"], heads: int) -> Float[Array, "T QKV//3"]:
    """Scaled dot-product attention over the real tokens (Vaswani et al. 2017, arXiv:1706.03762)."""
    tokens, width = qkv.shape[0], qkv.shape[1] // 3
    query, key, value = qkv.reshape(tokens, 3, heads, width // heads).transpose(1, 2, 0, 3)
    scores = jnp.einsum("htd,hsd->hts", query * (width // heads) ** -0.5, key).astype(jnp.float32)
    # A large negative number, not -inf: a text without real tokens must not become NaN.
    weights = jax.nn.softmax(jnp.where(real, scores, jnp.finfo(scores.dtype).min), axis=-1).astype(qkv.dtype)
    # Heads first, then turned: asked for "thd", XLA turns the larger weights instead.
    return jnp.einsum("hts,hsd->htd", weights, value).swapaxes(0, 1).reshape(tokens, width)


def states(
    weights: Transformer, tokens: Int[Array, " T"], real: Bool[Array, " T"], *, heads: int, epsilon: float
) -> Float[Array, "T D"]:
    """The last layer's vector of every token of one text, padding included.

    tokens: vocabulary ids, padded to T; real: False where padding. T must not exceed the number of
    positions in the weights. heads and epsilon are static.
    """
    x = weights.token[tokens] + weights.position[: tokens.shape[0]]
    x = layer_norm(x, weights.scale, weights.shift, epsilon)
    for w in weights.layers:
        attended = attention(x @ w.qkv + w.qkv_bias, real, heads) @ w.out + w.out_bias
        x = layer_norm(x + attended, w.attention_scale, w.attention_shift, epsilon)
        hidden = gelu(x @ w.up + w.up_bias)
        x = layer_norm(x + hidden @ w.down + w.down_bias, w.output_scale, w.output_shift, epsilon)
    return x


def pooled(states: Float[Array, "T D"], real: Bool[Array, " T"]) -> Float32[Array, " D"]:
    """The mean of the real tokens' vectors, made a unit vector; 0 where no token is real."""
    total = jnp.where(real[:, None], states.astype(jnp.float32), 0).sum(axis=0)
    mean = total / jnp.maximum(real.sum(), 1)
    return mean / jnp.maximum(jnp.linalg.norm(mean), 1e-12)


def encode(
    weights: Transformer, tokens: Int[Array, " T"], real: Bool[Array, " T"], *, heads: int, epsilon: float
) -> Float32[Array, " D"]:
    """Encode one text into a vector of length 1; arguments as for `states`."""
    return pooled(states(weights, tokens, real, heads=heads, epsilon=epsilon), real)
