"""What every policy promises, whatever it believes: one suite over every file of conf/policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from rag_lab import wiring
from rag_lab.errors import ConfigError
from rag_lab.l4_feedback.policies.linear import DRAWS
from rag_lab.l4_feedback.policy import Budget, Ceiling, Context, Judged, Policy, Setting

FILES = sorted((Path(__file__).resolve().parents[3] / "conf" / "policy").glob("*.yaml"))
DOMAINS = ("healthcare", "finance", "legal")
ALPHAS = np.round(np.arange(11) / 10, 1)
LABELS = tuple(f"α {alpha:g}" for alpha in ALPHAS)
PLACES, ACTIONS = len(DOMAINS) + 1, len(ALPHAS)
PRESETS = np.array([0.7, 0.5, 0.4, 0.5])
FEATURES = ("lexical_gap_10", "dense_gap_10", "lexical_relative", "dense_top", "overlap_10", "words")
TUNED = {("judged", False): [3] * 4, ("judged", True): [1, 2, 9, 3], ("pulls", False): [4] * 4,
         ("pulls", True): [0, 2, 8, 4]}  # fmt: skip
EXPECTED = {  # the α that each policy without learning takes in each place
    "bm25": [1.0] * 4,
    "dense": [0.0] * 4,
    "static": [0.5] * 4,
    "static_domain": PRESETS.tolist(),
    "static_tuned": [0.3] * 4,
    "static_tuned_pulls": [0.4] * 4,
    "static_domain_tuned": [0.1, 0.2, 0.9, 0.3],
    "static_domain_tuned_pulls": [0.0, 0.2, 0.8, 0.4],
    "recommended": [0.2, 0.8, 1.0, 0.6],
}
LEARNING = {
    "thompson", "discounted_thompson", "thompson_hierarchical", "thompson_smooth", "epsilon_greedy", "ucb",
    "contextual",
}  # fmt: skip
SHARING = {"thompson_hierarchical"}  # evidence of one domain is meant to move the others
RULES = {"ridge", "confidence"}  # what they do depends on the query
CEILINGS = {"oracle_domain", "oracle_query"}
CHOICES = {"chosen", "learned"}


def tune(per_domain: bool, budget: Budget) -> np.ndarray:
    return np.array(TUNED[budget, per_domain])


def judged() -> Judged:
    """120 queries on which the better α goes with the first feature."""
    random = np.random.default_rng(3)
    features = random.normal(size=(120, len(FEATURES)))
    rewards = 0.6 + 0.3 * np.tanh(features[:, :1]) * (ALPHAS - 0.5) + random.normal(0, 0.05, (120, ACTIONS))
    return Judged(features, np.arange(120) % len(DOMAINS), rewards)


BASIS = np.stack([(ALPHAS - 0.5) / 0.316, (np.square(ALPHAS) - 0.35) / 0.33], axis=1)
SETTING = Setting(DOMAINS, LABELS, ALPHAS, BASIS, FEATURES, PRESETS, tune, judged)


def at(place: int, seed: int = 0) -> Context:
    features = np.random.default_rng([place, seed]).normal(size=len(FEATURES)).astype(np.float32)
    return Context(jnp.int32(place), jnp.asarray(features))


@pytest.fixture(scope="module")
def recommended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recommended.yaml as a run writes it."""
    file = tmp_path_factory.mktemp("run") / "recommended.yaml"
    domains = {name: {"action": f"α {alpha:g}"} for name, alpha in zip(DOMAINS, EXPECTED["recommended"], strict=False)}
    content = {"actions": "alpha", "domains": domains, "otherwise": {"action": "α 0.6"}}
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return file


@pytest.fixture(scope="module", params=[file.stem for file in FILES if file.stem not in CEILINGS | CHOICES])
def named(request: pytest.FixtureRequest, recommended: Path) -> tuple[str, Policy]:
    """A policy with its name, built from its YAML as a run builds it."""
    name = request.param
    node = yaml.safe_load((FILES[0].parent / f"{name}.yaml").read_text(encoding="utf-8"))
    if name == "recommended":
        node["path"] = str(recommended)
    return name, wiring.build(node, "policy")


@pytest.fixture(scope="module")
def policy(named: tuple[str, Policy]) -> Policy:
    return named[1]


