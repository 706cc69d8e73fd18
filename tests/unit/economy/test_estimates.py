from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from unit.economy.offers import ACTIONS, outcomes

from rag_lab.economy.estimates import COST, DIVERSITY, QUALITY, fit, objectives, predict, typical
from rag_lab.economy.outcomes import Outcomes
from rag_lab.errors import DataError

TRAIN, CONTEXT = outcomes(400, seed=2)
CONTEXTS = 3


def tiny(quality: list[float], features: list[float]) -> Outcomes:
    """One action."""
    column = np.array(quality)[:, None]
    return Outcomes(
        column, column * 0, column * 0, column, column[:, 0] * 0, np.array(features)[:, None], np.ones(1), {}
    )


def test_shrinkage_by_hand() -> None:
    """Domain 0 has 1.0 and 0.6, domain 1 has 0.2; one observation's worth of 0.6 makes that 2.2/3 and 0.4."""
    found = fit(tiny([1.0, 0.6, 0.2], [0, 0, 0]), np.array([0, 0, 1]), CONTEXTS, strength=1.0, ridge=1.0)
    np.testing.assert_allclose(found.mean[:, 0, QUALITY], [-2.2 / 3, -0.4, -0.6], rtol=1e-6)
    assert found.weight.tolist() == [3, 2, 3]


def test_ridge_by_hand() -> None:
    """Features ±1 of deviation 1 about 0, quality ±0.3: slope 2 · 0.3 / (2 + ridge)."""
    train = tiny([0.8, 0.2], [1, -1])
    found = fit(train, np.zeros(2, int), CONTEXTS, strength=1.0, ridge=1.0)
    np.testing.assert_allclose(found.slopes[0, 0, QUALITY], -0.6 / 3, rtol=1e-6)
    beliefs = predict(found, jnp.int32(0), jnp.array([2.0]))
    np.testing.assert_allclose(beliefs.mean[0, QUALITY], -0.5 - 2 * 0.2, rtol=1e-6)
    residual = 0.1  # each is missed by 0.3 − 0.2
    np.testing.assert_allclose(beliefs.deviation[0, QUALITY], residual * np.sqrt(1 / 3 + 4 / 3), rtol=1e-5)


def test_what_is_known_is_found() -> None:
    """More train queries than it takes: predictions of held-out queries correlate with what happened."""
    found = fit(TRAIN, CONTEXT, CONTEXTS, strength=5.0, ridge=1.0)
    test, context = outcomes(200, seed=3)
    means = np.stack(
        [
            predict(found, jnp.int32(c), jnp.asarray(x, jnp.float32)).mean
            for c, x in zip(context, test.features, strict=True)
        ]
    )
    truth = objectives(test)
    for objective in (COST, QUALITY, DIVERSITY):
        assert np.corrcoef(means[..., objective].ravel(), truth[..., objective].ravel())[0, 1] > 0.7


def test_with_much_data_shrinkage_and_ridge_vanish() -> None:
    weak, parts = fit(TRAIN, CONTEXT, CONTEXTS, strength=1e-6, ridge=1e-6), [one == CONTEXT for one in range(2)]
    for one, own in enumerate(parts):
        np.testing.assert_allclose(weak.mean[one], objectives(TRAIN)[own].mean(axis=0), rtol=1e-4)
    design = TRAIN.features - np.stack([TRAIN.features[own].mean(axis=0) for own in parts])[CONTEXT]
    left = TRAIN.quality - np.stack([TRAIN.quality[own].mean(axis=0) for own in parts])[CONTEXT]
    expected = np.linalg.lstsq(design / TRAIN.features.std(axis=0), -left, rcond=None)[0]
    np.testing.assert_allclose(weak.slopes[..., QUALITY], expected, rtol=1e-3, atol=1e-5)


def test_doubt_shrinks_with_data_and_grows_with_distance() -> None:
    few = fit(TRAIN.part(np.arange(40)), CONTEXT[:40], CONTEXTS, strength=5.0, ridge=1.0)
    many = fit(TRAIN, CONTEXT, CONTEXTS, strength=5.0, ridge=1.0)
    assert float(typical(few, 0).deviation.mean()) > 2 * float(typical(many, 0).deviation.mean())
    far = predict(many, jnp.int32(0), many.center[0] + 10 * many.scale)
    assert (np.asarray(far.deviation)[:, QUALITY] > np.asarray(typical(many, 0).deviation)[:, QUALITY]).all()


def test_deviations_are_those_of_repeated_samples() -> None:
    """A domain's estimate over many samples spreads as it says, within what shrinkage takes away."""
    fits = [fit(*outcomes(120, seed=seed), CONTEXTS, strength=1.0, ridge=1.0) for seed in range(60)]
    spread = np.std([np.asarray(one.mean[0, :, QUALITY]) for one in fits], axis=0)
    said = np.mean([np.asarray(typical(one, 0).deviation[:, QUALITY]) for one in fits], axis=0)
    assert 0.5 < np.median(spread / said) < 3  # a domain's sample of features adds what `typical` holds fixed


def test_caution_worsens_every_objective() -> None:
    beliefs = typical(fit(TRAIN, CONTEXT, CONTEXTS, strength=5.0, ridge=1.0), 0)
    assert (np.asarray(beliefs.cautious(1.0)) >= np.asarray(beliefs.mean)).all()
    assert np.asarray(beliefs.cautious(0.0)).tolist() == np.asarray(beliefs.mean).tolist()


def test_a_feature_that_never_differs_says_nothing() -> None:
    features = np.column_stack([TRAIN.features, np.full(400, 7.0)])
    found = fit(TRAIN._replace(features=features), CONTEXT, CONTEXTS, strength=5.0, ridge=1.0)
    assert np.abs(np.asarray(found.slopes[2])).max() == 0 and np.isfinite(np.asarray(found.spread)).all()


def test_queries_without_a_score_are_told_apart() -> None:
    holes = TRAIN.quality.copy()
    holes[3, 2] = np.nan
    assert TRAIN._replace(quality=holes).scored().tolist() == [n for n in range(400) if n != 3]
    with pytest.raises(DataError, match=r"^no query has a quality, a cost and a diversity for every action"):
        TRAIN._replace(quality=np.full_like(holes, np.nan)).scored()
    assert TRAIN.part(np.array([5])).quality.shape == (1, len(ACTIONS))
