"""Intervals, p-values and their correction, held against the naive ones and against the truth of made-up data."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.metrics.significance import (
    Estimate,
    Pair,
    Resampler,
    compare,
    holm,
    minimum_detectable_effect,
)

RANDOM = np.random.default_rng(0)
RESAMPLES = 2000
# Two domains of 12 and 9 clusters; the queries of a cluster are alike.
CLUSTER = np.concatenate([np.repeat(np.arange(12), RANDOM.integers(1, 6, 12)), np.repeat(np.arange(9), 4)])
DOMAIN = np.repeat([0, 1], [len(CLUSTER) - 36, 36])
FIRST = DOMAIN == 0
EFFECT = np.where(FIRST, RANDOM.normal(0, 0.2, 12)[CLUSTER], RANDOM.normal(0, 0.2, 12)[CLUSTER])
ONE = (0.6 + EFFECT + RANDOM.normal(0, 0.1, len(DOMAIN)))[None]
OTHER = ONE - 0.05 + RANDOM.normal(0, 0.1, (1, len(DOMAIN)))


@pytest.fixture(scope="module")
def resampler() -> Resampler:
    return Resampler(DOMAIN, CLUSTER, seed=0, resamples=RESAMPLES)


def naive_draws(values: np.ndarray, resamples: int = 1500) -> np.ndarray:
    """[resamples, domains + 1] by the naive bootstrap, domain by domain and their mean."""
    random = np.random.default_rng(1)
    each = [reference.cluster_bootstrap(values[:, part], CLUSTER[part], resamples, random) for part in (FIRST, ~FIRST)]
    return np.column_stack([*each, np.mean(each, axis=0)])


def test_the_value_is_the_mean_over_queries_and_then_over_domains(resampler: Resampler) -> None:
    expected = [ONE[0, FIRST].mean(), ONE[0, ~FIRST].mean()]
    found = resampler.estimate(ONE)
    np.testing.assert_allclose(found.value, [*expected, np.mean(expected)], rtol=1e-12)
    np.testing.assert_allclose(found.draws[:, -1], found.draws[:, :2].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.draws.mean(axis=0), found.value, atol=0.02)


def test_intervals_agree_with_the_naive_bootstrap(resampler: Resampler) -> None:
    found, naive = resampler.estimate(ONE), naive_draws(ONE)
    np.testing.assert_allclose(found.draws.std(axis=0), naive.std(axis=0), rtol=0.08)
    for column in range(3):
        np.testing.assert_allclose(
            found.interval(column),
            np.quantile(naive[:, column], [0.025, 0.975]),
            atol=0.25 * naive[:, column].std(),
        )


def test_seeds_are_drawn_too(resampler: Resampler) -> None:
    """Where seeds differ more than queries, the interval is as wide as the seeds say."""
    shift = np.random.default_rng(2).normal(0, 0.2, (8, 1))
    seeds = ONE + shift
    found, naive = resampler.estimate(seeds), naive_draws(seeds)
    np.testing.assert_allclose(found.draws[:, :2].std(axis=0), naive[:, :2].std(axis=0), rtol=0.1)
    # One draw of seeds serves both domains, for a seed's bandit plays in both: seeds do not average out over them.
    alone = resampler.estimate(ONE).draws[:, -1].std()
    assert found.draws[:, -1].std() == pytest.approx(np.hypot(alone, shift.std() / np.sqrt(8)), rel=0.1)
    np.testing.assert_allclose(found.value[-1], seeds[:, FIRST].mean() / 2 + seeds[:, ~FIRST].mean() / 2)


def test_equal_seeds_are_as_good_as_one(resampler: Resampler) -> None:
    np.testing.assert_allclose(
        resampler.estimate(np.repeat(ONE, 4, axis=0)).draws, resampler.estimate(ONE).draws, rtol=1e-5
    )


def test_variants_are_paired(resampler: Resampler) -> None:
    """Draw by draw, a variant that is better by 0.1 on every query is better by 0.1."""
    better = resampler.estimate(ONE + 0.1).draws - resampler.estimate(ONE).draws
    np.testing.assert_allclose(better, 0.1, atol=1e-5)
    seeds = ONE + np.random.default_rng(2).normal(0, 0.2, (8, 1))
    better = resampler.estimate(seeds + 0.1).draws - resampler.estimate(seeds).draws
    np.testing.assert_allclose(better, 0.1, atol=1e-5)


def test_a_run_comes_again_and_another_seed_draws_others(resampler: Resampler) -> None:
    again = Resampler(DOMAIN, CLUSTER, seed=0, resamples=RESAMPLES)
    other = Resampler(DOMAIN, CLUSTER, seed=1, resamples=RESAMPLES)
    assert (again.estimate(ONE).draws == resampler.estimate(ONE).draws).all()
    assert (other.estimate(ONE).draws != resampler.estimate(ONE).draws).any()


def test_clusters_may_be_numbered_as_one_likes(resampler: Resampler) -> None:
    """Within a domain, and the same number may stand for another cluster in another domain."""
    renamed = Resampler(DOMAIN, np.where(FIRST, 1000, 7) + 3 * CLUSTER, seed=0, resamples=RESAMPLES)
    np.testing.assert_allclose(renamed.estimate(ONE).draws, resampler.estimate(ONE).draws, rtol=1e-6)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """200 data sets of 40 clusters whose true mean is 0.5; drawing queries instead would cover far less often."""
    random = np.random.default_rng(3)
    cluster = np.repeat(np.arange(40), 4)
    covered = {"clusters": 0, "queries": 0}
    by_cluster = Resampler(np.zeros(160, int), cluster, seed=0, resamples=500)
    by_query = Resampler(np.zeros(160, int), np.arange(160), seed=0, resamples=500)
    for _ in range(200):
        values = 0.5 + random.normal(0, 0.2, 40)[cluster] + random.normal(0, 0.1, 160)
        for name, resampler in (("clusters", by_cluster), ("queries", by_query)):
            low, high = resampler.estimate(values[None]).interval(0)
            covered[name] += low <= 0.5 <= high
    assert 0.89 <= covered["clusters"] / 200 <= 0.98
    assert covered["queries"] / 200 < 0.8


def test_p_values_agree_with_all_labellings(resampler: Resampler) -> None:
    """Per domain by the clusters' sums; for the mean over domains each domain's sums weigh by its size."""
    difference = (ONE - OTHER)[0]
    found = resampler.p_values(difference)
    assert found.shape == (3,)
    for column, part in enumerate((FIRST, ~FIRST)):
        exact = reference.exact_sign_flip(difference[part], CLUSTER[part])
        assert found[column] == pytest.approx(exact, abs=5 * np.sqrt(0.25 / RESAMPLES))
    weighed = np.where(FIRST, difference / FIRST.sum(), difference / (~FIRST).sum())
    naive = reference.sign_flip(weighed, (CLUSTER + 100 * DOMAIN).tolist(), 4000, np.random.default_rng(4))
    assert found[2] == pytest.approx(naive, abs=0.03)


def test_a_large_domain_does_not_outvote_a_small_one() -> None:
    """Eight clusters of five queries, four of one: in the mean over domains both domains weigh the same."""
    random = np.random.default_rng(8)
    domain, cluster = np.repeat([0, 1], [40, 4]), np.concatenate([np.repeat(np.arange(8), 5), np.arange(4)])
    difference = np.where(domain == 0, random.normal(0.02, 0.1, 44), -0.2)
    found = Resampler(domain, cluster, seed=0, resamples=RESAMPLES).p_values(difference)[2]
    names = cluster + 100 * domain
    weighed = reference.exact_sign_flip(difference / np.where(domain == 0, 40, 4), names)
    assert found == pytest.approx(weighed, abs=5 * np.sqrt(0.25 / RESAMPLES))
    assert abs(reference.exact_sign_flip(difference, names) - weighed) > 0.2  # which tells the two apart


def test_no_difference_has_a_p_value_of_one(resampler: Resampler) -> None:
    assert resampler.p_values(np.zeros(len(DOMAIN))).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("given", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.04], [0.04]),
        ([0.02, 0.02, 0.02], [0.06, 0.06, 0.06]),
        ([], []),
    ],
)
def test_holm_by_hand(given: list[float], adjusted: list[float]) -> None:
    assert holm(given) == pytest.approx(adjusted)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_holm_agrees_and_keeps_its_promises(p_values: list[float], random: object) -> None:
    adjusted = holm(p_values)
    np.testing.assert_allclose(adjusted, reference.holm(p_values))
    assert all(given <= found <= 1 for given, found in zip(p_values, adjusted, strict=True))
    order = list(range(len(p_values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    np.testing.assert_allclose(holm([p_values[one] for one in order]), [adjusted[one] for one in order])


def test_what_could_be_detected_agrees() -> None:
    draws = np.random.default_rng(5).normal(0, 0.03, 5000)
    for family in (1, 3, 12):
        expected = reference.minimum_detectable_effect(draws.std(ddof=1), 0.05 / family, 0.8)
        assert minimum_detectable_effect(draws, family) == pytest.approx(expected)
    assert minimum_detectable_effect(draws, 1) == pytest.approx(0.03 * (1.96 + 0.8416), rel=0.03)


def test_what_could_be_detected_is_detected_four_times_in_five() -> None:
    """A true difference of that size, tested with the standard error that it was computed from."""
    random, error = np.random.default_rng(6), 0.02
    effect = minimum_detectable_effect(random.normal(0, error, 100_000), 1)
    observed = random.normal(effect, error, 20_000)
    assert (np.abs(observed / error) > NormalDist().inv_cdf(0.975)).mean() == pytest.approx(0.8, abs=0.02)


def pair(resampler: Resampler, one: np.ndarray, other: np.ndarray, name: str = "static") -> Pair:
    estimates = resampler.estimate(one), resampler.estimate(other)
    return Pair("retrieval/recall_at_10", "thompson", name, one, other, *estimates)


def test_a_family_of_comparisons(resampler: Resampler) -> None:
    pairs = [pair(resampler, ONE, OTHER), pair(resampler, ONE, ONE * 0, "nothing")]
    rows = compare(resampler, "primary", pairs, ("healthcare", "finance"), (int(FIRST.sum()), 36), mean=True)
    assert [(row.baseline, row.domain) for row in rows] == [
        (name, domain) for name in ("static", "nothing") for domain in ("healthcare", "finance", "mean")
    ]
    assert {(row.family, row.metric, row.treatment) for row in rows} == {
        ("primary", "retrieval/recall_at_10", "thompson")
    }
    assert [row.n for row in rows[:3]] == [FIRST.sum(), 36, len(DOMAIN)]
    first = rows[0]
    assert first.difference == pytest.approx((ONE - OTHER)[0, FIRST].mean())
    assert first.relative == pytest.approx(first.difference / OTHER[0, FIRST].mean())
    draws = pairs[0].treatment_estimate.draws - pairs[0].baseline_estimate.draws
    assert (first.ci_low, first.ci_high) == pytest.approx(tuple(np.quantile(draws[:, 0], [0.025, 0.975])))
    assert first.p_value == resampler.p_values((ONE - OTHER)[0])[0]
    assert [row.p_adjusted for row in rows] == pytest.approx(holm([row.p_value for row in rows]))
    assert first.minimum_detectable_effect == pytest.approx(minimum_detectable_effect(draws[:, 0], 6))
    assert all(row.ci_low <= row.difference <= row.ci_high for row in rows)


def test_a_baseline_of_zero_has_no_relative_difference(resampler: Resampler) -> None:
    rows = compare(resampler, "f", [pair(resampler, ONE, 0 * ONE)], ("a", "b"), (1, 1), mean=False)
    assert [row.relative for row in rows] == [None, None]
    assert [row.domain for row in rows] == ["a", "b"]


def test_seeds_are_averaged_before_the_test(resampler: Resampler) -> None:
    """A treatment of several seeds is tested on its mean over seeds, query by query."""
    seeds = np.concatenate([ONE + 0.03, ONE - 0.03])
    row = compare(resampler, "f", [pair(resampler, seeds, OTHER)], ("a", "b"), (1, 1), mean=False)[0]
    assert row.p_value == pytest.approx(float(resampler.p_values((ONE - OTHER)[0])[0]))
    assert row.difference == pytest.approx((ONE - OTHER)[0, FIRST].mean())


def test_an_interval_by_hand() -> None:
    draws = np.linspace(0, 1, 1001)[:, None]
    assert Estimate(np.array([0.5]), draws).interval(0) == pytest.approx((0.025, 0.975))
