"""Hydra's and OmegaConf's errors, of several lines each, as one line of ours."""

from __future__ import annotations

import re

from rag_lab import wiring


def explain(error: BaseException) -> str | None:
    """What was given, what is allowed, what to do next; None for an error that is none of theirs."""
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, MissingConfigException):
        return _missing(error)
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        return _omegaconf(cause, str(error))
    if isinstance(error, HydraException):
        return _first_line(str(error))
    return None


def _missing(error: object) -> str:
    """A variant that does not exist."""
    wanted = str(getattr(error, "missing_cfg_file", "") or "")
    group, _, name = wanted.rpartition("/")
    options = [str(one) for one in getattr(error, "options", None) or []]
    if group and options:
        return wiring.unknown(
            f"{group}={name}", name, sorted(one for one in options if not one.startswith("open_"))
        )
    return _first_line(str(error))


def _omegaconf(cause: object, text: str) -> str:
    """A key that does not exist, a value of the wrong type, a value that is missing."""
    key = str(getattr(cause, "full_key", None) or getattr(cause, "key", "") or "")
    named = re.search(r"Could not override '([^']+)'", text)
    if named:
        key = named.group(1)
        parent = getattr(cause, "parent_node", None)
        names = [str(one) for one in parent] if parent is not None and hasattr(parent, "keys") else []
        if "No match in the defaults list" in text:
            return f"{key}: not among the defaults; add it with a plus, +{key}=<name>"
        return wiring.unknown(key, key.rpartition(".")[2], names)
    if "Missing mandatory value" in str(cause):
        return f"{key} is missing; give {key}=<value>"
    return f"{key}: {_first_line(str(cause))}" if key else _first_line(str(cause))


def _first_line(text: str) -> str:
    return " ".join(line.strip() for line in text.strip().splitlines()[:2] if line.strip())
