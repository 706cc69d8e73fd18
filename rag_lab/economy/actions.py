"""The router's action space as data: generator tier × passages shown × MMR λ × context budget.

An action is known by its place in the product, tiers outermost. The first value of every list is the plainest;
nothing depends on it but the order in which ties are broken.
"""

from __future__ import annotations

from itertools import product
from typing import Annotated, NamedTuple

from pydantic import Field

from rag_lab.errors import ConfigError


class Action(NamedTuple):
    """How to answer one query.

    tier: a generator of the price table; passages: how many are shown; mmr: λ of maximal marginal relevance, 1
    being relevance alone; context_tokens: what the evidence may hold before it is cut.
    """

    tier: str
    passages: int
    mmr: float
    context_tokens: int

    @property
    def label(self) -> str:
        """Short enough for a legend: `small·k5·λ0.7·512`."""
        return f"{self.tier}·k{self.passages}·λ{self.mmr:g}·{self.context_tokens}"


class Space(NamedTuple):
    """The values that an action may combine; each list holds at least one."""

    tiers: Annotated[tuple[str, ...], Field(min_length=1)]
    passages: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    mmr: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)]
    context_tokens: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]

    def actions(self) -> tuple[Action, ...]:
        """Every combination, each once."""
        return tuple(dict.fromkeys(Action(*one) for one in product(*self)))


def place(actions: tuple[Action, ...], wanted: Action, where: str) -> int:
    """The index of an action; ConfigError where the space lacks it. where: its place in the configuration."""
    if wanted in actions:
        return actions.index(wanted)
    fields = Action._fields
    for name, given, allowed in zip(fields, wanted, zip(*actions, strict=True), strict=True):
        if given not in allowed:
            values = ", ".join(dict.fromkeys(map(str, allowed)))
            raise ConfigError(f"{where}.{name}: given {given}; the action space has {values}")
    raise ConfigError(f"{where}: {wanted.label} is not in the action space, which is no full product")
