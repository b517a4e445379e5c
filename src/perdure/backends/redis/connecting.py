"""From a URL, or a client of the user's own, to clients of redis-py that do as they are told: no retries of their own.

Of a client that is given, it is taken over *how* it connects (address, user, TLS), be it synchronous or of `redis.asyncio`. The
connections are perdure's own: a user's client may decode answers, speak another protocol or send a write twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from redis import Redis
from redis import asyncio as redis_asyncio
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.connection import SSLConnection as AsyncSSLConnection
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import URL_QUERY_ARGUMENT_PARSERS, SSLConnection
from redis.retry import Retry

from perdure.backends.options import names_of, refuse_unknown
from perdure.backends.redis.options import RedisOptions
from perdure.backends.redis.scripts import Client
from perdure.backends.redis.shared_cluster import SharedCluster
from perdure.backends.urls import Server, StoreUrl, plain_url
from perdure.errors import ConfigurationError

Nodes = Sequence[tuple[str, int]]

_CONNECT_SECONDS = 5.0

_PLACE = ("host", "port", "user", "username", "password", "database", "db")
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS = (*_FILES, "ssl_ca_path", "ssl_ca_data", "ssl_password", "ssl_cert_reqs", "ssl_check_hostname", "ssl_min_version",
        "ssl_ciphers")  # fmt: skip
_OTHERS = ("client_name", "socket_connect_timeout", "health_check_interval", "credential_provider")
OF_CONNECTION = (*_PLACE, *_TLS, *_OTHERS)

_OF_CLIENTS = ("host", "port", "db", "username", "password", "ssl", "path", "socket_keepalive_options", *_TLS, *_OTHERS)
_PORT = 6379
_CHECKS = ("required", "optional", "none")


class Source:
    """How a Redis, or a cluster by its `nodes`, is connected to."""

    def __init__(self, arguments: Mapping[str, Any], nodes: Nodes | None, options: RedisOptions) -> None:
        """`arguments` are those of redis.Redis."""
        self._arguments = {
            "socket_connect_timeout": min(_CONNECT_SECONDS, options.timeout_seconds),
            "socket_keepalive": True,
            **arguments,
            # A write whose answer is lost may have taken place: who has sent it must know.
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": options.timeout_seconds,
            "protocol": 2,
            "decode_responses": False,
        }
        self._nodes = nodes
        self.is_cluster = nodes is not None
        self.key = f"{sorted(arguments.items(), key=str)} {nodes} {options}"
        self.url = _shown(arguments, nodes, options)

    def connect(self) -> Client:
        """A client of one connection (to each node)."""
        if self._nodes is None:
            return Redis(**self._arguments, single_connection_client=True)
        return self._connect_cluster()

    def connector(self) -> Callable[[], Client]:
        """Makes clients for several threads, each of its own connections, which know of a cluster together."""
        return self.connect if self._nodes is None else SharedCluster(self._connect_cluster).connect

    def _connect_cluster(self) -> RedisCluster:
        return RedisCluster(startup_nodes=[_node(*node) for node in self._nodes or ()], **self._arguments)


def _node(host: str, port: int) -> ClusterNode:
    return ClusterNode(host, port)  # type: ignore[no-untyped-call]


def source_of_url(url: StoreUrl, given: Mapping[str, Any], options: RedisOptions) -> Source:
    """`given` is what query and keywords say of the connection. Raises ConfigurationError."""
    refuse_unknown(given, url.shown, names_of(RedisOptions), OF_CONNECTION)
    arguments = {name: _read(name, given[name], url) for name in (*_TLS, *_OTHERS) if name in given}
    _check_tls(arguments, url)
    if url.scheme.startswith("rediss"):
        arguments["ssl"] = True
    server, is_cluster = Server(url), url.scheme.endswith("+cluster")
    arguments["username"] = given.get("user") or given.get("username") or server.user
    arguments["password"] = given.get("password") or server.password
    node = _node_of(server, given, url)
    database = _database_of(server, given, url)
    if is_cluster:
        if database:
            raise ConfigurationError(f"{url.shown!r}: a cluster has no databases but 0")
        return Source(arguments, [node], options)
    return Source({**arguments, "host": node[0], "port": node[1], "db": database}, None, options)


def source_of_client(client: object, options: RedisOptions) -> Source:
    """Raises ConfigurationError for what is no client of redis-py's."""
    if isinstance(client, RedisCluster | AsyncRedisCluster):
        nodes = [(str(node.host), int(node.port)) for node in client.nodes_manager.startup_nodes.values()]
        said = (
            client.connection_kwargs
            if isinstance(client, AsyncRedisCluster)
            else client.nodes_manager.connection_kwargs
        )
        arguments = _taken_over(said, said.get("connection_class"))
        return Source(
            {name: arguments[name] for name in arguments if name not in {"host", "port", "db"}}, nodes, options
        )
    if not isinstance(client, Redis | redis_asyncio.Redis):
        kind = f"{type(client).__module__}.{type(client).__qualname__}"
        raise ConfigurationError(
            f"client= takes a client of redis-py (Redis, RedisCluster, or redis.asyncio's), not {kind}"
        )
    pool = client.connection_pool
    arguments = _taken_over(pool.connection_kwargs, pool.connection_class)
    if "path" in arguments:
        arguments["unix_socket_path"] = arguments.pop("path")
    elif "host" not in arguments:
        raise ConfigurationError(
            "this client doesn't say where it connects to (is it a Sentinel's?): give a URL instead"
        )
    return Source(arguments, None, options)


