from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag_lab.kernels.transformer import Layer, Transformer, attention, encode, gelu, layer_norm

LAYERS, WIDTH, WIDE, HEADS, VOCABULARY, POSITIONS = 2, 8, 16, 2, 11, 10
EPSILON = reference.LAYER_NORM_EPSILON


def tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """A small BERT under the names of its file, whose matrices map a column vector."""
    random = np.random.default_rng(seed)
    shapes = {f"embeddings.{name}_embeddings.weight": (rows, WIDTH) for name, rows in
              (("word", VOCABULARY), ("position", POSITIONS), ("token_type", 2))}  # fmt: skip
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        matrices = [f"attention.self.{part}" for part in ("query", "key", "value")] + ["attention.output.dense"]
        sizes = dict.fromkeys(matrices, (WIDTH, WIDTH))
        sizes |= {"intermediate.dense": (WIDE, WIDTH), "output.dense": (WIDTH, WIDE)}
        for part, size in sizes.items():
            shapes |= {f"{name}.{part}.weight": size, f"{name}.{part}.bias": size[:1]}
    norms = ["embeddings.LayerNorm"] + [
        f"encoder.layer.{layer}.{part}.LayerNorm" for layer in range(LAYERS) for part in ("attention.output", "output")
    ]
    out = {name: random.normal(0, 0.5, shape) for name, shape in shapes.items()}
    for name in norms:
        out |= {f"{name}.weight": random.normal(1, 0.2, WIDTH), f"{name}.bias": random.normal(0, 0.2, WIDTH)}
    return out


def transformer(named: dict[str, np.ndarray]) -> Transformer:
    """The same weights as the kernel wants them."""

    def part(layer: int, *names: str) -> jax.Array:
        each = [named[f"encoder.layer.{layer}.{name}"].T for name in names]
        return jnp.array(np.concatenate(each, axis=-1), jnp.float32)

    own = [f"attention.self.{name}" for name in ("query", "key", "value")]
    parts = (own, ["attention.output.dense"], ["attention.output.LayerNorm"], ["intermediate.dense"],
             ["output.dense"], ["output.LayerNorm"])  # fmt: skip
    kinds = ("weight", "bias")
    position = named["embeddings.position_embeddings.weight"] + named["embeddings.token_type_embeddings.weight"][0]
    return Transformer(
        token=jnp.array(named["embeddings.word_embeddings.weight"], jnp.float32),
        position=jnp.array(position, jnp.float32),
        scale=jnp.array(named["embeddings.LayerNorm.weight"], jnp.float32),
        shift=jnp.array(named["embeddings.LayerNorm.bias"], jnp.float32),
        layers=tuple(
            Layer(*(part(layer, *(f"{name}.{kind}" for name in names)) for names in parts for kind in kinds))
            for layer in range(LAYERS)
        ),
    )


NAMED = tensors()
WEIGHTS = transformer(NAMED)
_encode = jax.jit(partial(encode, WEIGHTS, heads=HEADS, epsilon=EPSILON))
texts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=POSITIONS)


def padded(tokens: list[int], filler: int = 0) -> tuple[jax.Array, jax.Array]:
    missing = POSITIONS - len(tokens)
    return jnp.array([*tokens, *[filler] * missing], jnp.int32), jnp.arange(POSITIONS) < len(tokens)


