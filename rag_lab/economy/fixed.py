"""The same spending for every query: so many passages, one generator tier."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field


class Fixed(NamedTuple):
    """The router stage. passages: how many are shown."""

    passages: int


def build(*, passages: Annotated[int, Field(ge=1)]) -> Fixed:
    """The router. passages: how many are shown to the generator."""
    return Fixed(passages)
