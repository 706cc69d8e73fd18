"""Bandits against their peers: milliseconds for a million decisions, each followed by its reward and update.

Ours are the standing policies, replayed over many seeds at once, decision logging off. Peers decide and learn one at a
time, as their interfaces have it: MABWiser (Strong et al. 2019), Vowpal Wabbit, and the same algorithm as a plain NumPy
loop, which is given the very numbers that chance gave to ours and so must choose the same arms. All play the same arms
and rewards: a seeded table of queries × actions, one domain.

Shapes: S seeds, T steps, Q queries, A actions, F features.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from rag_lab import replay, wiring
from rag_lab.experiment import benchmark
from rag_lab.experiment.benchmark import OURS, Cell, Effort
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.summary import Findings
from rag_lab.experiment.variants import standing
from rag_lab.l4_feedback.policy import Policy, Setting

QUERIES, ACTIONS, FEATURES = 2000, 11, 6
MILLION = 1e6
CHECKED = 3  # seeds whose actions are held against the NumPy loop
ABSENT = "not installed; pip install 'rag-lab[peers]'"
CASES = ("thompson", "contextual", "ucb")
Positive = Annotated[int, Field(ge=1)]


class BenchBandit(NamedTuple):
    """The experiment's settings; see conf/experiment/bench_bandit.yaml."""

    name: str
    question: str
    seeds: int
    steps: int
    peer_steps: int
    effort: Effort

    @property
    def needs_data(self) -> bool:
        """Rewards are made up."""
        return False

    def check(self, lab: Lab) -> None:
        """Nothing can be wrong with the data: there is none."""

    def execute(self, lab: Lab) -> Findings:
        """Measure every case, and how time grows with the number of seeds."""
        facts = {
            "data": f"made-up rewards, {QUERIES} queries × {ACTIONS} actions, {FEATURES} features, seed {lab.seed}",
            "unit": "milliseconds for a million decisions with their updates, decision logging off",
            "seeds": self.seeds,
        }
        game = Game(lab.seed, self.seeds, self.steps, self.peer_steps)
        cells = (game.cell(case) for case in CASES)
        document = benchmark.run(lab, self.name.removeprefix("bench_"), cells, self.effort, facts)
        document["by_seeds"] = {case: game.by_seeds(case, self.effort) for case in CASES}
        return benchmark.publish(document)


