"""The Pareto router: of the actions that nothing dominates on this query, the one nearest to what the user wants.

Costs, qualities and diversities are estimated from train queries (`estimates`); the choice is the non-dominated
action with the least distance to the ideal point under the preference, within limits (`choice`). A stream budget
narrows the choice and tightens the preference (`budget`); a gate switches off tiers that do not pay (`gate`). What
is switched off or not affordable takes no part: it neither is chosen nor dominates.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from pydantic import Field

from rag_lab.economy import budget, choice, gate, singles
from rag_lab.economy.choice import Distance, Limits, Preference
from rag_lab.economy.estimates import QUALITY, Estimates, fit, predict, typical
from rag_lab.economy.router import Asked, Router, Setting
from rag_lab.kernels.choice import nearest


class Stream(NamedTuple):
    """A budget of US dollars per 1,000 answers, kept by every `window` answers in a row.

    sharpness: the preference moves to cost by the used share to this power: the larger, the later.
    """

    usd_per_1k: Annotated[float, Field(gt=0)]
    window: Annotated[int, Field(ge=1, le=10_000)]
    sharpness: Annotated[float, Field(gt=0)]


class QualityGate(NamedTuple):
    """When an upgrade is switched off: see `gate.judge`."""

    answers: Annotated[int, Field(ge=2)]
    gain: float
    deviations: Annotated[float, Field(ge=0)]


class State(NamedTuple):
    """What was learned, wanted, spent and switched off. base: the cheapest tier's actions."""

    estimates: Estimates
    weights: Float[Array, " M"]
    purse: budget.Purse | None
    gate: gate.Gate | None
    base: Bool[Array, " A"]


def build(
    *,
    preference: Preference,
    distance: Distance,
    augmentation: Annotated[float, Field(ge=0)],
    caution: Annotated[float, Field(ge=0)],
    limits: Limits,
    strength: Annotated[float, Field(gt=0)],
    ridge: Annotated[float, Field(gt=0)],
    stream: Stream | None,
    quality_gate: QualityGate | None,
) -> Router:
    """The router.

    preference: how much cost, quality and diversity matter; distance: the measure of nearness to the ideal;
    augmentation: ρ of the Chebyshev measure; caution: standard deviations by which every estimate is worsened
    before anything is decided; limits: what an answer must keep to; strength, ridge: see `estimates.fit`; stream:
    the budget of the stream, or null; quality_gate: when upgrades are switched off, or null for never.
    """
    weights, bounds = preference.weights(), jnp.asarray(limits.bounds())
    measure = choice.measure(distance, augmentation)

    def init(setting: Setting) -> State:
        estimates = fit(setting.train, setting.context, len(setting.domains) + 1, strength=strength, ridge=ridge)
        believed = {
            domain: np.asarray(typical(estimates, number).cautious(caution))
            for number, domain in enumerate(setting.domains)
        }
        choice.check(limits, believed)
        purse = (
            None
            if stream is None
            else budget.begin(stream.usd_per_1k, stream.window, setting.train.most_usd, "router.stream")
        )
        base = singles.base(setting)
        tiers = _tiers(setting)
        tier = jnp.array([tiers.index(action.tier) for action in setting.actions], jnp.int32)
        gated = None if quality_gate is None else gate.begin(tier, len(tiers))
        return State(estimates, weights, purse, gated, jnp.asarray(base))

    def permitted(state: State) -> Bool[Array, " A"]:
        on = jnp.ones_like(state.base) if state.gate is None else gate.open_to(state.gate)
        return on if state.purse is None else on & budget.affordable(state.purse)

    def wanted(state: State) -> Float[Array, " M"]:
        if state.purse is None or stream is None:
            return state.weights
        return budget.tighten(state.weights, budget.used(state.purse), stream.sharpness)

    def believe(state: State, asked: Asked) -> Float[Array, "A M"]:
        return predict(state.estimates, asked.context, asked.features).cautious(caution)

    def choose(key: Array, state: State, asked: Asked) -> Int[Array, ""]:
        return nearest(believe(state, asked), permitted(state), wanted(state), bounds, measure)

    def learn(
        state: State, asked: Asked, action: Int[Array, ""], cost_usd: Float[Array, ""], quality: Float[Array, ""]
    ) -> State:
        gated = state.gate
        if gated is not None and quality_gate is not None:
            beliefs = predict(state.estimates, asked.context, asked.features)
            instead = nearest(beliefs.cautious(caution), permitted(state) & state.base, wanted(state), bounds, measure)
            gated = gate.judge(
                gated,
                action,
                quality + beliefs.mean[instead, QUALITY],  # the objective is −quality
                answers=quality_gate.answers,
                least=quality_gate.gain,
                deviations=quality_gate.deviations,
            )
        purse = None if state.purse is None else budget.pay(state.purse, cost_usd)
        return state._replace(purse=purse, gate=gated)

    def notes(state: State, setting: Setting) -> list[str]:
        if state.gate is None or quality_gate is None:
            return []
        return [
            f"The router switched off '{name}' after {int(state.gate.heard[number])} answers: they gained "
            f"{float(state.gate.mean[number]):+.3f} quality over '{_tiers(setting)[0]}', and "
            f"router.quality_gate.gain asks for {quality_gate.gain:+.3f}."
            for number, name in enumerate(_tiers(setting))
            if bool(state.gate.off[number])
        ]

    return Router(
        init=init,
        choose=choose,
        settle=lambda state, asked, action, confidence: action,
        learn=learn,
        notes=notes,
        believe=believe,
        prefer=lambda state, weights: state._replace(weights=weights),
        always=None,
        adapts=stream is not None or quality_gate is not None,
        draws=False,
    )


def _tiers(setting: Setting) -> list[str]:
    """The tiers, the cheapest first, the others in the order of the action space."""
    cheapest = setting.actions[int(np.flatnonzero(singles.base(setting))[0])].tier
    return list(dict.fromkeys([cheapest, *(action.tier for action in setting.actions)]))
