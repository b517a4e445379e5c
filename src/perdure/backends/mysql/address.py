"""Where a server is, as the driver takes it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from perdure.errors import ConfigurationError

Address = dict[str, Any]
"""Keywords of asyncmy.connect: host, port, user, password, database, unix_socket, ssl."""


def address_of(dsn: str | Mapping[str, Any]) -> Address:
    """Keywords stay as they are. A URL may have `unix_socket`, `ssl` and `ssl_ca` (a file of certificates to trust) in its query.

    Raises ConfigurationError.
    """
    if not isinstance(dsn, str):
        return dict(dsn)
    parts = urlsplit(dsn)
    address: Address = {"host": parts.hostname or "localhost", "port": parts.port or 3306, "database": _database(parts)}
    if parts.username is not None:
        address["user"] = unquote(parts.username)
    if parts.password is not None:
        address["password"] = unquote(parts.password)
    for name, value in parse_qsl(parts.query):
        if name not in _QUERY:
            raise ConfigurationError(f"the URL of a MySQL store has no {name}; there are {', '.join(_QUERY)}")
        _QUERY[name](address, value)
    return address


def _database(parts: SplitResult) -> str:
    name = unquote(parts.path[1:])
    if not name or "/" in name:
        raise ConfigurationError("the URL of a MySQL store names its database, as in mysql://user@host/database")
    return name


def _unix_socket(address: Address, value: str) -> None:
    address["unix_socket"] = value


def _ssl(address: Address, value: str) -> None:
    if value.lower() not in {"true", "1", "yes", "false", "0", "no"}:
        raise ConfigurationError(f"ssl is {value!r}; it can be true or false")
    if value.lower() in {"true", "1", "yes"}:
        address.setdefault("ssl", ssl.create_default_context())


def _ssl_ca(address: Address, value: str) -> None:
    try:
        address["ssl"] = ssl.create_default_context(cafile=value)
    except OSError as problem:
        raise ConfigurationError(f"ssl_ca: {value}: {problem}") from problem


_QUERY: dict[str, Callable[[Address, str], None]] = {"unix_socket": _unix_socket, "ssl": _ssl, "ssl_ca": _ssl_ca}