class Game:
    """The arms and rewards that all play."""

    def __init__(self, seed: int, seeds: int, steps: int, peer_steps: int) -> None:
        random = np.random.default_rng(seed)
        means = np.linspace(0.3, 0.7, ACTIONS)
        features = random.normal(size=(QUERIES, FEATURES)).astype(np.float32)
        tilt = 0.1 * np.tanh(features[:, :1]) * np.linspace(-1, 1, ACTIONS)
        rewards = (random.random((QUERIES, ACTIONS)) < means + tilt).astype(np.float64)
        place = np.zeros(QUERIES, np.int32)
        self.world = replay.World(rewards, place, features, place, np.zeros((QUERIES, ACTIONS), np.int32))
        alphas = np.round(np.arange(ACTIONS) / (ACTIONS - 1), 3)
        basis = np.stack([alphas, np.square(alphas)], axis=1)
        self.setting = Setting(
            ("one",), tuple(map(str, alphas)), alphas, (basis - basis.mean(axis=0)) / basis.std(axis=0),
            tuple(f"feature_{number}" for number in range(FEATURES)), None,
            lambda per_domain, budget: np.zeros(2, np.int64), _nothing_judged,
        )  # fmt: skip
        self.stream = replay.streams(seed, seeds, place, steps)
        self.seed, self.peer_steps = seed, peer_steps

    def policy(self, case: str) -> Policy:
        """The standing policy."""
        node = standing(case)
        if "features" in node:
            node["features"] = list(self.setting.features)
        policy = wiring.build(node, f"policy ({case})")
        assert isinstance(policy, Policy)
        return policy

    def play(self, case: str, seeds: int | None = None) -> Int[np.ndarray, "S T"]:
        """Our program: every seed's actions."""
        policy = self.policy(case)
        stream = self.stream[:seeds]
        return replay.play(policy, policy.init(self.setting), self.world, stream, seed=self.seed, watch=False).action

    def cell(self, case: str) -> Cell:
        """The cell of a case."""
        short = self.stream[0, : self.peer_steps]
        loops: dict[str, Callable[[], Any]] = {}
        absent = {}
        if case != "contextual":
            chance = self.chance(case)
            loops["numpy_loop"] = lambda: LOOPS[case](self, short, chance[: self.peer_steps])
        for name, make in (("mabwiser", _mabwiser), ("vowpalwabbit", _vowpal)):
            if importlib.util.find_spec(name) is None:
                absent[name] = ABSENT
            else:
                loops[name] = make(case, self.world, short)
        every, few = self.stream.size / MILLION, len(short) / MILLION
        return Cell(
            case=case,
            size={
                "seeds": len(self.stream),
                "steps": self.stream.shape[1],
                "actions": ACTIONS,
                "peer_steps": len(short),
            },
            ours=lambda: self.play(case),
            peers=dict(sorted(loops.items())),
            floors={},
            check=lambda found: self.wrong(case, np.asarray(found)),
            absent=absent,
            units={OURS: every} | dict.fromkeys(loops, few),
        )

    def chance(self, case: str) -> Float[np.ndarray, "T A"]:
        """What chance said to the first seed's decisions."""
        policy, steps = self.policy(case), self.stream.shape[1]
        base = jax.random.fold_in(jax.random.key(self.seed), replay.PURPOSE)
        own = jax.random.split(jax.random.fold_in(base, 0), 3)[0]
        state, pieces = policy.init(self.setting), replay.parts(steps)
        drawn = [policy.chance(one, state, (steps // pieces, 1)) for one in jax.random.split(own, pieces)]
        return np.concatenate(drawn).reshape(steps, -1)

    def wrong(self, case: str, found: Int[np.ndarray, ...]) -> str | None:
        """What is wrong with a result: actions that do not exist or earn no more than chance, or, of ours, another
        choice than the NumPy loop's."""
        if found.min() < 0 or found.max() >= ACTIONS:
            return "an action that does not exist"
        stream = self.stream if found.ndim == 2 else self.stream[0, : len(found)]
        earned, chance = self.world.rewards[stream, found].mean(), self.world.rewards.mean()
        if found.size >= 1000 and earned <= chance:
            return f"it earns {earned:.3f}, no more than choosing at random ({chance:.3f})"
        if found.ndim == 2 and case in LOOPS:
            expected = LOOPS[case](self, self.stream[0], self.chance(case))
            if (differs := int((found[0] != expected).sum())) > len(expected) // 100:
                return f"{differs} of {len(expected)} actions differ from the NumPy loop's"
        return None

    def by_seeds(self, case: str, effort: Effort) -> dict[str, float]:
        """Milliseconds for a million decisions with a tenth, a third and all of the seeds."""
        out = {}
        for count in sorted({max(1, len(self.stream) // part) for part in (10, 3, 1)}):
            cell = Cell(
                case=str(count), size={}, ours=partial(self.play, case, count), peers={}, floors={},
                check=lambda found: None, units={OURS: count * self.stream.shape[1] / MILLION},
            )  # fmt: skip
            out[str(count)] = float(benchmark.measure(cell, effort._replace(budget_s=effort.budget_s / 4))["ours_ms"])
        return out


def _nothing_judged() -> Any:
    raise AssertionError("no policy of this benchmark is fitted")


def _thompson_loop(
    game: Game, queries: Int[np.ndarray, " T"], chance: Float[np.ndarray, "T A"]
) -> Int[np.ndarray, " T"]:
    """Gaussian Thompson sampling as one writes it first."""
    node = standing("thompson")
    mean = np.full(ACTIONS, node["prior_mean"])
    strength, sd = np.full(ACTIONS, node["prior_strength"]), node["reward_sd"]
    actions = np.empty(len(queries), np.int64)
    for step, query in enumerate(queries):
        action = int(np.argmax(mean + sd / np.sqrt(strength) * chance[step]))
        strength[action] += 1
        mean[action] += (game.world.rewards[query, action] - mean[action]) / strength[action]
        actions[step] = action
    return actions


def _ucb_loop(game: Game, queries: Int[np.ndarray, " T"], chance: Float[np.ndarray, "T A"]) -> Int[np.ndarray, " T"]:
    """Upper confidence bounds likewise."""
    node = standing("ucb")
    mean = np.full(ACTIONS, node["prior_mean"])
    strength = np.full(ACTIONS, node["prior_strength"])
    actions = np.empty(len(queries), np.int64)
    for step, query in enumerate(queries):
        reach = node["width"] * node["reward_sd"] * np.sqrt(np.log1p(step))
        action = int(np.argmax(mean + reach / np.sqrt(strength)))
        strength[action] += 1
        mean[action] += (game.world.rewards[query, action] - mean[action]) / strength[action]
        actions[step] = action
    return actions


LOOPS = {"thompson": _thompson_loop, "ucb": _ucb_loop}


def _mabwiser(case: str, world: replay.World, queries: Int[np.ndarray, " T"]) -> Callable[[], Int[np.ndarray, " T"]]:
    """MABWiser, asked and told one decision at a time."""
    from mabwiser.mab import MAB, LearningPolicy

    policies = {
        "thompson": LearningPolicy.ThompsonSampling,
        "ucb": LearningPolicy.UCB1,
        "contextual": LearningPolicy.LinTS,
    }

    def play() -> Int[np.ndarray, " T"]:
        bandit = MAB(list(range(ACTIONS)), policies[case]())
        contextual = case == "contextual"
        start = {"contexts": world.features[:ACTIONS].tolist()} if contextual else {}
        bandit.fit(list(range(ACTIONS)), world.rewards[0].astype(int).tolist(), **start)
        actions = np.empty(len(queries), np.int64)
        for step, query in enumerate(queries):
            here = {"contexts": world.features[query : query + 1]} if contextual else {}
            action = bandit.predict(*here.values())
            actions[step] = action
            bandit.partial_fit([action], [int(world.rewards[query, action])], **here)
        return actions

    return play


def _vowpal(case: str, world: replay.World, queries: Int[np.ndarray, " T"]) -> Callable[[], Int[np.ndarray, " T"]]:
    """Vowpal Wabbit's contextual bandit, online; its bag of five learners stands for Thompson sampling (Eckles and
    Kaptein 2014), its online cover for bounds."""
    from vowpalwabbit import Workspace

    flags = {"thompson": "--bag 5", "contextual": "--bag 5", "ucb": "--cover 3"}
    texts = [
        "| "
        + (" ".join(f"f{number}:{value:.4f}" for number, value in enumerate(row)) if case == "contextual" else "one")
        for row in world.features
    ]

    def play() -> Int[np.ndarray, " T"]:
        learner = Workspace(f"--cb_explore {ACTIONS} {flags[case]} --quiet")
        random = np.random.default_rng(0)
        actions = np.empty(len(queries), np.int64)
        for step, query in enumerate(queries):
            chances = np.asarray(learner.predict(texts[query]))
            action = int(random.choice(ACTIONS, p=chances / chances.sum()))
            cost = 1 - world.rewards[query, action]
            learner.learn(f"{action + 1}:{cost}:{chances[action]} {texts[query]}")
            actions[step] = action
        learner.finish()
        return actions

    return play


def build(
    *,
    name: str,
    question: str,
    seeds: Positive,
    steps: Positive,
    peer_steps: Positive,
    budget_s: Annotated[float, Field(ge=0)],
    rounds: Positive,
    turn_s: Annotated[float, Field(ge=0)],
    rest_s: Annotated[float, Field(ge=0)],
) -> Any:
    """The experiment.

    seeds, steps: bandits that ours plays at once, and the decisions of each; peer_steps: decisions of a peer in one
    call; budget_s: measuring time of a cell; rounds: at least so many; turn_s: of one program in a round; rest_s:
    before each turn.
    """
    return BenchBandit(name, question, seeds, steps, min(steps, peer_steps), Effort(budget_s, rounds, turn_s, rest_s))
