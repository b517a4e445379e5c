"""postgresql:// URLs, and pools."""

from __future__ import annotations

from typing import Any

from perdure.backends.options import refuse_unknown, take_options
from perdure.backends.postgres.address import OF_CONNECTION, Address, shown_url
from perdure.backends.postgres.dialect import POSTGRES
from perdure.backends.postgres.network import PostgresBackend
from perdure.backends.postgres.options import PostgresOptions
from perdure.backends.postgres.pooling import PoolSource
from perdure.backends.postgres.session import qualified
from perdure.backends.sql import schema
from perdure.backends.urls import StoreUrl
from perdure.errors import ConfigurationError


def backend_of(url: StoreUrl, given: dict[str, Any]) -> PostgresBackend:
    pool = given.pop("pool", None)
    options = take_options(PostgresOptions, given, url.shown)
    if pool is None:
        return PostgresBackend(Address(url, given, options), options)
    refuse_unknown(given, url.shown, PostgresOptions.__struct_fields__, OF_CONNECTION)
    if given or url.netloc or url.path:
        raise ConfigurationError(
            f"{url.shown!r}: a pool knows where to connect to, and how: say postgresql:// and the pool alone, with options of "
            f"the store ({', '.join(PostgresOptions.__struct_fields__)})"
        )
    return PostgresBackend(PoolSource(pool, _place_of(pool, options), options), options)


def script_of(url: StoreUrl, given: dict[str, Any], found: int) -> str:
    """For psql."""
    options = take_options(PostgresOptions, given, url.shown)
    Address(url, given, options)  # says what is wrong
    create = f'create schema if not exists "{options.schema}";\n' if options.schema else ""
    return f"begin;\n{create}{qualified(schema.as_text(POSTGRES, found), options.schema)}commit;\n"


def _place_of(pool: Any, options: PostgresOptions) -> str:
    """The URL of what the pool connects to, as far as it says."""
    dsn = next(iter(getattr(pool, "_connect_args", ())), None) or "postgresql://"
    said = getattr(pool, "_connect_kwargs", {})
    keywords = {name: said[name] for name in ("host", "port", "user", "database") if said.get(name)}
    try:
        url = StoreUrl(dsn)
        place = {name: value for name, value in url.options.items() if name in OF_CONNECTION}
        return Address(url, {**place, **keywords}, options).url
    except ConfigurationError:
        return shown_url({"database": "pool"}, options)
