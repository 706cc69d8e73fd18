"""Not a policy but a ranking: the fusion model that `rag_lab.experiment.learned` trains on train judgments."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field


class Learned(NamedTuple):
    """The model's settings; see `build`. actions: none, it chooses no action."""

    hidden: int
    epochs: int
    patience: int
    held: float
    rate: float
    ridge: float
    start: float
    actions: tuple[str, ...] = ()


def build(
    *,
    hidden: Annotated[int, Field(ge=1)],
    epochs: Annotated[int, Field(ge=1)],
    patience: Annotated[int, Field(ge=1)],
    held: Annotated[float, Field(gt=0, lt=1)],
    rate: Annotated[float, Field(gt=0)],
    ridge: Annotated[float, Field(ge=0)],
    start: Annotated[float, Field(gt=0)],
) -> Learned:
    """The model. hidden: units; epochs: passes at most; patience: passes without a gain before it stops; held: share of
    train clusters that say when; rate, ridge: of Adam, and of weight decay; start: both rankers' weights at first.
    """
    return Learned(hidden, epochs, patience, held, rate, ridge, start)
