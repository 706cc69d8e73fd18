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
from rag_lab.l4_feedback.policy import Budget, Ceiling, Policy, Setting

FILES = sorted((Path(__file__).resolve().parents[3] / "conf" / "policy").glob("*.yaml"))
DOMAINS = ("healthcare", "finance", "legal")
ALPHAS = np.arange(11) / 10
CONTEXTS, ACTIONS = len(DOMAINS) + 1, len(ALPHAS)
PRESETS = np.array([0.7, 0.5, 0.4, 0.5])
TUNED = {("judged", False): [3] * 4, ("judged", True): [1, 2, 9, 3], ("pulls", False): [4] * 4,
         ("pulls", True): [0, 2, 8, 4]}  # fmt: skip
EXPECTED = {  # the α that each policy without learning takes in each context
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
LEARNING = {"thompson"}
CEILINGS = {"oracle_domain", "oracle_query"}


def tune(per_domain: bool, budget: Budget) -> np.ndarray:
    return np.array(TUNED[budget, per_domain])


SETTING = Setting(DOMAINS, ALPHAS, PRESETS, tune)


@pytest.fixture(scope="module")
def recommended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recommended.yaml as a run writes it."""
    file = tmp_path_factory.mktemp("run") / "recommended.yaml"
    domains = {name: {"alpha": alpha} for name, alpha in zip(DOMAINS, EXPECTED["recommended"], strict=False)}
    file.write_text(yaml.safe_dump({"domains": domains, "otherwise": {"alpha": 0.6}}), encoding="utf-8")
    return file


@pytest.fixture(scope="module", params=[file.stem for file in FILES if file.stem not in CEILINGS])
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


def test_every_file_is_a_policy_or_a_ceiling(named: tuple[str, Policy]) -> None:
    name, policy = named
    assert isinstance(policy, Policy)
    assert policy.learns == (name in LEARNING)
    assert policy.learns or name in EXPECTED


def test_shapes(policy: Policy) -> None:
    state, key = policy.init(SETTING), jax.random.key(0)
    for context in map(jnp.int32, range(CONTEXTS)):
        for action in (policy.act(key, state, context), policy.greedy(state, context)):
            assert action.shape == () and jnp.issubdtype(action.dtype, jnp.integer)
            assert 0 <= int(action) < ACTIONS
        chances = policy.propensity(state, context)
        assert chances.shape == (ACTIONS,) and chances.dtype == jnp.float32
        assert float(chances.sum()) == pytest.approx(1, abs=1e-5) and (np.asarray(chances) >= 0).all()


def test_a_state_keeps_its_shape_over_updates(policy: Policy) -> None:
    """As lax.scan demands; the state's arrays are JAX's, one row or entry a context or one for all."""
    before = policy.init(SETTING)
    after = policy.update(before, jnp.int32(1), jnp.int32(2), jnp.float32(0.5))
    assert jax.tree.structure(before) == jax.tree.structure(after)
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert isinstance(one, jax.Array)
        assert (one.shape, one.dtype) == (other.shape, other.dtype)


def test_jit_vmap_and_scan(policy: Policy) -> None:
    """Played along a stream by scan, over four seeds by vmap, it does what it does step by step."""
    steps, seeds = 12, 4
    contexts = jnp.arange(steps) % CONTEXTS
    rewards = jnp.linspace(0, 1, ACTIONS)
    keys = jax.vmap(lambda key: jax.random.split(key, steps))(jax.random.split(jax.random.key(1), seeds))

    def step(state: object, at: tuple[jax.Array, jax.Array]) -> tuple[object, jax.Array]:
        key, context = at
        action = policy.act(key, state, context)
        return policy.update(state, context, action, rewards[action]), action

    start = policy.init(SETTING)
    run = jax.jit(jax.vmap(lambda keys: jax.lax.scan(step, start, (keys, contexts))))
    end, actions = run(keys)
    state, by_hand = start, []
    for key, context in zip(keys[2], contexts, strict=True):
        state, action = step(state, (key, context))
        by_hand.append(int(action))
    assert actions[2].tolist() == by_hand
    for one, other in zip(leaves(end), leaves(state), strict=True):
        np.testing.assert_allclose(one[2], other, rtol=1e-5)


def test_an_update_changes_the_played_context_and_arm_alone(policy: Policy) -> None:
    before = policy.init(SETTING)
    after = policy.update(before, jnp.int32(1), jnp.int32(2), jnp.float32(0.25))
    changed = 0
    for one, other in zip(leaves(before), leaves(after), strict=True):
        places = np.argwhere(one != other).tolist()
        assert places in ([], [[1, 2]])
        changed += len(places)
    assert bool(changed) == policy.learns


def test_a_policy_that_does_not_learn_never_changes(named: tuple[str, Policy]) -> None:
    name, policy = named
    if policy.learns:
        return
    state = policy.init(SETTING)
    for step in range(20):
        state = policy.update(state, jnp.int32(step % CONTEXTS), jnp.int32(step % ACTIONS), jnp.float32(step % 2))
    for context, alpha in enumerate(EXPECTED[name]):
        where = jnp.int32(context)
        chosen = int(policy.greedy(state, where))
        assert ALPHAS[chosen] == alpha
        for number in range(3):
            assert int(policy.act(jax.random.key(number), state, where)) == chosen
        assert policy.propensity(state, where).tolist() == np.eye(ACTIONS)[chosen].tolist()


def test_a_policy_that_is_not_per_domain_ignores_the_context(policy: Policy) -> None:
    state = policy.init(SETTING)
    chosen = {int(policy.greedy(state, jnp.int32(context))) for context in range(CONTEXTS)}
    assert policy.per_domain or len(chosen) == 1


def test_propensities_are_the_frequencies_of_a_hundred_thousand_draws(policy: Policy) -> None:
    """After some learning, in a context that saw rewards and in one that did not."""
    state = policy.init(SETTING)
    for step in range(30):
        state = policy.update(state, jnp.int32(0), jnp.int32(step * 7 % ACTIONS), jnp.float32(step % 3 / 2))
    draws = 100_000
    keys = jax.random.split(jax.random.key(5), draws)
    act = jax.jit(jax.vmap(policy.act, in_axes=(0, None, None)))
    for context in map(jnp.int32, (0, CONTEXTS - 1)):
        drawn = np.bincount(np.asarray(act(keys, state, context)), minlength=ACTIONS) / draws
        chances = np.asarray(policy.propensity(state, context))
        spread = np.sqrt(chances * (1 - chances) / draws)
        assert (np.abs(drawn - chances) <= 4.5 * spread + 2e-5).all()


def test_presets_that_are_not_given() -> None:
    """No belief about α: a policy either says that it needs one, or treats all actions alike."""
    blank = Setting(DOMAINS, ALPHAS, None, tune)
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
        static.build(alpha=alpha).init(SETTING)


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
    each, by_domain = (metric[rows, Ceiling(flag).best(metric, domain)] for flag in (True, False))
    assert (each >= metric.max(axis=1)).all()
    for one in range(3):
        best = metric[domain == one].mean(axis=0).max()
        assert by_domain[domain == one].mean() == pytest.approx(best) and each[domain == one].mean() > best