def _taken_over(said: Mapping[str, Any], connection_class: Any) -> dict[str, Any]:
    arguments = {name: said[name] for name in _OF_CLIENTS if said.get(name) is not None}
    if isinstance(connection_class, type) and issubclass(connection_class, SSLConnection | AsyncSSLConnection):
        arguments["ssl"] = True
    return arguments


def _node_of(server: Server, given: Mapping[str, Any], url: StoreUrl) -> tuple[str, int]:
    if len(server.hosts) > 1:
        raise ConfigurationError(f"{url.shown!r}: one host is enough; of a cluster it names the others")
    host, port = server.hosts[0] if server.hosts else ("localhost", None)
    try:
        port = int(given.get("port") or (port if "host" not in given else None) or _PORT)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{url.shown!r}: port must be a number") from None
    return str(given.get("host") or host or "localhost"), port


def _database_of(server: Server, given: Mapping[str, Any], url: StoreUrl) -> int:
    text = str(given.get("database", given.get("db", server.name or 0)))
    if not text.isascii() or not text.isdigit():
        raise ConfigurationError(f"{url.shown!r}: a database of Redis is a number, as in redis://localhost:6379/0")
    return int(text)


def _read(name: str, value: Any, url: StoreUrl) -> Any:
    read: Any = URL_QUERY_ARGUMENT_PARSERS.get(name)
    if read is None or not isinstance(value, str):
        return value
    try:
        return read(value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{url.shown!r}: {name} is {value!r}, which redis-py doesn't take") from None


def _check_tls(arguments: Mapping[str, Any], url: StoreUrl) -> None:
    """What redis-py would pass over in silence, or take for a server that is away."""
    given = [name for name in _TLS if name in arguments]
    if given and not url.scheme.startswith("rediss"):
        raise ConfigurationError(
            f"{url.shown!r}: {', '.join(given)} is about TLS, which needs {_with_tls(url.scheme)}://"
        )
    if arguments.get("ssl_cert_reqs", "required") not in _CHECKS:
        raise ConfigurationError(f"{url.shown!r}: ssl_cert_reqs can be {', '.join(_CHECKS)}")
    for name in _FILES:
        if name in arguments and not Path(arguments[name]).is_file():
            raise ConfigurationError(f"{url.shown!r}: {name} is {str(arguments[name])!r}, and there is no such file")


def _with_tls(scheme: str) -> str:
    return scheme.replace("redis", "rediss", 1)


def _shown(arguments: Mapping[str, Any], nodes: Nodes | None, options: RedisOptions) -> str:
    scheme = "rediss" if arguments.get("ssl") else "redis"
    prefix = None if options.prefix == RedisOptions().prefix else options.prefix
    if nodes is not None:
        return plain_url(f"{scheme}+cluster", sorted(nodes)[:1], "", prefix=prefix)
    host = arguments.get("unix_socket_path") or arguments.get("host", "localhost")
    port = None if "unix_socket_path" in arguments else int(arguments.get("port", _PORT))
    return plain_url(scheme, [(str(host), port)], str(arguments.get("db") or 0), prefix=prefix)
