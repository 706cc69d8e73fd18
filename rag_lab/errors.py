"""The error tree. Every error that a user can cause is one of these, and reads as one line:
what was given, what is allowed, what to do next.

    RagLabError          exit_status 1: a fault
    ├── ConfigError      exit_status 2: a key, a variant or a value in the configuration is wrong
    ├── DataError        exit_status 2: an input file is wrong; names the file and the line
    ├── AssetError       exit_status 2: a pinned download could not be had, or is not what was pinned
    └── GateFailed       exit_status 3: `gate=true` and a target was missed

Foreign exceptions are mapped to one of these where they enter, and nowhere else.
"""

from __future__ import annotations

from pathlib import Path


class RagLabError(Exception):
    """Base of all errors that rag_lab raises on purpose."""

    exit_status = 1


class ConfigError(RagLabError):
    """The configuration is wrong."""

    exit_status = 2


class DataError(RagLabError):
    """An input is wrong: `path:line: problem`."""

    exit_status = 2

    def __init__(self, problem: str, path: Path | str | None = None, line: int | None = None) -> None:
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(place + problem)
        self.path, self.line = path, line


class AssetError(RagLabError):
    """A pinned download could not be had, or is not what was pinned."""

    exit_status = 2


class GateFailed(RagLabError):
    """A target was missed in a run with `gate=true`."""

    exit_status = 3