def leaves(state: object) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def drawn(policy: Policy, state: object, seed: int) -> Any:
    """What chance says to one decision."""
    return policy.chance(jax.random.key(seed), state, ())


def test_every_file_is_a_policy_a_ceiling_or_a_choice(named: tuple[str, Policy]) -> None:
    name, policy = named
    assert isinstance(policy, Policy)
    assert policy.learns == (name in LEARNING)
    assert policy.learns or name in EXPECTED or name in RULES
    assert policy.contextual == (name in RULES | {"contextual"})
    assert set(policy.actions) <= {"alpha", "rich"}


def test_shapes(policy: Policy) -> None:
    state = policy.init(SETTING)
    for place in range(PLACES):
        context = at(place)
        for action in (policy.act(drawn(policy, state, 0), state, context), policy.greedy(state, context)):
            assert action.shape == () and jnp.issubdtype(action.dtype, jnp.integer)
            assert 0 <= int(action) < ACTIONS
        chances = policy.propensity(state, context)
        assert chances.shape == (ACTIONS,) and chances.dtype == jnp.float32
        assert float(chances.sum()) == pytest.approx(1, abs=1e-5) and (np.asarray(chances) >= 0).all()
        if policy.belief is not None:
            believed = policy.belief(state, context)
            assert believed.mean.shape == believed.deviation.shape == (ACTIONS,)
            assert int(believed.mean.argmax()) == int(policy.greedy(state, context))


def test_chance_comes_for_many_decisions_at_once(policy: Policy) -> None:
    """The asked shape stands before each array's own, and decisions do not share their chance."""
    state = policy.init(SETTING)
    one, many = (policy.chance(jax.random.key(3), state, shape) for shape in ((), (4, 2)))
    for single, several in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        assert several.shape == (4, 2, *single.shape)
        assert not policy.learns or not several.any() or len(np.unique(several.reshape(8, -1), axis=0)) == 8


def test_a_state_keeps_its_shape_over_updates(policy: Policy) -> None:
    """As lax.scan demands; the state's arrays are JAX's."""
    before = policy.init(SETTING)
    after = policy.update(before, at(1), jnp.int32(2), jnp.float32(0.5), jnp.float32(1))
    assert jax.tree.structure(before) == jax.tree.structure(after)
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert isinstance(one, jax.Array)
        assert (one.shape, one.dtype) == (other.shape, other.dtype)


def test_jit_vmap_and_scan(policy: Policy) -> None:
    """Played along a stream by scan, over four seeds by vmap, it does what it does step by step."""
    steps, seeds = 12, 4
    contexts = jax.tree.map(lambda *x: jnp.stack(x), *[at(step % PLACES, step) for step in range(steps)])
    rewards = jnp.linspace(0, 1, ACTIONS)
    start = policy.init(SETTING)
    chances = jax.vmap(lambda key: policy.chance(key, start, (steps,)))(jax.random.split(jax.random.key(1), seeds))

    def step(state: object, at: tuple[Any, Context]) -> tuple[object, jax.Array]:
        chance, context = at
        action = policy.act(chance, state, context)
        return policy.update(state, context, action, rewards[action], jnp.float32(1)), action

    run = jax.jit(jax.vmap(lambda chance: jax.lax.scan(step, start, (chance, contexts))))
    end, actions = run(chances)
    state, by_hand = start, []
    for number in range(steps):
        one = jax.tree.map(lambda x, n=number: x[2, n], chances), jax.tree.map(lambda x, n=number: x[n], contexts)
        state, action = step(state, one)
        by_hand.append(int(action))
    assert actions[2].tolist() == by_hand
    for one, other in zip(leaves(end), leaves(state), strict=True):
        np.testing.assert_allclose(one[2], other, rtol=1e-3, atol=1e-5)


def test_an_update_changes_the_played_place_alone(named: tuple[str, Policy]) -> None:
    name, policy = named
    before = policy.init(SETTING)
    after = policy.update(before, at(1), jnp.int32(2), jnp.float32(0.25), jnp.float32(1))
    changed = 0
    for one, other in zip(leaves(before), leaves(after), strict=True):
        places = np.argwhere(one != other)
        assert name in SHARING or not len(places) or set(places[:, 0]) == {1}
        changed += len(places)
    assert bool(changed) == policy.learns
    if name not in SHARING and policy.belief is not None:
        for place in (0, 2, 3):
            np.testing.assert_array_equal(policy.belief(before, at(place)), policy.belief(after, at(place)))


