"""A URL becomes a Backend. Each kind of store is imported when its scheme is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast

from perdure.backends.protocol import Backend
from perdure.backends.urls import FORMS, StoreUrl
from perdure.errors import ConfigurationError

Options = dict[str, Any]


class Kind(Protocol):
    """A module `handles` of a store's."""

    def backend_of(self, url: StoreUrl, given: Options) -> Backend:
        """The store, not opened yet. `given` is what query and keywords say. Raises ConfigurationError."""
        ...

    def script_of(self, url: StoreUrl, given: Options, found: int) -> str:
        """What brings its schema from version `found` up to date, for its own client. Raises ConfigurationError."""
        ...


_KINDS = {
    "memory": "memory",
    "sqlite": "sqlite",
    "postgresql": "postgres",
    "postgres": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "redis": "redis",
    "rediss": "redis",
    "redis+cluster": "redis",
    "rediss+cluster": "redis",
}
_DRIVERS = {"asyncpg": "postgres", "asyncmy": "mysql", "redis": "redis"}


def connect(url: str, **options: Any) -> Backend:
    """A backend for the URL, not opened yet.

    Options come as keywords or in the URL's query (`sqlite:///orders.db?synchronous=normal`); a keyword goes before. So do
    `host`, `port`, `user`, `password` and `database` of a server: `connect("postgresql://", host="db", password=secret)`;
    and as a keyword alone, an open `pool` or `client` of the driver's, which isn't closed. docs/stores.md lists all of them.

    Raises ConfigurationError for a URL or an option that isn't known, or if the store's driver isn't installed.
    """
    where = StoreUrl(url)
    return _kind_of(where).backend_of(where, _given(where, options))


def migration_script(url: str, found: int = 0) -> str:
    """What makes the schema of a store, or brings it from version `found` up to date, as its own client takes it.

    Nothing is connected to. Raises ConfigurationError.
    """
    where = StoreUrl(url)
    return _kind_of(where).script_of(where, _given(where, {}), found)


def _kind_of(url: StoreUrl) -> Kind:
    folder = _KINDS.get(url.scheme)
    if folder is None:
        known = ", ".join(sorted(_KINDS))
        raise ConfigurationError(
            f"{url.shown!r}: no store has the scheme {url.scheme!r}. There are {known}, as in {FORMS}."
        )
    try:
        return cast("Kind", import_module(f"perdure.backends.{folder}.handles"))
    except ModuleNotFoundError as problem:
        extra = _DRIVERS.get((problem.name or "").partition(".")[0])
        if extra is None:
            raise
        raise ConfigurationError(
            f"{url.scheme}:// needs the package {problem.name}, which isn't installed: pip install perdure[{extra}]"
        ) from problem


def _given(url: StoreUrl, options: Options) -> Options:
    """A keyword that is None is as good as none: it may come from a variable that isn't set."""
    return {**url.options, **{name: value for name, value in options.items() if value is not None}}
