from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.kernels.thompson import Arms, deviation, draw, forget, observe, pooled

ARMS = 4
observations = st.lists(
    st.tuples(st.integers(0, ARMS - 1), st.floats(0, 1, width=32, allow_subnormal=False)), max_size=12
)


def arms(mean: float = 0.5, strength: float = 2.0, reward_sd: float = 0.4) -> Arms:
    return Arms(jnp.full(ARMS, mean), jnp.full(ARMS, strength), jnp.float32(reward_sd))


_observe, _draw = jax.jit(observe), jax.jit(draw)
ONE = jnp.float32(1)


def normals(key: jax.Array) -> jax.Array:
    return jax.random.normal(key, (ARMS,))


def after(seen: list[tuple[int, float]], start: Arms) -> Arms:
    for arm, reward in seen:
        start = _observe(start, jnp.int32(arm), jnp.float32(reward), ONE)
    return start


def test_update_by_hand() -> None:
    """A belief of 0.5 worth two observations meets a reward of 0.8: (2 · 0.5 + 0.8) / 3 = 0.6."""
    new = observe(arms(), jnp.int32(2), jnp.float32(0.8), ONE)
    np.testing.assert_allclose(new.mean, [0.5, 0.5, 0.6, 0.5], rtol=1e-6)
    assert new.strength.tolist() == [2, 2, 3, 2]
    assert float(new.reward_sd) == np.float32(0.4)


