"""`@FILE` on the command line: what a sweep found best, taken into a next run.

`@runs/week2/<stamp>/best.yaml` stands for the overrides that the file lists; `@…/pareto.yaml:7` for those of its
trial 7. They stand where the argument stood, so later overrides win.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from rag_lab.errors import DataError

MARK = "@"
GIVE = f"give {MARK}<best.yaml of a sweep>"


def expand(arguments: Sequence[str]) -> list[str]:
    """The arguments with every `@FILE` replaced. DataError where a file is not what a sweep has written."""
    expanded: list[str] = []
    for one in arguments:
        expanded += _overrides(one.removeprefix(MARK)) if one.startswith(MARK) else [one]
    return expanded


def _overrides(named: str) -> list[str]:
    head, _, tail = named.rpartition(":")
    path, number = (head, int(tail)) if tail.isdigit() else (named, None)
    trials = _trials(path)
    if number is None and len(trials) > 1:
        raise DataError(f"holds several trials; name one of them, as in {MARK}{path}:{min(trials)}", path)
    if number is not None and number not in trials:
        raise DataError(f"has no trial {number}; allowed: {', '.join(map(str, trials))}", path)
    return trials[min(trials) if number is None else number]


def _trials(path: str) -> dict[int, list[str]]:
    """The overrides of every trial that a file holds."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        trials = {int(one["trial"]): [str(text) for text in one["overrides"]] for one in content["trials"]}
    except OSError as error:
        raise DataError(f"{(error.strerror or 'cannot be read').lower()}; {GIVE}", path) from error
    except yaml.YAMLError as error:
        raise DataError(f"is not YAML; {GIVE}", path) from error
    except (LookupError, TypeError, ValueError):
        trials = {}
    if not trials:
        raise DataError(f"no sweep wrote this; {GIVE}", path)
    return trials
