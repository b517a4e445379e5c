"""A URL becomes a Backend. Each kind of store is imported when its scheme is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import msgspec

from perdure.backends.protocol import Backend
from perdure.errors import ConfigurationError

_FORMS = "memory://, memory://name, sqlite:///orders.db (relative), sqlite:////var/lib/orders.db (absolute), sqlite:///:memory:"


def connect(url: str, **options: Any) -> Backend:
    """A backend for the URL, not opened yet.

    Options come as keywords or in the URL's query (`sqlite:///orders.db?synchronous=normal`); a keyword goes before.
    SQLite: `synchronous` ("full", "normal"), `lock_timeout_seconds`, `migrate` (false: refuse an older schema).
    Redis: `prefix`, `timeout_seconds`, `migrate`, `db`, and redis-py's options of TLS (`ssl_ca_certs`, …); `rediss://` is over
    TLS, `redis+cluster://` and `rediss+cluster://` name a node of a cluster.

    Raises ConfigurationError for a URL or an option that isn't known.
    """
    parts = _split(url)
    make = _STORES.get(parts.scheme)
    if make is None:
        known = ", ".join(sorted(_STORES))
        raise ConfigurationError(
            f"{url!r}: no store has the scheme {parts.scheme!r}. There are {known}, as in {_FORMS}."
        )
    given: dict[str, Any] = {**_query(url, parts), **options}
    return make(url, parts, given)


def _split(url: str) -> SplitResult:
    if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"a store's URL is a str, not {type(url).__name__}: {_FORMS}")
    if "://" not in url:
        raise ConfigurationError(f"{url!r} is no store's URL: {_FORMS}. A path becomes one by sqlite:/// before it.")
    try:
        return urlsplit(url)
    except ValueError as problem:
        raise ConfigurationError(f"{url!r} is no store's URL ({problem}): {_FORMS}") from problem


def _query(url: str, parts: SplitResult) -> dict[str, str]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as problem:
        raise ConfigurationError(f"{url!r}: what follows the ? must be options as in ?synchronous=normal") from problem
    options: dict[str, str] = {}
    for name, value in pairs:
        if name in options:
            raise ConfigurationError(f"{url!r} gives {name} twice")
        options[name] = value
    return options


def _memory(url: str, parts: SplitResult, options: dict[str, Any]) -> Backend:
    from perdure.backends.memory.backend import MemoryBackend

    _refuse_unknown(url, options, ())
    if parts.path or parts.fragment:
        raise ConfigurationError(f"{url!r}: a store in memory has a name and nothing after it, as in memory://name")
    return MemoryBackend(f"memory://{unquote(parts.netloc)}")


def _sqlite(url: str, parts: SplitResult, options: dict[str, Any]) -> Backend:
    from perdure.backends.sqlite import SqliteBackend, SqliteOptions

    if parts.netloc or not parts.path.startswith("/") or parts.path == "/":
        raise ConfigurationError(
            f"{url!r}: sqlite:/// with three slashes is followed by a path (sqlite:///orders.db is relative, "
            f"sqlite:////var/lib/orders.db absolute) or by :memory:"
        )
    if parts.fragment:
        raise ConfigurationError(f"{url!r}: write # in a path as %23")
    _refuse_unknown(url, options, SqliteOptions.__struct_fields__)
    values: dict[str, Any] = {}
    for name, read in _SQLITE_OPTIONS.items():
        if name in options:
            values[name] = read(url, name, options[name])
    return SqliteBackend(unquote(parts.path[1:]), SqliteOptions(**values))


def _postgresql(url: str, parts: SplitResult, options: dict[str, Any]) -> Backend:
    from perdure.backends.postgres import PostgresBackend, PostgresOptions

    _refuse_unknown(url, options, PostgresOptions.__struct_fields__)
    values = msgspec.convert(options, PostgresOptions, strict=False)
    dsn = urlunsplit(parts._replace(query=""))
    return PostgresBackend(dsn, values, url=url)


def _redis(url: str, parts: SplitResult, options: dict[str, Any]) -> Backend:
    from perdure.backends.redis import RedisBackend, RedisOptions

    # Those of TLS and the database's number are redis-py's.
    of_driver = {name: value for name, value in options.items() if name.startswith("ssl_") or name == "db"}
    ours = {name: value for name, value in options.items() if name not in of_driver}
    _refuse_unknown(url, ours, RedisOptions.__struct_fields__)
    values = {name: read(url, name, ours[name]) for name, read in _REDIS_OPTIONS.items() if name in ours}
    plain = urlunsplit(parts._replace(query=urlencode(of_driver), fragment=""))
    return RedisBackend(plain, RedisOptions(**values))  # type: ignore[arg-type]


def _refuse_unknown(url: str, options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        allowed = f"there are {', '.join(known)}" if known else "it takes none"
        raise ConfigurationError(f"{url!r}: this store has no option {', '.join(unknown)}; {allowed}.")


def _synchronous(url: str, name: str, value: object) -> str:
    if isinstance(value, str) and value.lower() in {"full", "normal"}:
        return value.lower()
    raise ConfigurationError(f"{url!r}: {name} is {value!r}; it can be full (the default) or normal")


def _seconds(url: str, name: str, value: object) -> float:
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(f"{url!r}: {name} is {value!r}; it must be a number of seconds over 0")
    return seconds


def _prefix(url: str, name: str, value: object) -> str:
    if isinstance(value, str) and value and not set(value) & set("{}"):
        return value
    raise ConfigurationError(f"{url!r}: {name} is {value!r}; it must be a text without braces")


def _flag(url: str, name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    flag = _FLAGS.get(value.lower()) if isinstance(value, str) else None
    if flag is None:
        raise ConfigurationError(f"{url!r}: {name} is {value!r}; it can be true or false")
    return flag


_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

_SQLITE_OPTIONS: dict[str, Callable[[str, str, object], object]] = {
    "synchronous": _synchronous,
    "lock_timeout_seconds": _seconds,
    "migrate": _flag,
}

_REDIS_OPTIONS: dict[str, Callable[[str, str, object], object]] = {
    "prefix": _prefix,
    "migrate": _flag,
    "timeout_seconds": _seconds,
}

_STORES: dict[str, Callable[[str, SplitResult, dict[str, Any]], Backend]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "redis": _redis,
    "rediss": _redis,
    "redis+cluster": _redis,
    "rediss+cluster": _redis,
}
