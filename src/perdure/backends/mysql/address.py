"""From a URL and keywords, or a pool of the user's, to what asyncmy is told.

Of a pool it is taken over *how* it connects (address, user, TLS). The connections are perdure's own: they need flags and
conversions that a connection of the user's hasn't got.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from asyncmy.pool import Pool

from perdure.backends.mysql.options import MysqlOptions
from perdure.backends.options import names_of, refuse_unknown
from perdure.backends.urls import Server, StoreUrl, plain_url
from perdure.errors import ConfigurationError

Address = dict[str, Any]
"""Keywords of asyncmy.connect."""

_PLACE = ("host", "port", "user", "password", "database", "unix_socket")
_FILES = ("ssl_ca", "ssl_cert", "ssl_key")
_TLS = ("ssl", "ssl_mode", *_FILES)
_OTHERS = ("password_creator", "server_public_key", "auth_plugin_map", "read_default_file", "read_default_group")
OF_CONNECTION = (*_PLACE, *_TLS, *_OTHERS)

_MODES = ("disabled", "required", "verify_ca", "verify_identity")
_FLAGS = {"true": "verify_identity", "1": "verify_identity", "yes": "verify_identity", "false": "disabled", "0": "disabled",
          "no": "disabled"}  # fmt: skip
_PORT = 3306


def address_of(url: StoreUrl, given: Mapping[str, Any]) -> Address:
    """`given` is what query and keywords say of the connection. Raises ConfigurationError."""
    refuse_unknown(given, url.shown, names_of(MysqlOptions), OF_CONNECTION)
    server = Server(url)
    if len(server.hosts) > 1:
        raise ConfigurationError(f"{url.shown!r}: the driver takes one host")
    host, port = server.hosts[0] if server.hosts else ("", None)
    address = {
        "host": given.get("host") or host or "localhost",
        "port": _port(given.get("port") or (port if "host" not in given else None) or _PORT, url),
        "user": given.get("user") or server.user,
        "password": _in_bytes(given.get("password") or server.password),
        "database": given.get("database") or server.name,
        "unix_socket": given.get("unix_socket"),
        "ssl": _tls(given, url),
        **{name: given[name] for name in _OTHERS if name in given},
    }
    if not address["database"]:
        raise ConfigurationError(f"{url.shown!r}: it names no database, as mysql://user@host/database does")
    return {name: value for name, value in address.items() if value is not None}


def address_of_pool(pool: object) -> Address:
    """Raises ConfigurationError for what is no pool of asyncmy's."""
    if not isinstance(pool, Pool):
        kind = f"{type(pool).__module__}.{type(pool).__qualname__}"
        raise ConfigurationError(f"pool= takes an asyncmy.Pool, as asyncmy.create_pool gives it, not {kind}")
    said: dict[str, Any] = cast("Any", pool)._conn_kwargs
    address = {name: said[name] for name in (*_PLACE, "ssl", *_OTHERS) if said.get(name)}
    if said.get("db"):
        address["database"] = said["db"]
    if not address.get("database"):
        raise ConfigurationError("the connections of this pool have no database")
    return address


def shown_url(scheme: str, address: Address, options: MysqlOptions) -> str:
    """How the store is called, and told from others: without secrets."""
    host, port = address.get("unix_socket"), None
    if host is None:
        host, port = address.get("host", "localhost"), int(address.get("port", _PORT))
    prefix = None if options.prefix == MysqlOptions().prefix else options.prefix
    return plain_url(scheme, [(str(host), port)], str(address["database"]), prefix=prefix)


def _in_bytes(password: Any) -> Any:
    """The driver would encode a text as Latin-1, and the server compares with UTF-8."""
    return password.encode() if isinstance(password, str) else password


def _port(value: Any, url: StoreUrl) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{url.shown!r}: port must be a number") from None


def _tls(given: Mapping[str, Any], url: StoreUrl) -> ssl.SSLContext | None:
    whole = given.get("ssl")
    if isinstance(whole, ssl.SSLContext):
        return whole
    mode = given.get("ssl_mode", None if whole is None else _FLAGS.get(str(whole).lower(), whole))
    files = {name: given[name] for name in _FILES if name in given}
    if mode is None:
        mode = "verify_identity" if files else "disabled"
    mode = str(mode).lower()
    if mode not in _MODES:
        raise ConfigurationError(f"{url.shown!r}: ssl_mode is {mode!r}; it can be {', '.join(_MODES)}")
    for name, value in files.items():
        if not Path(value).is_file():
            raise ConfigurationError(f"{url.shown!r}: {name} is {str(value)!r}, and there is no such file")
    return None if mode == "disabled" else _context(mode, files, url)


def _context(mode: str, files: Mapping[str, Any], url: StoreUrl) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=files.get("ssl_ca"))
        if "ssl_cert" in files:
            context.load_cert_chain(files["ssl_cert"], files.get("ssl_key"))
    except OSError as problem:
        raise ConfigurationError(f"{url.shown!r}: {', '.join(files)} can't be used: {problem}") from problem
    context.check_hostname = mode == "verify_identity"
    if mode == "required":
        context.verify_mode = ssl.CERT_NONE
    return context
