"""An error as the user reads it, and the exit status that it gives. Hydra's and OmegaConf's errors, of several
lines each, become one line of ours.
"""

from __future__ import annotations

import re

from rag_lab import wiring
from rag_lab.errors import RagLabError

FAULT, BAD_INPUT, INTERRUPTED = 1, 2, 130


def status(error: BaseException | None) -> int:
    """The exit status of a run that ended with this error, or with none."""
    if error is None:
        return 0
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return error.exit_status if isinstance(error, RagLabError) else BAD_INPUT if explain(error) else FAULT


def line(error: BaseException) -> str | None:
    """The error in one line; None for a fault, which needs its traceback."""
    return str(error) if isinstance(error, RagLabError) else explain(error)


def explain(error: BaseException) -> str | None:
    """What was given, what is allowed, what to do next; None for an error that is none of theirs."""
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, MissingConfigException):
        return _missing(error)
    forgotten = re.search(r"use \+(([^=\s]+)=\S+)", str(error))
    if forgotten and "No match in the defaults list" in str(error):
        return f"{forgotten[2]}: not chosen by default, so it takes a plus; give +{forgotten[1]}"
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        return _omegaconf(cause, str(error))
    if isinstance(error, OverrideParseException):
        return f"'{error.override}' cannot be read; write key=value, and quote lists for the shell: 'key=[a,b]'"
    if isinstance(error, ValueError) and "Config group override" in str(error):
        return "null is no variant; choose one of the group's variants, as in filter=none"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or 'cannot be used').lower()}; free the place, or start elsewhere"
    if "Ambiguous value" in str(error):
        key = re.search(r"for argument '([^'=]+)=", str(error))
        return f"{key[1] if key else 'a value'}: given several values; to run each of them add --multirun"
    if isinstance(error, HydraException):
        return _first_line(str(error))
    return None


def _missing(error: object) -> str:
    """A variant that does not exist."""
    wanted = str(getattr(error, "missing_cfg_file", "") or "")
    group, _, name = wanted.rpartition("/")
    options = [str(one) for one in getattr(error, "options", None) or []]
    if group and options:
        return wiring.unknown(f"{group}={name}", name, sorted(options))
    return _first_line(str(error))


def _omegaconf(cause: object, text: str) -> str:
    """A key that does not exist, a value of the wrong type, a value that is missing."""
    key = str(getattr(cause, "full_key", None) or getattr(cause, "key", "") or "")
    named = re.search(r"Could not override '([^']+)'", text)
    if named:
        key = named.group(1)
        parent = getattr(cause, "parent_node", None)
        names = [str(one) for one in parent] if parent is not None and hasattr(parent, "keys") else []
        names = [name for name in names if name not in (wiring.TARGET, "hydra")]
        return wiring.unknown(key, key.rpartition(".")[2], names)
    if "Missing mandatory value" in str(cause):
        return f"{key} is missing; give {key}=<value>"
    return f"{key}: {_first_line(str(cause))}" if key else _first_line(str(cause))


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
