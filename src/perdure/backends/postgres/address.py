"""From a URL and keywords to what asyncpg is told, and what of it may be shown."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import asyncpg

from perdure.backends.options import names_of, refuse_unknown
from perdure.backends.postgres.options import PostgresOptions
from perdure.backends.postgres.sources import SETTINGS, notice_dead_network
from perdure.backends.sql.loops import Loop, OwnLoop
from perdure.backends.urls import Server, StoreUrl, plain_url
from perdure.errors import ConfigurationError

_PLACE = ("host", "port", "user", "password", "database", "dbname")
_FILES = ("sslcert", "sslkey", "sslrootcert", "sslcrl")
_IN_DSN = (
    "sslmode", *_FILES, "sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version",
    "passfile", "service", "target_session_attrs", "krbsrvname", "gsslib",
)  # fmt: skip
_SETTINGS = ("application_name", "options", "search_path")
_ARGUMENTS = ("ssl", "direct_tls", "servicefile")
"""As keywords alone."""
OF_CONNECTION = (*_PLACE, *_IN_DSN, *_SETTINGS, *_ARGUMENTS)

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class Address:
    """Where a database is, and how it is connected to: a source of connections of our own."""

    __slots__ = ("_arguments", "_is_pooled", "key", "url")

    def __init__(self, url: StoreUrl, given: Mapping[str, Any], options: PostgresOptions) -> None:
        """`given` is what query and keywords say of the connection. Raises ConfigurationError."""
        refuse_unknown(given, url.shown, names_of(PostgresOptions), OF_CONNECTION)
        _check_tls(given, url)
        arguments = _place_of(url, given)
        self.url = shown_url(arguments, options, given.get("service"))
        arguments.update({name: given[name] for name in _ARGUMENTS if name in given})
        # What asyncpg takes in a URL alone, and what it takes there as well.
        in_dsn = {name: str(given[name]) for name in _IN_DSN if name in given}
        arguments["dsn"] = f"postgresql://?{urlencode(in_dsn)}" if in_dsn else None
        arguments["server_settings"] = {name: str(given[name]) for name in _SETTINGS if name in given}
        self._arguments = {**arguments, **_behaviour(options, arguments["server_settings"])}
        self._is_pooled = options.pgbouncer
        self.key = repr(sorted(self._arguments.items()))

    def loop(self) -> Loop:
        return OwnLoop()

    async def take(self, settings: Mapping[str, str]) -> asyncpg.Connection:
        arguments = self._arguments
        if not self._is_pooled:
            arguments = {**arguments, "server_settings": {**arguments["server_settings"], **settings}}
        connection = await asyncpg.connect(**arguments)
        notice_dead_network(connection)
        return connection

    async def give_back(self, connection: asyncpg.Connection) -> None:
        if not connection.is_closed():
            with suppress(Exception):  # one that is lost is cut
                await connection.close(timeout=1)
            connection.terminate()


def _behaviour(options: PostgresOptions, settings: Mapping[str, str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "timeout": min(options.timeout_seconds, 10.0),
        "command_timeout": options.timeout_seconds,
        # Of several hosts the one that can be written; and a server that has become a replica isn't taken for the old one.
        "target_session_attrs": "read-write",
    }
    if options.pgbouncer:
        return {**arguments, "statement_cache_size": 0}
    return {
        **arguments,
        "max_cacheable_statement_size": 0,
        "statement_cache_size": 500,
        "server_settings": {"application_name": "perdure", **settings, **SETTINGS},
    }


def shown_url(arguments: Mapping[str, Any], options: PostgresOptions, service: str | None = None) -> str:
    """How the store is called, and told from others: without secrets. What isn't given comes from where libpq has it."""
    hosts, ports = _listed(arguments.get("host")), _listed(arguments.get("port"))
    if not hosts and not service and (host := os.environ.get("PGHOST")):
        hosts, ports = host.split(","), ports or _listed(os.environ.get("PGPORT"))
    ports = (ports or ["5432"]) * (len(hosts) if len(ports) < 2 else 1)
    database = arguments.get("database")
    if not database and not service:
        user = arguments.get("user") or os.environ.get("PGUSER") or getpass.getuser()
        database = os.environ.get("PGDATABASE") or user
    places = [(str(host), int(port)) for host, port in zip(hosts, ports, strict=True)]
    return plain_url("postgresql", places, database or "", service=service, schema=options.schema)


def _place_of(url: StoreUrl, given: Mapping[str, Any]) -> dict[str, Any]:
    server = Server(url)
    hosts = _listed(given.get("host")) or [host for host, _ in server.hosts]
    ports: list[Any] = _listed(given.get("port"))
    if not ports and "host" not in given:
        ports = [port or 5432 for _, port in server.hosts]
    try:
        ports = [int(port) for port in ports]
        if not all(0 < port < 65_536 for port in ports):
            raise ValueError
    except (TypeError, ValueError):
        raise ConfigurationError(f"{url.shown!r}: port must be a number up to 65535") from None
    if len(ports) > 1 and len(ports) != len(hosts):
        raise ConfigurationError(f"{url.shown!r} has {len(hosts)} hosts and {len(ports)} ports")
    return {
        "host": hosts or None,
        "port": ports * len(hosts) if len(ports) == 1 and hosts else ports or None,
        "user": given.get("user") or server.user,
        "password": given.get("password") or server.password,
        "database": given.get("database") or given.get("dbname") or server.name,
    }


def _listed(given: Any) -> list[Any]:
    if given is None or given == "":
        return []
    return list(given) if isinstance(given, list | tuple) else str(given).split(",")


def _check_tls(given: Mapping[str, Any], url: StoreUrl) -> None:
    """What asyncpg would only find when it connects, and then as if the server were away."""
    mode = given.get("sslmode")
    if mode is not None and mode not in _SSL_MODES:
        raise ConfigurationError(f"{url.shown!r}: sslmode is {mode!r}; it can be {', '.join(_SSL_MODES)}")
    for name in _FILES:
        if name in given and not Path(given[name]).is_file():
            raise ConfigurationError(f"{url.shown!r}: {name} is {str(given[name])!r}, and there is no such file")