def test_layer_norm_by_hand() -> None:
    """(1, 3) has mean 2 and deviation 1; a constant row has no direction and becomes the shift."""
    x = jnp.array([[1.0, 3.0], [5.0, 5.0]])
    out = layer_norm(x, jnp.array([2.0, 10.0]), jnp.array([0.5, 0.0]), 1e-12)
    np.testing.assert_allclose(out, [[-1.5, 10], [0.5, 0]], atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(arrays(np.float32, (2, 8), elements=st.floats(-10, 10, width=32, allow_subnormal=False)))
def test_layer_norm_normalises(x: np.ndarray) -> None:
    out = np.asarray(layer_norm(jnp.array(x), jnp.ones(8), jnp.zeros(8), 1e-6))
    spread = x.astype(float).std(axis=1)
    np.testing.assert_allclose(out.mean(axis=1), 0, atol=1e-3)
    np.testing.assert_allclose(out.std(axis=1)[spread > 0.1], 1, atol=1e-3)


def test_gelu_by_hand() -> None:
    """Φ(1) = 0.841345, so 1 becomes that, and -1 what is missing to 0; far away it is the identity, or nothing."""
    np.testing.assert_allclose(gelu(jnp.array([[1.0, -1.0, 0.0, 30.0, -30.0]])), [[0.841345, -0.158655, 0, 30, 0]],
                               atol=1e-6)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(arrays(np.float32, (3, 8), elements=st.floats(-20, 20, width=32, allow_subnormal=False)))
def test_gelu_is_jax_s_own(x: np.ndarray) -> None:
    np.testing.assert_allclose(gelu(jnp.array(x)), jax.nn.gelu(x, approximate=False), atol=2e-6)


def test_attention_by_hand() -> None:
    """One head of width 1. Scores of the first query are its value times each key; padding weighs nothing."""
    qkv = jnp.array([[1.0, 0.0, 10.0], [0.0, np.log(3.0), 20.0], [9.0, 9.0, 99.0]])
    out = attention(qkv, jnp.array([True, True, False]), 1)
    # first token: weights 1/4 and 3/4; second: its query is 0, so both weigh the same
    np.testing.assert_allclose(out[:2, 0], [17.5, 15], rtol=1e-5)


def test_attention_heads_do_not_mix() -> None:
    """Changing one head's keys and values leaves the other head's half as it was."""
    random = np.random.default_rng(0)
    qkv = random.normal(size=(5, 3, 2, 4)).astype(np.float32)
    changed = qkv.copy()
    changed[:, :, 1] = random.normal(size=(5, 3, 4))
    real = jnp.ones(5, bool)
    one, other = (np.asarray(attention(jnp.array(each.reshape(5, 24)), real, 2)) for each in (qkv, changed))
    np.testing.assert_allclose(one[:, :4], other[:, :4], rtol=1e-6)
    assert np.abs(one[:, 4:] - other[:, 4:]).max() > 0.1


@settings(max_examples=40, deadline=None)
@given(texts)
def test_the_naive_forward_pass_agrees(tokens: list[int]) -> None:
    expected = reference.mean_pool_minilm(tokens, NAMED, heads=HEADS)
    np.testing.assert_allclose(_encode(*padded(tokens)), expected, atol=2e-5)


@settings(max_examples=25, deadline=None)
@given(texts, st.integers(0, VOCABULARY - 1))
def test_padding_is_never_looked_at(tokens: list[int], filler: int) -> None:
    np.testing.assert_allclose(_encode(*padded(tokens, filler)), _encode(*padded(tokens)), atol=1e-6)


def test_the_padded_length_does_not_matter() -> None:
    tokens = [3, 1, 4]
    short = _encode(jnp.array(tokens, jnp.int32), jnp.ones(3, bool))
    np.testing.assert_allclose(_encode(*padded(tokens)), short, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(texts)
def test_vectors_have_length_one(tokens: list[int]) -> None:
    assert float(jnp.linalg.norm(_encode(*padded(tokens)))) == pytest.approx(1, abs=1e-5)


def test_the_order_of_words_matters() -> None:
    one, other = (_encode(*padded(tokens)) for tokens in ([1, 2, 3], [3, 2, 1]))
    assert float(jnp.abs(one - other).max()) > 0.01


def test_a_text_without_a_token_is_zero_rather_than_nan() -> None:
    assert not np.any(np.asarray(_encode(jnp.zeros(POSITIONS, jnp.int32), jnp.zeros(POSITIONS, bool))))


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    kernel = partial(encode, WEIGHTS, heads=HEADS, epsilon=EPSILON)
    alike(kernel, [padded(tokens) for tokens in ([1, 2], [3, 4, 5, 6, 7], [8])], rtol=1e-4)


def test_bfloat16_weights_change_the_direction_little() -> None:
    """The type of the weights is the type of the products; the vector is float32 all the same."""
    half = jax.tree.map(lambda array: array.astype(jnp.bfloat16), WEIGHTS)
    for tokens in ([1, 2], [3, 4, 5, 6, 7], [8] * POSITIONS):
        wide = _encode(*padded(tokens))
        found = encode(half, *padded(tokens), heads=HEADS, epsilon=EPSILON)
        assert found.dtype == jnp.float32
        assert float(found @ wide) > 0.999
        assert float(jnp.abs(found - wide).max()) > 1e-5  # it really computed in bfloat16
