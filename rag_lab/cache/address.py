"""From a server's address to the way there.

Addresses: `redis://[user:password@]host:port/db`, `rediss://` for TLS, `unix://path?db=0`;
`redis+cluster://host:port` (any node) and `redis+sentinel://host:port,host:port/service/db`, each with
`rediss+…` for TLS. What redis-py allows behind `?` is passed on to it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from rag_lab.cache.cluster import Cluster
from rag_lab.cache.store import Patience
from rag_lab.cache.wire import Single, Wire, parser
from rag_lab.errors import ConfigError

SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
SENTINEL_PORT = 26379


def connect(url: str, patience: Patience) -> Wire:
    """The way to an address; nothing is sent yet. ConfigError where the address cannot be read."""
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise ConfigError(f"cache.url: given '{redact(url)}'; allowed are {'://, '.join(SCHEMES)}:// addresses")
    options: dict[str, Any] = {
        "socket_connect_timeout": patience.connect_timeout_s,
        "socket_timeout": patience.read_timeout_s,
        "max_connections": patience.connections,
        "retry": Retry(NoBackoff(), 0),  # a second try would double the wait, and its caller can do without
        "protocol": 2,  # knows all that is used here, and needs no greeting
    }
    if not scheme.startswith("rediss"):
        options["driver_info"] = None  # nor a card; but TLS 1.3's tickets come with the reply to it, not to a question
    plain = url.replace("+cluster", "", 1).replace("+sentinel", "", 1)
    try:
        if scheme.endswith("+cluster"):
            return Cluster(plain, options)
        options["parser_class"] = parser(patience.whole_s)
        pool = _sentinel(plain, options) if scheme.endswith("+sentinel") else None
        return Single(pool or redis.ConnectionPool.from_url(url, **options), patience.whole_s)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"cache.url: given '{redact(url)}', which cannot be read: {error}") from error


def redact(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


def _sentinel(url: str, options: dict[str, Any]) -> redis.ConnectionPool:
    """The pool of connections to whichever server the sentinels say leads the service."""
    parts = urlsplit(url)
    hosts = [
        (host, int(port or SENTINEL_PORT))
        for host, _, port in (one.partition(":") for one in parts.netloc.rpartition("@")[2].split(","))
    ]
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("the service's name is missing: …/<service>/<db>")
    who = {"username": parts.username, "password": parts.password}
    whole = {
        **options,
        **{name: unquote(value) for name, value in who.items() if value},
        "db": int(database or 0),
        "ssl": parts.scheme == "rediss",
    }
    return Sentinel(hosts, **whole).master_for(service).connection_pool
