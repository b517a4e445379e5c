"""From a URL, or a client of the user's own, to clients of redis-py that do as they are told: no retries of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

from perdure.backends.redis.options import RedisOptions
from perdure.backends.redis.scripts import Client
from perdure.errors import ConfigurationError

CLUSTER_SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
_CONNECT_SECONDS = 5.0


def without_secrets(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = f"{parts.username}@" if parts.username else ""
    return urlunsplit((parts.scheme, user + host, parts.path, "", ""))


def connector(url: str, options: RedisOptions) -> Callable[[], Client]:
    """Makes clients of one connection (to each node), which come to be when they are first used."""
    scheme = urlsplit(url).scheme
    common: dict[str, Any] = {
        # A write whose answer is lost may have taken place: who has sent it must know.
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": options.timeout_seconds,
        "socket_connect_timeout": min(_CONNECT_SECONDS, options.timeout_seconds),
        "protocol": 2,
        "decode_responses": False,
    }
    if scheme != "unix":
        common["socket_keepalive"] = True
    if scheme in CLUSTER_SCHEMES:
        plain = urlunsplit(urlsplit(url)._replace(scheme=CLUSTER_SCHEMES[scheme]))
        return lambda: _made(url, lambda: RedisCluster.from_url(plain, **common))
    return lambda: _made(url, lambda: Redis.from_url(url, single_connection_client=True, **common))


def _made(url: str, make: Callable[[], Client]) -> Client:
    try:
        return make()
    except (ValueError, TypeError) as problem:
        raise ConfigurationError(f"{without_secrets(url)!r} is no URL that redis-py takes: {problem}") from problem
