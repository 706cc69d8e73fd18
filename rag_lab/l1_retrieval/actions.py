"""Action sets: what a policy may choose for a query. Sets are data, under `actions` in conf/config.yaml.

An action is α × expansion × fusion × late × depth:

- The *first round* is the plain pool (each ranker's best), fused at α = 0.5. Its best passages are *evidence*.
- expansion: a second search by what the evidence says. `rocchio` moves the query's vector towards the evidence's
  (Rocchio 1971): the dense scores are the new vector's. `rm3` adds the evidence's words to the query's (Lavrenko
  and Croft 2001; Abdul-Jaleel et al. 2004): the lexical scores are the longer query's. The pool is then that of
  the action's own two rankers, and every member carries both exact scores.
- depth: only what one of the two rankers has among its first `depth` takes part; `all` is the whole pool.
- fusion: `convex` is α·lexical + (1 − α)·dense of min-max normalised scores; `reciprocal_rank` is
  α/(k + rank) + (1 − α)/(k + rank) over both rankers' ranks in the pool (Cormack et al. 2009), then min-max.
- late: the final score is (1 − late)·fused + late·late interaction, min-max normalised (Khattab and Zaharia 2020).

All normalisation is over what takes part. Ties go by corpus order.

Shapes: A actions of a set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Int
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag_lab.errors import ConfigError
from rag_lab.types import EXPANSIONS, FUSIONS, ActionSet

__all__ = ["EXPANSIONS", "FUSIONS", "WHOLE", "ActionSet", "columns", "describe", "labels", "read", "union"]

MOST = 127  # actions are kept as int8
WHOLE = int(np.iinfo(np.int32).max)  # the depth `all`: no pool is deeper
Weight = Annotated[float, Field(ge=0, le=1)]


class Grid(BaseModel):
    """One grid as written: each key's values. What is left out is the plain value."""

    model_config = ConfigDict(extra="forbid")
    alpha: Annotated[list[Weight], Field(min_length=1)]
    expansion: Annotated[list[Literal["none", "rocchio", "rm3"]], Field(min_length=1)] = ["none"]
    fusion: Annotated[list[Literal["convex", "reciprocal_rank"]], Field(min_length=1)] = ["convex"]
    late: Annotated[list[Weight], Field(min_length=1)] = [0.0]
    depth: Annotated[list[Annotated[int, Field(ge=1)] | Literal["all"]], Field(min_length=1)] = ["all"]


def read(name: str, grids: Sequence[Mapping[str, Any]]) -> ActionSet:
    """The set called `name`: the products of its grids, united in order, each action once.

    grids: key → list of values; alpha is needed, the other keys default to none, convex, 0 and all. Alphas vary
    slowest. ConfigError where a key or value is not allowed, or the set is empty or larger than 127 actions.
    """
    if not isinstance(grids, list | tuple):
        raise ConfigError(f"actions.{name}: given a mapping; allowed is a list of grids, each key → list of values")
    rows: dict[tuple[float, int, int, float, int], None] = {}
    for place, given in enumerate(grids):
        try:
            grid = Grid.model_validate(given)
        except ValidationError as error:
            raise ConfigError(f"actions.{name}.{place}{_refusal(error, given)}") from error
        depths = [WHOLE if depth == "all" else int(depth) for depth in grid.depth]
        expansions, fusions = map(EXPANSIONS.index, grid.expansion), map(FUSIONS.index, grid.fusion)
        rows |= dict.fromkeys(product(grid.alpha, expansions, fusions, grid.late, depths))
    return _set(name, list(rows))


def _refusal(error: ValidationError, given: Any) -> str:
    """The first thing that is wrong with a grid: where in it, and what."""
    first = error.errors(include_url=False)[0]
    where = "".join(f".{part}" for part in first["loc"])
    said = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
    if first["type"] == "missing":
        return f"{where}: {said}"
    if first["type"] == "extra_forbidden":
        return f"{where}: {said}; allowed: {', '.join(Grid.model_fields)}"
    if first["type"] == "model_type":
        return f": given {given!r}; input should be a mapping of keys to lists"
    return f"{where}: given {first['input']!r}; {said}"


def _set(name: str, rows: list[tuple[float, int, int, float, int]]) -> ActionSet:
    if not 1 <= len(rows) <= MOST:
        raise ConfigError(f"actions.{name}: {len(rows)} actions; allowed are 1 to {MOST}; change its grids")
    alpha, expansion, fusion, late, depth = zip(*rows, strict=True)
    return ActionSet(
        name,
        np.array(alpha, np.float64),
        np.array(expansion, np.int32),
        np.array(fusion, np.int32),
        np.array(late, np.float64),
        np.array(depth, np.int32),
    )


def _rows(actions: ActionSet) -> list[tuple[float, int, int, float, int]]:
    return list(zip(*(column.tolist() for column in actions[1:]), strict=True))


def union(sets: Sequence[ActionSet]) -> ActionSet:
    """All actions of several sets, in order, each once; its name joins theirs by '+'. ConfigError above 127."""
    rows = dict.fromkeys(row for one in sets for row in _rows(one))
    return _set("+".join(one.name for one in sets), list(rows))


def columns(part: ActionSet, whole: ActionSet) -> Int[np.ndarray, " A"]:
    """Where each action of `part` stands in `whole`; KeyError where one is not there."""
    place = {row: number for number, row in enumerate(_rows(whole))}
    return np.array([place[row] for row in _rows(part)], np.int32)


def labels(actions: ActionSet) -> list[str]:
    """A short name for each action: "α 0.3", "α 0.3 + rm3", "α 0.5 by ranks + late 0.3, top 20"."""
    out = []
    for alpha, expansion, fusion, late, depth in _rows(actions):
        parts = [f"α {alpha:g}" + (" by ranks" if FUSIONS[fusion] == "reciprocal_rank" else "")]
        parts += [EXPANSIONS[expansion]] * (EXPANSIONS[expansion] != "none")
        parts += [f"late {late:g}"] * (late > 0)
        out.append(" + ".join(parts) + (f", top {depth}" if depth < WHOLE else ""))
    return out


def describe(actions: ActionSet) -> str:
    """What a set varies, in one line: "rich: 99 actions; α 0–1; expansion none, rocchio, rm3; late 0, 0.3"."""
    ends = f"{actions.alpha.min():g}–{actions.alpha.max():g}"
    varied = {
        "α": [ends] if len(set(actions.alpha)) > 1 else [f"{actions.alpha[0]:g}"],
        "expansion": [EXPANSIONS[one] for one in sorted(set(actions.expansion.tolist()))],
        "fusion": [FUSIONS[one] for one in sorted(set(actions.fusion.tolist()))],
        "late": [f"{one:g}" for one in sorted(set(actions.late.tolist()))],
        "depth": ["all" if one == WHOLE else str(one) for one in sorted(set(actions.depth.tolist()))],
    }
    plain = {"expansion": ["none"], "fusion": ["convex"], "late": ["0"], "depth": ["all"]}
    said = [f"{key} {', '.join(values)}" for key, values in varied.items() if values != plain.get(key)]
    return f"{actions.name}: {len(actions.alpha)} actions; {'; '.join(said)}"
