"""Reaching MLflow's store: which one, quietly, within seconds, with errors of one line.

The environment's MLFLOW_TRACKING_URI comes before the configured store. MLflow's telemetry is switched off
and only its errors are printed. Whatever goes wrong at the store becomes a ConfigError.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rag_lab.errors import ConfigError

if TYPE_CHECKING:
    from mlflow import MlflowClient

URI_VARIABLE = "MLFLOW_TRACKING_URI"
SQLITE = "sqlite:///"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
# Used where the user has set nothing. By itself MLflow retries a silent server for minutes, and prints the
# address of every run that ends.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "PGCONNECT_TIMEOUT": "10",  # seconds
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def from_environment() -> str | None:
    """The store that the user's environment names, if any."""
    return os.environ.get(URI_VARIABLE) or None


def uri(store: str) -> str:
    """The store to use: the environment's, else `store` with a relative SQLite path made absolute."""
    if named := from_environment():
        return named
    if store.startswith(SQLITE):
        return SQLITE + str(Path(store.removeprefix(SQLITE)).absolute())
    return store


def is_database(uri: str) -> bool:
    """Whether the store is a database of ours; otherwise a server stands before it, and keeps the files."""
    return urlsplit(uri).scheme.split("+")[0] in DATABASES


@contextmanager
def errors_in_one_line(uri: str) -> Iterator[None]:
    """Run MLflow quietly; its errors, and those of what it stands on, become ConfigError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, about its dependencies
        _import_quietly()
        from mlflow import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
            raise ConfigError(_line(uri, error)) from error


def connect(uri: str, artifacts: Path) -> MlflowClient:
    """The store's client. `artifacts`: the folder of the default experiment's files, if a store is made."""
    from mlflow import MlflowClient

    if is_database(uri):
        if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists():
            _create(Path(uri.removeprefix(SQLITE)).absolute(), artifacts)
        _try_once(uri)
    return MlflowClient(tracking_uri=uri)


def _import_quietly() -> None:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        for name in ("mlflow", "alembic", "urllib3.connectionpool"):
            logging.getLogger(name).setLevel(logging.ERROR)


def _create(path: Path, artifacts: Path) -> None:
    """Make an SQLite store under another name, then link it: half migrated it would be broken for good.

    The link never replaces a store that another process made meanwhile. The migrations are hundreds of
    transactions; the disk is waited for once, after the last, which halves the time or better.
    """
    import sqlalchemy
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{secrets.token_hex(6)}.{path.name}"
    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _do_not_wait)
    try:
        store = SqlAlchemyStore(SQLITE + str(temporary), artifacts.as_uri())
        store.engine.dispose()
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", _do_not_wait)
        temporary.unlink(missing_ok=True)


def _do_not_wait(connection: Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=MEMORY")  # nor leave a journal beside it


def _try_once(uri: str) -> None:
    """Raise at once what MLflow would raise only after minutes of retries."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        sqlalchemy.inspect(connection).get_table_names()


def _line(uri: str, error: BaseException) -> str:
    """What went wrong, without passwords: the system's own reason where there is one."""
    chain: list[BaseException] = [error]
    while following := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(following)
    system = [link for link in chain if isinstance(link, OSError)]
    reason = system[-1] if system else getattr(error, "orig", error)
    text = (
        f"the MLflow store {uri} cannot be used: {' '.join(str(reason).split())[:500]}; point "
        f"{URI_VARIABLE} to one that can, unset it for the store under runs/, or run with tracking=jsonl"
    )
    return re.sub(r"(//[^:/@\s]*):[^@/\s]*@", r"\1:***@", text)