def test_deviation_by_hand() -> None:
    np.testing.assert_allclose(deviation(arms(strength=4.0)), 0.2, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(observations)
def test_the_posterior_is_the_weighed_mean_in_whatever_order(seen: list[tuple[int, float]]) -> None:
    forth, back = after(seen, arms()), after(seen[::-1], arms())
    count = np.bincount([arm for arm, _ in seen], minlength=ARMS)
    total = np.bincount([arm for arm, _ in seen], [reward for _, reward in seen], minlength=ARMS)
    np.testing.assert_allclose(forth.mean, (2 * 0.5 + total) / (2 + count), rtol=1e-5)
    np.testing.assert_allclose(forth.mean, back.mean, rtol=1e-5)
    assert forth.strength.tolist() == (2 + count).tolist()


def test_draw_takes_the_largest_sample() -> None:
    """The sample of arm a is its mean plus its deviation times the a-th normal number."""
    belief = Arms(jnp.array([0.1, 0.4, 0.2, 0.3]), jnp.array([1.0, 9.0, 2.0, 4.0]), jnp.float32(0.4))
    for number in range(20):
        drawn = normals(jax.random.key(number))
        samples = np.array([0.1, 0.4, 0.2, 0.3]) + 0.4 / np.sqrt([1, 9, 2, 4]) * np.asarray(drawn, np.float64)
        assert int(_draw(drawn, belief)) == samples.argmax()


def test_a_sure_belief_is_followed() -> None:
    belief = Arms(jnp.array([0.1, 0.4, 0.2, 0.3]), jnp.full(ARMS, 1e8), jnp.float32(0.4))
    drawn = jax.vmap(normals)(jax.random.split(jax.random.key(0), 200))
    assert (np.asarray(jax.vmap(draw, in_axes=(0, None))(drawn, belief)) == 1).all()


def test_an_unsure_belief_tries_everything() -> None:
    drawn = jax.vmap(normals)(jax.random.split(jax.random.key(0), 200))
    assert set(np.asarray(jax.vmap(draw, in_axes=(0, None))(drawn, arms())).tolist()) == set(range(ARMS))


def test_the_naive_loop_agrees() -> None:
    random = np.random.default_rng(0)
    rewards, stream = random.random((10, ARMS)), random.integers(0, 10, 60)
    keys = jax.random.split(jax.random.key(3), len(stream))
    drawn = np.asarray(jax.vmap(normals)(keys))
    belief, actions = arms(0.6, 3.0), []
    for chance, query in zip(drawn, stream, strict=True):
        actions.append(int(_draw(jnp.asarray(chance), belief)))
        belief = _observe(belief, jnp.int32(actions[-1]), jnp.float32(rewards[query, actions[-1]]), ONE)
    expected, mean, pulls = reference.thompson_run(rewards, stream, 0.6, 3.0, 0.4, drawn)
    assert actions == expected.tolist()
    np.testing.assert_allclose(belief.mean, mean, rtol=1e-5)
    assert (belief.strength - 3).tolist() == pulls.tolist()


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    beliefs = [after([(number, 0.25 * number)], arms()) for number in range(3)]
    alike(observe, [(belief, jnp.int32(1), jnp.float32(0.9), ONE) for belief in beliefs])
    alike(draw, [(normals(jax.random.key(number)), belief) for number, belief in enumerate(beliefs)])
    alike(deviation, [(belief,) for belief in beliefs])


def test_weights_by_hand() -> None:
    """A reward of 0.8 worth half an observation: (2 · 0.5 + 0.5 · 0.8) / 2.5 = 0.56; worth none, nothing changes."""
    new = observe(arms(), jnp.int32(2), jnp.float32(0.8), jnp.float32(0.5))
    np.testing.assert_allclose(new.mean, [0.5, 0.5, 0.56, 0.5], rtol=1e-6)
    assert new.strength.tolist() == [2, 2, 2.5, 2]
    nothing = observe(arms(), jnp.int32(2), jnp.float32(0.8), jnp.float32(0))
    assert nothing.mean.tolist() == arms().mean.tolist() and nothing.strength.tolist() == [2] * ARMS


def test_forgetting_by_hand() -> None:
    """Three observations beyond a prior worth two fade by half: 1.5 are left, and their mean stays."""
    prior = arms()
    seen = after([(0, 1.0), (0, 1.0), (0, 0.4)], prior)
    faded = forget(seen, prior, jnp.float32(0.5))
    assert float(faded.strength[0]) == pytest.approx(3.5)
    assert float(faded.mean[0]) == pytest.approx((2 * 0.5 + 1.5 * 0.8) / 3.5)
    np.testing.assert_allclose(forget(seen, prior, ONE).mean, seen.mean, rtol=1e-6)
    np.testing.assert_allclose(forget(seen, prior, jnp.float32(0)).mean, prior.mean, rtol=1e-6)


def test_pooling_is_the_hierarchical_model_by_brute_force() -> None:
    """Conditioning the joint Gaussian of shared and own shifts on every domain's mean gives the same belief."""
    random = np.random.default_rng(5)
    sd, between, worth, domains = 0.4, 0.15, 3.0, 3
    count = random.integers(0, 6, (domains, ARMS)).astype(float)
    prior = random.normal(0.5, 0.1, (domains, ARMS))
    total = count * prior + np.sqrt(count) * random.normal(0, sd, (domains, ARMS))
    start = Arms(jnp.asarray(prior, jnp.float32), jnp.full(ARMS, worth), jnp.float32(sd))
    found = pooled(jnp.asarray(count, jnp.float32), jnp.asarray(total, jnp.float32), start, jnp.float32(between))
    for arm in range(ARMS):
        covariance = sd**2 / worth + between**2 * np.eye(domains)
        seen = count[:, arm] > 0
        noise = np.diag(sd**2 / count[seen, arm])
        gain = covariance[:, seen] @ np.linalg.inv(covariance[np.ix_(seen, seen)] + noise)
        excess = total[seen, arm] / count[seen, arm] - prior[seen, arm]
        np.testing.assert_allclose(found.mean[:, arm], prior[:, arm] + gain @ excess, atol=2e-5)
        spread = np.diag(covariance - gain @ covariance[seen])
        np.testing.assert_allclose(sd**2 / found.strength[:, arm], spread, rtol=1e-4)


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        observe(arms(), jnp.int32(1), jnp.ones(1), ONE)
