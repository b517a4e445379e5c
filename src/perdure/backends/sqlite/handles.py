"""sqlite:/// URLs."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from perdure.backends.options import names_of, refuse_unknown, take_options
from perdure.backends.sql import schema
from perdure.backends.sqlite.backend import SqliteBackend
from perdure.backends.sqlite.connection import SqliteOptions
from perdure.backends.sqlite.session import SQLITE
from perdure.backends.urls import StoreUrl
from perdure.errors import ConfigurationError


def backend_of(url: StoreUrl, given: dict[str, Any]) -> SqliteBackend:
    if url.netloc or not url.path.startswith("/") or url.path == "/":
        raise ConfigurationError(
            f"{url.shown!r}: sqlite:/// with three slashes is followed by a path (sqlite:///orders.db is relative, "
            f"sqlite:////var/lib/orders.db absolute) or by :memory:"
        )
    if url.fragment:
        raise ConfigurationError(f"{url.shown!r}: write # in a path as %23")
    refuse_unknown(given, url.shown, names_of(SqliteOptions))
    return SqliteBackend(unquote(url.path[1:]), take_options(SqliteOptions, given, url.shown))


def script_of(url: StoreUrl, given: dict[str, Any], found: int) -> str:
    """For sqlite3's command line."""
    return f"begin immediate;\n{schema.as_text(SQLITE, found)}commit;\n"
