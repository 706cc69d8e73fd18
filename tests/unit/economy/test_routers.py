"""What every router promises, whatever it does: one suite over every file of conf/router; then each by itself."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from unit.economy.offers import ACTIONS, DOMAINS, FOLDER, LARGE, build, outcomes, setting

from rag_lab.economy import replay, singles
from rag_lab.economy.actions import Action
from rag_lab.economy.choice import Preference, lattice
from rag_lab.economy.router import Asked, Router
from rag_lab.errors import ConfigError

NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SETTING = setting()
TEST, CONTEXT = outcomes(60, seed=1)
CONTEXT = np.where(np.arange(60) % 7 == 0, len(DOMAINS), CONTEXT)  # of some the domain is unknown
FIXED = {"tier": "small", "passages": 10, "mmr": 1.0, "context_tokens": 512}
STREAM = {"usd_per_1k": 1.0, "window": 20, "sharpness": 4.0}
GATE = {"answers": 10, "gain": 0.0, "deviations": 1.0}
CHANGES: dict[str, list[dict[str, Any]]] = {
    "fixed": [FIXED],
    "pareto": [{}, {"stream": STREAM, "quality_gate": GATE}],
}
CASES = [(name, change) for name in NAMES for change in CHANGES.get(name, [{}])]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}{'+' if len(case[1]) == 2 else ''}")
def router(request: pytest.FixtureRequest) -> Router:
    name, changes = request.param
    return build(name, **changes)


def leaves(state: object) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def asked(query: int) -> Asked:
    return Asked(jnp.int32(CONTEXT[query]), jnp.asarray(TEST.features[query], jnp.float32))


def test_there_is_a_null_variant_and_every_baseline() -> None:
    assert set(NAMES) >= {"fixed", "random_mix", "best_single", "cascade", "knn", "pareto"}


def test_a_choice_is_an_action_for_known_and_unknown_domains(router: Router) -> None:
    routed = replay.route(router, router.init(SETTING), TEST, CONTEXT, seed=0)
    for chosen in routed:
        assert chosen.shape == (60,) and np.issubdtype(chosen.dtype, np.integer)
        assert chosen.min() >= 0 and chosen.max() < len(ACTIONS)


def test_a_state_keeps_its_shape_over_learning(router: Router) -> None:
    """As lax.scan demands; the state's arrays are JAX's."""
    before = router.init(SETTING)
    after = router.learn(before, asked(0), jnp.int32(0), jnp.float32(1e-4), jnp.float32(0.5))
    assert jax.tree.structure(before) == jax.tree.structure(after)
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert isinstance(one, jax.Array) and (one.shape, one.dtype) == (other.shape, other.dtype)
    changed = any((one != other).any() for one, other in zip(leaves(before), leaves(after), strict=True))
    assert changed == router.adapts


def test_the_stream_does_what_is_done_step_by_step(router: Router) -> None:
    order, state, spent = np.arange(12), router.init(SETTING), []
    routed, paid, end = replay.stream(router, state, TEST, CONTEXT, order, seed=0)
    keys = jax.random.split(replay._key(0), len(order))
    choose, settle, learn = jax.jit(router.choose), jax.jit(router.settle), jax.jit(router.learn)
    for key, query in zip(keys, order, strict=True):
        first = choose(key, state, asked(query))
        action = settle(state, asked(query), first, jnp.float32(TEST.confidence[query, first]))
        assert [int(first), int(action)] == [routed.first[query], routed.action[query]]
        again = TEST.cost_usd[query, int(first)] - TEST.retrieval_usd[query] if first != action else 0.0
        spent.append(TEST.cost_usd[query, int(action)] + again)
        state = learn(state, asked(query), action, jnp.float32(spent[-1]), jnp.float32(TEST.quality[query, action]))
    np.testing.assert_allclose(paid, spent, rtol=1e-5)
    for one, other in zip(leaves(end), leaves(state), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-7)


def test_a_router_that_does_not_adapt_routes_a_stream_as_it_routes_all_at_once(router: Router) -> None:
    if not router.adapts:
        state, order = router.init(SETTING), np.arange(60)
        at_once = replay.route(router, state, TEST, CONTEXT, seed=3)
        routed, paid, _ = replay.stream(router, state, TEST, CONTEXT, order, seed=3)
        assert routed.action.tolist() == at_once.action.tolist()
        np.testing.assert_allclose(paid, at_once.cost_usd(TEST), rtol=1e-5)


def test_chance_has_a_part_only_where_it_says_so(router: Router) -> None:
    state = router.init(SETTING)
    runs = {tuple(replay.route(router, state, TEST, CONTEXT, seed=seed).first.tolist()) for seed in range(3)}
    assert (len(runs) > 1) == router.draws


def test_only_the_first_answers_confidence_is_looked_at(router: Router) -> None:
    state = router.init(SETTING)
    before = replay.route(router, state, TEST, CONTEXT, seed=0)
    blind = np.full_like(TEST.confidence, np.nan)
    rows = np.arange(60)
    blind[rows, before.first] = TEST.confidence[rows, before.first]
    after = replay.route(router, state, TEST._replace(confidence=blind), CONTEXT, seed=0)
    assert after.action.tolist() == before.action.tolist()


def test_nothing_to_tell_before_anything_happened(router: Router) -> None:
    assert router.notes(router.init(SETTING), SETTING) == []


def test_an_unknown_confidence_is_enough() -> None:
    router = build("cascade", share=1.0)
    state = router.init(SETTING)
    assert int(router.settle(state, asked(0), state.first, jnp.float32(jnp.nan))) == int(state.first)


def test_what_is_believed_has_a_row_for_every_action(router: Router) -> None:
    if router.believe is not None:
        assert router.believe(router.init(SETTING), asked(0)).shape == (len(ACTIONS), 3)


def test_another_preference_is_the_same_router_built_with_it() -> None:
    other = {"cost": 0.0, "quality": 1.0, "diversity": 0.0}
    for name in ("pareto", "knn"):
        router, built = build(name), build(name, preference=other)
        assert router.prefer is not None
        state = router.prefer(router.init(SETTING), Preference(**other).weights())
        routed = replay.route(router, state, TEST, CONTEXT, seed=0)
        assert routed.action.tolist() == replay.route(built, built.init(SETTING), TEST, CONTEXT, seed=0).action.tolist()


def test_preferences_are_spread_over_all_proportions() -> None:
    found = lattice(2)
    assert list(found) == ["100% cost", "50% cost · 50% quality", "50% cost · 50% diversity", "100% quality",
                           "50% quality · 50% diversity", "100% diversity"]  # fmt: skip
    assert all(sum(one) == 1 for one in lattice(5).values()) and len(lattice(5)) == 21


def test_fixed_takes_its_action_and_needs_it_in_the_space() -> None:
    router = build("fixed", **FIXED)
    state = router.init(SETTING)
    assert router.always == Action(**FIXED)
    assert ACTIONS[int(state)] == Action(**FIXED)
    with pytest.raises(ConfigError, match=r"^router\.passages: given 7; the action space has 2, 5, 10$"):
        build("fixed", **FIXED | {"passages": 7}).init(SETTING)


def test_best_single_is_the_best_on_train() -> None:
    chosen = int(build("best_single").init(SETTING))
    mean = singles.means(SETTING.train.quality, SETTING)
    assert mean[chosen] == mean.max() and LARGE[chosen]


def test_of_equally_good_actions_the_cheapest_is_the_best() -> None:
    flat = SETTING._replace(train=SETTING.train._replace(quality=np.full_like(SETTING.train.quality, 0.5)))
    chosen = int(build("best_single").init(flat))
    cost = flat.train.cost_usd.mean(axis=0)
    assert cost[chosen] == cost.min()


def test_a_cheap_action_is_the_best_of_those_that_cost_little() -> None:
    cost, quality = (singles.means(values, SETTING) for values in (SETTING.train.cost_usd, SETTING.train.quality))
    within = cost <= 0.2 * cost[singles.best(SETTING)]
    chosen = singles.cheap(SETTING, 0.2)
    assert within[chosen] and quality[chosen] == quality[within].max()
    assert cost[singles.cheap(SETTING, 0.0)] == cost.min()


def test_domains_weigh_the_same_in_a_mean() -> None:
    values = np.array([[1.0], [1.0], [1.0], [0.0]])
    assert singles.means(values, SETTING._replace(context=np.array([0, 0, 0, 1]))).tolist() == [0.5]


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_random_mix_mixes_as_it_is_told(share: float) -> None:
    router = build("random_mix", share=share)
    first, best = router.init(SETTING).tolist()
    keys = jax.random.split(jax.random.key(0), 2000)
    chosen = np.asarray(jax.vmap(lambda key: router.choose(key, jnp.array([first, best]), asked(0)))(keys))
    cost = singles.means(SETTING.train.cost_usd, SETTING)
    assert cost[first] <= 0.5 * cost[best] and best == singles.best(SETTING)
    assert (chosen == best).mean() == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_cascade_escalates_the_least_confident_share_of_train(share: float) -> None:
    router = build("cascade", share=share)
    state = router.init(SETTING)
    routed = replay.route(router, state, SETTING.train, SETTING.context, seed=0)
    escalated = routed.action != routed.first
    assert escalated.sum() == round(share * 240)
    confidence = SETTING.train.confidence[:, int(state.first)]
    assert confidence[escalated].max(initial=0) <= confidence[~escalated].min(initial=1)
    paid = routed.cost_usd(SETTING.train)
    both = SETTING.train.cost_usd[:, [int(state.first), int(state.second)]].sum(axis=1)
    np.testing.assert_allclose(paid[escalated], (both - SETTING.train.retrieval_usd)[escalated])


def test_knn_by_hand() -> None:
    """One neighbour: the train query itself, and the action that is best on it when quality is all that counts."""
    quality_alone = {"cost": 0.0, "quality": 1.0, "diversity": 0.0}
    router = build("knn", neighbours=1, preference=quality_alone, augmentation=0.0)
    routed = replay.route(router, router.init(SETTING), SETTING.train, SETTING.context, seed=0)
    assert routed.action.tolist() == SETTING.train.quality.argmax(axis=1).tolist()


def test_more_neighbours_than_train_queries_are_all_of_them() -> None:
    router = build("knn", neighbours=10_000)
    assert len(set(replay.route(router, router.init(SETTING), TEST, CONTEXT, seed=0).action.tolist())) == 1
