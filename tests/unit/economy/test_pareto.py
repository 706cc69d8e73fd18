"""The Pareto router: what it may choose, how it weighs, what it refuses, what it switches off."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from unit.economy.offers import ACTIONS, DOMAINS, LARGE, build, outcomes, setting

from rag_lab.economy import replay
from rag_lab.economy.estimates import Beliefs, predict
from rag_lab.economy.outcomes import Outcomes
from rag_lab.errors import ConfigError

SETTING = setting()
TEST, CONTEXT = outcomes(200, seed=1)


def preference(cost: float, quality: float, diversity: float) -> dict[str, float]:
    return {"cost": cost, "quality": quality, "diversity": diversity}


def limits(**given: float) -> dict[str, float | None]:
    return {"usd_per_1k": None, "quality": None, "diversity": None} | given


def routed(test: Outcomes = TEST, context: np.ndarray = CONTEXT, **changes: Any) -> replay.Routed:
    router = build("pareto", **changes)
    return replay.route(router, router.init(SETTING), test, context, seed=0)


def believed(**changes: Any) -> Beliefs:
    """What the router believes of every test query."""
    estimates = build("pareto", **changes).init(SETTING).estimates
    each = jax.vmap(predict, in_axes=(None, 0, 0))
    return each(estimates, jnp.asarray(CONTEXT), jnp.asarray(TEST.features, jnp.float32))


@pytest.mark.parametrize("distance", ["chebyshev", "euclidean"])
@pytest.mark.parametrize("weights", [(1, 1, 1), (0, 1, 0), (1, 0, 0), (0.2, 5, 0.1)])
def test_no_routed_action_is_dominated(distance: str, weights: tuple[float, ...]) -> None:
    """Held against moocore, query by query, on what the router believes."""
    moocore = pytest.importorskip("moocore")
    chosen = routed(preference=preference(*weights), distance=distance).action
    for objectives, action in zip(np.asarray(believed().mean, np.float64), chosen, strict=True):
        assert moocore.is_nondominated(objectives, keep_weakly=True)[action]


def test_the_preference_moves_along_the_front() -> None:
    cheap = routed(preference=preference(1, 0, 0))
    good = routed(preference=preference(0, 1, 0))
    diverse = routed(preference=preference(0, 0, 1))
    assert cheap.cost_usd(TEST).mean() < 0.2 * good.cost_usd(TEST).mean()
    assert good.values(TEST.quality).mean() > cheap.values(TEST.quality).mean() + 0.05
    assert diverse.values(TEST.diversity).mean() > good.values(TEST.diversity).mean()


def test_it_spends_where_spending_pays() -> None:
    """The large tier brings more on hard queries, and more in healthcare: there it goes."""
    chosen = LARGE[routed(preference=preference(1, 3, 0)).action]
    hard = TEST.features[:, 0]
    assert hard[chosen].mean() > hard[~chosen].mean() + 0.2
    assert 0 < chosen[CONTEXT == 1].mean() < chosen[CONTEXT == 0].mean()


def test_limits_hold_wherever_some_action_is_believed_to_keep_them() -> None:
    chosen = routed(limits=limits(usd_per_1k=0.2), preference=preference(0, 1, 0)).action
    beliefs = np.asarray(believed().mean)
    assert (beliefs[np.arange(200), chosen, 0] <= 0.2e-3 * (1 + 1e-6)).all()
    reachable = (-beliefs[:, :, 1]).max(axis=1)
    floor = float(np.quantile(reachable, 0.2))
    chosen = routed(limits=limits(quality=floor), preference=preference(1, 0, 0)).action
    reached = -beliefs[np.arange(200), chosen, 1]
    assert (reached[reachable > floor] >= floor - 1e-6).all()
    np.testing.assert_allclose(reached[reachable < floor], reachable[reachable < floor])  # as near as it gets


def test_caution_prefers_what_is_well_known() -> None:
    """A limit on quality is held by the lower bound, so more is spent."""
    bold = routed(limits=limits(quality=0.5), preference=preference(1, 0, 0))
    careful = routed(limits=limits(quality=0.5), preference=preference(1, 0, 0), caution=2.0)
    assert careful.cost_usd(TEST).mean() > bold.cost_usd(TEST).mean()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (limits(quality=0.99), r"lower router\.limits\.quality=0\.99 to 0\.\d+$"),
        (limits(usd_per_1k=0.001), r"raise router\.limits\.usd_per_1k=0\.001 to 0\.\d+$"),
        (
            limits(quality=0.5, usd_per_1k=0.03),
            r"raise router\.limits\.usd_per_1k=0\.03 to \S+ or lower router\.limits\.quality=0\.5 to 0\.\d+$",
        ),
        (
            limits(quality=0.99, usd_per_1k=0.001),
            r"raise router\.limits\.usd_per_1k=0\.001 to \S+ and lower \S+=0\.99 to \S+ at least$",
        ),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_limit_that_binds(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=rf"^router\.limits: no action keeps them in 'healthcare'; {told}"):
        build("pareto", limits=given).init(SETTING)


def test_following_the_advice_helps() -> None:
    with pytest.raises(ConfigError) as refused:
        build("pareto", limits=limits(quality=0.99)).init(SETTING)
    advised = float(str(refused.value).rpartition(" ")[2])
    try:
        build("pareto", limits=limits(quality=advised)).init(SETTING)
    except ConfigError as other:
        assert "'finance'" in str(other)


def test_a_preference_for_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^router\.preference: all weights are 0; give one of "):
        build("pareto", preference=preference(0, 0, 0))
    with pytest.raises(ConfigError, match=r"^router\.preference\.cost: given -1"):
        build("pareto", preference=preference(-1, 0, 0))


def spoilt(quality: float) -> Outcomes:
    """The test outcomes, in which the large tier's answers have this quality."""
    return TEST._replace(quality=np.where(LARGE, quality, TEST.quality))


