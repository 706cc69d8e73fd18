"""Where a study is kept, by URL: a database, a journal file, or a journal in Redis.

`sqlite:///runs/sweeps.db` (a file of this machine), `postgresql://user:password@host/database` and whatever else
SQLAlchemy knows, `redis://host:6379/0`, `journal:///runs/sweeps.journal` (a file that machines may share, on NFS
for instance). As in SQLAlchemy's URLs a path after three strokes is relative, after four absolute.
"""

from __future__ import annotations

import importlib.util
import re
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_lab.errors import ConfigError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

TIMEOUT_S = 10  # to reach a server
LOCKED_S = 60  # to wait for another process's write to a SQLite file
ATTEMPTS = 4  # to make the tables: of processes that start together all but one fail at first
REDIS = ("redis", "rediss", "unix")


def masked(url: str) -> str:
    """The URL without its password."""
    return re.sub(r"(//[^:/@\s]*):[^/\s]*@", r"\1:***@", url)


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's progress, and without its warnings of what is experimental."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def opened(url: str) -> Iterator[BaseStorage]:
    """The storage, made where it does not exist; whatever goes wrong at it is a ConfigError of one line."""
    from optuna.exceptions import StorageInternalError
    from redis import RedisError
    from sqlalchemy.exc import SQLAlchemyError

    kept: Any = None
    try:
        kept = _connect(url)
        yield kept
    except (SQLAlchemyError, StorageInternalError, RedisError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        raise _unusable(url, getattr(cause, "orig", None) or cause) from error
    finally:
        if hasattr(kept, "engine"):
            kept.remove_session()
            kept.engine.dispose()


def _connect(url: str) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalRedisBackend

    scheme, _, rest = url.partition("://")
    if scheme == "journal":
        return JournalStorage(JournalFileBackend(str(_file(rest, url))))
    if scheme in REDIS:
        more = f"{'&' if '?' in url else '?'}socket_connect_timeout={TIMEOUT_S}"
        with quiet():
            return JournalStorage(JournalRedisBackend(url + more))
    if scheme == "sqlite":
        path = _file(rest, url)
        return _database(f"sqlite:///{path}", {"creator": partial(_sqlite, path)})
    if scheme in ("postgres", "postgresql") and importlib.util.find_spec("psycopg"):
        scheme = "postgresql+psycopg"
    options: dict[str, Any] = {"pool_pre_ping": True}  # a trial may take longer than a server keeps a connection
    if scheme.startswith("postgresql"):
        options["connect_args"] = {"connect_timeout": TIMEOUT_S}
    return _database(f"{scheme}://{rest}", options)


def _unusable(url: str, why: object) -> ConfigError:
    reason = masked(str(why).strip().partition("\n")[0].rstrip("."))
    return ConfigError(
        f"hydra.sweeper.storage={masked(url)} cannot be used: {reason}; allowed: sqlite:///<file>, "
        "journal:///<file>, postgresql://<user>:<password>@<host>/<database>, redis://<host>:<port>/<number>"
    )


def _file(rest: str, url: str) -> Path:
    """The file that a URL names, its folder made."""
    path = Path(rest.removeprefix("/"))
    if path == Path():
        raise ConfigError(f"hydra.sweeper.storage={url}: names no file; give {url.partition(':')[0]}:///<file>")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _sqlite(path: Path) -> sqlite3.Connection:
    """A write-ahead log, so that readers and a writer do not wait for each other."""
    connection = sqlite3.connect(path, timeout=LOCKED_S, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def _database(url: str, options: dict[str, Any]) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

    for attempt in range(1, ATTEMPTS + 1):
        try:
            return RDBStorage(url, engine_kwargs=options)
        except ImportError as error:  # the driver's
            raise _unusable(url, error.__cause__) from error
        except (IntegrityError, OperationalError, ProgrammingError) as error:
            if attempt == ATTEMPTS or not re.search("already exists|unique|locked|duplicate", str(error), re.I):
                raise
            time.sleep(0.2 * attempt)
    raise AssertionError("unreachable")