def test_a_reward_without_weight_teaches_nothing_and_half_of_one_half(policy: Policy) -> None:
    """Two updates worth half an observation each are one worth a whole."""
    before, where, action, reward = policy.init(SETTING), at(1), jnp.int32(2), jnp.float32(0.25)
    after = policy.update(before, where, action, reward, jnp.float32(0))
    for one, other in zip(leaves(before), leaves(after), strict=True):
        if one.shape != () and policy.belief is not None:
            np.testing.assert_allclose(one, other, rtol=0.02)  # discounting fades a little at every update
    half = jnp.float32(0.5)
    whole = policy.update(before, where, action, reward, jnp.float32(1))
    twice = policy.update(policy.update(before, where, action, reward, half), where, action, reward, half)
    if policy.belief is not None:
        np.testing.assert_allclose(policy.belief(whole, where).mean, policy.belief(twice, where).mean, rtol=5e-3)


def test_a_policy_that_does_not_learn_never_changes(named: tuple[str, Policy]) -> None:
    name, policy = named
    if policy.learns:
        return
    state = policy.init(SETTING)
    for step in range(20):
        reward = jnp.float32(step % 2)
        state = policy.update(state, at(step % PLACES), jnp.int32(step % ACTIONS), reward, jnp.float32(1))
    for place in range(PLACES):
        chosen = int(policy.greedy(state, at(place)))
        assert name in RULES or ALPHAS[chosen] == EXPECTED[name][place]
        for number in range(3):
            assert int(policy.act(drawn(policy, state, number), state, at(place))) == chosen
        assert policy.propensity(state, at(place)).tolist() == np.eye(ACTIONS)[chosen].tolist()


def test_a_policy_that_is_not_per_domain_ignores_the_place(policy: Policy) -> None:
    state = policy.init(SETTING)
    chosen = {int(policy.greedy(state, at(0)._replace(place=jnp.int32(place)))) for place in range(PLACES)}
    assert policy.per_domain or len(chosen) == 1


def test_a_policy_that_is_not_contextual_ignores_the_features(policy: Policy) -> None:
    state = policy.init(SETTING)
    chosen = {int(policy.greedy(state, at(1, seed))) for seed in range(20)}
    assert policy.contextual or len(chosen) == 1


def test_propensities_are_the_frequencies_of_a_hundred_thousand_draws(policy: Policy) -> None:
    """After some learning, in a place that saw rewards and in one that did not."""
    state = policy.init(SETTING)
    for step in range(30):
        reward = jnp.float32(step % 3 / 2)
        state = policy.update(state, at(0, step), jnp.int32(step * 7 % ACTIONS), reward, jnp.float32(1))
    draws = 100_000
    chance = policy.chance(jax.random.key(5), state, (draws,))
    act = jax.jit(jax.vmap(policy.act, in_axes=(0, None, None)))
    counted = 1 / DRAWS if policy.contextual or policy.chance.__module__.endswith("thompson_smooth") else 0
    for place in (0, PLACES - 1):
        drawn = np.bincount(np.asarray(act(chance, state, at(place))), minlength=ACTIONS) / draws
        chances = np.asarray(policy.propensity(state, at(place)))
        spread = np.sqrt(drawn * (1 - drawn) * (1 / draws + counted)) + counted
        assert (np.abs(drawn - chances) <= 4.5 * spread + 2e-5).all()


def test_presets_that_are_not_given() -> None:
    """No belief about α: a policy either says that it needs one, or treats all actions alike."""
    blank = SETTING.__class__(DOMAINS, LABELS, ALPHAS, BASIS, FEATURES, None, tune, judged)
    flat = policy_of("thompson").init(blank)
    assert len(np.unique(np.asarray(flat.mean))) == 1
    with pytest.raises(ConfigError, match=r"^static_domain needs presets; set presets\.<domain>=<alpha>$"):
        policy_of("static_domain").init(blank)


def policy_of(name: str) -> Any:
    node = yaml.safe_load((FILES[0].parent / f"{name}.yaml").read_text(encoding="utf-8"))
    return wiring.build(node, "policy")


