"""Not one policy but the choice among several: whichever is worth most on train queries, in cross-validation.

The experiment plays all of them, names the winner before it looks at the test split, and puts it under test.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field


class Chosen(NamedTuple):
    """among: standing names of policies."""

    among: tuple[str, ...]


def build(*, among: Annotated[tuple[str, ...], Field(min_length=1)]) -> Chosen:
    """The choice. among: standing names of the policies to choose from."""
    return Chosen(among)