GATE = {"answers": 20, "gain": 0.0, "deviations": 2.0}


def test_an_upgrade_that_does_not_pay_is_switched_off_for_good_and_it_is_said() -> None:
    router = build("pareto", preference=preference(0, 1, 0), quality_gate=GATE)
    order = np.tile(np.arange(200), 2)
    chosen, _, end = replay.stream(router, router.init(SETTING), spoilt(0.1), CONTEXT, order, seed=0)
    used = LARGE[chosen.action]
    assert used.sum() == 20 and not used[np.flatnonzero(used)[-1] + 1 :].any()
    (told,) = router.notes(end, SETTING)
    assert told.startswith("The router switched off 'large' after 20 answers: they gained -0.") and "'small'" in told


def test_an_upgrade_that_pays_stays() -> None:
    router = build("pareto", preference=preference(0, 1, 0), quality_gate=GATE)
    chosen, _, end = replay.stream(router, router.init(SETTING), spoilt(0.9), CONTEXT, np.arange(200), seed=0)
    assert LARGE[chosen.action].sum() > 100 and router.notes(end, SETTING) == []


def test_what_nobody_scored_is_not_held_against_an_upgrade() -> None:
    router = build("pareto", preference=preference(0, 1, 0), quality_gate=GATE)
    unknown = TEST._replace(quality=np.full_like(TEST.quality, np.nan))
    _, _, end = replay.stream(router, router.init(SETTING), unknown, CONTEXT, np.arange(200), seed=0)
    assert end.gate.heard.tolist() == [0, 0] and router.notes(end, SETTING) == []


def test_a_stream_with_much_to_spend_is_routed_as_without_a_budget() -> None:
    plenty = {"usd_per_1k": 1e4, "window": 50, "sharpness": 4.0}
    router = build("pareto", stream=plenty)
    chosen, _, _ = replay.stream(router, router.init(SETTING), TEST, CONTEXT, np.arange(200), seed=0)
    assert chosen.action.tolist() == routed().action.tolist()


def test_a_stream_with_little_to_spend_goes_without_upgrades_sooner_or_later() -> None:
    scarce = {"usd_per_1k": 0.15, "window": 50, "sharpness": 2.0}
    router = build("pareto", preference=preference(0, 1, 0), stream=scarce)
    chosen, paid, _ = replay.stream(router, router.init(SETTING), TEST, CONTEXT, np.arange(200), seed=0)
    windows = np.lib.stride_tricks.sliding_window_view(paid.astype(np.float64), 50).sum(axis=1)
    assert 0.5 < windows.max() / (0.15 * 50 / 1000) <= 1
    assert 0 < LARGE[chosen.action].mean() < 0.5


def test_a_stream_that_cannot_pay_the_cheapest_action_is_refused() -> None:
    poor = {"usd_per_1k": 0.01, "window": 50, "sharpness": 4.0}
    with pytest.raises(ConfigError, match=r"^router\.stream\.usd_per_1k: given 0\.01; the cheapest action can cost "):
        build("pareto", stream=poor).init(SETTING)


def test_a_domain_that_train_lacks_is_believed_to_be_like_all() -> None:
    one = SETTING._replace(
        train=SETTING.train.part(np.flatnonzero(SETTING.context == 0)),
        context=np.zeros((SETTING.context == 0).sum(), int),
    )
    estimates = build("pareto").init(one).estimates
    np.testing.assert_allclose(estimates.mean[1], estimates.mean[len(DOMAINS)])
    assert len(ACTIONS) == estimates.mean.shape[1]