@pytest.mark.parametrize("alpha", [0.25, 0.999])
def test_an_alpha_that_is_no_action(alpha: float) -> None:
    from rag_lab.l4_feedback.policies import static

    with pytest.raises(ConfigError, match=rf"^alpha {alpha} is not an action; choose one of 0, 0\.1, .*, 1$"):
        static.build(alpha=alpha, actions=("alpha",)).init(SETTING)


@pytest.mark.parametrize(("name", "key"), [("contextual", "features"), ("confidence", "lexical")])
def test_a_feature_that_does_not_exist(name: str, key: str) -> None:
    from rag_lab.l4_feedback import policies  # noqa: F401

    node = yaml.safe_load((FILES[0].parent / f"{name}.yaml").read_text(encoding="utf-8"))
    node[key] = ["mood"] if key == "features" else "mood"
    with pytest.raises(ConfigError, match=rf"^policy\.{key}: no feature 'mood'; allowed: lexical_gap_10, .*words$"):
        wiring.build(node, "policy").init(SETTING)


def test_ridge_follows_the_feature_that_matters() -> None:
    """The better α goes with the first feature's sign, and that is what it does."""
    policy = policy_of("ridge")
    state = policy.init(SETTING)
    for sign, best in ((2.0, 10), (-2.0, 0)):
        features = jnp.zeros(len(FEATURES)).at[0].set(sign)
        assert int(policy.greedy(state, Context(jnp.int32(0), features))) == best


def test_ridge_stays_with_the_best_fixed_action_where_features_say_nothing() -> None:
    random = np.random.default_rng(0)
    rewards = random.normal(0.5, 0.3, (90, ACTIONS))
    rewards[:, 4] += 0.2
    noise = Judged(random.normal(size=(90, len(FEATURES))), np.arange(90) % 3, rewards)
    setting = SETTING.__class__(DOMAINS, LABELS, ALPHAS, BASIS, FEATURES, PRESETS, tune, lambda: noise)
    policy = policy_of("ridge")
    state = policy.init(setting)
    chosen = [int(policy.greedy(state, at(3, seed))) for seed in range(200)]
    assert np.mean(np.array(chosen) == 4) > 0.9


def test_the_surer_ranker_gets_the_weight() -> None:
    policy = policy_of("confidence")
    state = policy.init(SETTING)
    lexical, dense = (FEATURES.index(name) for name in ("lexical_relative", "dense_top"))
    alphas = []
    for one, other in ((0, 2), (0, 0), (2, 0), (9, 0)):
        features = jnp.zeros(len(FEATURES)).at[lexical].set(one).at[dense].set(other)
        alphas.append(float(ALPHAS[int(policy.greedy(state, Context(jnp.int32(0), features)))]))
    assert alphas == [0.3, 0.5, 0.7, 1.0]


def test_an_alpha_read_from_text_is_found() -> None:
    assert [SETTING.action(float(text)) for text in ("0.3", "0.7", "1", "0.30000000000000004")] == [3, 7, 10, 3]


def test_ceilings_by_hand() -> None:
    """Two queries of one domain that want different actions, one of another; ties go to the first action."""
    metric = np.array([[0.0, 1.0, 0.5], [0.9, 0.0, 0.5], [0.2, 0.2, 0.1]])
    domain = np.array([0, 0, 1])
    each, by_domain = policy_of("oracle_query"), policy_of("oracle_domain")
    assert isinstance(each, Ceiling) and isinstance(by_domain, Ceiling)
    assert each.best(metric, domain).tolist() == [1, 0, 0]
    assert by_domain.best(metric, domain).tolist() == [1, 1, 0]


def test_no_ceiling_is_beaten() -> None:
    """Per query is at least per domain, which is at least any fixed action."""
    random = np.random.default_rng(0)
    metric, domain = random.random((200, 5)), random.integers(0, 3, 200)
    rows = np.arange(200)
    each, by_domain = (metric[rows, Ceiling(flag, ("alpha",)).best(metric, domain)] for flag in (True, False))
    assert (each >= metric.max(axis=1)).all()
    for one in range(3):
        best = metric[domain == one].mean(axis=0).max()
        assert by_domain[domain == one].mean() == pytest.approx(best) and each[domain == one].mean() > best
