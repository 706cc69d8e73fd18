"""Which settings of the feedback filter serve best: a seeded random search over simulated users on train queries.

Settings are drawn from the values that the experiment lists; what it does not list stays as `filter` has it. Each
draw is played in the feedback loop at every noise level (`feedback_effect`), all against the same play without a
filter. What comes first is that honest feedback is left alone: only draws that keep at least `least_kept` of it at
every level are admitted. What comes second is the share of the regret that is saved, on average over the levels
with noise. Draws that save as much as the best one less its standard error cannot be told from it (the rule of one
standard error: Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees); of them the best
has the highest F1, again on average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Int
from pydantic import Field

from rag_lab import replay, wiring
from rag_lab.errors import ConfigError
from rag_lab.experiment import summary
from rag_lab.experiment.feedback_effect import Effect, Trial, effects
from rag_lab.experiment.lab import Lab, tabulate
from rag_lab.experiment.summary import Findings
from rag_lab.experiment.variants import PLAIN, standing
from rag_lab.l4_feedback import users
from rag_lab.l4_feedback.channel import Crowd
from rag_lab.l4_feedback.feedback import Settings
from rag_lab.l4_feedback.policy import Budget
from rag_lab.metrics.interval import NORMAL_95

Count = Annotated[int, Field(ge=1)]
SHOWN = 5  # draws in the notes, best first


class FilterSettings(NamedTuple):
    """The experiment's settings; see conf/experiment/filter_settings.yaml."""

    name: str
    question: str
    draws: int
    values: Mapping[str, Sequence[float]]
    least_kept: float
    noises: tuple[float, ...]
    seeds: int
    queries_per_domain: int
    crowd: Crowd
    update_every: int

    def check(self, lab: Lab) -> None:
        """ConfigError where the filter has no such settings, a value is not allowed, or there is no noise."""
        if not any(self.noises):
            raise ConfigError(f"experiment.noises: given {list(self.noises)}; one of them must be above 0")
        self._draw(lab)
        for collection in lab.dataset.collections:
            lab.encoder.check(collection, lab.progress)

    def execute(self, lab: Lab) -> Findings:
        """Play every draw; the best admitted one is the finding."""
        drawn = self._draw(lab)
        table = tabulate(lab, (PLAIN,), {"recall": 1.0})
        world = table.world(PLAIN, true_domain=False, rows=table.part(test=False))
        policy = wiring.build(standing("thompson"), "policy")
        # Without presets: every action is believed to be worth the same.
        plain = replace(lab.setting(PLAIN, _untuned, lab.no_judged(PLAIN)), presets=None)
        trial = Trial(
            policy=policy,
            state=policy.init(plain),
            world=world,
            stream=replay.streams(lab.seed, self.seeds, world.domain, self.queries_per_domain),
            crowd=self.crowd,
            kinds=users.NOISY,
            update_every=self.update_every,
        )
        with lab.progress("play the filter's settings", len(drawn) + 1, "settings") as bar:
            found = effects(trial, self.noises, drawn, seed=lab.seed, done=bar.advance)
        order = ranked(found, self.least_kept)
        rows = [
            {name: getattr(drawn[number], name) for name in self.values}
            | {"admitted": kept(found[number]) >= self.least_kept, "saved_share": saved_share(found[number])[0]}
            | {"levels": [level._asdict() for level in found[number].levels]}
            for number in order
        ]
        return summary.NOTHING._replace(
            metrics={f"filter/{name}": rows[0][name] for name in ("saved_share", *self.values)},
            curves={"filter_settings": rows},
            notes=[_line(row, self.values) for row in rows[:SHOWN]],
        )

    def _draw(self, lab: Lab) -> list[Settings]:
        """The configured settings, then draws; each is checked as a configured value is."""
        random = np.random.default_rng(lab.seed)
        drawn = [configured(lab)]
        for _ in range(self.draws):
            chosen = {name: values[int(random.integers(len(values)))] for name, values in self.values.items()}
            drawn.append(wiring.build({**lab.config["filter"], **chosen}, "filter").settings)
        return drawn


def configured(lab: Lab) -> Settings:
    """The chosen filter's settings; ConfigError where it has none."""
    found = getattr(wiring.build(lab.config["filter"], "filter"), "settings", None)
    if not isinstance(found, Settings):
        raise ConfigError(f"filter={lab.choices['filter']} judges nothing; give filter=vectorized")
    return found


def kept(found: Effect) -> float:
    """The share of honest feedback kept, at the level where it is least."""
    return min(level.kept for level in found.levels)


def saved_share(found: Effect) -> tuple[float, float]:
    """The share of the regret that the filter saves, mean over the levels with noise, and its standard error."""
    noisy = [level for level in found.levels if level.noise > 0]
    errors = [(level.saved.high - level.saved.value) / NORMAL_95 / level.without.value for level in noisy]
    shares = [level.saved.value / level.without.value for level in noisy]
    return float(np.mean(shares)), float(np.sqrt(np.sum(np.square(errors)))) / len(noisy)


def ranked(found: Sequence[Effect], least_kept: float) -> list[int]:
    """The places of what was found, best first."""
    admitted = [kept(one) >= least_kept for one in found]
    best, error = max((saved_share(one) for one, fit in zip(found, admitted, strict=True) if fit), default=(0.0, 0.0))

    def worth(place: int) -> tuple[bool, bool, float]:
        f1 = [level.f1 for level in found[place].levels if level.f1 is not None]
        return admitted[place], saved_share(found[place])[0] >= best - error, float(np.mean(f1))

    return sorted(range(len(found)), key=worth, reverse=True)


def _untuned(per_domain: bool, budget: Budget) -> Int[np.ndarray, " C"]:
    raise AssertionError("the standing bandit is not tuned")


def _line(row: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    """A draw in one line: its settings, and at each level what it keeps, finds and saves."""
    given = ", ".join(f"{name}={row[name]:g}" for name in names)
    levels = "; ".join(
        f"{level['noise']:.0%}: kept {level['kept']:.1%}"
        + (f", precision {level['precision']:.2f}, recall {level['recall']:.2f}" if level["f1"] is not None else "")
        + f", saved {level['saved'].value:+.2f} [{level['saved'].low:+.2f}, {level['saved'].high:+.2f}]"
        for level in row["levels"]
    )
    return f"{'' if row['admitted'] else 'not admitted: '}{given}: saved {row['saved_share']:.1%} ({levels})"


def build(
    *,
    name: str,
    question: str,
    draws: Count,
    values: Annotated[dict[str, Annotated[tuple[float, ...], Field(min_length=1)]], Field(min_length=1)],
    least_kept: Annotated[float, Field(ge=0, le=1)],
    noises: tuple[Annotated[float, Field(ge=0, le=0.5)], ...],
    seeds: Annotated[int, Field(ge=2)],
    queries_per_domain: Count,
    users_in_all: Count,
    readers: Count,
    update_every: Count,
    window: Count,
    step_s: Annotated[float, Field(gt=0)],
) -> Any:
    """The search.

    draws: how many, beside the configured settings; values: what each searched setting may be; least_kept: of
    honest feedback, at every level; noises: shares of users who are not honest; seeds, queries_per_domain,
    update_every: queries of a domain between two updates; users_in_all, readers, window,
    step_s: see `channel.Crowd`.
    """
    crowd = Crowd(users_in_all, readers, window, step_s, users.BEHAVIOUR)
    return FilterSettings(
        name, question, draws, values, least_kept, noises, seeds, queries_per_domain, crowd, update_every
    )
